"""check_gradients: is backward the derivative of forward?

In float64, a function of n numbers is nudged along a random direction: a few forward passes, whatever n is. Small inputs
are then nudged element by element, so that a failure can say which one is wrong, and what the mistake looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit.autograd.causes import cause_of, cause_of_shape, likeliest_cause
from nnkit.autograd.differences import Subject, along, chosen
from nnkit.autograd.modes import default_dtype
from nnkit.autograd.tensor import Tensor

EVERY_ELEMENT = 300  # inputs with at most so many numbers are checked one by one
ASIDE = 0.01  # how far, where a direction crosses kinks


class GradientError(AssertionError):
    """backward and the finite difference disagree. The text names the function, the input, the place and both numbers."""


def check_gradients(function: Callable[..., Tensor], *inputs: Any, rng: Any = None, directions: int = 3,
                    step: float = 1e-4, tolerance: float = 1e-6) -> int:
    """Compare the gradients of `function(*inputs)` with central differences; returns how many numbers were compared.

    inputs: arrays or Tensors; floating ones are copied to float64 and checked, others are passed on as they are.
    A result that is not a single number is first weighted by random numbers and summed.
    GradientError where |backward - difference| > tolerance * (1 + |difference|), with what the mistake looks like; at a kink
    (ReLU at 0, equal maxima, the border of a clip) every number between the slopes of both sides is right. ValueError where no
    input is floating, or where the function gives two results for one input: let it draw from a generator made inside it.
    """
    rng = np.random.default_rng(0 if rng is None else rng)
    name = getattr(getattr(function, "operation", function), "__name__", type(function).__name__)
    with default_dtype(np.float64):
        given = [as_leaf(x) for x in inputs]
        leaves = {i: x for i, x in enumerate(given) if isinstance(x, Tensor) and x.dtype == np.float64 and x.is_leaf}
        if not leaves:
            raise ValueError("check_gradients: none of the inputs is floating, so there is no gradient to check")
        result = function(*given)
        subject = Subject(lambda: function(*given), list(leaves.values()), rng.standard_normal(result.shape), step=step,
                          tolerance=tolerance)
        if not np.array_equal(function(*given).value, result.value, equal_nan=True):
            raise ValueError(f"check_gradients({name}): the function gives different results for the same input")
        return compare(subject, name, [f"input {i}" for i in leaves], rng, directions)


def compare(subject: Subject, name: str, called: Sequence[str], rng: np.random.Generator, directions: int = 3,
            at_most: int | None = None, free: Sequence[np.ndarray] | None = None) -> int:
    """How many numbers were compared. GradientError says which leaf, by what it is `called`, which element, and the cause.

    at_most: so many elements of a leaf are nudged one by one; None: all, where they are few or the directions find a mistake.
    free: for each leaf where it has a gradient at all, booleans of its shape (a row for padding has none); None: everywhere.
    """
    free = [np.ones(leaf.shape, bool) for leaf in subject.leaves] if free is None else free
    nudges = [[rng.standard_normal(leaf.shape) * mask for leaf, mask in zip(subject.leaves, free)] for _ in range(directions)]

    def a_step_aside() -> None:
        """forward once more, on other numbers: what it keeps outside of ctx is then not what backward must find."""
        before = [leaf.value for leaf in subject.leaves]
        for leaf, nudge in zip(subject.leaves, nudges[0] if nudges else before):
            leaf.value = leaf.value + subject.step * nudge
        subject.compute()
        for leaf, value in zip(subject.leaves, before):
            leaf.value = value

    try:
        grads = subject.gradients(between=a_step_aside)
    except ValueError as error:
        if cause := cause_of_shape(str(error)):
            raise GradientError(f"{error}; {cause}") from error
        raise
    compared, off = 0, None
    for nudge in nudges:
        analytic = along(grads, nudge)
        slope = subject.direction(nudge, analytic)
        compared += 1
        if not slope.agrees and slope.kink:  # of several elements at once no slope of one side is right: go where there are none
            analytic, slope = subject.aside(nudge, [ASIDE * rng.standard_normal(leaf.shape) for leaf in subject.leaves])
        if not slope.agrees and not slope.kink:
            off = analytic, slope.numeric
            break
    kinks = False
    for k, leaf in enumerate(subject.leaves):
        places = np.flatnonzero(free[k])
        if at_most is not None:
            places = chosen(grads[k], places, at_most, rng)
        elif off is None and leaf.value.size > EVERY_ELEMENT:  # else the elements say more, whatever their number
            continue
        kinks |= _check_elements(subject, name, k, called, grads, places)
        compared += len(places)
    if off is not None and not kinks:  # along a direction, kinks of several elements may cancel
        raise GradientError(f"{name}: along a random direction backward gives {off[0]:.8g}, the difference quotient {off[1]:.8g}")
    return compared


def as_leaf(x: Any) -> Any:
    """A leaf with a copy in float64 of what has a gradient; anything else as it is."""
    value = x.value if isinstance(x, Tensor) else x
    if isinstance(value, np.ndarray) or not isinstance(x, (str, type(None))):
        value = np.asarray(value)
        if value.dtype.kind == "f":
            return Tensor(np.array(value, np.float64, order="C"))
    return x


def _check_elements(subject: Subject, name: str, k: int, called: Sequence[str], grads: list[np.ndarray], places: np.ndarray
                    ) -> bool:
    """Whether some of the elements are at a kink. GradientError where one is wrong."""
    leaf, grad = subject.leaves[k], grads[k].reshape(-1)[places]
    slopes = [subject.element(leaf, int(place), float(g)) for place, g in zip(places, grad)]
    wrong = np.array([not slope.agrees for slope in slopes], bool)
    if wrong.any():
        numeric = np.array([slope.numeric for slope in slopes])
        worst = int(np.argmax(np.nan_to_num(np.where(wrong, np.abs(grad - numeric), -1), nan=np.inf)))
        place = [int(i) for i in np.unravel_index(places[worst], leaf.shape)]
        if len(places) == leaf.value.size:
            cause = cause_of(subject, k, called, grads, numeric.reshape(leaf.shape), wrong)
        else:
            cause = likeliest_cause(grad, numeric, leaf.value.reshape(-1)[places], wrong)
        raise GradientError(f"{name}: {called[k]} at {place}: backward gives {grad[worst]:.8g}, the difference quotient "
                            f"{numeric[worst]:.8g}; {int(wrong.sum())} of {len(places)} elements differ; {cause}")
    return any(slope.kink for slope in slopes)
