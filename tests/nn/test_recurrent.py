"""RNN, LSTM and GRU: shapes, options, names and first values of the weights, lengths, and the mistakes they answer."""

import re

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, check_gradients, default_dtype, losses, nn, optim

KINDS = {"RNN": (nn.RNN, 1), "LSTM": (nn.LSTM, 4), "GRU": (nn.GRU, 3)}  # layer, gates
every_kind = pytest.mark.parametrize("kind", KINDS)


def states(last):
    """The last states as a list: of an LSTM two."""
    return list(last) if isinstance(last, tuple) else [last]


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@every_kind
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_shapes(kind, num_layers, bidirectional):
    layer = KINDS[kind][0](3, 4, num_layers, bidirectional=bidirectional, rng=0)
    output, last = layer(normal(5, 2, 3))
    assert output.shape == (5, 2, 4 * (1 + bidirectional)) and output.dtype == np.float32
    assert all(h.shape == (num_layers * (1 + bidirectional), 2, 4) and h.dtype == np.float32 for h in states(last))
    np.testing.assert_array_equal(output.value[-1, :, :4], states(last)[0].value[-1 - bidirectional])


@every_kind
def test_names_and_shapes_of_the_weights_are_pytorchs_transposed(kind):
    layer, columns = KINDS[kind][0](3, 5, 2, bidirectional=True, rng=0), 5 * KINDS[kind][1]
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [
        (part + end, shape) for end, rows in [("_l0", 3), ("_l0_reverse", 3), ("_l1", 10), ("_l1_reverse", 10)]
        for part, shape in [("weight_ih", (rows, columns)), ("weight_hh", (5, columns)), ("bias_ih", (columns,)),
                            ("bias_hh", (columns,))]]
    assert [name for name, _ in KINDS[kind][0](3, 5, bias=False).named_parameters()] == ["weight_ih_l0", "weight_hh_l0"]


@every_kind
def test_weights_start_uniform_within_one_over_root_of_the_hidden_size(kind):
    for p in KINDS[kind][0](50, 100, rng=0).parameters():
        assert np.abs(p.value).max() <= 0.1 and abs(p.value.std() - 0.1 / 3 ** 0.5) < 0.01


@every_kind
def test_batch_first_turns_input_and_output_and_not_the_states(kind):
    x = normal(2, 5, 3)
    turned, plain = KINDS[kind][0](3, 4, batch_first=True, rng=0), KINDS[kind][0](3, 4, rng=0)
    (y, last), (z, other) = turned(x), plain(x.swapaxes(0, 1))
    np.testing.assert_array_equal(y.value, z.value.swapaxes(0, 1))
    for h, g in zip(states(last), states(other)):
        np.testing.assert_array_equal(h.value, g.value)


@every_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_alone_has_no_axis_for_the_batch(kind, batch_first):
    layer = KINDS[kind][0](3, 4, 2, batch_first=batch_first, bidirectional=True, rng=0)
    x, start = normal(5, 3), [normal(4, 4, seed=i) for i in range(2 if kind == "LSTM" else 1)]
    y, last = layer(x, tuple(start) if kind == "LSTM" else start[0])
    batch, others = x[None] if batch_first else x[:, None], [h[:, None] for h in start]
    z, other = layer(batch, tuple(others) if kind == "LSTM" else others[0])
    np.testing.assert_array_equal(y.value, np.squeeze(z.value, 0 if batch_first else 1))
    for h, g in zip(states(last), states(other)):
        np.testing.assert_array_equal(h.value, g.value[:, 0])


@every_kind
def test_states_carry_a_sequence_on(kind):
    layer, x = KINDS[kind][0](3, 4, 2, rng=0), normal(6, 2, 3)
    whole, last = layer(x)
    first, between = layer(x[:4])
    second, end = layer(x[4:], between)
    np.testing.assert_allclose(np.concatenate([first.value, second.value]), whole.value, rtol=1e-6, atol=1e-6)
    for h, g in zip(states(end), states(last)):
        np.testing.assert_allclose(h.value, g.value, rtol=1e-6, atol=1e-6)


