"""Parts of an array by their place, and the way back: each of the two operations is the other's derivative."""

import math
from typing import Any

import numpy as np

from nnkit.autograd import Operation, Tensor, tensor_op
from nnkit.ops.common import nested, numbers


def names_each_once(key: Any) -> bool:
    """Whether no element can be named twice: slices and integers, or booleans alone."""
    parts = key if isinstance(key, tuple) else (key,)
    booleans = len(parts) == 1 and isinstance(parts[0], np.ndarray) and parts[0].dtype == bool
    return booleans or all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts)


@tensor_op
class getitem(Operation):
    """x[key]: slices, integers, arrays of integers (repeats add up in the gradient) or of booleans

    x[i, :, j] with Tensors i and j, which may be other ones at every run of a recording, is
    getitem(x, i, j, key=(None, slice(None), None), places=(0, 2)): places are where in the key they stand.
    """

    @staticmethod
    def forward(ctx, x, *indices, key, places=()):
        if places:
            parts = list(key)
            for place, index in zip(places, indices):
                parts[place] = numbers(index)
            key = tuple(parts)
        ctx.extend([x.shape, key])
        return x[key]

    @staticmethod
    def backward(ctx, grad_output):
        shape, key = ctx
        return [nested(scatter, grad_output, key=key, shape=shape), *[None] * (len(ctx.needs_grad) - 1)]


@tensor_op
class scatter(Operation):
    """Zeros of `shape`, and at key the sum of the values that key names there: what adds x to y[key] for y = 0"""

    @staticmethod
    def forward(ctx, x, *, key, shape):
        ctx.append(key)
        if isinstance(x, Tensor):
            return nested(scatter, x, key=key, shape=shape)
        y = np.zeros(shape, x.dtype)
        if names_each_once(key):
            y[key] = x
        else:  # np.add.at is ten times as fast on one axis as on two
            places = np.arange(math.prod(shape)).reshape(shape)[key]
            np.add.at(y.reshape(-1), places.reshape(-1), np.broadcast_to(x, places.shape).reshape(-1))
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (key,) = ctx
        return [grad_output[key]]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """x cut along axis into equal sections, or at the given places: a list of Tensors, as np.split gives arrays.

    indices_or_sections: how many sections, or the index at which each but the first begins. ValueError where a number
    of sections does not divide the axis.
    """
    x = x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)
    length = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ValueError(f"split: an axis of {length} has no {indices_or_sections} equal sections")
        starts = [i * (length // indices_or_sections) for i in range(indices_or_sections)]
    else:
        starts = [0, *(int(i) for i in indices_or_sections)]
    before = (slice(None),) * (axis % x.ndim)
    return [x[before + (slice(start, stop),)] for start, stop in zip(starts, [*starts[1:], length])]
