"""Normalization: numbers brought to mean 0 and variance 1, over the features of one example or over a batch, then scaled.

Each is one operation, because its parts would walk the same array a dozen times; `composed` says it in plain operations.
In all three the gradient of n = (x - mean) · scale is scale · (g - mean(g) - n · mean(g n)), g being what arrives at n: what
moves the mean or the length of x changes nothing behind it.
"""

import math

import numpy as np

from nnkit.autograd import Operation, tensor_op

BLOCK = 1 << 17  # numbers of which all that is made in between stays in the cache, and in memory that is used again


@tensor_op
class layer_norm(Operation):
    """(x - mean) / sqrt(variance + eps) · weight + bias, mean and variance being those of the last `axes` axes

    weight, bias: of the shape of these axes, or None (Ba et al., 2016).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight=None, bias=None, *, axes=1, eps=1e-5):
        return normalized(ctx, None, x, weight, bias, axes, eps, centred=True)

    @staticmethod
    def forward_into(ctx, out, x, weight=None, bias=None, *, axes=1, eps=1e-5):
        return normalized(ctx, out, x, weight, bias, axes, eps, centred=True)

    @staticmethod
    def backward(ctx, grad_output):
        return gradients_by_rows(ctx, grad_output)

    @staticmethod
    def composed(x, weight=None, bias=None, *, axes=1, eps=1e-5):
        over = tuple(range(x.ndim - axes, x.ndim))
        normal = (x - np.mean(x, axis=over, keepdims=True)) / np.sqrt(np.var(x, axis=over, keepdims=True) + eps)
        normal = normal if weight is None else normal * weight
        return normal if bias is None else normal + bias


@tensor_op
class rms_norm(Operation):
    """x / sqrt(mean of x² + eps) · weight, the mean being that of the last `axes` axes (Zhang and Sennrich, 2019)

    weight: of the shape of these axes, or None. eps: None is the smallest step from 1 of x's dtype, as in PyTorch.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight=None, *, axes=1, eps=None):
        return normalized(ctx, None, x, weight, None, axes, eps, centred=False)

    @staticmethod
    def forward_into(ctx, out, x, weight=None, *, axes=1, eps=None):
        return normalized(ctx, out, x, weight, None, axes, eps, centred=False)

    @staticmethod
    def backward(ctx, grad_output):
        return gradients_by_rows(ctx, grad_output)

    @staticmethod
    def composed(x, weight=None, *, axes=1, eps=None):
        over = tuple(range(x.ndim - axes, x.ndim))
        eps = smallest_step(x.dtype) if eps is None else eps
        normal = x / np.sqrt(np.mean(np.square(x), axis=over, keepdims=True) + eps)
        return normal if weight is None else normal * weight


def as_rows(x, axes):
    """x as (n, d), the last `axes` axes in one."""
    return np.reshape(x, (-1, math.prod(x.shape[x.ndim - axes:])))


def normalized(ctx, out, x, weight, bias, axes, eps, centred):
    """The result of layer_norm (centred) and rms_norm, in `out`, an array of its shape, where there is one."""
    x = x if x.dtype.kind == "f" else x.astype(np.float64 if weight is None else weight.dtype)  # sums of int8 would wrap around
    rows = as_rows(x, axes)
    length, eps = rows.shape[1], smallest_step(x.dtype) if eps is None else eps
    centre = rows - np.matmul(rows, np.ones((length, 1), rows.dtype)) / length if centred else rows
    if out is None:
        out = np.empty(x.shape, np.result_type(rows, *(p for p in (weight, bias) if p is not None)))
    y, scale = np.reshape(out, rows.shape), np.empty((len(rows), 1), rows.dtype)
    for part in parts(rows):
        some, to = centre[part], y[part]
        scale[part] = 1 / np.sqrt(np.vecdot(some, some)[:, None] / length + eps)
        if weight is None:
            np.multiply(some, scale[part], out=to)
        else:
            outer(scale[part], np.reshape(weight, -1), out=to)
            to *= some
        if bias is not None:
            to += np.reshape(bias, -1)
    ctx.extend([centre, centred, scale, weight, axes])
    return out


