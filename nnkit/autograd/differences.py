"""Difference quotients: what check_gradients, and `nnkit check --gradcheck`, hold a backward against.

A function is given as what it is computed from: leaves, whose values are moved a little in place, and `compute`, which runs
it again. It may be an operation of two arrays or the loss of a whole model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnkit.autograd.rows import RowGrad
from nnkit.autograd.tensor import Tensor


class Slope(NamedTuple):
    """A difference quotient; whether backward's number agrees with it; and whether there is a kink."""

    numeric: float
    agrees: bool
    kink: bool = False


class Subject:
    """compute() -> Tensor, a function of the values of `leaves`: float64 in C order, which are its own to move.

    A result that is not a single number is weighted by `weights` and summed. step: of the quotients; tolerance: backward may be
    off by tolerance * (1 + |quotient|).
    """

    def __init__(self, compute: Callable[[], Tensor], leaves: Sequence[Tensor], weights: np.ndarray, *, step: float = 1e-4,
                 tolerance: float = 1e-6):
        self.compute, self.leaves, self.weights = compute, list(leaves), weights
        self.step, self.tolerance = step, tolerance

    def value(self) -> float:
        return float(np.sum(self.compute().value * self.weights))

    def gradients(self, weights: np.ndarray | None = None, between: Callable[[], Any] | None = None) -> list[np.ndarray]:
        """What backward gives, dense, one array a leaf; between: what is done after forward, before backward."""
        for leaf in self.leaves:
            leaf.grad = None
        result = self.compute()
        if between is not None:
            between()
        if result.requires_grad:
            result.backward(self.weights if weights is None else weights)
        return [dense(leaf) for leaf in self.leaves]

    def element(self, leaf: Tensor, place: int, analytic: float) -> Slope:
        """Where the element with this number, in C order, is moved."""
        return self.slope([(leaf.value.reshape(-1)[place:place + 1], 1.0)], analytic, self.tolerance)

    def direction(self, directions: Sequence[np.ndarray], analytic: float) -> Slope:
        """Where all leaves are moved at once, one direction a leaf: a few forward passes, whatever their sizes are."""
        return self.slope([(leaf.value, u) for leaf, u in zip(self.leaves, directions)], analytic, 10 * self.tolerance)

    def aside(self, directions: Sequence[np.ndarray], offsets: Sequence[np.ndarray]) -> tuple[float, Slope]:
        """The same a little beside, where zeros are no zeros any more: what backward gives there, and the quotient."""
        before = [leaf.value.copy() for leaf in self.leaves]
        for leaf, offset in zip(self.leaves, offsets):
            leaf.value[...] += offset
        analytic = along(self.gradients(), directions)
        slope = self.direction(directions, analytic)
        for leaf, value in zip(self.leaves, before):
            leaf.value[...] = value
        return analytic, slope

    def slope(self, moved: list[tuple[np.ndarray, Any]], analytic: float, tolerance: float) -> Slope:
        """The quotient where each of the arrays moves along its direction, beside the number of backward.

        D(h) = (f(h) - f(-h)) / 2h, at two steps: (4 D(h/2) - D(h)) / 3 has an error of h⁴ only (Richardson). Across a kink (ReLU
        at 0, equal maxima, the border of a clip) it is worth nothing. So where they differ the step is made so small that few
        kinks are left in it, and at one that is, every number between the slopes of its two sides is right. Where the quotient
        still changes as the step gets smaller, there is nothing to hold a number against.
        """
        before = [array.copy() for array, _ in moved]

        def at(h: float) -> float:
            for (array, direction), start in zip(moved, before):
                array[...] = start + h * direction
            return self.value()

        def central(h: float) -> float:
            return (at(h) - at(-h)) / (2 * h)

        try:
            numeric = (4 * central(self.step / 2) - central(self.step)) / 3
            if abs(analytic - numeric) <= tolerance * (1 + abs(numeric)):
                return Slope(numeric, True)
            h = self.step / 100
            up, here, down, nearer = at(h), at(0.0), at(-h), central(h / 100)
        finally:
            for (array, _), start in zip(moved, before):
                array[...] = start
        left, right = sorted([(here - down) / h, (up - here) / h])
        slack = tolerance * (1 + abs(right)) + 1e-15 * (1 + abs(here)) / h  # the last: the rounding of f
        agrees = left - slack <= analytic <= right + slack
        rounding = 1e-13 * (1 + abs(here)) / h  # of `nearer`
        if abs(nearer - (left + right) / 2) > 0.01 * (1 + abs(right)) + rounding:  # as in x / sqrt(mean of x² + 1e-16), all x 0
            return Slope(numeric, True, True)
        return Slope(numeric, agrees, right - left > 1e-3 * (1 + abs(right)))


def along(gradients: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    """The derivative in a direction."""
    return sum(float(np.sum(grad * u)) for grad, u in zip(gradients, directions))


def chosen(gradient: np.ndarray, among: np.ndarray, at_most: int, rng: np.random.Generator) -> np.ndarray:
    """Some of the places `among`, numbers in C order: all, if they are few, else half of them those of the largest gradients."""
    if len(among) <= at_most:
        return among
    half = at_most // 2
    order = np.argpartition(-np.abs(gradient.reshape(-1)[among]), half)
    return among[np.concatenate([order[:half], rng.choice(order[half:], half, replace=False)])]


def dense(leaf: Tensor) -> np.ndarray:
    """A leaf's gradient as an array; zeros where nothing arrived."""
    if leaf.grad is None:
        return np.zeros_like(leaf.value)
    return leaf.grad.dense() if isinstance(leaf.grad, RowGrad) else leaf.grad


def is_close(a: Any, b: Any) -> bool:
    """To the precision of a difference quotient."""
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-3, atol=1e-6))
