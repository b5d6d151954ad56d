"""Layers named in YAML: `{type: Linear, out_features: 64}` is a class with its constructor's own arguments.

The class is one of nnkit.nn, or one of the user's own (`layers.py:Highway`, see own_layers.py). How many features come in may be
left out, and `rng` is supplied. What can be told of a layer by itself is checked when the config is read; the rest when the
layers are made, for then it is known how many features come in.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from nnkit import nn
from nnkit.autograd import Tensor, get_default_dtype, no_grad
from nnkit.nn import Module, Sequential
from nnkit.training.arguments import Arguments, is_union, layers_in, typed
from nnkit.training.own_code import line_of
from nnkit.training.own_layers import class_of, is_own, keys_of_names, resolved, split
from nnkit.training.places import AtKey, KeyedError, dotted, shortened
from nnkit.training.schema import locate

COMES_IN = ("in_features", "num_features", "normalized_shape")  # arguments that the layer before says, and may be left out
SUPPLIED = (*COMES_IN, "out_features", "rng")                   # what is not missing before the layers are made
OF_OTHERS = {"Module", "Sequential", "Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "MultiHeadAttention", "Conv1d",
             "MaxOverTime", "MaxPool1d", "TransformerEncoderLayer", "TransformerDecoderLayer",
             "PositionalEncoding"}  # take ids or sequences, or give more than one result

Keys = tuple[str | int, ...]


class Layer(dict[str, Any]):
    """A layer's mapping after it was checked. kind: its class, as its file was when the config was read."""

    kind: type[Module]


# When the config is read

def known_layers() -> dict[str, type[Module]]:
    """The layers of nnkit.nn that a config may name: those that map features to features."""
    found = {name: getattr(nn, name) for name in nn.__all__ if name not in OF_OTHERS}
    return {name: c for name, c in found.items() if isinstance(c, type) and issubclass(c, Module)}


def check_layer(spec: Any) -> Layer:
    """A layer's mapping; a ValueError, mostly an AtKey, where its class or an argument does not exist or is of another type."""
    if not isinstance(spec, dict) or "type" not in spec:
        near = difflib.get_close_matches("type", spec, 1, 0.5) if isinstance(spec, dict) else []
        if near:
            raise AtKey(f"unknown key {near[0]!r}; did you mean 'type'?", near[0])
        raise ValueError(f"expected a layer such as {{type: Linear, out_features: 64}}, got {shortened(repr(spec))}")
    layer = Layer(spec)
    layer.kind = _kind(spec["type"])
    name, arguments = layer.kind.__name__, Arguments(layer.kind)
    for argument, value in spec.items():
        if argument == "type":
            continue
        if argument == "rng" or not (argument in arguments.hints or arguments.takes_any):
            known = [p for p in arguments.hints if p != "rng"]
            near = difflib.get_close_matches(argument, known, 1, 0.5)
            raise AtKey(f"{name} has no argument {shortened(repr(argument))}; "
                        + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"), argument)
        layer[argument] = _argument(name, argument, value, arguments.hints.get(argument, Any))
    missing = [p for p in arguments.required if p not in layer and p not in SUPPLIED]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}")
    if not {*COMES_IN, "out_features"} & arguments.hints.keys() and not any(map(_is_of_layers, layer.values())):
        try:  # what it is made of is all there: the constructor's own mistakes show now, before any data is read
            _make(layer, {"rng": np.random.default_rng(0)} if "rng" in arguments.hints else {})
        except ValueError as error:
            raise AtKey(str(error), _named(error, layer)) from None
    return layer


