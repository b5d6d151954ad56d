"""Convolution over time as products of matrices, and the largest numbers over time.

Every window of a sequence is a row of one matrix, and the kernel the other: one product for all places of all sequences. NumPy
shows the windows as a view; the copy into rows is the only thing that is moved.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.common import nested, numbers
from nnkit.ops.indexing import scatter
from nnkit.ops.sequences import checked_lengths


@tensor_op
class conv1d(Operation):
    """y[t] = Σ_k x[t · stride + k · dilation - padding] W[k] + b, for every t at which all of the kernel fits; (n, out, times)

    x: (n, in, time), with `padding` zeros at either end, or "same" (as many as keep the length; stride 1) or "valid" (none).
    W: (width, in, out), b: (out,) or None. ValueError for what does not fit.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight, bias=None, *, stride=1, padding=0, dilation=1):
        n, channels, time = x.shape
        before, after = ends(padding, len(weight), stride, dilation)
        reach = span(x.shape, weight.shape, before + after, dilation)
        whole = np.zeros((n, time + before + after, channels), np.result_type(x, weight))
        whole[:, before:before + time] = np.swapaxes(x, 1, 2)
        windows = sliding_window_view(whole, reach, axis=1)[:, ::stride, :, ::dilation]  # (n, places, in, width)
        places, width, out = windows.shape[1], len(weight), weight.shape[2]
        rows = np.reshape(np.swapaxes(windows, 2, 3), (n * places, width * channels))
        y = np.matmul(rows, np.reshape(weight, (width * channels, out)))
        if bias is not None:
            y += bias
        ctx.extend([rows, weight, whole.shape, before, time, stride, dilation])
        return np.swapaxes(np.reshape(y, (n, places, out)), 1, 2)

    @staticmethod
    def backward(ctx, grad_output):
        rows, weight, shape, before, time, stride, dilation = ctx
        n, out, places = grad_output.shape
        grad = np.reshape(np.swapaxes(grad_output, 1, 2), (n * places, out))
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_grad[0]:
            by_window = np.reshape(np.matmul(grad, np.reshape(weight, (-1, out)).T), (n, places, *weight.shape[:2]))
            whole = np.zeros(shape, by_window.dtype)
            for k in range(len(weight)):  # a number is in as many windows as the kernel is wide
                whole[:, k * dilation:k * dilation + stride * (places - 1) + 1:stride] += by_window[:, :, k]
            grad_x = np.swapaxes(whole[:, before:before + time], 1, 2)
        if ctx.needs_grad[1]:
            grad_weight = np.reshape(np.matmul(rows.T, grad), weight.shape)
        if len(ctx.needs_grad) > 2 and ctx.needs_grad[2]:
            grad_bias = np.add.reduce(grad, axis=0)
        return [grad_x, grad_weight, grad_bias][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, weight, bias=None, *, stride=1, padding=0, dilation=1):
        x = np.swapaxes(np.pad(x, ((0, 0), (0, 0), ends(padding, len(weight), stride, dilation))), 1, 2)
        last = x.shape[1] - dilation * (len(weight) - 1)  # one behind the last place at which the kernel may begin
        y = sum(np.matmul(x[:, k * dilation:k * dilation + last:stride], weight[k]) for k in range(len(weight)))
        return np.swapaxes(y if bias is None else y + bias, 1, 2)


@tensor_op
class max_over_time(Operation):
    """The largest number of each channel over its time; (n, channels)

    x: (n, channels, time), time at least 1. lengths: (n,) integers from 1 to time, how many steps of each are real, or None for
    all. The gradient goes to the first of equal ones. name: what errors call it. ValueError for another shape or lengths out of
    range, TypeError for lengths that are no integers.
    """

    @staticmethod
    def forward(ctx, x, lengths=None, *, name="max_over_time"):
        if len(x.shape) != 3 or not x.shape[2]:
            raise ValueError(f"{name}: expected an input of shape (n, channels, time) of at least one step, got {x.shape}")
        values = numbers(x)
        if lengths is not None:
            lengths = checked_lengths(name, numbers(lengths), x.shape[0], x.shape[2])
            values = np.where(np.arange(x.shape[2]) < lengths[:, None, None], values, -np.inf)
        key = (np.arange(x.shape[0])[:, None], np.arange(x.shape[1]), np.argmax(values, axis=2))
        ctx.extend([key, x.shape])
        return x[key]

    @staticmethod
    def backward(ctx, grad_output):
        key, shape = ctx
        return [nested(scatter, grad_output, key=key, shape=shape), None][:len(ctx.needs_grad)]


@tensor_op
class max_pool1d(Operation):
    """The largest number of each channel in every window of kernel_size steps, `stride` apart; (n, channels, places)

    x: (n, channels, time), with `padding` places at either end that are never the largest, at most half a window; in a window
    the steps are `dilation` apart. The gradient goes to the first of equal ones. ValueError for what does not fit.
    """

    @staticmethod
    def forward(ctx, x, *, kernel_size, stride=None, padding=0, dilation=1):
        reach, stride = dilation * (kernel_size - 1) + 1, kernel_size if stride is None else stride
        if len(x.shape) != 3 or x.shape[2] + 2 * padding < reach or not 0 <= 2 * padding <= kernel_size:
            raise ValueError(f"max_pool1d: windows over {reach} steps with {padding} of padding do not fit x of shape {x.shape}, "
                             "(n, channels, time)")
        whole = np.pad(numbers(x), ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
        windows = sliding_window_view(whole, reach, axis=2)[:, :, ::stride, ::dilation]
        n, channels, places, _ = windows.shape
        steps = np.argmax(windows, axis=3) * dilation + np.arange(places) * stride - padding
        key = (np.arange(n)[:, None, None], np.arange(channels)[:, None], steps)
        ctx.extend([key, x.shape])
        return x[key]

    @staticmethod
    def backward(ctx, grad_output):
        key, shape = ctx
        return [nested(scatter, grad_output, key=key, shape=shape)]


def ends(padding, width, stride, dilation):
    """How many zeros stand in front and behind. ValueError for what PyTorch has no meaning for either."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        if stride != 1:
            raise ValueError(f"conv1d: padding 'same' keeps the length, which needs a stride of 1, got {stride}")
        total = dilation * (width - 1)
        return total // 2, total - total // 2
    if isinstance(padding, str) or padding < 0:
        raise ValueError(f"conv1d: padding must be a number of at least 0, 'same' or 'valid', got {padding!r}")
    return padding, padding


def span(shape, weight, padding, dilation):
    """From a kernel's first place to its last; ValueError where weight or sequence does not fit."""
    reach = dilation * (weight[0] - 1) + 1
    if weight[1] != shape[1]:
        raise ValueError(f"conv1d: expected x (n, {weight[1]}, time) for a kernel of shape {weight}, got {shape}")
    if shape[2] + padding < reach:
        raise ValueError(f"conv1d: a kernel over {reach} steps does not fit {shape[2]} steps and {padding} of padding")
    return reach
