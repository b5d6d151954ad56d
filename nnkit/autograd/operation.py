"""An operation is a class with two static methods, forward and backward; `tensor_op` makes it a function of Tensors.

The author of an operation writes only the mathematics on arrays. What every operation needs, casting constants,
remembering the graph, checking what backward returned, is done here and in `engine.py`, once.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.autograd.modes import get_default_dtype, grad_enabled
from nnkit.autograd.tensor import Tensor, new_node

FLOAT64 = np.dtype(np.float64)


class Context(list):
    """What forward leaves for backward: a list, and what the engine knows.

    needs_grad: one bool an input, so that backward may skip what nobody wants.
    owns_grad: in backward, whether `grad_output` may be written into.
    """

    __slots__ = ("needs_grad", "owns_grad")

    needs_grad: tuple[bool, ...]
    owns_grad: bool


class Operation:
    """Base class of all operations.

    forward(ctx, *arrays, **attributes) -> array. It reads its arrays, appends to ctx what backward needs.
    backward(ctx, grad_output) -> one array an input, or None where there is no gradient. A gradient that still has the
    broadcast shape is summed back by the engine.
    """

    returns_new = False  # True: every array that backward returns is new, so the engine may keep it without a copy
    frees_ctx = False  # True: backward uses up ctx, so that it can run once only

    @staticmethod
    def forward(ctx: Context, *inputs: Any, **attributes: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Context, grad_output: Any) -> Any:
        raise NotImplementedError


def tensor_op(operation: type[Operation]) -> Callable[..., Tensor]:
    """Class decorator: the operation as a function of Tensors, arrays and numbers that returns a Tensor.

    Positional arguments are inputs; keyword arguments are attributes and never Tensors (TypeError).
    """

    def function(*inputs, **attributes):
        return apply(operation, inputs, attributes)

    functools.update_wrapper(function, operation, updated=())
    function.operation = operation  # type: ignore[attr-defined]
    return function


def apply(operation: type[Operation], inputs: tuple, attributes: dict[str, Any]) -> Tensor:
    """Run an operation forward; where a gradient is wanted, the result is a node of the graph."""
    needs = [isinstance(x, Tensor) and x.requires_grad for x in inputs]
    arrays = [x.value if isinstance(x, Tensor) else constant(x, inputs) for x in inputs]
    for key, x in attributes.items():
        if isinstance(x, Tensor):
            raise TypeError(f"{operation.__name__}: {key}= is an attribute, not an input; pass the Tensor by position")
    ctx = Context()
    ctx.needs_grad = tuple(needs)
    value = operation.forward(ctx, *arrays, **attributes)
    if type(value) is not np.ndarray:
        value = np.asarray(value)
    if value.dtype is FLOAT64:  # np.float64(2) * float32 is float64 in NumPy; a graph of float32 stays float32
        value = value.astype(result_dtype(inputs), copy=False)
    if True in needs and value.dtype.kind == "f" and grad_enabled.get():
        return new_node(value, inputs, operation, ctx, attributes)
    return new_node(value, (), None, None, None)


def constant(x: Any, inputs: tuple) -> Any:
    """A plain array or number beside Tensors: floating values take their dtype, whole numbers stay.

    Numbers become Python numbers, which NumPy casts to whatever stands beside them.
    """
    if type(x) in (float, int, bool, type(None)):
        return x
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        return x.item()
    if type(x) is not np.ndarray:
        if isinstance(x, (list, tuple)) and any(isinstance(part, Tensor) for part in x):
            raise TypeError(f"a {type(x).__name__} of Tensors is no input, its gradient would be lost; pass each by position")
        x = np.asarray(x)
    if x.dtype.kind == "f":
        return x.astype(result_dtype(inputs), copy=False)
    if x.dtype.kind not in "iub":
        raise TypeError(f"expected numbers, got an array of dtype {x.dtype}")
    return x


def result_dtype(inputs: tuple) -> np.dtype:
    """The floating dtype of the Tensors among inputs; without one, of the arrays; without either, the default."""
    dtypes = [x.value.dtype for x in inputs if isinstance(x, Tensor)]
    floating = [d for d in dtypes if d.kind == "f"]
    if not floating:
        floating = [x.dtype for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return np.result_type(*floating) if floating else get_default_dtype()
