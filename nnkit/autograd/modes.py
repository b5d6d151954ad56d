"""What holds for a stretch of code in one thread: whether a graph is kept, and which dtype Python floats become.

Both are context variables, so that threads never see each other's choice and an exception restores what was.
"""

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any

import numpy as np

grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
_default_dtype: ContextVar[np.dtype] = ContextVar("default_dtype", default=np.dtype(np.float32))


class _Setting(ContextDecorator):
    """`with setting:` sets a context variable and puts back what was; nested and as a decorator, too."""

    def __init__(self, variable: ContextVar, value: Any):
        self._variable = variable
        self._value = value
        self._tokens: list[Token] = []

    def _recreate_cm(self):
        return _Setting(self._variable, self._value)  # a decorated function may run in many threads at once

    def __enter__(self):
        self._tokens.append(self._variable.set(self._value))
        return self

    def __exit__(self, *exception):
        self._variable.reset(self._tokens.pop())
        return False


def no_grad() -> _Setting:
    """`with no_grad():` or `@no_grad()`: operations inside keep no graph, and their results want no gradient."""
    return _Setting(grad_enabled, False)


def enable_grad() -> _Setting:
    """The opposite of `no_grad`, for a stretch inside it."""
    return _Setting(grad_enabled, True)


def default_dtype(dtype: Any) -> _Setting:
    """`with default_dtype(np.float64):` Python floats and new parameters are of this dtype (float32 elsewhere).

    TypeError unless it is a floating dtype.
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"default_dtype: expected a floating dtype, got {dtype}")
    return _Setting(_default_dtype, dtype)


def get_default_dtype() -> np.dtype:
    """The floating dtype of Python floats and of new parameters here and now."""
    return _default_dtype.get()
