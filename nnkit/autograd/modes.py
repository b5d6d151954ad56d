"""What holds for a stretch of code in one thread: whether a graph is kept, who watches, which dtype Python floats become.

Both are context variables, so that threads never see each other's choice and an exception restores what was.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

import numpy as np


class Mode(NamedTuple):
    """grad: whether operations keep a graph. observer: an object that hears of each operation, or None; see `observed`."""

    grad: bool = True
    observer: Any = None


mode: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039 (a tuple)
_default_dtype: ContextVar[np.dtype] = ContextVar("default_dtype", default=np.dtype(np.float32))  # noqa: B039 (a dtype never changes)


# The operation whose forward and backward are run again on Tensors (higher.py); "" at all other times.
retracing: ContextVar[str] = ContextVar("retracing", default="")


class _Setting(ContextDecorator):
    """`with setting:` changes a context variable and puts back what was; nested and as a decorator, too."""

    def __init__(self, variable: ContextVar, change: Callable[[Any], Any]):
        self._variable = variable
        self._change = change
        self._tokens: list[Token] = []

    def _recreate_cm(self):
        return _Setting(self._variable, self._change)  # a decorated function may run in many threads at once

    def __call__(self, function: Any) -> Any:
        """As a decorator; a generator function has the setting while it runs, and whoever takes its items does not."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def steps(*args, **kwargs):
            items = function(*args, **kwargs)
            while True:
                with self._recreate_cm():
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

        return steps

    def __enter__(self):
        self._tokens.append(self._variable.set(self._change(self._variable.get())))
        return self

    def __exit__(self, *exception):
        self._variable.reset(self._tokens.pop())
        return False


def no_grad() -> _Setting:
    """`with no_grad():` or `@no_grad()`: operations inside keep no graph, and their results want no gradient.

    A generator that yields inside `with no_grad():` leaves it switched on for whoever takes its items; decorate it instead.
    """
    return _Setting(mode, lambda now: now._replace(grad=False))


def enable_grad() -> _Setting:
    """The opposite of `no_grad`, for a stretch inside it."""
    return _Setting(mode, lambda now: now._replace(grad=True))


def observed(observer: Any) -> _Setting:
    """`with observed(observer):` every operation, backward and module tells the observer what it does.

    records: False: operations do their work, then call saw(node, operation, inputs, attributes); backward calls
    before_backward(node) and after_backward(node, grad, grads). True: apply(operation, inputs, attributes) does the work.
    entered(module): a module is being called; left(module, inputs, options, result): it gave its result.
    """
    return _Setting(mode, lambda now: now._replace(observer=observer))


class Observer:
    """An observer that hears of everything and does nothing: a base for those that care for some of it. See `observed`."""

    records = False

    def entered(self, module: Any) -> None:
        pass

    def left(self, module: Any, inputs: tuple, options: dict[str, Any], result: Any) -> None:
        pass

    def saw(self, node: Any, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        pass

    def before_backward(self, node: Any) -> None:
        pass

    def after_backward(self, node: Any, grad: Any, grads: Any) -> None:
        pass


def default_dtype(dtype: Any) -> _Setting:
    """`with default_dtype(np.float64):` Python floats and new parameters are of this dtype (float32 elsewhere).

    TypeError unless it is a floating dtype.
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"default_dtype: expected a floating dtype, got {dtype}")
    return _Setting(_default_dtype, lambda now: dtype)


def get_default_dtype() -> np.dtype:
    """The floating dtype of Python floats and of new parameters here and now."""
    return _default_dtype.get()
