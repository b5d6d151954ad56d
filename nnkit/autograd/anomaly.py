"""detect_anomaly: run slowly, and name the operation that first made a NaN, or whose numbers were changed behind its back.

What nobody can see in passing, for looking costs more than the operation itself: numbers that are written straight into a
`.value` between forward and backward, and a layer that returns an array, in which the gradient ends without a word.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnkit.autograd.modes import Observer, _Setting, mode, observed
from nnkit.autograd.rows import RowGrad
from nnkit.autograd.tensor import LaterTensor, Tensor


class AnomalyError(ArithmeticError):
    """An operation made a NaN of numbers, or its input or its result was changed between forward and backward."""


class Watch(Observer):
    """Finds a layer in which the gradient ends."""

    def __init__(self) -> None:
        self.stack: list[Any] = []  # the modules that are being called, the outermost first

    def entered(self, module: Any) -> None:
        self.stack.append(module)

    def left(self, module: Any, inputs: tuple, options: dict[str, Any], result: Any) -> None:
        while self.stack and self.stack.pop() is not module:
            pass  # one that raised, and somebody caught it
        check_result(module, (*inputs, *options.values()), result)


class Changes(Watch):
    """Remembers a checksum of every input and every result, and compares it before each backward.

    name_of: what a module or a Tensor is called, its path in a model for instance; else by what it looks like.
    """

    def __init__(self, name_of: Callable[[Any], str] | None = None):
        super().__init__()
        self.name_of = name_of or (lambda thing: repr(thing) if isinstance(thing, Tensor) else type(thing).__name__)

    def saw(self, node: Tensor, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        if node.operation is not None:
            node.checksums = [*map(checksum, inputs), checksum(node)]  # type: ignore[attr-defined]
            if self.stack:
                node.made_in = self.name_of(self.stack[-1])  # type: ignore[attr-defined]

    def before_backward(self, node: Tensor) -> None:
        for i, (x, before) in enumerate(zip((*node.inputs, node), getattr(node, "checksums", []))):
            if before is not None and checksum(x) != before and not is_spent_buffer(x, node):
                which = f"the value of input {i}, {self.shown(x)}," if x is not node else f"its result, {self.shown(x)},"
                where = f" in {node.made_in}" if hasattr(node, "made_in") else ""
                raise AnomalyError(f"{node.operation.__name__}{where}: {which} was changed in place between forward and "
                                   "backward; its gradient would be wrong: compute a new Tensor, do not write into .value")

    def shown(self, x: Any) -> str:
        return self.name_of(x) if isinstance(x, Tensor) else f"an array of shape {x.shape}"


class Anomalies(Changes):
    """Looks for NaN in every result and every gradient, too."""

    def saw(self, node: Tensor, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        values = [x.value if isinstance(x, Tensor) else x for x in inputs]
        if has_nan(node.value) and not any(map(has_nan, values)):
            raise AnomalyError(f"{operation.__name__}: forward made a NaN of {describe(values)}")
        super().saw(node, operation, inputs, attributes)

    def after_backward(self, node: Tensor, grad: Any, grads: Any) -> None:
        if has_nan(grad):
            return
        for i, given in enumerate(grads):
            if given is not None and has_nan(given.values if isinstance(given, RowGrad) else given):
                values = [x.value if isinstance(x, Tensor) else x for x in node.inputs]
                raise AnomalyError(f"{node.operation.__name__}: backward made a NaN in the gradient of input {i}; its inputs "
                                   f"were {describe(values)}")


def detect_anomaly() -> _Setting:
    """`with detect_anomaly():` around forward and backward. AnomalyError names the operation, the input and its range.

    Found are NaN, numbers written into a `.value` after an operation used or made it, and, as a TypeError, a layer whose forward
    returns an array, in which the gradient ends. It costs about as much as the training itself.
    """
    return observed(Anomalies())


def check_result(module: Any, inputs: tuple, result: Any) -> None:
    """TypeError where a gradient that its inputs or parameters want ends in the module: it returned an array, or a new leaf.

    Integers and booleans are fine, they have none; so is a Tensor with requires_grad=False, which says that it is meant, and
    anything beside a Tensor that has the gradient.
    """
    given = [x for x in parts(inputs) if isinstance(x, Tensor)]
    if not mode.get().grad or not any(x.requires_grad for x in [*given, *module.parameters()]):
        return
    dead = ""
    for part in parts(result):
        if isinstance(part, Tensor):
            # what `record` hands around is a leaf of a class of its own, and no end
            if part.requires_grad and type(part) is Tensor and part.is_leaf and not any(
                    part is known for known in [*given, *module.parameters()]):
                dead = "a new Tensor that was not computed from its input by operations"
            elif part.requires_grad:
                return
        elif isinstance(part, (np.ndarray, np.generic)) and part.dtype.kind == "f":
            dead = f"an array of shape {part.shape}, not a Tensor"
    if dead:
        raise TypeError(f"forward returned {dead}: the gradient ends there, and what it is computed from is not trained by it; "
                        "compute with nnkit.ops, or NumPy's functions on the Tensor, not on its .value; where that is meant, "
                        "return Tensor(..., requires_grad=False)")


def parts(value: Any) -> Iterator[Any]:
    """The value itself, or what a tuple or a list of them holds."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from parts(part)
    else:
        yield value


def is_spent_buffer(x: Any, node: Tensor) -> bool:
    """Whether x wants no gradient, a running mean for instance, and is not in ctx: then backward does not read it any more."""
    return isinstance(x, Tensor) and not x.requires_grad and not any(
        isinstance(part, np.ndarray) and np.may_share_memory(part, x.value) for part in parts(list(node.ctx or ())))


def has_nan(value: Any) -> bool:
    value = np.asarray(value) if not isinstance(value, np.ndarray) else value
    return value.dtype.kind == "f" and bool(np.isnan(value).any())


def checksum(x: Any) -> int | None:
    if isinstance(x, LaterTensor) and x.later is not None:  # not computed yet, and so not changed
        return None
    value = x.value if isinstance(x, Tensor) else x
    return zlib.crc32(np.ascontiguousarray(value).data) if isinstance(value, np.ndarray) and value.size else None


def describe(values: list[Any]) -> str:
    parts = []
    for value in values:
        value = np.asarray(value)
        if value.dtype.kind not in "fiu" or not value.size:
            parts.append(f"{value.shape} {value.dtype}")
        else:
            parts.append(f"{value.shape} from {value.min():.4g} to {value.max():.4g}")
    return "inputs " + ", ".join(parts)
