"""Adagrad, Adam, AdamW and RMSProp against their papers' equations written out in float64, and on rows of a table."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit import RowGrad, Tensor
from nnkit.optim import Adagrad, Adam, AdamW, RMSProp


def adagrad(value, grads, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    seen = []
    for n, grad in enumerate(grads):
        seen.append(grad + weight_decay * value)
        scale = np.sqrt(initial_accumulator_value + np.sum(np.square(seen), axis=0)) + eps
        value = value - lr / (1 + n * lr_decay) * seen[-1] / scale
    return value


def adam(value, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, decoupled=False):
    b1, b2 = betas
    mean = square = largest = 0.0
    for t, grad in enumerate(grads, 1):
        if decoupled:
            value = value - lr * weight_decay * value
        else:
            grad = grad + weight_decay * value
        mean = b1 * mean + (1 - b1) * grad
        square = b2 * square + (1 - b2) * grad ** 2
        largest = np.maximum(largest, square) if amsgrad else square
        value = value - lr * (mean / (1 - b1 ** t)) / (np.sqrt(largest / (1 - b2 ** t)) + eps)
    return value


def adamw(value, grads, weight_decay=1e-2, **options):
    return adam(value, grads, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(value, grads, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    square = mean = velocity = 0.0
    for grad in grads:
        grad = grad + weight_decay * value
        square = alpha * square + (1 - alpha) * grad ** 2
        mean = alpha * mean + (1 - alpha) * grad
        velocity = momentum * velocity + grad / (np.sqrt(square - mean ** 2 * centered) + eps)
        value = value - lr * velocity
    return value


def combinations(**options):
    return [dict(zip(options, values)) for values in itertools.product(*options.values())]


EQUATIONS = [(Adagrad, adagrad, options) for options in [{}, *combinations(
    lr=[0.1, 1.0], lr_decay=[0.0, 0.5], weight_decay=[0.0, 0.1], initial_accumulator_value=[0.0, 0.3], eps=[0.1])]]
EQUATIONS += [(kind, by_hand, options) for kind, by_hand in [(Adam, adam), (AdamW, adamw)] for options in [{}, *combinations(
    lr=[0.01, 0.5], betas=[(0.9, 0.999), (0.5, 0.25), (0.0, 0.0)], eps=[0.01], weight_decay=[0.0, 0.1], amsgrad=[False, True])]]
EQUATIONS += [(RMSProp, rmsprop, options) for options in [{}, *combinations(
    lr=[0.01, 0.5], alpha=[0.99, 0.5], eps=[0.01], weight_decay=[0.0, 0.1], momentum=[0.0, 0.9], centered=[False, True])]]


@pytest.mark.parametrize("kind, by_hand, options", EQUATIONS, ids=lambda x: str(x) if isinstance(x, dict) else x.__name__)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-4)], ids=["float64", "float32"])
def test_ten_steps_are_those_of_the_equations(kind, by_hand, options, dtype, tolerance):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((4, 3)), rng.standard_normal((10, 4, 3))
    p = Tensor(start.astype(dtype))
    optimizer = kind([p], **options)
    for grad in grads:
        p.grad = grad.astype(dtype)
        optimizer.step()
    np.testing.assert_allclose(p.value, by_hand(start, grads, **options), rtol=tolerance, atol=tolerance)


@pytest.mark.case("autograd", 24)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("width", [(), (3,), (2, 3)])
@given(st.integers(0, 1000), st.floats(0.001, 1), st.floats(0, 1), st.sampled_from([0.0, 0.3]))
def test_an_adagrad_step_of_rows_is_the_dense_step(width, shared, seed, lr, lr_decay, initial):
    rng = np.random.default_rng(seed)
    sparse, dense = (Tensor(np.ones((7, *width))) for _ in range(2))
    one, other = (Adagrad([p], lr, lr_decay, initial_accumulator_value=initial) for p in (sparse, dense))
    for _ in range(10):
        rows, index = rng.integers(0, 7, 5), rng.integers(0, 4, 5) if shared else None
        grad = RowGrad(rows, rng.standard_normal((4 if shared else 5, *width)), (7, *width), index)
        sparse.grad, dense.grad = grad, grad.dense()
        one.step()
        other.step()
        np.testing.assert_allclose(sparse.value, dense.value, rtol=1e-12, atol=1e-12)


@pytest.mark.case("autograd", 24)
@pytest.mark.parametrize("kind", [Adagrad, Adam, AdamW, RMSProp])
def test_docstrings_say_what_a_step_of_rows_leaves_out(kind):
    table = Tensor(np.ones((3, 2)))
    optimizer = kind([table], lr=0.1, weight_decay=0.1)
    for row in (0, 1):
        table.grad = RowGrad(np.array([row]), np.ones((1, 2)), (3, 2))
        before = table.value.copy()
        optimizer.step()
        np.testing.assert_array_equal((table.value != before).all(axis=1), np.arange(3) == row)
    assert "only" in kind.__doc__ and "this step's rows" in " ".join(kind.__doc__.split())


def test_a_constant_gradient_has_no_negative_variance():
    """square - mean² rounds to below 0, and the root of that was NaN."""
    p = Tensor(np.linspace(0.1, 1, 1000, dtype=np.float32))
    optimizer = RMSProp([p], alpha=0.5, centered=True)
    p.grad = p.value.copy()
    for _ in range(100):
        optimizer.step()
    assert np.isfinite(p.value).all()


def test_gradients_too_large_to_be_squared_do_no_harm_to_adam():
    p = Tensor(np.ones(2, np.float32))
    optimizer = Adam([p])
    with np.errstate(over="ignore"):
        for large in (1e30, 1.0):
            p.grad = np.array([large, 1], np.float32)
            optimizer.step()
    assert np.isfinite(p.value).all()


def test_the_decay_of_adamw_does_not_depend_on_the_gradient():
    p = Tensor(np.ones(2))
    p.grad = np.array([1e-3, 1e3])
    AdamW([p], lr=0.1, weight_decay=0.5, eps=0).step()
    np.testing.assert_allclose(p.value, 1 - 0.1 * 0.5 - 0.1)
