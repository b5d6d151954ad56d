"""Where in a model something went wrong: an error that leaves a layer is given the layer's path.

On its way up it passes every module that was called. The first is the layer itself; each one above it knows a longer path to
it, and the last is the model: `layers.2 Linear(64, 10): expected an input of shape (..., 64), got (32, 50)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.autograd import Tensor

NAMED = (ValueError, TypeError, LookupError, RuntimeError, AttributeError, NameError, ArithmeticError, AssertionError)
# of what is written in a layer or an operation, or of what is given to it; not of files, memory or an interrupt


def locate(error: Any, module: Any, inputs: tuple) -> None:
    """Put the path from `module` to the layer that the error comes from in front of its text.

    The error keeps its class. `error.trail` are the modules that it passed, the layer first, and `error.said` its text without a
    path; an error whose text is not its one argument keeps its text.
    """
    if not hasattr(error, "trail"):
        text = said(error)
        error.said = (text if text.startswith(repr(module)) else f"{label(module)}: {text}") + strange_input(inputs)
        error.trail = []
    error.trail.append(module)
    if isinstance(error, np.exceptions.AxisError):  # which makes its text of two numbers, or takes it as it is
        error.__init__(text_in(module, error))  # type: ignore[misc]
    elif error.args == (str(error),):  # of a KeyError the text is the key's repr
        error.args = (text_in(module, error),)


def said(error: BaseException) -> str:
    """Its text; of one that says nothing without its name, KeyError: 'b' for instance, with it."""
    return str(error) if str(error) and not isinstance(error, KeyError) else f"{type(error).__name__}: {error}".rstrip(": ")


def text_in(root: Any, error: Any) -> str:
    """What an error says that `locate` has seen, with the path of its layer in root."""
    paths = {id(module): path for path, module in root.named_modules()}
    for module in error.trail:
        path = paths.get(id(module))
        if path is not None:  # else it hangs on nothing that is looked through: a set, a variable
            return f"{path} {'' if module is error.trail[0] else f'{label(module)}: '}{error.said}".strip()
    return error.said


def label(module: Any) -> str:
    """`Linear(50, 64)`; of a module that holds others its class alone."""
    holds_others = len(list(module.modules())) > 1
    text = type(module).__name__ if holds_others else repr(module)
    return text if len(text) <= 60 else f"{text[:57]}..."


def strange_input(inputs: tuple) -> str:
    """What to say of a layer's input that is what another layer returned by mistake."""
    x = inputs[0] if inputs else ()
    if x is None:
        return "; its input is None: does what stands before it return nothing, for a `return` is missing in a forward?"
    if isinstance(x, dict):
        return "; its input is a dict: what stands before it is to return a Tensor"
    if isinstance(x, (tuple, list)) and any(isinstance(part, Tensor) for part in x):
        return (f"; its input is a {type(x).__name__} of {len(x)}: what stands before it returns more than one result, as "
                "recurrent layers do; pass on the one that is meant")
    return ""
