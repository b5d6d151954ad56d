"""Tensor: an array that remembers how it was computed.

A Tensor is the node of the graph as well: `operation` and `inputs` say where its value came from. A Tensor without an
operation is a leaf, and a leaf is where gradients end up (`.grad`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnkit.autograd.dispatch import numpy_functions, operations
from nnkit.autograd.engine import backward
from nnkit.autograd.modes import get_default_dtype, mode, retracing
from nnkit.autograd.rows import RowGrad

# Parents are older than their children: newest first is a topological order. See engine.py.
next_serial = itertools.count().__next__


class Tensor:
    """Tensor(value, parents=(), name=None, *, requires_grad=None).

    value: an array, kept as it is (no copy, its own dtype); Python floats become the default dtype, float32.
    requires_grad: None means yes for a floating leaf; TypeError if asked of another dtype.
    grad: None before the first backward; then an array of value's shape and dtype, or a RowGrad. On leaves only.
    """

    __slots__ = ("__dict__", "__weakref__", "attributes", "ctx", "grad", "hooks", "inputs", "name", "operation",
                 "requires_grad", "serial", "spare", "value", "written")

    value: np.ndarray
    inputs: tuple
    grad: np.ndarray | RowGrad | None
    name: str | None
    requires_grad: bool
    operation: Any
    attributes: Any
    ctx: Any
    hooks: Any

    def __init__(self, value: Any, parents: tuple = (), name: str | None = None, *, requires_grad: bool | None = None):
        if isinstance(value, Tensor):
            value = value.value
        if not isinstance(value, np.ndarray):
            if isinstance(value, (list, tuple)) and any(isinstance(part, Tensor) for part in value):
                raise TypeError("a list of Tensors makes no Tensor, their gradients would be lost; use nnkit.ops.concatenate")
            is_python = not isinstance(value, np.generic)
            value = np.asarray(value)
            if is_python and value.dtype == np.float64:
                value = value.astype(get_default_dtype())
        if value.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: expected numbers, got dtype {value.dtype}")
        floating = value.dtype.kind == "f"
        if requires_grad and not floating:
            raise TypeError(f"Tensor: only floating values have gradients, this one is {value.dtype}")
        self.value = value
        self.inputs = tuple(parents)
        self.operation = None
        self.ctx = None
        self.attributes = None
        self.requires_grad = floating if requires_grad is None else requires_grad
        self.grad = None
        self.name = name
        self.hooks = None
        self.spare = None
        self.serial = self.written = next_serial()

    # What it is

    @property
    def parents(self) -> tuple[Tensor, ...]:
        """The Tensors this one was computed from; constants are left out."""
        return tuple(x for x in self.inputs if isinstance(x, Tensor))

    @property
    def is_leaf(self) -> bool:
        return self.operation is None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    def __repr__(self) -> str:
        numbers = np.array2string(self.value, precision=4, threshold=6, edgeitems=2, separator=", ").split()
        text = " ".join(numbers)
        if len(text) > 45:
            text = text[:42] + "..."
        parts = [text, f"shape={self.shape}", f"dtype={self.dtype}"]
        if self.name:
            parts.insert(0, f"name={self.name!r}")
        if self.operation is not None:
            parts.append(f"op={self.operation.__name__}")
        elif self.requires_grad:
            parts.append("requires_grad")
        return f"Tensor({', '.join(parts)})"

    def numpy(self) -> np.ndarray:
        """The value itself, not a copy."""
        return self.value

    def detach(self) -> Tensor:
        """A leaf of the same array that wants no gradient."""
        return Tensor(self.value, name=self.name, requires_grad=False)

    def __setstate__(self, state: Any) -> None:
        """What copy, deepcopy and pickle call: a copy is a node of its own, newer than what it was computed from."""
        for values in state:
            for name, value in (values or {}).items():
                setattr(self, name, value)
        self.serial = next_serial()

    # Gradients

    def backward(self, grad: Any = None, *, keep_grads: bool = False, retain_graph: bool = True,
                 create_graph: bool = False) -> None:
        """Add d self / d leaf to every leaf's `.grad`. See `nnkit.autograd.engine.backward`.

        create_graph=True: `.grad` is a Tensor with a graph of its own, which can be differentiated again.
        """
        if create_graph:
            operations["backward_with_graph"](self, grad)
        else:
            backward(self, grad, keep_grads=keep_grads, retain_graph=retain_graph)

    def register_hook(self, hook: Callable[[np.ndarray], Any]) -> Hook:
        """Call hook(gradient) in every backward, with the dense array; what it returns, if anything, takes its place.

        On a leaf it sees the sum over all paths, before it is added to `.grad`. The Hook that is returned can be removed.
        """
        if not self.requires_grad:
            raise RuntimeError(f"register_hook: {self!r} wants no gradient")
        if self.hooks is None:
            self.hooks = {}
        return Hook(self.hooks, hook)

    def zero_grad(self) -> None:
        self.grad = None

    def mark_written(self) -> None:
        """Say that `value` was changed in place: a backward through operations that used it before is then an error."""
        self.written = next_serial()

    # One number, an array, a sequence

    def item(self) -> float | int | bool:
        self.refuse_while_retracing("item()")
        return self.value.item()

    def __float__(self) -> float:
        self.refuse_while_retracing("float()")
        return float(self.value.item())

    def __int__(self) -> int:
        self.refuse_while_retracing("int()")
        return int(self.value.item())

    def __bool__(self) -> bool:
        self.refuse_while_retracing("bool()")
        if self.value.size != 1:
            raise ValueError(f"the truth of a Tensor of shape {self.shape} is ambiguous; compare .value with .all() or .any()")
        return bool(self.value.item())

    def __format__(self, spec: str) -> str:
        return format(self.value.item() if spec else repr(self), spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self.refuse_while_retracing("np.asarray()")
        return np.array(self.value, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Tensor:
        parts = list(key) if isinstance(key, tuple) else [key]
        places = tuple(i for i, part in enumerate(parts) if isinstance(part, Tensor))
        if not places:
            return operations["getitem"](self, key=key)
        indices = [parts[i].as_index() for i in places]
        for i in places:
            parts[i] = None
        return operations["getitem"](self, *indices, key=tuple(parts), places=places)

    def as_index(self) -> Tensor:
        """What stands for this Tensor in x[...]: itself, unless an index of its kind cannot be recorded."""
        return self

    def refuse_while_retracing(self, what: str) -> None:
        """For a derivative of a derivative an operation is run on Tensors: whatever made one a constant would be wrong."""
        name = retracing.get()
        if name:
            raise TypeError(f"{name}: {what} of a Tensor while {name} is differentiated a second time, which would make it a "
                            f"constant; write {name} in NumPy's functions and operators, without writing in place, or give it "
                            "`composed`, the same in plain operations")

    def __setitem__(self, key: Any, value: Any) -> None:
        self.refuse_while_retracing("item assignment")
        raise TypeError("a Tensor cannot be assigned into, its graph would not know; use nnkit.ops.where, or assign to .value")

    # Arithmetic

    def __add__(self, other): return operations["add"](self, other)
    def __radd__(self, other): return operations["add"](other, self)
    def __sub__(self, other): return operations["subtract"](self, other)
    def __rsub__(self, other): return operations["subtract"](other, self)
    def __mul__(self, other): return operations["multiply"](self, other)
    def __rmul__(self, other): return operations["multiply"](other, self)
    def __truediv__(self, other): return operations["divide"](self, other)
    def __rtruediv__(self, other): return operations["divide"](other, self)
    def __pow__(self, other): return operations["power"](self, other)
    def __rpow__(self, other): return operations["power"](other, self)
    def __matmul__(self, other): return operations["matmul"](self, other)
    def __rmatmul__(self, other): return operations["matmul"](other, self)
    def __neg__(self): return operations["negative"](self)
    def __abs__(self): return operations["absolute"](self)

    # Comparisons, and what joins them: elementwise and without a gradient

    __hash__ = object.__hash__

    def __eq__(self, other): return _compare(np.equal, self, other)
    def __ne__(self, other): return _compare(np.not_equal, self, other)
    def __lt__(self, other): return _compare(np.less, self, other)
    def __le__(self, other): return _compare(np.less_equal, self, other)
    def __gt__(self, other): return _compare(np.greater, self, other)
    def __ge__(self, other): return _compare(np.greater_equal, self, other)
    def __and__(self, other): return _compare(np.bitwise_and, self, other)
    def __rand__(self, other): return _compare(np.bitwise_and, other, self)
    def __or__(self, other): return _compare(np.bitwise_or, self, other)
    def __ror__(self, other): return _compare(np.bitwise_or, other, self)
    def __xor__(self, other): return _compare(np.bitwise_xor, self, other)
    def __rxor__(self, other): return _compare(np.bitwise_xor, other, self)
    def __invert__(self): return _compare(np.invert, self)

    # Methods that NumPy's arrays have

    @property
    def T(self) -> Tensor:
        return operations["transpose"](self)

    @property
    def mT(self) -> Tensor:
        return operations["swapaxes"](self, axis1=-1, axis2=-2)

    def sum(self, axis=None, keepdims=False): return operations["sum"](self, axis=axis, keepdims=keepdims)
    def mean(self, axis=None, keepdims=False): return operations["mean"](self, axis=axis, keepdims=keepdims)
    def max(self, axis=None, keepdims=False): return operations["max"](self, axis=axis, keepdims=keepdims)
    def min(self, axis=None, keepdims=False): return operations["min"](self, axis=axis, keepdims=keepdims)
    def swapaxes(self, axis1, axis2): return operations["swapaxes"](self, axis1=axis1, axis2=axis2)

    def reshape(self, *shape):
        return operations["reshape"](self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return operations["transpose"](self, axes=axes or None)

    # NumPy's own functions, and arrays on the left of an operator

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **attributes):
        if out is not None:
            self.refuse_while_retracing("writing in place (out=, +=)")
            raise TypeError(f"np.{ufunc.__name__}(..., out=) cannot write into a Tensor, nor a Tensor's value into an array")
        if method == "__call__":
            if ufunc.__name__ in operations:
                return operations[ufunc.__name__](*inputs, **attributes)
            if ufunc in _COMPARISONS:
                return _compare(ufunc, *inputs)
        raise TypeError(f"np.{ufunc.__name__}{'' if method == '__call__' else '.' + method} has no operation on Tensors; "
                        "use .value for its number without a gradient, or write an operation (nnkit.tensor_op)")

    def __array_function__(self, function, types, args, kwargs):
        if function in _QUESTIONS:
            return _QUESTIONS[function](args[0], *args[1:], **kwargs)
        if function in numpy_functions:
            return numpy_functions[function](*args, **kwargs)
        raise TypeError(f"np.{function.__name__} has no operation on Tensors; "
                        "use .value for its number without a gradient, or write an operation (nnkit.tensor_op)")


class Hook:
    """A hook on a Tensor's gradient; `remove()` ends it."""

    def __init__(self, hooks: dict[Hook, Callable], hook: Callable):
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        self._hooks.pop(self, None)