def _kind(name: Any) -> type[Module]:
    """The class of this name; AtKey where there is none."""
    try:
        if is_own(name):
            return class_of(resolved(name, Path.cwd()))  # a config's own names are whole paths by now
    except ValueError as error:
        raise AtKey(str(error), "type", of_value=True) from None
    layers = known_layers()
    if isinstance(name, str) and name in layers:
        return layers[name]
    near = difflib.get_close_matches(str(name), layers, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if isinstance(name, str) and name in OF_OTHERS:
        hint = "what is of that name is for ids or sequences; "
    raise AtKey(f"no layer named {shortened(repr(name))}; {hint}known layers: {', '.join(layers)}, and path/to/file.py:ClassName "
                "for one of your own", "type", of_value=True)


def _argument(name: str, argument: str, value: Any, hint: Any) -> Any:
    """The value as the constructor takes it, but for layers, which are checked and made later."""
    takes = layers_in(hint)
    is_layer = isinstance(value, list) if takes == "many" else isinstance(value, (dict, list)) or not is_union(hint)
    if takes is None or not is_layer:
        try:
            return typed(value, hint)
        except ValueError as error:
            raise AtKey(f"{name}.{argument}: {error}", argument, of_value=True) from None
    several = takes == "many" or (isinstance(value, list) and bool(value))
    checked = []
    for i, inner in enumerate(value if several else [value]):
        way = (argument, i) if several else (argument,)
        try:
            checked.append(check_layer(inner))
        except ValueError as error:
            keys, of_value = (error.keys, error.of_value) if isinstance(error, AtKey) else ((), True)
            raise AtKey(f"{name}.{dotted(way)}: {error}", (*way, *keys), of_value) from None
    return checked if several else checked[0]


def _is_of_layers(value: Any) -> bool:
    return isinstance(value, Layer) or (isinstance(value, list) and any(isinstance(inner, Layer) for inner in value))


def _layer(spec: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Layer:
    locate(info, list(keys_of_names(spec)), resolved)
    return check_layer(spec)  # and not what the handler makes of it, a plain dict


LayerSpec = Annotated[dict[str, Any], WrapValidator(_layer)]
"""A layer in a config, which `build_layers` makes. The path in its type becomes absolute."""


# When the layers are made

def build_layers(specs: list[dict[str, Any]], in_features: int, out_features: int, rng: np.random.Generator,
                 keys: Keys = ("model", "layers")) -> Sequential:
    """The layers one after the other. How many features come in may be left out of each, and out_features of the last with such.

    keys: where the config has them. KeyedError names the layer (`model.layers[1]`) whose arguments are missing or refused by it,
    or which gives another number of features than it says.
    """
    layers, width = _chain({(*keys, i): spec for i, spec in enumerate(specs)}, in_features, out_features, rng)
    if width != out_features:
        raise KeyedError(keys, f"{width} numbers come out, but there are {out_features} classes; end with {{type: Linear}}")
    return Sequential(*layers)


def _chain(specs: Mapping[Keys, dict[str, Any]], width: int, out_features: int, rng: np.random.Generator
           ) -> tuple[list[Module], int]:
    """The layers whose descriptions stand at these places of the config, and how many features come out of the last."""
    layers: list[Module] = []
    checked = {keys: spec if isinstance(spec, Layer) else _of_recipe(keys, spec) for keys, spec in specs.items()}
    arguments = {keys: Arguments(layer.kind) for keys, layer in checked.items()}
    last = next((keys for keys in reversed(checked) if "out_features" in arguments[keys].required), None)
    for keys, layer in checked.items():
        hints = arguments[keys].hints
        added: dict[str, Any] = {"rng": rng} if "rng" in hints else {}
        if keys == last and "out_features" not in layer:
            added["out_features"] = out_features
        for name in COMES_IN:
            if layer.get(name, width) not in (width, (width,)):
                raise KeyedError(keys, f"{name} is {layer[name]}, but {width} come in; leave it out", (name,))
            if name in hints and name not in layer:
                added[name] = width
        missing = [name for name in arguments[keys].required if name not in layer and name not in added]
        if missing:
            raise KeyedError(keys, f"{layer.kind.__name__} needs {', '.join(missing)}")
        for name, value in layer.items():
            if _is_of_layers(value):
                added[name] = _inner((*keys, name), value, width, rng, layer.kind, layers_in(hints[name]) == "many")
        try:
            layers.append(_make(layer, added))
        except ValueError as error:
            raise KeyedError(keys, str(error), _named(error, layer)) from error
        says = getattr(layers[-1], "out_features", None)
        says = says if type(says) is int else {**layer, **added}.get("out_features", width)
        if is_own(layer["type"]):
            _check_width(keys, layer, layers[-1], width, says)
        width = says
    return layers, width


def _of_recipe(keys: Keys, spec: dict[str, Any]) -> Layer:
    """A layer that stands in a recipe, and was not read from a config."""
    try:
        return check_layer(spec)
    except ValueError as error:
        raise KeyedError(keys, str(error)) from error


def _inner(keys: Keys, spec: Any, width: int, rng: np.random.Generator, outer: type[Module], apart: bool) -> Any:
    """The layer, or the layers one after the other, inside of another; `apart`: a list of them, each for what comes in."""
    if apart:
        return [_chain({(*keys, i): inner}, width, width, rng)[0][0] for i, inner in enumerate(spec)]
    several = isinstance(spec, list)
    layers, made = _chain({(*keys, i): inner for i, inner in enumerate(spec)} if several else {keys: spec}, width, width, rng)
    if issubclass(outer, nn.Residual) and made != width:
        raise KeyedError(keys, f"{made} numbers come out, but {width} come in, to which they are added; end it with "
                         "{type: Linear}")
    return Sequential(*layers) if several else layers[0]


def _make(layer: Layer, added: dict[str, Any]) -> Module:
    """Call the constructor. ValueError where it refuses, and where one of the user's own fails in any other way."""
    try:
        return layer.kind(**{name: value for name, value in layer.items() if name != "type"} | added)
    except Exception as error:
        if not is_own(layer["type"]) and not isinstance(error, (TypeError, ValueError)):
            raise
        if not is_own(layer["type"]):
            raise ValueError(str(error)) from error
        file = split(layer["type"])[0]
        line = line_of(error, Path(file))
        raise ValueError(f"{file}{f':{line}' if line else ''}: {type(error).__name__}: {error}") from error


def _named(error: ValueError, layer: Layer) -> tuple[str, ...]:
    """The argument that the constructor's own text is about, if it names one that the config gives."""
    text = str(error.__cause__)
    return next(((name,) for name in layer if name != "type" and re.search(rf"\b{re.escape(name)}\b", text)), ())


def _check_width(keys: Keys, layer: Layer, module: Module, width: int, says: int) -> None:
    """KeyedError where a layer of the user's own gives another number of features than it says, as nothing fits behind it then.

    It is tried on zeros, and on a copy, for it may count or draw. Where it cannot be tried so, the training will show it.
    """
    x = Tensor(np.zeros((2, width), get_default_dtype()), requires_grad=False)
    try:
        with no_grad(), np.errstate(all="ignore"):
            shape = np.shape(copy.deepcopy(module).eval()(x))
    except Exception:
        return
    if len(shape) == 2 and shape[1] != says:
        raise KeyedError(keys, f"{layer.kind.__name__} makes {shape[1]} features of {width}, and {says} were expected; set "
                         f"self.out_features = {shape[1]} in its __init__, by which the layers behind it know")
