"""Layers that keep numbers at a size where training goes well: LayerNorm, RMSNorm, BatchNorm1d."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor, get_default_dtype
from nnkit.autograd.modes import mode
from nnkit.errors import UserError
from nnkit.nn import init
from nnkit.nn.module import Module


class LoneExampleError(UserError, ValueError):
    """A batch of one in training, which has no variance: a matter of the data and the batch size, not of the program."""


class LayerNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) · weight + bias, mean and variance being those of each example's features.

    x, y: (..., *normalized_shape); a number n stands for (n,). weight is 1 and bias 0 at first, both of that shape; neither with
    elementwise_affine=False, no bias with bias=False (Ba et al., 2016). ValueError where x does not fit.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True):
        self.normalized_shape = as_shape(normalized_shape, "LayerNorm")
        self.eps = eps
        self.weight = init.ones(self.normalized_shape) if elementwise_affine else None
        self.bias = init.zeros(self.normalized_shape) if elementwise_affine and bias else None

    def forward(self, x):
        check_last_axes(self, x, self.normalized_shape)
        return ops.layer_norm(x, self.weight, self.bias, axes=len(self.normalized_shape), eps=self.eps)

    def __repr__(self):
        without = ", elementwise_affine=False" if self.weight is None else ", bias=False" if self.bias is None else ""
        return f"LayerNorm({shape_text(self.normalized_shape)}{without})"


class RMSNorm(Module):
    """y = x / sqrt(mean of x² + eps) · weight, the mean being that of each example's features.

    x, y: (..., *normalized_shape); a number n stands for (n,). weight is 1 at first, and absent with elementwise_affine=False.
    eps: None is the smallest step from 1 of x's dtype (Zhang and Sennrich, 2019). ValueError where x does not fit.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float | None = None, elementwise_affine: bool = True):
        self.normalized_shape = as_shape(normalized_shape, "RMSNorm")
        self.eps = eps
        self.weight = init.ones(self.normalized_shape) if elementwise_affine else None

    def forward(self, x):
        check_last_axes(self, x, self.normalized_shape)
        return ops.rms_norm(x, self.weight, axes=len(self.normalized_shape), eps=self.eps)

    def __repr__(self):
        without = ", elementwise_affine=False" if self.weight is None else ""
        return f"RMSNorm({shape_text(self.normalized_shape)}{without})"


class BatchNorm1d(Module):
    """y = (x - mean) / sqrt(variance + eps) · weight + bias, mean and variance being those of each feature over the batch.

    x, y: (batch, num_features) or (batch, num_features, length). weight is 1 and bias 0 at first, (num_features,); neither with
    affine=False, no bias with bias=False. In training the running averages move to those of the batch, the variance without bias:

        running ← (1 - momentum) · running + momentum · batch's        momentum=None: the mean over all batches so far

    In evaluation they take the place of the batch's. They are buffers, saved with the weights; with track_running_stats=False
    there are none, and evaluation normalizes by the batch as well (Ioffe and Szegedy, 2015). ValueError where x does not fit,
    and in training for a single value a feature, which has no variance.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, bias: bool = True):
        if num_features < 1:
            raise ValueError(f"BatchNorm1d: expected num_features of at least 1, got {num_features}")
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = init.ones((num_features,)) if affine else None
        self.bias = init.zeros((num_features,)) if affine and bias else None
        self.track_running_stats = track_running_stats
        if track_running_stats:
            self.running_mean = Tensor(np.zeros(num_features, get_default_dtype()), requires_grad=False)
            self.running_var = Tensor(np.ones(num_features, get_default_dtype()), requires_grad=False)
            self.num_batches_tracked = Tensor(np.array(0))

    def forward(self, x):
        shape = np.shape(x)
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            raise ValueError(f"{self!r}: expected an input of shape (batch, {self.num_features}) or (batch, {self.num_features}, "
                             f"length), got {shape}")
        if not self.training and self.track_running_stats:
            return self._by_running_averages(x, (-1, 1)[:len(shape) - 1])
        if shape[0] * math.prod(shape[2:]) < (2 if self.training else 1):
            raise LoneExampleError(f"{self!r}: expected at least two values a feature in training, got an input of shape "
                                   f"{shape}; take a batch size that leaves no last batch of one example, or call eval()")
        observe = self._observe if self.track_running_stats else None
        return ops.batch_norm(x, self.weight, self.bias, eps=self.eps, observe=observe)

    def _by_running_averages(self, x: Any, channels: tuple[int, ...]) -> Tensor:
        scale = ops.power(self.running_var + self.eps, -0.5)
        scale = scale if self.weight is None else scale * self.weight
        y = ops.subtract(x, self.running_mean.reshape(channels)) * scale.reshape(channels)
        return y if self.bias is None else y + self.bias.reshape(channels)

    def _observe(self, mean: np.ndarray, variance: np.ndarray, count: int) -> None:
        """Move the running averages, in place, where forward is no rehearsal."""
        if not self.training or getattr(mode.get().observer, "records", False):  # what is recorded runs right after
            return
        self.num_batches_tracked.value += 1
        share = 1 / float(self.num_batches_tracked.value) if self.momentum is None else self.momentum
        for running, now in ((self.running_mean, mean), (self.running_var, variance * (count / (count - 1)))):
            running.value *= 1 - share
            running.value += share * now

    def __repr__(self):
        without = ", affine=False" if self.weight is None else ", bias=False" if self.bias is None else ""
        return f"BatchNorm1d({self.num_features}{without})"


def as_shape(normalized_shape: int | tuple[int, ...], layer: str) -> tuple[int, ...]:
    """normalized_shape as a tuple of sizes of at least 1."""
    sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{layer}: expected normalized_shape of sizes of at least 1, got {normalized_shape}")
    return tuple(int(n) for n in sizes)


def shape_text(shape: tuple[int, ...]) -> str:
    return str(shape[0] if len(shape) == 1 else shape)


def check_last_axes(layer: Module, x: Any, shape: tuple[int, ...]) -> None:
    if np.shape(x)[-len(shape):] != shape:
        raise ValueError(f"{layer!r}: expected an input of shape (..., {', '.join(map(str, shape))}), got {np.shape(x)}")