def gradients_by_rows(ctx, grad_output):
    """The gradients of x, and of weight and bias where there are such inputs.

    n itself is never made: its scale, one number a row, is multiplied where there is one number a row.
    """
    rows, centred, scale, weight, axes = ctx
    grads = as_rows(grad_output, axes)
    length, shape = rows.shape[1], grad_output.shape[grad_output.ndim - axes:]
    grad_x = ctx.out(0) if ctx.needs_grad[0] else None
    grad_x = np.empty(grad_output.shape, grads.dtype) if grad_x is None else grad_x
    by_x, factor = np.reshape(grad_x, rows.shape), np.ones(length, grads.dtype) if weight is None else np.reshape(weight, -1)
    by_weight, by_bias = np.zeros((2, length), grads.dtype)
    for part in parts(rows):
        grad, to, by_row = np.ascontiguousarray(grads[part]), by_x[part], scale[part]  # after a sum it is one number, repeated
        centre = rows[part]
        product = grad * centre
        by_weight += np.matmul(by_row[:, 0], product)
        by_bias += sum_of_rows(grad)
        outer(by_row, factor, out=to)
        to *= grad                                                            # scale · g
        mean_product = np.matmul(product, factor)[:, None] * by_row / length  # mean(g n)
        np.multiply(centre, mean_product * by_row * by_row, out=product)      # scale · n · mean(g n)
        if centred:
            product += np.matmul(grad, factor)[:, None] / length * by_row     # scale · mean(g)
        to -= product
    return [grad_x, np.reshape(by_weight, shape), np.reshape(by_bias, shape)][:len(ctx.needs_grad)]


def parts(rows):
    """Slices of some rows each."""
    step = max(1, BLOCK // rows.shape[1])
    return [slice(first, first + step) for first in range(0, len(rows), step)]


def outer(column, row, out):
    """column · row: (n, 1) and (d,) give (n, d). As a product of (n, 2) and (2, d), one half of which is zeros, for NumPy gives
    BLAS no product over a single number, and would take ten times as long."""
    left, right = np.zeros((len(column), 2), column.dtype), np.zeros((2, len(row)), row.dtype)
    left[:, :1], right[0] = column, row
    return np.matmul(left, right, out=out)


@tensor_op
class batch_norm(Operation):
    """(x - mean) / sqrt(variance + eps) · weight + bias, mean and variance being each channel's in this batch

    x: (batch, channels) or (batch, channels, length); weight, bias: (channels,) or None (Ioffe and Szegedy, 2015).
    observe(mean, variance, count): told of the (channels,) mean and variance, and how many numbers they are of.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight=None, bias=None, *, eps=1e-5, observe=None):
        rows = by_channel(x)
        mean = np.add.reduce(rows, axis=0) / len(rows)
        centre = rows - mean
        variance = np.einsum("nc,nc->c", centre, centre) / len(rows)
        if observe is not None:
            observe(mean, variance, len(rows))
        scale = 1 / np.sqrt(variance + eps)
        factor = scale if weight is None else scale * weight
        ctx.extend([centre, scale, factor, x.shape])
        y = centre * factor
        return as_before(y if bias is None else y + bias if weight is None else np.add(y, bias, out=y), x.shape)

    @staticmethod
    def backward(ctx, grad_output):
        centre, scale, factor, shape = ctx
        grad, n = by_channel(grad_output), len(centre)
        product = grad * centre
        by_weight, by_bias = sum_of_rows(product) * scale, sum_of_rows(grad)
        grad_x = np.multiply(centre, by_weight * scale / -n, out=product)
        grad_x += grad
        grad_x -= by_bias / n
        grad_x *= factor
        return [as_before(grad_x, shape), by_weight, by_bias][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, weight=None, bias=None, *, eps=1e-5, observe=None):
        over, channels = (0, 2)[:x.ndim - 1], (-1, 1)[:x.ndim - 1]
        normal = (x - np.mean(x, axis=over, keepdims=True)) / np.sqrt(np.var(x, axis=over, keepdims=True) + eps)
        normal = normal if weight is None else normal * np.reshape(weight, channels)
        return normal if bias is None else normal + np.reshape(bias, channels)


def sum_of_rows(rows):
    """(d,) of (n, d): as a product, for which BLAS has more than one core."""
    return np.matmul(np.ones(len(rows), rows.dtype), rows)


def by_channel(x):
    """(batch, channels) as it is, and (batch, channels, length) as (batch · length, channels)."""
    return x if x.ndim == 2 else np.reshape(np.swapaxes(x, 1, 2), (-1, x.shape[1]))


def as_before(rows, shape):
    """The way back of `by_channel`."""
    return rows if len(shape) == 2 else np.swapaxes(np.reshape(rows, (shape[0], shape[2], shape[1])), 1, 2)


def smallest_step(dtype):
    return float(np.finfo(dtype if dtype.kind == "f" else np.float32).eps)
