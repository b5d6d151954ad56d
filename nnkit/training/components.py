"""Layers named in YAML: `{type: Linear, out_features: 64}` is a class of nnkit.nn with its constructor's own arguments."""

from __future__ import annotations

import difflib
import inspect
from typing import Annotated, Any, get_args, get_type_hints

import numpy as np
from pydantic import BeforeValidator

from nnkit import nn
from nnkit.nn import Module, Sequential

SUPPLIED = ("rng", "in_features")  # by the trainer: its generator, and what the layer before gives


def known_layers() -> dict[str, type[Module]]:
    """The layers a config may name: those that map features to features, which Embedding does not."""
    return {name: c for name, c in vars(nn).items()
            if isinstance(c, type) and issubclass(c, Module) and c not in (Module, Sequential, nn.Embedding)}


def check_layer(spec: Any) -> dict[str, Any]:
    """A layer's mapping, refused with a ValueError where its class or an argument does not exist or is of another type."""
    if not isinstance(spec, dict) or not isinstance(spec.get("type"), str):
        raise ValueError(f"expected a layer such as {{type: Linear, out_features: 64}}, got {spec!r}")
    layers = known_layers()
    if spec["type"] not in layers:
        near = difflib.get_close_matches(spec["type"], layers, 1, 0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no layer named {spec['type']!r}; {hint}known layers: {', '.join(layers)}")
    hints, parameters = _arguments(layers[spec["type"]])
    for name, value in spec.items():
        if name == "type":
            continue
        if name not in parameters or name == "rng":
            known = [p for p in parameters if p != "rng"]
            near = difflib.get_close_matches(name, known, 1, 0.5)
            raise ValueError(f"{spec['type']} has no argument {name!r}; "
                             + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"))
        allowed = get_args(hints[name]) or (hints[name],)
        if not (type(value) in allowed or (float in allowed and type(value) is int)):
            wanted = " or ".join("null" if t is type(None) else t.__name__ for t in allowed)
            raise ValueError(f"{spec['type']}.{name}: expected {wanted}, got {value!r}")
    return spec


LayerSpec = Annotated[dict[str, Any], BeforeValidator(check_layer)]


def build_layers(specs: list[dict[str, Any]], in_features: int, out_features: int, rng: np.random.Generator) -> Sequential:
    """The layers one after the other. in_features may be left out of each, and out_features of the last Linear.

    ValueError names the layer (`model.layers[1]`) whose arguments are missing or refused by it.
    """
    layers, width = [], in_features
    last = max((i for i, spec in enumerate(specs) if spec["type"] == "Linear"), default=-1)
    for i, spec in enumerate(specs):
        kind = known_layers()[spec["type"]]
        _, parameters = _arguments(kind)
        given = {name: value for name, value in spec.items() if name != "type"}
        if "rng" in parameters:
            given["rng"] = rng
        if "in_features" in parameters:
            given.setdefault("in_features", width)
        if i == last:
            given.setdefault("out_features", out_features)
        missing = [n for n, p in parameters.items() if p.default is p.empty and n not in given]
        if missing:
            raise ValueError(f"model.layers[{i}]: {spec['type']} needs {', '.join(missing)}")
        if given.get("in_features", width) != width:
            raise ValueError(f"model.layers[{i}]: in_features is {given['in_features']}, but {width} come in; leave it out")
        try:
            layers.append(kind(**given))
        except (TypeError, ValueError) as error:
            raise ValueError(f"model.layers[{i}]: {error}") from error
        width = given.get("out_features", width)
    if width != out_features:
        raise ValueError(f"model.layers: {width} numbers come out, but there are {out_features} classes; "
                         "end with {type: Linear}")
    return Sequential(*layers)


def _arguments(kind: type[Module]) -> tuple[dict[str, Any], dict[str, inspect.Parameter]]:
    """Types and parameters of a layer's constructor."""
    if kind.__init__ is object.__init__:
        return {}, {}
    parameters = {name: p for name, p in inspect.signature(kind).parameters.items()}
    return get_type_hints(kind.__init__), parameters
