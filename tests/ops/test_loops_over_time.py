"""The loops over time: each is its composed form, for every option and any lengths, and reads nothing that lies after an end."""

import re

import numpy as np
import pytest
from drawn import weights_for
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit import Tensor, check_gradients, no_grad, ops

KINDS = {"rnn": (ops.rnn, 1, 1), "lstm": (ops.lstm, 4, 2), "gru": (ops.gru, 3, 1)}  # operation, gates, states
every_kind = pytest.mark.parametrize("kind", KINDS)


def arrays_for(kind, length, batch, inputs, hidden, bias=True, seed=0, dtype=np.float64):
    _, gates, states = KINDS[kind]
    rng, columns = np.random.default_rng(seed), gates * hidden
    shapes = [(length, batch, inputs), *[(batch, hidden)] * states, (inputs, columns), (hidden, columns),
              *[(columns,)] * 2 * bias]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes] + [None] * 2 * (not bias)


@st.composite
def problems(draw):
    kind, length, batch = draw(st.sampled_from(list(KINDS))), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    arrays = arrays_for(kind, length, batch, draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.booleans()),
                        draw(st.integers(0, 999)))
    lengths = draw(st.one_of(st.none(), st.just([length] * batch), st.just([1] * batch),
                             st.lists(st.integers(1, length), min_size=batch, max_size=batch)))
    options = {"reverse": draw(st.booleans())}
    if kind == "rnn":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    return kind, [*arrays, None if lengths is None else np.array(lengths)], options


@settings(deadline=None, max_examples=60)
@given(problems())
def test_fused_and_composed_are_one_function(problem):
    kind, arrays, options = problem
    operation = KINDS[kind][0]
    results = []
    for form in (operation, operation.operation.composed):
        leaves = [Tensor(a) if a is not None and a.dtype.kind == "f" else a for a in arrays]
        y = form(*leaves, **options)
        y.backward(weights_for(y))
        results.append([y.value, *(leaf.grad for leaf in leaves if isinstance(leaf, Tensor))])
    for fused, composed in zip(*results, strict=True):
        np.testing.assert_allclose(fused, composed, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=8)
@given(problems())
def test_gradients_are_differences(problem):
    kind, arrays, options = problem
    lengths = arrays.pop()
    given_arrays = [a for a in arrays if a is not None]

    def function(*inputs):
        return KINDS[kind][0](*inputs, *[None] * (len(arrays) - len(inputs)), lengths, **options)

    if options.get("nonlinearity") != "relu":  # it has a kink
        assert check_gradients(function, *given_arrays) >= sum(a.size for a in given_arrays)


@every_kind
@pytest.mark.parametrize("reverse", [False, True])
def test_what_lies_after_the_end_of_a_sequence_counts_nothing(kind, reverse):
    arrays, lengths = arrays_for(kind, 5, 3, 2, 4), np.array([2, 5, 1])
    after = np.arange(5)[:, None] >= lengths
    for form in (KINDS[kind][0], KINDS[kind][0].operation.composed):
        results = []
        for filler in (0, np.nan):
            x, *others = map(np.copy, arrays)
            x[after] = filler
            leaves = [Tensor(x), *map(Tensor, others)]
            y = form(*leaves, lengths, reverse=reverse)
            y.backward(weights_for(y))
            assert (y.value[:5][after] == 0).all() and (leaves[0].grad[after] == 0).all() and y.value[5:].all()
            results.append([y.value, *(leaf.grad for leaf in leaves)])
        for one, other in zip(*results):
            np.testing.assert_array_equal(one, other)


@every_kind
@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_in_a_batch_is_that_sequence_alone(kind, reverse):
    states = KINDS[kind][2]
    x, *others = arrays_for(kind, 6, 4, 3, 5)
    lengths = [3, 6, 1, 3]
    y = KINDS[kind][0](x, *others, lengths, reverse=reverse).value
    for k, n in enumerate(lengths):
        alone = KINDS[kind][0](x[:n, k:k + 1], *(s[k:k + 1] for s in others[:states]), *others[states:], reverse=reverse).value
        np.testing.assert_allclose(y[:n, k], alone[:n, 0], rtol=1e-12)
        np.testing.assert_allclose(y[6:, k], alone[n:, 0], rtol=1e-12)


@every_kind
def test_sigmoids_and_tanhs_of_any_size_stay_finite(kind):
    arrays = arrays_for(kind, 3, 2, 2, 3, dtype=np.float32)
    leaves = [Tensor(arrays[0] * np.float32(1e4)), *map(Tensor, arrays[1:])]
    y = KINDS[kind][0](*leaves)
    y.sum().backward()
    assert all(np.isfinite(a).all() and a.dtype == np.float32 for a in (y.value, *(leaf.grad for leaf in leaves)))


@every_kind
def test_whole_numbers_and_constants_of_float64_leave_float32_as_it_is(kind):
    arrays = arrays_for(kind, 3, 2, 2, 3)
    weights = [Tensor(a.astype(np.float32)) for a in arrays[1:]]
    for x in (arrays[0], np.ones((3, 2, 2), int)):
        assert KINDS[kind][0](x, *weights).dtype == np.float32


@every_kind
def test_without_gradients_the_value_is_the_same(kind):
    arrays = arrays_for(kind, 3, 2, 2, 3)
    with no_grad():
        y = KINDS[kind][0](*map(Tensor, arrays))
    np.testing.assert_array_equal(y.value, KINDS[kind][0](*map(Tensor, arrays)).value)


@every_kind
@pytest.mark.parametrize("lengths, error, said", [
    ([0, 3], ValueError, "expected lengths from 1 to 3, the steps of the input, got 0 for sequence 0"),
    ([1, 4], ValueError, "expected lengths from 1 to 3, the steps of the input, got 4 for sequence 1"),
    ([3, -1], ValueError, "got -1 for sequence 1"),
    ([3], ValueError, "expected 2 lengths, one for each sequence of the batch, got an array of shape (1,)"),
    ([[3, 3]], ValueError, "got an array of shape (1, 2)"),
    ([1.0, 2.0], TypeError, "lengths must be integers, got float"),
    ([True, True], TypeError, "lengths must be integers, got bool")])
def test_lengths_that_do_not_fit_are_refused(kind, lengths, error, said):
    with pytest.raises(error, match=f"^{kind}: .*{re.escape(said)}"):
        KINDS[kind][0](*arrays_for(kind, 3, 2, 2, 3), lengths)


@every_kind
def test_arrays_that_do_not_belong_together_are_refused(kind):
    right = arrays_for(kind, 3, 2, 2, 4)
    for i, array in enumerate(right):
        wrong = [array[..., :1] if k == i else a for k, a in enumerate(right)]
        with pytest.raises(ValueError, match=rf"^{kind}: with x of shape .* got .*"):
            KINDS[kind][0](*wrong)
    with pytest.raises(ValueError, match=f"^{kind}: with x"):
        KINDS[kind][0](*right[:-1])  # one bias alone
    with pytest.raises(ValueError, match=f"^{kind}: expected x .* at least one step"):
        KINDS[kind][0](right[0][:0], *right[1:])


def test_an_unknown_nonlinearity_is_refused():
    with pytest.raises(ValueError, match=r"^rnn: nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"):
        ops.rnn(*arrays_for("rnn", 3, 2, 2, 3), nonlinearity="sigmoid")
