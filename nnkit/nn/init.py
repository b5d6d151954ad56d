"""Initial values of parameters. Every function returns a float leaf Tensor of the default dtype (float32).

A weight has the shape (in, out), as in x W + b; what stands in front of these two axes is the places of a kernel, each with a
matrix of its own: (width, in, out). So fan_in is in · width, the numbers that make one of the results, and fan_out out · width.
PyTorch's weight is (out, in): its fans are the same, its axes the other way round. rng is a generator or a seed; see `generator`.

    layer.weight = nn.init.xavier_uniform((300, 50), rng=rng)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnkit.autograd import Tensor, get_default_dtype


def generator(rng: Any = None) -> np.random.Generator:
    """rng as NumPy's default_rng reads it: a Generator itself, a seed, or None for an unpredictable one."""
    return np.random.default_rng(rng)


def uniform(shape: tuple[int, ...], bound: float, rng: Any = None) -> Tensor:
    """Uniform in -bound..bound."""
    dtype = get_default_dtype()
    values = generator(rng).random(shape, dtype=dtype if dtype in (np.float32, np.float64) else np.float32)
    values -= 0.5  # in place: a table may be large
    values *= 2 * bound
    return Tensor(values.astype(dtype, copy=False))


def normal(shape: tuple[int, ...], std: float = 1.0, rng: Any = None) -> Tensor:
    """Normal with mean 0 and standard deviation std."""
    return Tensor((generator(rng).standard_normal(shape) * std).astype(get_default_dtype()))


def zeros(shape: tuple[int, ...]) -> Tensor:
    return Tensor(np.zeros(shape, get_default_dtype()))


def ones(shape: tuple[int, ...]) -> Tensor:
    return Tensor(np.ones(shape, get_default_dtype()))


def xavier_uniform(shape: tuple[int, ...], gain: float = 1.0, rng: Any = None) -> Tensor:
    """Uniform in ± gain · sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010): the variance stays, forward and backward."""
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))), rng)


def xavier_normal(shape: tuple[int, ...], gain: float = 1.0, rng: Any = None) -> Tensor:
    """Normal with deviation gain · sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))), rng)


def kaiming_uniform(shape: tuple[int, ...], a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    rng: Any = None) -> Tensor:
    """Uniform in ± gain · sqrt(3 / fan) (He et al., 2015), for what stands in front of a ReLU.

    a: the negative slope of the leaky ReLU behind it, 0 for ReLU. mode: "fan_in" keeps the variance of what goes forward,
    "fan_out" that of the gradients. nonlinearity: see `calculate_gain`.
    """
    return uniform(shape, math.sqrt(3) * kaiming_deviation(shape, a, mode, nonlinearity), rng)


def kaiming_normal(shape: tuple[int, ...], a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                   rng: Any = None) -> Tensor:
    """Normal with deviation gain / sqrt(fan) (He et al., 2015); the options of `kaiming_uniform`."""
    return normal(shape, kaiming_deviation(shape, a, mode, nonlinearity), rng)


def orthogonal(shape: tuple[int, ...], gain: float = 1.0, rng: Any = None) -> Tensor:
    """gain times a random orthogonal matrix (Saxe et al., 2014): x W is as long as x, and every such matrix equally likely.

    Where in and out differ the shorter side is orthonormal. ValueError for fewer than two axes.
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal: expected a shape of at least two axes, got {shape}")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normals = generator(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normals)
    q *= np.where(np.diagonal(r) < 0, -1, 1)  # or what QR chooses for the signs would not be random
    return Tensor((gain * (q if rows >= columns else q.T)).reshape(shape).astype(get_default_dtype()))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What the weights in front of a nonlinearity are multiplied by, so that the variance behind it stays: PyTorch's numbers.

    param: the slope of "leaky_relu", 0.01 unless given. ValueError for a name that is not known.
    """
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75,
             "leaky_relu": math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))}
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: no nonlinearity named {nonlinearity!r}; known: {', '.join(gains)}")
    return gains[nonlinearity]


def kaiming_deviation(shape: tuple[int, ...], a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(shape)[mode == "fan_out"])


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of a weight (..., in, out). ValueError for fewer than two axes, or one of length 0."""
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"expected the shape of a weight, (..., in, out), of sizes of at least 1, got {shape}")
    places = math.prod(shape[:-2])
    return shape[-2] * places, shape[-1] * places
