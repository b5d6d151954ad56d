"""Values of a config as text: YAML that reads as what was written, and what an error shows of a value."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from nnkit.errors import ConfigError
from nnkit.training.places import shortened
from nnkit.training.yaml_nodes import CORE_RESOLVERS


def to_yaml(config: BaseModel, copies: Mapping[str, str] = {}) -> str:
    """The config with every default written out. Read again it gives an equal one.

    copies: for files that types of layers name, as `file.py:Layer`, the paths to write in their place.
    """
    return _dump(_renamed(config.model_dump(mode="json"), copies), flow=False)


def _renamed(value: Any, copies: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(inner, copies) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {key: _renamed(inner, copies) for key, inner in value.items()}
    if isinstance(name := made.get("type"), str):
        file, colon, kind = name.rpartition(":")
        made["type"] = copies.get(file, file) + colon + kind
    return made


def to_scalar(value: Any) -> str:
    """A Python value as the right side of an override `key=value`, on one line. ConfigError where there is no such."""
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    try:
        return _dump(value, flow=True).removesuffix("\n").removesuffix("\n...")
    except yaml.representer.RepresenterError as error:
        raise ConfigError(f"a config cannot hold {value!r}; give numbers, text, lists and dicts") from error


def _dump(value: Any, flow: bool) -> str:
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=1e9)


class _Dumper(yaml.SafeDumper):
    """Quotes what our reader would take for something else, and also what a reader of YAML 1.1 would."""

    yaml_implicit_resolvers = {**yaml.SafeDumper.yaml_implicit_resolvers, **CORE_RESOLVERS}

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_float(self, value: float) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:float", shown(value))

    def represent_str(self, value: str) -> yaml.ScalarNode:
        # left to itself, PyYAML writes some line breaks in a form that reads as a space
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')


_Dumper.add_representer(float, _Dumper.represent_float)
_Dumper.add_representer(str, _Dumper.represent_str)


def shown(value: Any) -> str:
    """A value as a config would write it, cut where it is long."""
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return shortened(repr(value))
