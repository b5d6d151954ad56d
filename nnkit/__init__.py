"""nnkit: a neural-network training toolkit on NumPy.

The names here are the ones a program uses. What needs pydantic, yaml or matplotlib (`fit`, `resume`, `load`) is imported when
it is first asked for, and so are the parts that a program with a model of its own may do without.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnkit import nn, ops
from nnkit.autograd import (
    AnomalyError,
    Operation,
    RecordingError,
    RowGrad,
    Tensor,
    backward,
    check_gradients,
    default_dtype,
    detect_anomaly,
    enable_grad,
    grad,
    hessian,
    jacobian,
    no_grad,
    record,
    scatter_add_rows,
    tensor_op,
)
from nnkit.errors import ConfigError, DataError, Diverged, UserError
from nnkit.nn import load_into, save

if TYPE_CHECKING:
    from nnkit import data, losses, metrics, optim

__all__ = ["AnomalyError", "ConfigError", "DataError", "Diverged", "Operation", "RecordingError", "RowGrad", "Tensor",
           "UserError", "backward", "check_gradients", "data", "default_dtype", "detect_anomaly", "draw", "enable_grad", "fit",
           "grad", "hessian", "jacobian", "load", "load_into", "losses", "metrics", "nn", "no_grad", "ops", "optim", "record",
           "resume", "save", "scatter_add_rows", "tensor_op"]


def __getattr__(name: str) -> Any:
    if name in ("data", "losses", "metrics", "optim"):
        return importlib.import_module(f"nnkit.{name}")  # which makes it an attribute
    if name in ("fit", "resume"):
        from nnkit.training import session

        return getattr(session, name)
    if name == "load":
        from nnkit.training import using

        return using.load
    if name == "draw":
        from nnkit import show

        return show.draw
    raise AttributeError(f"module 'nnkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
