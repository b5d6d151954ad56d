"""What stands for NumPy's functions on Tensors: the same names, with NumPy's own arguments.

NumPy calls a Tensor's `__array_function__`, which looks here (see autograd/dispatch.py). Arguments that NumPy has and
the operation has not, such as `out` or `dtype`, are a TypeError.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.autograd import Tensor
from nnkit.autograd.dispatch import operations
from nnkit.ops import contraction
from nnkit.ops.indexing import split


def attributes(name: str, *names: str) -> Callable[..., Tensor]:
    """The operation of that name, whose attributes are NumPy's arguments after the array, in this order."""

    def function(x: Any, *args: Any, **kwargs: Any) -> Tensor:
        if len(args) > len(names):
            raise TypeError(f"np.{name} of a Tensor takes {' and '.join(names)} after it, got {len(args)} arguments there")
        return operations[name](x, **dict(zip(names, args)), **kwargs)

    return function


def inputs(name: str) -> Callable[..., Tensor]:
    """The operation of that name, on arguments that are all arrays."""
    return lambda *arrays: operations[name](*arrays)


def of_a_list(name: str) -> Callable[..., Tensor]:
    """np.concatenate and np.stack take a list, the operations any number of inputs."""
    return lambda arrays, axis=0: operations[name](*arrays, axis=axis)


def where(condition: Any, *branches: Any) -> Tensor:
    if len(branches) != 2:
        raise TypeError("np.where of a Tensor needs both branches; for places without a gradient use .value")
    return operations["where"](condition, *branches)


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Tensor:
    return operations["clip"](a, min=a_min if min is None else min, max=a_max if max is None else max)


def var(a: Any, axis: Any = None, *, ddof: Any = None, correction: Any = 0, keepdims: bool = False) -> Tensor:
    return operations["var"](a, axis=axis, correction=correction if ddof is None else ddof, keepdims=keepdims)


def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: float = 0) -> Tensor:
    if mode != "constant":
        raise TypeError(f"np.pad of a Tensor: only mode='constant' has an operation, got {mode!r}")
    return operations["pad"](array, pad_width=pad_width, constant_values=constant_values)


def einsum(*operands: Any, optimize: Any = None) -> Tensor:
    return contraction.einsum(*operands)  # type: ignore[return-value]


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    of_vectors = isinstance(axis, int) or (axis is None and x.ndim == 1)
    if ord not in (None, 2 if of_vectors else "fro"):  # ord=2 of a matrix is another norm
        raise TypeError(f"np.linalg.norm of a Tensor: only the 2-norm of all elements or along axes, not ord={ord!r}")
    return operations["norm"](x, axis=axis, keepdims=keepdims)


def take(a: Any, indices: Any, axis: int | None = None) -> Tensor:
    a = a if isinstance(a, Tensor) else np.asarray(a)
    a = operations["reshape"](a, shape=-1) if axis is None else a
    before = (slice(None),) * ((axis or 0) % a.ndim)
    if isinstance(indices, Tensor):
        return operations["getitem"](a, indices.as_index(), key=(*before, None), places=(len(before),))
    return operations["getitem"](a, key=(*before, np.asarray(indices)))


def filled(make: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """np.zeros_like and its kin: a constant of the Tensor's shape and dtype."""
    return lambda a, *value, dtype=None: make(a.shape, *value, dtype=a.dtype if dtype is None else dtype)


NUMPY_FUNCTIONS: dict[Callable, Callable] = {
    np.sum: attributes("sum", "axis"),
    np.mean: attributes("mean", "axis"),
    np.max: attributes("max", "axis"),
    np.min: attributes("min", "axis"),
    np.prod: attributes("prod", "axis"),
    np.cumsum: attributes("cumsum", "axis"),
    np.flip: attributes("flip", "axis"),
    np.expand_dims: attributes("expand_dims", "axis"),
    np.squeeze: attributes("squeeze", "axis"),
    np.amax: attributes("max", "axis"),
    np.amin: attributes("min", "axis"),
    np.reshape: attributes("reshape", "shape"),
    np.broadcast_to: attributes("broadcast_to", "shape"),
    np.ravel: lambda a: operations["reshape"](a, shape=-1),
    np.transpose: attributes("transpose", "axes"),
    np.swapaxes: attributes("swapaxes", "axis1", "axis2"),
    np.concatenate: of_a_list("concatenate"),
    np.stack: of_a_list("stack"),
    np.outer: inputs("outer"),
    np.dot: inputs("dot"),
    np.zeros_like: filled(np.zeros),
    np.ones_like: filled(np.ones),
    np.full_like: filled(np.full),
    np.where: where, np.clip: clip, np.var: var, np.pad: pad, np.einsum: einsum, np.linalg.norm: norm, np.take: take,
    np.split: split,
}
