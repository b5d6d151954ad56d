"""Operations that make an axis, or all of them, into one number; and softmax, which divides by such a number.

Where there is nothing along the axis, each gives what NumPy gives: a sum of 0, a mean of NaN with NumPy's warning, no maximum.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.common import numbers


def spread(reduced, x, axis, keepdims):
    """A reduced array brought back to a shape that broadcasts against x, which it was reduced from."""
    if axis is None or keepdims:
        return reduced if keepdims else np.reshape(reduced, (1,) * x.ndim)
    return np.expand_dims(reduced, axis)


@tensor_op
class sum(Operation):
    """The sum over axis (an int, a tuple, or None for all)"""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        ctx.extend([x, axis, keepdims])
        return np.sum(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def backward(ctx, grad_output):
        x, axis, keepdims = ctx
        return [np.broadcast_to(spread(grad_output, x, axis, keepdims), x.shape)]


@tensor_op
class mean(Operation):
    """The mean over axis (an int, a tuple, or None for all)"""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        y = np.mean(x, axis=axis, keepdims=keepdims)
        ctx.extend([x, axis, keepdims, x.size // (y.size or 1)])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        x, axis, keepdims, n = ctx
        return [np.broadcast_to(spread(grad_output / (n or 1), x, axis, keepdims), x.shape)]


@tensor_op
class var(Operation):
    """The mean square distance from the mean over axis (an int, a tuple, or None for all n elements)

    correction: the sum of squares is divided by n - correction; 0 as in NumPy, 1 for an unbiased estimate.
    """

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False, correction=0):
        centred = x - np.mean(x, axis=axis, keepdims=True)
        total = np.sum(np.square(centred), axis=axis, keepdims=keepdims)
        divisor = x.size // (total.size or 1) - correction
        divisor = divisor if divisor > 0 else 0  # as NumPy: no element to spare gives NaN and a warning
        ctx.extend([centred, axis, keepdims, divisor or np.nan])
        return total / divisor

    @staticmethod
    def backward(ctx, grad_output):
        centred, axis, keepdims, divisor = ctx
        return [spread(2 * grad_output / divisor, centred, axis, keepdims) * centred]


@tensor_op
class norm(Operation):
    """The square root of the sum of squares over axis (an int, a tuple, or None for all); the gradient at 0 is 0"""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        total = np.sum(np.square(x), axis=axis, keepdims=keepdims)
        zero = np.equal(total, 0)
        y = np.sqrt(np.where(zero, 1, total))  # 1 in place of 0, at which the root has no derivative
        ctx.extend([x, y, zero, axis, keepdims])
        return np.where(zero, 0, y)

    @staticmethod
    def backward(ctx, grad_output):
        x, y, zero, axis, keepdims = ctx
        return [spread(np.where(zero, 0, grad_output / y), x, axis, keepdims) * x]


class _Extreme(Operation):
    """max and min: equal extremes share the gradient equally, so that it always sums to what came in."""

    @staticmethod
    def check(name, x, axis):
        """ValueError where an extreme of no elements is asked for."""
        if x.size:
            return
        gone = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
        if not all(x.shape[a] for a in gone):
            raise ValueError(f"{name}: an array of shape {x.shape} has no elements{'' if axis is None else f' along axis {axis}'}"
                             f", and so no {name}")

    @staticmethod
    def backward(ctx, grad_output):
        x, y, axis, keepdims = ctx
        # as numbers of x's own precision: float32 over a count of booleans, an int64, would be float64
        chosen = np.equal(x, spread(y, x, axis, keepdims)) * np.ones((), x.dtype)
        return [spread(grad_output, x, axis, keepdims) * (chosen / np.sum(chosen, axis=axis, keepdims=True))]


@tensor_op
class max(_Extreme):
    """The largest element along axis; equal ones share the gradient equally. ValueError where there is none."""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        _Extreme.check("max", x, axis)
        y = np.max(x, axis=axis, keepdims=keepdims)
        ctx.extend([x, y, axis, keepdims])
        return y


@tensor_op
class min(_Extreme):
    """The smallest element along axis; equal ones share the gradient equally. ValueError where there is none."""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        _Extreme.check("min", x, axis)
        y = np.min(x, axis=axis, keepdims=keepdims)
        ctx.extend([x, y, axis, keepdims])
        return y


def largest(x, axis):
    """The largest elements along axis, kept as an axis of length 1; 0 where there is none.

    Without a gradient: whoever subtracts it, so that exp does not overflow, adds or divides it again.
    """
    x = numbers(x)
    return np.max(x, axis=axis, keepdims=True) if x.size else np.sum(x, axis=axis, keepdims=True)


@tensor_op
class logsumexp(Operation):
    """log sum exp(x) along axis, without overflow; -inf where every element is -inf, or there is none"""

    @staticmethod
    def forward(ctx, x, *, axis=-1, keepdims=False):
        top = largest(x, axis)
        top = np.where(np.isinf(top), 0, top)  # -inf - -inf would be NaN
        with np.errstate(divide="ignore"):
            y = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
        ctx.extend([x, y, axis, keepdims])
        return y if keepdims else np.squeeze(y, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        x, y, axis, keepdims = ctx
        return [spread(grad_output, x, axis, keepdims) * np.exp(x - np.where(np.equal(y, -np.inf), 0, y))]


@tensor_op
class softmax(Operation):
    """exp(x) / sum exp(x) along axis, which may have any length; 0, too"""

    @staticmethod
    def forward(ctx, x, *, axis=-1):
        e = np.exp(x - largest(x, axis))
        y = e / np.sum(e, axis=axis, keepdims=True)
        ctx.extend([y, axis])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y, axis = ctx
        return [y * (grad_output - np.sum(grad_output * y, axis=axis, keepdims=True))]


@tensor_op
class log_softmax(Operation):
    """x - logsumexp(x) along axis, which may have any length; 0, too"""

    @staticmethod
    def forward(ctx, x, *, axis=-1):
        y = x - largest(x, axis)
        if x.size:  # the logarithm of the sum of no elements would be -inf, with a warning
            y = y - np.log(np.sum(np.exp(y), axis=axis, keepdims=True))
        ctx.extend([y, axis])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y, axis = ctx
        return [grad_output - np.exp(y) * np.sum(grad_output, axis=axis, keepdims=True)]
