"""SGD against its equations written out in float64, and rows against the dense rule."""

import itertools

import numpy as np
import pytest

from nnkit import RowGrad, Tensor
from nnkit.optim import SGD

OPTIONS = [dict(lr=lr, momentum=m, nesterov=n, weight_decay=d)
           for lr, m, n, d in itertools.product([0.1, 1.0], [0.0, 0.5, 0.9], [False, True], [0.0, 0.01]) if m or not n]


def by_hand(value, grads, lr, momentum, nesterov, weight_decay):
    velocity = None
    for grad in grads:
        g = grad + weight_decay * value
        if momentum:
            velocity = g if velocity is None else momentum * velocity + g
            g = g + momentum * velocity if nesterov else velocity
        value = value - lr * g
    return value


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-4)], ids=["float64", "float32"])
def test_ten_steps_are_those_of_the_equations(options, dtype, tolerance):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((4, 3)), rng.standard_normal((10, 4, 3))
    p = Tensor(start.astype(dtype))
    optimizer = SGD([p], **options)
    for grad in grads:
        p.grad = grad.astype(dtype)
        optimizer.step()
    np.testing.assert_allclose(p.value, by_hand(start, grads, **options), rtol=tolerance, atol=tolerance)


@pytest.mark.case("autograd", 24)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("width", [(), (3,), (4,), (2, 3)])
def test_a_plain_step_of_rows_is_the_dense_step(width, shared):
    rng = np.random.default_rng(0)
    sparse, dense = (Tensor(np.ones((7, *width))) for _ in range(2))
    one, other = SGD([sparse], lr=0.3), SGD([dense], lr=0.3)
    for _ in range(10):
        rows, index = rng.integers(0, 7, 9), rng.integers(0, 4, 9) if shared else None
        grad = RowGrad(rows, rng.standard_normal((4 if shared else 9, *width)), (7, *width), index)
        sparse.grad, dense.grad = grad, grad.dense()
        one.step()
        other.step()
        np.testing.assert_allclose(sparse.value, dense.value, rtol=1e-12, atol=1e-12)


@pytest.mark.case("autograd", 24)
@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"weight_decay": 0.1},
                                     {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}], ids=str)
def test_with_momentum_or_decay_only_the_rows_of_the_step_change_and_the_docstring_says_so(options):
    table = Tensor(np.ones((3, 2)))
    optimizer = SGD([table], lr=0.1, **options)
    alone = [Tensor(np.ones(2)), Tensor(np.ones(2))]
    for row in (0, 1, 0, 0):
        table.grad = RowGrad(np.array([row, row]), np.ones((2, 2)), (3, 2))
        optimizer.step()
    for p, steps in zip(alone, (3, 1)):  # each row as if it were a parameter of its own
        own = SGD([p], lr=0.1, **options)
        for _ in range(steps):
            p.grad = np.full(2, 2.0)
            own.step()
    np.testing.assert_allclose(table.value, [alone[0].value, alone[1].value, [1, 1]], rtol=1e-12)
    assert "only this" in SGD.__doc__ and "rows decay" in SGD.__doc__


@pytest.mark.parametrize("options", [{"lr": -1}, {"lr": 1, "momentum": -0.1}, {"lr": 1, "weight_decay": -1},
                                     {"lr": 1, "nesterov": True}])
def test_values_that_make_no_sense_are_refused_in_the_defaults_and_in_a_group(options):
    with pytest.raises(ValueError, match="SGD"):
        SGD([Tensor([1.0])], **options)
    with pytest.raises(ValueError, match="SGD"):
        SGD([{"params": [Tensor([1.0])], **options}], lr=0.1)


def test_one_group_may_have_momentum_and_another_none():
    a, b = Tensor(np.ones(1)), Tensor(np.ones(1))
    optimizer = SGD([{"params": [a], "momentum": 0.9}, {"params": [b]}], lr=0.1)
    for _ in range(3):
        a.grad = b.grad = np.ones(1)
        optimizer.step()
    np.testing.assert_allclose([a.value, b.value], [by_hand(np.ones(1), [1, 1, 1], 0.1, 0.9, False, 0), [0.7]])


def test_only_what_has_momentum_has_a_state_and_from_the_start():
    a, b = Tensor(np.ones(1)), Tensor(np.ones(1))
    assert not SGD([a, b], lr=0.1, weight_decay=0.1).state_arrays()
    assert SGD([{"params": [a], "momentum": 0.9}, {"params": [b]}], lr=0.1).state_arrays().keys() == {"0.0.velocity"}


def test_a_table_in_fortran_order_is_updated_in_place():
    array = np.ones((4, 3), order="F")
    table = Tensor(array)
    table.grad = RowGrad(np.array([1, 1]), np.ones((2, 3)), (4, 3))
    SGD([table], lr=1).step()
    np.testing.assert_array_equal(array[:, 0], [1, -1, 1, 1])


def test_large_parameters_of_many_shapes_and_dtypes_share_their_scratch():
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(dtype) for shape, dtype in
              [((200, 100), np.float32), ((30_000,), np.float32), ((100, 90), np.float64), ((20_000,), np.float32)]]
    params = [Tensor(x.copy()) for x in starts]
    for p in params:
        p.grad = np.full_like(p.value, 2)
    SGD(params, lr=0.5).step()
    for p, x in zip(params, starts):
        np.testing.assert_array_equal(p.value, x - 1)


@pytest.mark.parametrize("shape", [(3, 2), (200, 100)])
def test_small_and_large_arrays_take_the_same_step_and_leave_the_gradient_alone(shape):
    rng = np.random.default_rng(0)
    p, grad = Tensor(rng.normal(size=shape).astype(np.float32)), rng.normal(size=shape).astype(np.float32)
    expected, before = p.value - grad * np.float32(0.3), grad.copy()
    p.grad = grad
    SGD([p], lr=0.3).step()
    np.testing.assert_array_equal(p.value, expected)
    np.testing.assert_array_equal(grad, before)
