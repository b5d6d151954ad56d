"""Operations that make an axis, or all of them, into one number; and softmax, which divides by such a number."""

import numpy as np

from nnkit.autograd import Operation, tensor_op


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
        ctx.extend([centred, axis, keepdims, divisor])
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
    def backward(ctx, grad_output):
        x, y, axis, keepdims = ctx
        # as numbers of x's own precision: float32 over a count of booleans, an int64, would be float64
        chosen = np.equal(x, spread(y, x, axis, keepdims)) * np.ones((), x.dtype)
        return [spread(grad_output, x, axis, keepdims) * (chosen / np.sum(chosen, axis=axis, keepdims=True))]


@tensor_op
class max(_Extreme):
    """The largest element along axis; equal ones share the gradient equally."""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        y = np.max(x, axis=axis, keepdims=keepdims)
        ctx.extend([x, y, axis, keepdims])
        return y


@tensor_op
class min(_Extreme):
    """The smallest element along axis; equal ones share the gradient equally."""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        y = np.min(x, axis=axis, keepdims=keepdims)
        ctx.extend([x, y, axis, keepdims])
        return y


@tensor_op
class logsumexp(Operation):
    """log sum exp(x) along axis, without overflow: the largest element is taken out first."""

    @staticmethod
    def forward(ctx, x, *, axis=-1, keepdims=False):
        top = np.max(x, axis=axis, keepdims=True)
        y = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
        ctx.extend([x, y, axis, keepdims])
        return y if keepdims else np.squeeze(y, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        x, y, axis, keepdims = ctx
        return [spread(grad_output, x, axis, keepdims) * np.exp(x - y)]


@tensor_op
class softmax(Operation):
    """exp(x) / sum exp(x) along axis"""

    @staticmethod
    def forward(ctx, x, *, axis=-1):
        e = np.exp(x - np.max(x, axis=axis, keepdims=True))
        y = e / np.sum(e, axis=axis, keepdims=True)
        ctx.extend([y, axis])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y, axis = ctx
        return [y * (grad_output - np.sum(grad_output * y, axis=axis, keepdims=True))]


@tensor_op
class log_softmax(Operation):
    """x - logsumexp(x) along axis"""

    @staticmethod
    def forward(ctx, x, *, axis=-1):
        shifted = x - np.max(x, axis=axis, keepdims=True)
        y = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
        ctx.extend([y, axis])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y, axis = ctx
        return [grad_output - np.exp(y) * np.sum(grad_output, axis=axis, keepdims=True)]
