"""An operation is a class with two static methods, forward and backward; `tensor_op` makes it a function of Tensors.

The author of an operation writes only the mathematics on arrays. What every operation needs, casting constants,
remembering the graph, checking what backward returned, is done here and in `engine.py`, once.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.autograd.modes import get_default_dtype, mode
from nnkit.autograd.tensor import Later, Tensor, new_node

FLOAT64 = np.dtype(np.float64)
AS_THEY_ARE = {float, int, bool, type(None)}  # constants that NumPy casts to whatever stands beside them


class Context(list):
    """What forward leaves for backward: a list, and what the engine knows.

    needs_grad: one bool an input, so that backward may skip what nobody wants.
    owns_grad: in backward, whether `grad_output` may be written into.
    """

    __slots__ = ("inputs", "needs_grad", "owns_grad")

    needs_grad: tuple[bool, ...]
    owns_grad: bool
    inputs: tuple

    def out(self, i: int) -> np.ndarray | None:
        """In backward: an array that the gradient of input i may be written into, or None where there is none to reuse.

        It is the memory of a parameter's last gradient. A large array that is made anew at every step costs as much as
        the product that fills it: the C library returns it to the system, which hands it out again page by page.
        """
        if not hasattr(self, "inputs") or self.inputs[i].operation is not None:
            return None
        leaf = self.inputs[i]
        spare, leaf.spare = leaf.spare, None
        return spare


class Operation:
    """Base class of all operations.

    forward(ctx, *arrays, **attributes) -> array. It reads its arrays, appends to ctx what backward needs.
    backward(ctx, grad_output) -> one array an input, or None where there is no gradient. A gradient that still has the
    broadcast shape is summed back by the engine.

    An operation may offer forward_into(ctx, out, *arrays, **attributes) as well: the same, where it can write its result into
    `out`, an array of the result's shape, or None. A recorded graph gives it the memory of its last large result.
    """

    returns_new = False  # True: every array that backward returns is new, so the engine may keep it without a copy
    frees_ctx = False  # True: backward uses up ctx, so that it can run once only
    reuse_ctx = False  # True: forward draws at random, so that higher order runs backward alone again, with the same ctx
    composed: Callable[..., Any] | None = None  # where forward or backward write in place: the same in plain operations

    @staticmethod
    def forward(ctx: Context, *inputs: Any, **attributes: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Context, grad_output: Any) -> Any:
        raise NotImplementedError


def tensor_op(operation: type[Operation]) -> Callable[..., Tensor]:
    """Class decorator: the operation as a function of Tensors, arrays and numbers that returns a Tensor.

    Positional arguments are inputs; keyword arguments are attributes and never Tensors (TypeError). TypeError for a method that
    takes `self`: there is no object, the class itself is the operation.
    """
    for name in ("forward", "backward"):
        code = getattr(getattr(operation, name), "__code__", None)
        if code is not None and code.co_varnames[:1] == ("self",):
            raise TypeError(f"{operation.__name__}.{name} takes self; write @staticmethod above it, and leave self out")

    def function(*inputs, **attributes):
        return apply(operation, inputs, attributes)

    functools.update_wrapper(function, operation, updated=())
    function.operation = operation  # type: ignore[attr-defined]
    return function


def apply(operation: type[Operation], inputs: tuple, attributes: dict[str, Any]) -> Tensor:
    """Run an operation forward; where a gradient is wanted, the result is a node of the graph."""
    grad, observer = mode.get()
    if observer is not None and observer.records:
        return observer.apply(operation, inputs, attributes)
    arrays, needs, to_cast = [], [], []
    for x in inputs:
        if isinstance(x, Tensor):
            arrays.append(x.value)
            needs.append(x.requires_grad)
        else:
            if type(x) not in AS_THEY_ARE and not (type(x) is np.ndarray and x.dtype.kind in "iub"):
                to_cast.append(len(arrays))
            arrays.append(x)
            needs.append(False)
    if to_cast:
        dtype = result_dtype(inputs)
        for i in to_cast:
            arrays[i] = constant(arrays[i], dtype)
    for key, x in attributes.items():
        if isinstance(x, Tensor):
            raise TypeError(f"{operation.__name__}: {key}= is an attribute, not an input; pass the Tensor by position")
    ctx = Context()
    ctx.needs_grad = tuple(needs)
    value = operation.forward(ctx, *arrays, **attributes)
    wants = grad and True in needs
    if type(value) is not np.ndarray and not (type(value) is Later and wants):
        value = as_array(value, operation)
    if value.dtype is FLOAT64 and type(value) is np.ndarray:
        # np.float64(2) * float32 is float64 in NumPy; a graph of float32 stays float32
        value = value.astype(result_dtype(inputs), copy=False)
    if wants and value.dtype.kind == "f":
        node = new_node(value, inputs, operation, ctx, attributes)
    else:
        node = new_node(value, (), None, None, None)
    if observer is not None:
        observer.saw(node, operation, inputs, attributes)
    return node


def as_array(value: Any, operation: type[Operation]) -> np.ndarray:
    """What forward returned, a NumPy number for instance, as an array. TypeError where it is none."""
    if value is None:
        raise TypeError(f"{operation.__name__}.forward returned None: is a `return` missing?")
    if isinstance(value, (tuple, list, dict, Tensor)):
        raise TypeError(f"{operation.__name__}.forward returned a {type(value).__name__}; expected one array")
    return np.asarray(value)


def constant(x: Any, dtype: np.dtype) -> Any:
    """A plain array or number beside Tensors: floating values take their dtype, whole numbers stay.

    Numbers become Python numbers, which NumPy casts to whatever stands beside them.
    """
    if type(x) in AS_THEY_ARE or (type(x) is np.ndarray and x.dtype is dtype):
        return x
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        return x.item()
    if isinstance(x, (list, tuple)) and any(isinstance(part, Tensor) for part in x):
        raise TypeError(f"a {type(x).__name__} of Tensors is no input, its gradient would be lost; pass each by position")
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"expected numbers, got an array of dtype {x.dtype}")
    return x.astype(dtype, copy=False) if x.dtype.kind == "f" else x


def result_dtype(inputs: tuple) -> np.dtype:
    """The floating dtype of the Tensors among inputs; without one, of the arrays; without either, the default."""
    found = None
    for x in inputs:
        if isinstance(x, Tensor) and x.value.dtype.kind == "f":
            dtype = x.value.dtype
            found = dtype if found is None or found is dtype else np.promote_types(found, dtype)
    if found is not None:
        return found
    floating = [x.dtype for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return np.result_type(*floating) if floating else get_default_dtype()
