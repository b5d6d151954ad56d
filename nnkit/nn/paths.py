"""Layers that lead numbers around others, or only bring them into another shape: Identity, Flatten, Residual, Highway."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.nn import init
from nnkit.nn.layers import Linear
from nnkit.nn.module import Module


class Identity(Module):
    """x itself: for a place where a layer may stand"""

    def forward(self, x):
        return x


class Flatten(Module):
    """The axes start_dim to end_dim as one; all but the batch's unless told otherwise.

    x: (batch, a, b, ...), y: (batch, a · b · ...). ValueError where x has no such axes.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x):
        shape = np.shape(x)
        n = len(shape)
        start, end = (d + n if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < n:
            raise ValueError(f"{self!r}: an input of shape {shape} has no axes {self.start_dim} to {self.end_dim}")
        return ops.reshape(x, shape=(*shape[:start], math.prod(shape[start:end + 1]), *shape[end + 1:]))

    def __repr__(self):
        return f"Flatten(start_dim={self.start_dim}, end_dim={self.end_dim})"


class Residual(Module):
    """y = x + layer(x): the layer learns what to change (He et al., 2016).

    x, y: of one shape, which layer keeps; it may be any callable on Tensors. ValueError where it does not, for x and layer(x)
    might broadcast.
    """

    def __init__(self, layer: Callable[..., Tensor]):
        self.layer = layer

    def forward(self, x):
        y = self.layer(x)
        if np.shape(y) != np.shape(x):
            raise ValueError(f"{self!r}: expected a layer that keeps the shape, for what it gives is added to its input: it made "
                             f"{np.shape(y)} of {np.shape(x)}; end it with a Linear of as many out_features as come in")
        return ops.add(x, y)

    def __repr__(self):
        return f"Residual({self.layer!r})"


class Highway(Module):
    """y = t · relu(x W + b) + (1 - t) · x, where the gate t = σ(x W_t + b_t) says how much is changed (Srivastava et al., 2015).

    x, y: (..., in_features). `transform` and `gate` are Linear layers; the gate's bias is gate_bias at first, below 0 so that
    most of x passes. ValueError where x does not fit.
    """

    def __init__(self, in_features: int, gate_bias: float = -1.0, *, rng: Any = None):
        rng = init.generator(rng)
        if in_features < 1:
            raise ValueError(f"Highway: expected in_features of at least 1, got {in_features}")
        self.in_features = in_features
        self.transform = Linear(in_features, in_features, rng=rng)
        self.gate = Linear(in_features, in_features, rng=rng)
        assert self.gate.bias is not None
        self.gate.bias.value[...] = gate_bias

    def forward(self, x):
        if np.shape(x)[-1:] != (self.in_features,):
            raise ValueError(f"{self!r}: expected an input of shape (..., {self.in_features}), got {np.shape(x)}")
        changed = ops.subtract(ops.relu(self.transform(x)), x)
        return ops.add(x, ops.multiply(ops.sigmoid(self.gate(x)), changed))

    def __repr__(self):
        return f"Highway({self.in_features})"
