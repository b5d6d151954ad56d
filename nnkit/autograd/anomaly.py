"""detect_anomaly: run slowly, and name the operation that first made a NaN, or whose input was changed behind its back."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from nnkit.autograd.modes import _Setting, observed
from nnkit.autograd.rows import RowGrad
from nnkit.autograd.tensor import Tensor


class AnomalyError(ArithmeticError):
    """An operation made a NaN of numbers, or its input was changed between forward and backward."""


class Anomalies:
    """The observer: looks at every result and every gradient, and remembers a checksum of every input."""

    records = False  # it watches what is done, and does not do it

    def entered(self, module: Any) -> None:
        """A module was called: nothing to look at."""

    def saw(self, node: Tensor, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        values = [x.value if isinstance(x, Tensor) else x for x in inputs]
        if has_nan(node.value) and not any(map(has_nan, values)):
            raise AnomalyError(f"{operation.__name__}: forward made a NaN of {describe(values)}")
        if node.operation is not None:
            node.checksums = [checksum(x) for x in inputs]  # type: ignore[attr-defined]

    def before_backward(self, node: Tensor) -> None:
        for i, (x, before) in enumerate(zip(node.inputs, getattr(node, "checksums", []))):
            if checksum(x) != before:
                raise AnomalyError(f"{node.operation.__name__}: the value of input {i}, {x!r}, was changed in place between "
                                   "forward and backward; its gradient would be wrong")

    def after_backward(self, node: Tensor, grad: Any, grads: Any) -> None:
        if has_nan(grad):
            return
        for i, given in enumerate(grads):
            if given is not None and has_nan(given.values if isinstance(given, RowGrad) else given):
                values = [x.value if isinstance(x, Tensor) else x for x in node.inputs]
                raise AnomalyError(f"{node.operation.__name__}: backward made a NaN in the gradient of input {i}; its inputs "
                                   f"were {describe(values)}")


def detect_anomaly() -> _Setting:
    """`with detect_anomaly():` around forward and backward. AnomalyError names the operation, the input and its range."""
    return observed(Anomalies())


def has_nan(value: Any) -> bool:
    value = np.asarray(value) if not isinstance(value, np.ndarray) else value
    return value.dtype.kind == "f" and bool(np.isnan(value).any())


def checksum(x: Any) -> int | None:
    return zlib.crc32(x.value.tobytes()) if isinstance(x, Tensor) and x.value.size else None


def describe(values: list[Any]) -> str:
    parts = []
    for value in values:
        value = np.asarray(value)
        if value.dtype.kind not in "fiu" or not value.size:
            parts.append(f"{value.shape} {value.dtype}")
        else:
            parts.append(f"{value.shape} from {value.min():.4g} to {value.max():.4g}")
    return "inputs " + ", ".join(parts)
