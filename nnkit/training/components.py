"""Layers named in YAML: `{type: Linear, out_features: 64}` is a class of nnkit.nn with its constructor's own arguments."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BeforeValidator

from nnkit import nn
from nnkit.nn import Module, Sequential
from nnkit.training.places import AtKey, shortened

COMES_IN = ("in_features", "num_features", "normalized_shape")  # arguments that the layer before says, and may be left out
OF_OTHERS = {"Module", "Sequential", "Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "MultiHeadAttention", "Conv1d",
             "MaxOverTime", "MaxPool1d", "TransformerEncoderLayer", "TransformerDecoderLayer",
             "PositionalEncoding"}  # take ids or sequences, or give more than one result


def known_layers() -> dict[str, type[Module]]:
    """The layers a config may name: those that map features to features."""
    return {name: c for name, c in vars(nn).items()
            if isinstance(c, type) and issubclass(c, Module) and name not in OF_OTHERS}


def check_layer(spec: Any) -> dict[str, Any]:
    """A layer's mapping; a ValueError, mostly an AtKey, where its class or an argument does not exist or is of another type."""
    if not isinstance(spec, dict) or "type" not in spec:
        near = difflib.get_close_matches("type", spec, 1, 0.5) if isinstance(spec, dict) else []
        if near:
            raise AtKey(f"unknown key {near[0]!r}; did you mean 'type'?", near[0])
        raise ValueError(f"expected a layer such as {{type: Linear, out_features: 64}}, got {shortened(repr(spec))}")
    layers = known_layers()
    if not isinstance(spec["type"], str) or spec["type"] not in layers:
        near = difflib.get_close_matches(str(spec["type"]), layers, 1, 0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        text = f"no layer named {shortened(repr(spec['type']))}; {hint}known layers: {', '.join(layers)}"
        raise AtKey(text, "type", of_value=True)
    hints, parameters = _arguments(layers[spec["type"]])
    for name, value in spec.items():
        if name == "type":
            continue
        if name not in parameters or name == "rng":
            known = [p for p in parameters if p != "rng"]
            near = difflib.get_close_matches(name, known, 1, 0.5)
            raise AtKey(f"{spec['type']} has no argument {shortened(repr(name))}; "
                        + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"), name)
        if get_origin(hints[name]) is Callable:
            for inner in value if isinstance(value, list) and value else [value]:
                try:
                    check_layer(inner)
                except ValueError as error:
                    raise AtKey(f"{spec['type']}.{name}: {error}", name, of_value=True) from None
            continue
        allowed = get_args(hints[name]) or (hints[name],)
        if not (type(value) in allowed or (float in allowed and type(value) is int)):
            wanted = " or ".join("null" if t is type(None) else t.__name__ for t in allowed)
            raise AtKey(f"{spec['type']}.{name}: expected {wanted}, got {shortened(repr(value))}", name, of_value=True)
    return spec


LayerSpec = Annotated[dict[str, Any], BeforeValidator(check_layer)]


def build_layers(specs: list[dict[str, Any]], in_features: int, out_features: int, rng: np.random.Generator) -> Sequential:
    """The layers one after the other. How many features come in may be left out of each, and out_features of the last Linear.

    ValueError names the layer (`model.layers[1]`) whose arguments are missing or refused by it.
    """
    layers, width = _chain({f"model.layers[{i}]": spec for i, spec in enumerate(specs)}, in_features, out_features, rng)
    if width != out_features:
        raise ValueError(f"model.layers: {width} numbers come out, but there are {out_features} classes; "
                         "end with {type: Linear}")
    return Sequential(*layers)


def _chain(specs: dict[str, dict[str, Any]], width: int, out_features: int, rng: np.random.Generator
           ) -> tuple[list[Module], int]:
    """The layers whose descriptions stand at these places of the config, and how many features come out of the last."""
    layers = []
    last = max((place for place, spec in specs.items() if spec["type"] == "Linear"), key=list(specs).index, default=None)
    for place, spec in specs.items():
        kind = known_layers()[spec["type"]]
        hints, parameters = _arguments(kind)
        given = {name: value for name, value in spec.items() if name != "type"}
        if "rng" in parameters:
            given["rng"] = rng
        if place == last:
            given.setdefault("out_features", out_features)
        for name in COMES_IN:
            if name in parameters and given.setdefault(name, width) != width:
                raise ValueError(f"{place}: {name} is {given[name]}, but {width} come in; leave it out")
        missing = [n for n, p in parameters.items() if p.default is p.empty and n not in given]
        if missing:
            raise ValueError(f"{place}: {spec['type']} needs {', '.join(missing)}")
        for name in given:
            if get_origin(hints.get(name)) is Callable:
                given[name] = _inner(f"{place}.{name}", given[name], width, rng)
        try:
            layers.append(kind(**given))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {error}") from error
        width = given.get("out_features", width)
    return layers, width


def _inner(place: str, spec: Any, width: int, rng: np.random.Generator) -> Module:
    """The layer, or the layers one after the other, inside of another (Residual), which give as many features as they get."""
    several = isinstance(spec, list)
    specs = {f"{place}[{i}]": inner for i, inner in enumerate(spec)} if several else {place: spec}
    layers, made = _chain(specs, width, width, rng)
    if made != width:
        raise ValueError(f"{place}: {made} numbers come out, but {width} come in, to which they are added; "
                         "end it with {type: Linear}")
    return Sequential(*layers) if several else layers[0]


def _arguments(kind: type[Module]) -> tuple[dict[str, Any], dict[str, inspect.Parameter]]:
    """Types and parameters of a layer's constructor."""
    if kind.__init__ is object.__init__:
        return {}, {}
    parameters = {name: p for name, p in inspect.signature(kind).parameters.items()}
    return get_type_hints(kind.__init__), parameters
