"""nnkit show: every key a config can have, with its value, its default, where it was set, and its line of help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnkit.commands.common import run
from nnkit.training import config as configs
from nnkit.training.comparing import flat
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.yaml_nodes import Node


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit show", description="Print every key of a config with its value, its default, "
                                   "where it was set, and what it is for; of a run, what came of it, too.",
                                   epilog="Example: nnkit show configs/sgns.yaml optimizer.lr=0.1")
    made.add_argument("source", metavar="CONFIG_OR_RUN", help="a YAML file; or a run's folder, its id (sgns-003) or @last")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="as for nnkit train")
    return run(made, show, argv)


def show(options: argparse.Namespace) -> None:
    path = Path(options.source)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        one = RunDirectory.open(options.source)
        for fact, told in flat(one.read_run()).items():
            print(f"{fact:40} {told}")
        print()
        path = one.path("config.yaml")
    tree = configs.read_tree(path, options.overrides)
    recipe_class = load_recipe(recipe_file(tree))
    settings = configs.validate(tree, recipe_class.Config)
    values = settings.model_dump(mode="json")
    for key in configs.public_paths(recipe_class.Config):
        if "[]" in key.path or not is_in_force(key, values):
            continue
        value, place = at(values, key.path), where(tree, key.path)
        default = "" if key.required or place is None else f"   (default {configs.to_scalar(plain(key.default))})"
        print(f"{key.path}: {configs.to_scalar(value)}{default}")
        print(f"    {key.help}{'' if place is None else f'   [{place}]'}")


def is_in_force(key: configs.PublicPath, values: dict[str, Any]) -> bool:
    """Whether a key of a section that has several types is one of the type that was chosen."""
    if not key.type:
        return True
    section = at(values, key.path.rpartition(".")[0])
    return isinstance(section, dict) and section.get("type") == key.type


def at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def where(tree: Node, path: str) -> Any:
    """Where the key was set: FILE:LINE:COLUMN or the override; None where it has its default."""
    for part in path.split("."):
        if not isinstance(tree.value, dict) or part not in tree.value:
            return None
        tree = tree.value[part]
    return tree.place


def plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool, list, tuple, dict, type(None))) else str(value)