@every_kind
def test_lengths_give_each_sequence_what_it_gets_alone(kind):
    layer, x, lengths = KINDS[kind][0](3, 4, 2, batch_first=True, bidirectional=True, rng=0), normal(3, 6, 3), [2, 6, 1]
    for given in (lengths, np.array(lengths, np.uint8), Tensor(np.array(lengths))):
        y, last = layer(x, lengths=given)
        for k, n in enumerate(lengths):
            alone, end = layer(x[k, :n])
            np.testing.assert_allclose(y.value[k, :n], alone.value, rtol=1e-5, atol=1e-6)
            assert not y.value[k, n:].any()
            for h, g in zip(states(last), states(end)):
                np.testing.assert_allclose(h.value[:, k], g.value, rtol=1e-5, atol=1e-6)


@every_kind
def test_whole_layers_pass_the_gradient_check(kind):
    with default_dtype(np.float64):
        layer = KINDS[kind][0](2, 2, 2, bidirectional=True, rng=0)
        parameters = dict(layer.named_parameters())

        def loss(x, *values):
            for name, value in zip(parameters, values):
                setattr(layer, name, value)
            y, last = layer(x, lengths=[1, 3])
            return (y * y).sum() + sum((h * h).sum() for h in states(last))

        values = [p.value for p in parameters.values()]
        assert check_gradients(loss, normal(3, 2, 2, dtype=np.float64), *values) >= 12 + sum(value.size for value in values)


@every_kind
def test_dropout_is_between_layers_in_training_alone(kind):
    x = normal(5, 2, 3)
    layer, plain = KINDS[kind][0](3, 4, 2, dropout=0.5, rng=0), KINDS[kind][0](3, 4, 2, rng=0)
    assert [name for name, _ in layer.named_generators()] == ["rng"] and not list(plain.named_generators())
    (y, last), (z, other) = layer(x), plain(x)
    np.testing.assert_array_equal(states(last)[0].value[0], states(other)[0].value[0])  # the first layer knows nothing of it
    assert (y.value != z.value).any() and (layer(x)[0].value != y.value).any()
    np.testing.assert_array_equal(layer.eval()(x)[0].value, z.value)


@every_kind
def test_dropout_of_one_layer_is_said_to_do_nothing(kind):
    with pytest.warns(UserWarning, match=f"^{kind}: dropout=0.5 is between layers"):
        KINDS[kind][0](3, 4, dropout=0.5)


@every_kind
def test_saved_and_loaded_it_is_the_same(kind, tmp_path):
    one, other = (KINDS[kind][0](3, 4, 2, bidirectional=True, rng=seed) for seed in (0, 1))
    nnkit.save(one, tmp_path / "layer.npz")
    nnkit.load_into(other, tmp_path / "layer.npz")
    np.testing.assert_array_equal(one(normal(5, 2, 3))[0].value, other(normal(5, 2, 3))[0].value)
    other.load_state_dict(one.state_dict())


@every_kind
def test_a_recording_takes_other_lengths_at_every_run(kind):
    layer, x = KINDS[kind][0](3, 4, bidirectional=True, rng=0), normal(5, 3, 3)

    def loss(x, lengths):
        y, last = layer(x, lengths=lengths)
        return (y * y).sum() + sum((h * h).sum() for h in states(last))

    step = nnkit.record(loss)
    for lengths in ([1, 5, 3], [5, 5, 5], [2, 1, 4]):
        layer.zero_grad()
        expected = loss(x, np.array(lengths))
        expected.backward()
        grads = [p.grad for p in layer.parameters()]
        layer.zero_grad()
        assert float(step(x, np.array(lengths))) == float(expected)
        for p, grad in zip(layer.parameters(), grads):
            np.testing.assert_array_equal(p.grad, grad)
    with pytest.raises(ValueError, match=re.escape(f"{layer!r}: expected lengths from 1 to 5")):
        step(x, np.array([1, 6, 1]))


