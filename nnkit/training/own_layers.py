"""Layers of the user's own in a config: `layers.py:Highway` is the class Highway in a file, the path relative to the config's."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from nnkit.errors import ConfigError
from nnkit.nn import Module
from nnkit.training.own_code import load_file
from nnkit.training.places import shortened
from nnkit.training.schema import resolve_path
from nnkit.training.yaml_nodes import Node

NAME = re.compile(r"(.+\.py)(?::(\w*))?")  # greedy: a file's name may hold colons, and on Windows its path does


def is_own(name: Any) -> bool:
    """Whether a layer's `type` names a file."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def split(name: str) -> tuple[str, str]:
    """The file and the class, which is "" where it was forgotten."""
    match = NAME.fullmatch(name)
    assert match is not None
    return match[1], match[2] or ""


def resolved(name: str, folder: Path) -> str:
    """The same with the whole path, links followed, as a config in `folder` means it. ValueError as `resolve_path`."""
    file, kind = split(name)
    return f"{os.path.realpath(resolve_path(file, folder))}:{kind}"


def keys_of_names(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in a config, or in a part of it, a `type` names a file: the keys on the way there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "type" and is_own(inner):
                yield (*keys, key)
            yield from keys_of_names(inner, (*keys, key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from keys_of_names(inner, (*keys, i))


def files_of_layers(tree: Node) -> list[Path]:
    """The files that a config and what it includes name in this way, each once; those that there are, the others are refused."""
    files: dict[str, None] = {}
    for keys in keys_of_names(tree.plain()):
        node = tree
        for key in keys:
            node = node.value[key]
        with suppress(ValueError):
            files[split(resolved(node.value, node.place.folder))[0]] = None
    return [Path(file) for file in files if os.path.isfile(file)]


def class_of(name: str) -> type[Module]:
    """The class that a resolved name means; its file is run. ValueError says what is wrong with the file or the class."""
    file, wanted = split(name)
    path = Path(file)
    if not os.path.isfile(file):  # pathlib's own raises for names that are too long
        there = os.listdir(path.parent) if os.path.isdir(path.parent) and os.access(path.parent, os.R_OK) else []
        near = difflib.get_close_matches(path.name, there, 1)
        meant = f"; did you mean {near[0]!r}?" if near else "; a path is relative to the file that names it"
        raise ValueError(f"no such file: {shortened(file, 300)}{meant}")
    try:
        module = load_file(path)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    layers = classes_in(module)
    known = (f"the layers in it are {', '.join(layers)}" if layers else
             "there is no layer in it, which is a class that extends nnkit.nn.Module")
    if not wanted:
        example = f"write {path.name}:{next(iter(layers))}; " if layers else ""
        raise ValueError(f"{path} is named without a class; {example}{known}")
    found = vars(module).get(wanted)
    if found is None:
        near = difflib.get_close_matches(wanted, layers, 1, 0.5)
        raise ValueError(f"{path} has no class {shortened(repr(wanted))}; {f'did you mean {near[0]!r}? ' if near else ''}{known}")
    if not (isinstance(found, type) and issubclass(found, Module)):
        what = (f"a class that does not extend nnkit.nn.Module; write class {wanted}(nn.Module)" if isinstance(found, type) else
                f"of type {type(found).__name__}, and no class that extends nnkit.nn.Module")
        raise ValueError(f"{path}: {wanted} is {what}; {known}")
    if found.forward is Module.forward:
        raise ValueError(f"{path}: {wanted} has no forward; write def forward(self, x) in it")
    return found


def classes_in(module: ModuleType) -> dict[str, type[Module]]:
    """The layers that a file defines, and not those that it imports, in the order of their lines."""
    return {name: one for name, one in vars(module).items()
            if inspect.isclass(one) and issubclass(one, Module) and one.__module__ == module.__name__}