_QUESTIONS: dict[Any, Callable[..., Any]] = {
    np.shape: lambda a: a.shape, np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis]}  # a recording must not read the value
_COMPARISONS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.bitwise_and, np.bitwise_or,
                np.bitwise_xor, np.invert, np.logical_and, np.logical_or, np.logical_xor, np.logical_not}


def _compare(comparison: np.ufunc, *inputs: Any) -> Tensor:
    observer = mode.get().observer
    if observer is not None and observer.records:
        return observer.compare(comparison, inputs)
    return Tensor(np.asarray(comparison(*(x.value if isinstance(x, Tensor) else x for x in inputs))))


class Later:
    """What an operation's forward may return for a number that is dear and seldom read: compute() -> array () of dtype."""

    def __init__(self, compute: Callable[[], Any], dtype: np.dtype):
        self.compute, self.dtype = compute, dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.compute(), dtype or self.dtype)


class LaterTensor(Tensor):
    """A number that is computed when `value` is first read; its gradient needs no value."""

    __slots__ = ("known", "later")

    later: Later | None
    known: np.ndarray | None

    @property
    def value(self) -> np.ndarray:
        if self.known is None:
            self.known = np.asarray(self.later)
            self.later = None
        return self.known

    @value.setter
    def value(self, given: Any) -> None:
        self.later, self.known = (given, None) if type(given) is Later else (None, given)

    shape = property(lambda self: ())
    dtype = property(lambda self: self.value.dtype if self.later is None else self.later.dtype)


_new = Tensor.__new__


def new_node(value: np.ndarray, inputs: tuple, operation: Any, ctx: Any, attributes: Any) -> Tensor:
    """What `apply` returns: a Tensor without the questions of the constructor, which cost more than a small operation."""
    node = _new(Tensor if type(value) is np.ndarray else LaterTensor)
    node.value = value
    node.inputs = inputs
    node.operation = operation
    node.ctx = ctx
    node.attributes = attributes
    node.requires_grad = operation is not None
    node.grad = None
    node.name = None
    node.hooks = None
    node.serial = next_serial()
    return node
