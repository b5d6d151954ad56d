"""In what runs differ: the keys of their configs whose values are not the same in all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def config_of(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """A run's config.yaml by dotted keys, {"optimizer.lr": 0.1}; empty where it cannot be read."""
    import yaml

    try:
        with open(Path(folder) / "config.yaml", encoding="utf-8", newline="") as file:
            return flat(yaml.safe_load(file))
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and lists by their dotted paths."""
    if isinstance(tree, dict):
        items: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return {prefix: tree} if prefix else {}
    before = f"{prefix}." if prefix else ""
    return {path: leaf for key, value in items for path, leaf in flat(value, f"{before}{key}").items()}


def differences(configs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """For each config, what it has and another one has not: short keys and values as text. Those that are empty have no say."""
    readable = [config for config in configs if config]
    keys = dict.fromkeys(key for config in readable for key in config)
    differing = [key for key in keys if key != "name" and len({str(config.get(key)) for config in readable}) > 1]
    return [{short(key, keys): written(config[key]) for key in differing if key in config} for config in configs]


def written(value: Any) -> str:
    """A leaf as YAML has it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def short(key: str, others: Iterable[str]) -> str:
    """The last part of a dotted key, where no other key ends so, as eval.every and save.every do; else the whole."""
    last = key.rpartition(".")[2]
    return key if last.isdigit() or sum(other.rpartition(".")[2] == last for other in others) > 1 else last
