"""Initial values of parameters. Every function returns a float leaf Tensor of the default dtype (float32)."""

from __future__ import annotations

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
