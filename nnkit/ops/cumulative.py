"""Sums of all elements so far, and products: where every element meets every other."""

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from nnkit.autograd import Operation, tensor_op


@tensor_op
class cumsum(Operation):
    """The sum of all elements up to this one along axis; axis=None: of the flattened array"""

    @staticmethod
    def forward(ctx, x, *, axis=None):
        ctx.extend([x.shape, axis])
        return np.cumsum(x, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        shape, axis = ctx
        axis = 0 if axis is None else axis
        return [np.reshape(np.flip(np.cumsum(np.flip(grad_output, axis), axis=axis), axis), shape)]


def reduced_last(x, axis):
    """x with the axes to be reduced as one, the last; and the order of axes and the shape in between, to go back by."""
    gone = list(range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim))
    order = [a for a in range(x.ndim) if a not in gone] + gone
    moved = np.transpose(x, order)
    kept = moved.shape[:x.ndim - len(gone)]
    return np.reshape(moved, (*kept, math.prod(moved.shape[len(kept):]))), order, moved.shape


@tensor_op
class prod(Operation):
    """The product over axis (an int, a tuple, or None for all). The gradient is right where elements are 0, too."""

    @staticmethod
    def forward(ctx, x, *, axis=None, keepdims=False):
        ctx.extend([x, axis])
        return np.prod(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def backward(ctx, grad_output):
        x, axis = ctx
        rows, order, shape = reduced_last(x, axis)
        # Not y / x, which 0 / 0 spoils: the product of what stands before an element times that of what stands after.
        before, after = np.ones_like(rows), np.ones_like(rows)
        before[..., 1:] = np.cumprod(rows[..., :-1], axis=-1)
        after[..., :-1] = np.cumprod(rows[..., :0:-1], axis=-1)[..., ::-1]
        grad = grad_output.reshape(*rows.shape[:-1], 1) * before * after
        return [np.transpose(grad.reshape(shape), np.argsort(order))]

    @staticmethod
    def composed(x, *, axis=None, keepdims=False):
        rows, order, _ = reduced_last(x, axis)
        while rows.shape[-1] != 1:  # neighbours are multiplied, half as many each time
            if rows.shape[-1] % 2 or rows.shape[-1] == 0:
                rows = np.concatenate([rows, np.ones((*rows.shape[:-1], 1), rows.dtype)], axis=-1)
            if rows.shape[-1] > 1:
                rows = rows[..., ::2] * rows[..., 1::2]
        if not keepdims:
            return np.reshape(rows, rows.shape[:-1])
        n_kept = rows.ndim - 1
        return np.reshape(rows, tuple(n if a in order[:n_kept] else 1 for a, n in enumerate(x.shape)))
