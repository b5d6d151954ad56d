"""Every operation, on every row of the table in cases.py, keeps what DESIGN.md promises of all operations."""

import numpy as np
import pytest
from cases import CASES, normal
from drawn import as_inputs, dense, each_dtype, every_case, weights_for

from nnkit import RowGrad, Tensor, check_gradients, ops


def value_and_grads(case, inputs):
    y = case(*inputs)
    y.backward(weights_for(y))
    return y.value, [None if x.grad is None else dense(x.grad) for x in inputs if isinstance(x, Tensor)]


def assert_same(a, b, **tolerance):
    (y, grads), (other_y, other_grads) = a, b
    np.testing.assert_allclose(y, other_y, **tolerance)
    for one, other in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def arrays_in(thing):
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, RowGrad):
        return [thing.values]
    return [a for part in thing for a in arrays_in(part)] if isinstance(thing, (list, tuple)) else []


def read_only(things):
    for array in arrays_in(things):
        array.flags.writeable = False
    return things


def test_every_operation_has_a_row():
    missing = set(ops.all_operations()) - {case.name for case in CASES}
    assert not missing, f"no row in tests/ops/cases.py for {sorted(missing)}"


def test_every_operation_is_public_under_its_name():
    assert set(ops.all_operations()) | {"all_operations", "split"} == set(ops.__all__)  # split is several getitems
    assert all(getattr(ops, name) is operation for name, operation in ops.all_operations().items())


def test_every_operation_says_in_a_sentence_what_it_is():
    assert [name for name, f in ops.all_operations().items() if not (f.__doc__ or "").strip()] == []


def test_inputs_are_described_by_shape_so_that_any_test_may_vary_them():
    assert normal(2, 5).array(np.random.default_rng(0), np.float32).dtype == np.float32


@every_case
def test_backward_is_the_derivative_of_forward(case):
    arrays = case.arrays()
    compared = check_gradients(case, *arrays)
    assert compared >= sum(x.size for x in arrays if x.dtype.kind == "f")


@pytest.mark.case("autograd", 17)
@each_dtype
@every_case
def test_result_and_gradients_keep_the_dtype(case, dtype):
    inputs = as_inputs(case.arrays(dtype))
    y = case(*inputs)
    assert type(y) is Tensor and type(y.value) is np.ndarray and y.dtype == dtype
    y.backward(weights_for(y))
    for x in inputs:
        if isinstance(x, Tensor):
            assert type(x.grad) in (np.ndarray, RowGrad) and x.grad.dtype == dtype and x.grad.shape == x.shape


def fortran(x):
    return np.array(x, order="F")


def strided(x):
    """Every second element of a larger array."""
    large = np.full([2 * n for n in x.shape], 99, x.dtype)
    view = large[(..., *(slice(None, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def backwards(x):
    """Negative strides."""
    return np.ascontiguousarray(x[(slice(None, None, -1),) * x.ndim])[(slice(None, None, -1),) * x.ndim] if x.ndim else x


@every_case
def test_memory_layout_changes_nothing(case):
    expected = value_and_grads(case, as_inputs(case.arrays()))
    for layout in (fortran, strided, backwards):
        arrays = [layout(x) for x in case.arrays()]
        assert_same(value_and_grads(case, as_inputs(arrays)), expected, rtol=1e-12, atol=1e-14)


@every_case
def test_incoming_gradient_may_have_any_layout(case):
    y = case(*as_inputs(case.arrays()))
    y.ctx.owns_grad = False
    grad = weights_for(y)
    expected = [dense(g) for g in y.operation.backward(y.ctx, grad) if g is not None]
    for layout in (fortran, strided, backwards):
        given = [dense(g) for g in y.operation.backward(y.ctx, layout(grad)) if g is not None]
        for one, other in zip(given, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@every_case
def test_nothing_is_written_that_an_operation_may_only_read(case):
    expected = value_and_grads(case, as_inputs(case.arrays()))
    inputs = as_inputs(read_only(case.arrays()))
    y = case(*inputs)
    read_only(list(y.ctx))
    y.ctx.owns_grad = False
    y.operation.backward(y.ctx, read_only(weights_for(y)))
    y.backward(weights_for(y))  # and as the engine does it, with a gradient that it owns
    assert_same((y.value, [dense(x.grad) for x in inputs if isinstance(x, Tensor)]), expected, rtol=1e-14)


@pytest.mark.parametrize("case", [case for case in CASES if case.operation.operation.returns_new], ids=str)
def test_returns_new_is_true_where_it_is_said(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    y.ctx.owns_grad = False
    grad_output = weights_for(y)
    given = [g for g in y.operation.backward(y.ctx, grad_output) if g is not None]
    others = [grad_output, y.value, *arrays_in(list(y.ctx)), *(x.value if isinstance(x, Tensor) else x for x in inputs)]
    for i, grad in enumerate(given):
        for other in others + given[:i]:
            assert not np.shares_memory(grad, other)


@pytest.mark.case("autograd", 13)
@every_case
def test_leaves_share_memory_with_nothing(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    seed = weights_for(y)
    y.backward(seed)
    grads = [arrays_in(x.grad)[0] for x in inputs if isinstance(x, Tensor)]
    others = [seed, y.value, *arrays_in(list(y.ctx)), *(x.value if isinstance(x, Tensor) else x for x in inputs)]
    for i, grad in enumerate(grads):
        assert grad.flags.writeable
        assert not any(np.shares_memory(grad, other) for other in others + grads[:i])


@pytest.mark.case("autograd", 4)
@every_case
def test_second_backward_gives_exactly_twice_the_gradient(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    y.backward(weights_for(y))
    once = [dense(x.grad).copy() for x in inputs if isinstance(x, Tensor)]
    y.backward(weights_for(y))
    for grad, x in zip(once, (x for x in inputs if isinstance(x, Tensor)), strict=True):
        # the rows of a RowGrad are listed twice, and summed in another order
        np.testing.assert_allclose(dense(x.grad), 2 * grad, rtol=1e-14 if isinstance(x.grad, RowGrad) else 0)


@every_case
def test_gradient_of_one_input_does_not_depend_on_who_else_wants_one(case):
    arrays = case.arrays()
    floating = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    everybody = as_inputs(arrays)
    value_and_grads(case, everybody)
    for i in floating:
        alone = [Tensor(x) if k == i else x for k, x in enumerate(arrays)]
        value_and_grads(case, alone)
        np.testing.assert_array_equal(dense(alone[i].grad), dense(everybody[i].grad))


@every_case
def test_without_a_tensor_that_wants_a_gradient_there_is_no_graph(case):
    y = case(*case.arrays())
    assert y.is_leaf and not y.requires_grad and y.ctx is None and y.parents == ()