@every_kind
def test_it_learns_what_stood_at_the_beginning(kind):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 64)
    x = rng.standard_normal((8, 64, 2)).astype(np.float32)
    x[0, :, 0] = 2 * first - 1
    layer, head = KINDS[kind][0](2, 8, rng=1), nn.Linear(8, 2, rng=2)
    optimizer = optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)
    for _ in range(100):
        loss = losses.cross_entropy(head(layer(x)[0][-1]), first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1


@every_kind
@pytest.mark.parametrize("shape", [(5, 2, 4), (5, 4), (3,), (), (5, 2, 2, 3), (0, 2, 3), (0, 3)])
def test_an_input_that_does_not_fit_names_the_layer_and_both_shapes(kind, shape):
    with pytest.raises(ValueError) as error:
        KINDS[kind][0](3, 4, rng=0)(np.ones(shape, np.float32))
    said = str(error.value)
    assert said.startswith(f"{kind}(3, 4): expected an input of shape (length, batch, 3)") and said.endswith(f"got {shape}")
    assert "\n" not in said


def test_an_input_with_the_batch_first_is_described_so():
    with pytest.raises(ValueError, match=re.escape("GRU(3, 4, batch_first=True): expected an input of shape (batch, length, 3)")):
        nn.GRU(3, 4, batch_first=True)(np.ones((2, 0, 3)))


@every_kind
@pytest.mark.parametrize("lengths, error, said", [
    ([0, 5], ValueError, "got 0 for sequence 0"), ([5, 6], ValueError, "from 1 to 5, .*, got 6 for sequence 1"),
    ([5], ValueError, "expected 2 lengths"), ([1.0, 2.0], TypeError, "integers, got float")])
def test_lengths_that_do_not_fit_name_the_layer(kind, lengths, error, said):
    with pytest.raises(error, match=rf"^{kind}\(3, 4\): .*{said}"):
        KINDS[kind][0](3, 4, rng=0)(normal(5, 2, 3), lengths=lengths)


@every_kind
def test_lengths_of_one_sequence_are_refused(kind):
    with pytest.raises(ValueError, match=rf"^{kind}\(3, 4\): lengths are for a batch"):
        KINDS[kind][0](3, 4, rng=0)(normal(5, 3), lengths=[3])


@every_kind
@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 2, 4), (1, 2, 3), (1, 4)])
def test_a_first_state_that_does_not_fit_is_named(kind, shape):
    right, wrong = normal(1, 2, 4), normal(*shape)
    for hx, name in [((wrong, right), "h_0"), ((right, wrong), "c_0")] if kind == "LSTM" else [(wrong, "h_0")]:
        with pytest.raises(ValueError, match=re.escape(f"{kind}(3, 4): expected {name} of shape (1, 2, 4), got {shape}")):
            KINDS[kind][0](3, 4, rng=0)(normal(5, 2, 3), hx)


@pytest.mark.parametrize("hx", [normal(1, 2, 4), (normal(1, 2, 4),)])
def test_an_lstm_asks_for_a_pair_of_states(hx):
    with pytest.raises(ValueError, match=re.escape("LSTM(3, 4): expected a pair (h_0, c_0)")):
        nn.LSTM(3, 4, rng=0)(normal(5, 2, 3), hx)


@every_kind
@pytest.mark.parametrize("options, said", [
    ({"input_size": 0}, "at least 1, got 0, 4 and 1"), ({"hidden_size": -1}, "got 3, -1 and 1"), ({"num_layers": 0}, "4 and 0"),
    ({"dropout": 1.0}, "dropout must be at least 0 and less than 1, got 1.0"), ({"dropout": -0.1}, "got -0.1")])
def test_options_that_cannot_be_are_refused(kind, options, said):
    with pytest.raises(ValueError, match=f"^{kind}: .*{re.escape(said)}"):
        KINDS[kind][0](**{"input_size": 3, "hidden_size": 4, **options})


def test_repr_is_how_it_was_made():
    for text in ("RNN(3, 4)", "RNN(3, 4, num_layers=2, nonlinearity='relu', bias=False)", "GRU(3, 4, batch_first=True)",
                 "LSTM(3, 4, num_layers=2, dropout=0.5, bidirectional=True)"):
        assert repr(eval(f"nn.{text}")) == text
    with pytest.raises(ValueError, match=r"^RNN: nonlinearity must be 'tanh' or 'relu', got 'gelu'"):
        nn.RNN(3, 4, nonlinearity="gelu")
