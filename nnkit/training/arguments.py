"""The arguments of a class as a config may give them: their names, and the types that its constructor's hints ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from nnkit.nn import Module
from nnkit.training.places import shortened

LISTS = (list, Sequence, Iterable, Collection)


class Arguments:
    """hints: the type of each argument, Any where it has none that we can read; required: those without a default."""

    def __init__(self, kind: type):
        # of a class without __init__ Python shows (*args, **kwargs)
        parameters = {} if kind.__init__ is object.__init__ else dict(inspect.signature(kind).parameters)  # type: ignore[misc]
        named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self.hints = {name: hint_of(kind, name, p.annotation) for name, p in named.items()}
        self.required = [name for name, p in named.items() if p.default is p.empty]


def hint_of(kind: type, name: str, annotation: Any) -> Any:
    """An annotation that may be written as text, read where it was written; Any where it names what is not there."""
    if annotation is inspect.Parameter.empty:
        return Any
    function = inspect.unwrap(kind.__init__)  # type: ignore[misc]
    try:
        return get_type_hints(SimpleNamespace(__annotations__={name: annotation}), getattr(function, "__globals__", {}))[name]
    except Exception:  # imported for type checkers alone, or no type at all
        return Any


def layers_in(hint: Any) -> Literal["one", "many"] | None:
    """Whether an argument of this type takes a layer: a Callable or a Module; or a list of layers."""
    if is_union(hint):
        return next((found for part in get_args(hint) if (found := layers_in(part))), None)
    if get_origin(hint) in LISTS and layers_in(get_args(hint)[0]) == "one":
        return "many"
    return "one" if is_layer(hint) else None


def is_layer(hint: Any) -> bool:
    return hint is Callable or get_origin(hint) is Callable or (isinstance(hint, type) and issubclass(hint, Module))


def is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def typed(value: Any, hint: Any) -> Any:
    """The value of a config as one of this type, of which a list can become a tuple. ValueError where it is another.

    A type that a config has no values of is not looked at: the constructor may make something of it.
    """
    kind, parts = get_origin(hint) or hint, get_args(hint)
    fits = True
    if kind is Annotated:
        return typed(value, parts[0])
    if is_union(hint):
        for part in parts:
            try:
                return typed(value, part)
            except ValueError:
                fits = False
    elif kind is Literal:
        fits = any(type(value) is type(option) and value == option for option in parts)
    elif kind in LISTS or kind is tuple:
        if fits := isinstance(value, list):
            each = parts if kind is tuple and parts[1:] != (...,) else parts[:1] * len(value)
            if not parts:
                each = (Any,) * len(value)
            if fits := len(each) == len(value):
                items = [typed(item, inner) for item, inner in zip(value, each)]
                return tuple(items) if kind is tuple else items
    elif kind in (dict, Mapping):
        fits = isinstance(value, dict)
    elif kind is float:
        fits = type(value) in (int, float)
    elif kind in (int, bool, str, NoneType):
        fits = type(value) is kind
    elif is_layer(hint):
        fits = False
    if not fits:
        raise ValueError(f"expected {described(hint)}, got {shortened(repr(value))}")
    return value


def described(hint: Any) -> str:
    """A type in words."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if is_union(hint):
        return " or ".join(map(described, parts))
    if kind is Literal:
        return " or ".join(map(repr, parts))
    if kind is tuple and parts and parts[1:] != (...,):
        return f"a list of {len(parts)} ({', '.join(map(described, parts))})"
    if kind in LISTS or kind is tuple:
        return f"a list of {'layers' if is_layer(parts[0]) else described(parts[0])}" if parts else "a list"
    if kind in (dict, Mapping):
        return "a section"
    return "null" if kind is NoneType else "a layer" if is_layer(hint) else getattr(kind, "__name__", str(kind))
