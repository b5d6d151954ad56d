"""check_gradients: is backward the derivative of forward?

In float64, a function of n numbers is nudged along a random direction: four forward passes, whatever n is. Small inputs
are then nudged element by element, so that a failure can say which one is wrong, and what the mistake looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.autograd.modes import default_dtype
from nnkit.autograd.rows import RowGrad
from nnkit.autograd.tensor import Tensor

EVERY_ELEMENT = 300  # inputs with at most so many numbers are checked one by one


class GradientError(AssertionError):
    """backward and the finite difference disagree. The text names the function, the input, the place and both numbers."""


def check_gradients(function: Callable[..., Tensor], *inputs: Any, rng: Any = None, directions: int = 3,
                    step: float = 1e-4, tolerance: float = 1e-6) -> int:
    """Compare the gradients of `function(*inputs)` with central differences; returns how many numbers were compared.

    inputs: arrays or Tensors; floating ones are copied to float64 and checked, others are passed on as they are.
    A result that is not a single number is first weighted by random numbers and summed.
    GradientError where |backward - difference| > tolerance * (1 + |difference|). ValueError where no input is floating,
    or where the function gives two results for one input: let it draw from a generator made inside it.
    """
    rng = np.random.default_rng(0 if rng is None else rng)
    arrays = [_float64(x) for x in inputs]
    checked = [i for i, x in enumerate(arrays) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if not checked:
        raise ValueError("check_gradients: none of the inputs is floating, so there is no gradient to check")
    name = getattr(getattr(function, "operation", function), "__name__", type(function).__name__)
    with default_dtype(np.float64):
        leaves = [Tensor(x) if i in checked else x for i, x in enumerate(arrays)]
        result = function(*leaves)
        weights = rng.standard_normal(result.shape)

        def value(*changed: Any) -> float:
            nudged = (Tensor(x) if i in checked else x for i, x in enumerate(changed))
            return float(np.sum(function(*nudged).value * weights))

        if not np.array_equal(function(*leaves).value, result.value, equal_nan=True):
            raise ValueError(f"check_gradients({name}): the function gives different results for the same input")
        if result.requires_grad:
            result.backward(weights)
        grads = {i: _dense(leaves[i]) for i in checked}
        compared = 0
        for _ in range(directions):
            nudge = {i: rng.standard_normal(arrays[i].shape) for i in checked}
            numeric = _difference(value, arrays, nudge, step)
            analytic = sum(float(np.sum(grads[i] * nudge[i])) for i in checked)
            compared += 1
            if not _close(analytic, numeric, tolerance * 10):
                for i in checked:  # the elements say more, whatever their number
                    _check_elements(name, i, arrays, grads[i], value, step, tolerance)
                raise GradientError(f"{name}: along a random direction backward gives {analytic:.8g}, "
                                    f"the difference quotient {numeric:.8g}")
        for i in checked:
            if arrays[i].size <= EVERY_ELEMENT:
                compared += _check_elements(name, i, arrays, grads[i], value, step, tolerance)
    return compared


def _float64(x: Any) -> Any:
    """A copy in float64 of what has a gradient; anything else as it is."""
    if isinstance(x, Tensor):
        return x.value.astype(np.float64) if x.value.dtype.kind == "f" else x
    return np.array(x, np.float64) if np.asarray(x).dtype.kind == "f" else x


def _dense(leaf: Any) -> np.ndarray:
    if leaf.grad is None:
        return np.zeros_like(leaf.value)
    return leaf.grad.dense() if isinstance(leaf.grad, RowGrad) else leaf.grad


def _difference(value: Callable[..., float], arrays: list, nudge: dict[int, np.ndarray], step: float) -> float:
    """D(h) = (f(x + h u) - f(x - h u)) / 2h, at two steps: (4 D(h/2) - D(h)) / 3 has an error of h⁴ only (Richardson)."""

    def central(h: float) -> float:
        up = value(*(x + h * nudge[i] if i in nudge else x for i, x in enumerate(arrays)))
        down = value(*(x - h * nudge[i] if i in nudge else x for i, x in enumerate(arrays)))
        return (up - down) / (2 * h)

    return (4 * central(step / 2) - central(step)) / 3


def _close(analytic: Any, numeric: Any, tolerance: float) -> Any:
    return np.abs(analytic - numeric) <= tolerance * (1 + np.abs(numeric))


def _check_elements(name: str, i: int, arrays: list, grad: np.ndarray, value: Callable[..., float], step: float,
                    tolerance: float) -> int:
    numeric = np.zeros_like(grad)
    for place in np.ndindex(grad.shape):
        one = np.zeros_like(grad)
        one[place] = 1
        numeric[place] = _difference(value, arrays, {i: one}, step)
    wrong = ~_close(grad, numeric, tolerance)
    if wrong.any():
        place = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(grad - numeric)), grad.shape))
        raise GradientError(f"{name}: input {i} at {list(place)}: backward gives {grad[place]:.8g}, the difference quotient "
                            f"{numeric[place]:.8g}; {int(wrong.sum())} of {grad.size} elements differ; "
                            f"{likeliest_cause(grad, numeric)}")
    return grad.size


def likeliest_cause(grad: np.ndarray, numeric: np.ndarray) -> str:
    """What the two arrays together look like."""
    clear = np.abs(numeric) > 1e-4
    if not grad.any():
        return "backward gives nothing: a None or a zero where a gradient is due?"
    if clear.any():
        ratio = grad[clear] / numeric[clear]
        if np.allclose(ratio, -1, rtol=1e-3):
            return "the sign is wrong"
        if np.allclose(ratio, ratio.flat[0], rtol=1e-3):
            return f"every element is {ratio.flat[0]:.4g} times what it should be: a missing factor, or a mean for a sum?"
    if grad.ndim >= 2 and grad.shape[-1] == grad.shape[-2] and np.allclose(grad.swapaxes(-1, -2), numeric, rtol=1e-3, atol=1e-6):
        return "the gradient is transposed"
    return "a missing term, or a saved array that changed since forward?"
