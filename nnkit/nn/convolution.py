"""Conv1d, and the maximum over windows or over all of the time behind it: a convolutional text classifier (Kim, 2014)."""

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.nn import init
from nnkit.nn.module import Module


class Conv1d(Module):
    """y[:, o, t] = Σ_k Σ_i x[:, i, t · stride + k · dilation - padding] W[k, i, o] + b[o]; x is 0 outside of its time.

    x: (n, in_channels, time), y: (n, out_channels, times), where times = (time + 2 · padding - dilation · (kernel_size - 1) - 1)
    // stride + 1. padding: how many zeros at either end, or "same" (times = time; stride 1) or "valid" (none). weight is
    (kernel_size, in_channels, out_channels), PyTorch's transposed, and bias (out_channels,), both uniform in
    ±1/sqrt(in_channels · kernel_size) at first. ValueError where x does not fit, or the kernel is longer than it.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int | str = 0,
                 dilation: int = 1, bias: bool = True, *, rng: Any = None):
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size, "stride": stride,
                 "dilation": dilation}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"Conv1d: expected {name} of at least 1, got {size}")
        if padding not in ("same", "valid") and (isinstance(padding, str) or padding < 0):
            raise ValueError(f"Conv1d: padding must be a number of at least 0, 'same' or 'valid', got {padding!r}")
        if padding == "same" and stride != 1:
            raise ValueError(f"Conv1d: padding 'same' keeps the length, which needs a stride of 1, got {stride}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        rng = init.generator(rng)
        bound = (in_channels * kernel_size) ** -0.5
        self.weight = init.uniform((kernel_size, in_channels, out_channels), bound, rng)
        self.bias = init.uniform((out_channels,), bound, rng) if bias else None

    def forward(self, x):
        shape = np.shape(x)
        reach = self.dilation * (self.kernel_size - 1) + 1
        least = 1 if self.padding == "same" else reach if self.padding == "valid" else max(0, reach - 2 * int(self.padding))
        if len(shape) != 3 or shape[1] != self.in_channels or shape[2] < least:
            raise ValueError(f"{self!r}: expected an input of shape (n, {self.in_channels}, time), time at least {least} for a "
                             f"kernel over {reach} steps, got {shape}")
        return ops.conv1d(x, self.weight, self.bias, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def __repr__(self):
        options = [f"{name}={value!r}" for name, usual, value in (
            ("stride", 1, self.stride), ("padding", 0, self.padding), ("dilation", 1, self.dilation),
            ("bias", True, self.bias is not None)) if value != usual]
        return f"Conv1d({', '.join([str(self.in_channels), str(self.out_channels), str(self.kernel_size), *options])})"


class MaxPool1d(Module):
    """y[:, c, t] = the largest of x[:, c, t · stride + k · dilation - padding] over all k < kernel_size.

    x: (n, channels, time), y: (n, channels, times), times as in Conv1d. stride: None is kernel_size. padding: places at either
    end that are never the largest, at most half of kernel_size. ValueError where x does not fit.
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1):
        for name, size in {"kernel_size": kernel_size, "stride": 1 if stride is None else stride, "dilation": dilation}.items():
            if size < 1:
                raise ValueError(f"MaxPool1d: expected {name} of at least 1, got {size}")
        if not 0 <= 2 * padding <= kernel_size:
            raise ValueError(f"MaxPool1d: padding must be from 0 to half of kernel_size {kernel_size}, got {padding}")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation

    def forward(self, x):
        shape, reach = np.shape(x), self.dilation * (self.kernel_size - 1) + 1
        if len(shape) != 3 or shape[2] + 2 * self.padding < reach:
            raise ValueError(f"{self!r}: expected an input of shape (n, channels, time), time at least "
                             f"{reach - 2 * self.padding} for a window over {reach} steps, got {shape}")
        return ops.max_pool1d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def __repr__(self):
        options = [f"{name}={value!r}" for name, usual, value in (
            ("stride", self.kernel_size, self.stride), ("padding", 0, self.padding), ("dilation", 1, self.dilation))
            if value != usual]
        return f"MaxPool1d({', '.join([str(self.kernel_size), *options])})"


class MaxOverTime(Module):
    """y[:, c] = the largest of x[:, c, t] over all t (Collobert et al., 2011), or over the first lengths of them.

    `layer(x, lengths=None)`. x: (n, channels, time) of at least one step, y: (n, channels). lengths: (n,) integers from 1 to
    time; what lies behind them may hold anything. The gradient goes to the first of equal ones. PyTorch's AdaptiveMaxPool1d(1)
    is this without lengths. ValueError for another shape or lengths out of range, TypeError for lengths that are no integers.
    """

    def forward(self, x, lengths=None):
        return ops.max_over_time(x, lengths, name="MaxOverTime()")
