"""A config file with all that belongs to it, read into one tree: what it includes, and what the command line overrides.

Every key and value remembers its place, so that a mistake found later can name its line. One document is read, not several.
"""

from __future__ import annotations

import codecs
import difflib
import os
from collections.abc import Sequence
from typing import Any

import yaml

from nnkit.errors import ConfigError
from nnkit.training.places import Place, PlacedError, Problem, Source, printable, shortened
from nnkit.training.yaml_nodes import LINE_BREAK, MAX_DEPTH, Converter, Loader, Node, is_unicode, marked, place_in

MAX_FILES = 100        # a few lines of includes of includes can stand for billions
MAX_BYTES = 1_000_000  # of a file: what is larger is data, and would be read for minutes before it is refused

def read_tree(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Node:
    """The config at `path` over the files it includes, with overrides `a.b=value` on top; the last one wins.

    `include: base.yaml` (or a list) is relative to the file it stands in. Mappings merge, all else replaces, and so
    does a mapping whose `type` is another one. ConfigError with every mistake found, or where a file cannot be read.
    """
    return _Reader().read(os.fspath(path), overrides)


class _Reader:
    """Reads one config with all that belongs to it. Goes on after a mistake where it can, to report them together."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.n_sources = 0

    def read(self, path: str, overrides: Sequence[str]) -> Node:
        root = self.file(path, (), None)
        for override in overrides:
            self.override(root, override)
        if self.problems:
            raise PlacedError(self.problems)
        return root

    def problem(self, place: Place, text: str) -> None:
        self.problems.append(Problem(place, text))

    def failure(self, place: Place, text: str) -> PlacedError:
        """A mistake after which nothing more can be read, with those before it."""
        return PlacedError([*self.problems, Problem(place, text)])

    def source(self, name: str, folder: str, text: str = "") -> Source:
        self.n_sources += 1
        return Source(name, folder, tuple(LINE_BREAK.split(text)), self.n_sources)

    # Files

    def file(self, path: str, including: tuple[str, ...], asked: Place | None) -> Node:
        """The mapping in a file, merged over what it includes. `asked` is where an include named it."""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            text = _unreadable(path, error)
            raise self.failure(asked, text) if asked else ConfigError(printable(f"{shortened(path, 300)}: {text}")) from error
        if len(data) > MAX_BYTES:
            text = f"{os.path.abspath(path)} has more than {MAX_BYTES:,} bytes, which no config has; is it a file of data?"
            raise self.failure(asked, text) if asked else ConfigError(printable(f"{path}: {text}"))
        data = data.removeprefix(codecs.BOM_UTF8)
        folder = os.path.dirname(os.path.abspath(path))
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            good = LINE_BREAK.split(data[:error.start].decode("utf-8"))
            place = Place(self.source(path, folder), len(good), len(good[-1]) + 1)
            raise self.failure(place, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8") from None
        source = self.source(path, folder, text)
        root = self.parse(text, source)
        if root is None:
            raise self.failure(Place(source, 1, 1), "the file is empty; a config needs at least `recipe: NAME`")
        if not isinstance(root.value, dict):
            got = _kind(root.value)
            raise self.failure(root.place, f"expected keys and values, got {got}; begin with `recipe: NAME`")
        include = root.value.pop("include", None)
        return root if include is None else self.included(root, include, path, (*including, os.path.realpath(path)))

    def included(self, root: Node, include: Node, path: str, including: tuple[str, ...]) -> Node:
        base: Node | None = None
        for node in include.value if isinstance(include.value, list) else [include]:
            if not isinstance(node.value, str) or not node.value:
                self.problem(node.place, "include: expected the path of a file, or a list of them")
                continue
            if "\0" in node.value:
                self.problem(node.place, f"include: expected the path of a file, got {shortened(repr(node.value))}")
                continue
            other = os.path.join(os.path.dirname(path), node.value)
            if os.path.realpath(other) in including:
                self.problem(node.place, f"include: {node.value} includes this file in turn; break the circle")
            elif self.n_sources >= MAX_FILES:
                raise self.failure(node.place, f"include: more than {MAX_FILES} files; do with fewer")
            else:
                tree = self.file(other, including, node.place)
                base = tree if base is None else _merged(base, tree)
        return root if base is None else _merged(base, root)

    # Overrides

    def override(self, root: Node, text: str) -> None:
        source = self.source(f"command line: {text if len(text) <= 80 else text[:77] + '...'}", os.getcwd())
        place = Place(source)
        path, equals, value = text.partition("=")
        keys = path.strip().removeprefix("--").split(".")
        if not equals:
            self.problem(place, "no '=' in it; write key=value")
        elif not all(keys):
            self.problem(place, "the key is empty or has an empty part; write section.key=value")
        elif len(keys) > MAX_DEPTH:
            self.problem(place, f"nested more than {MAX_DEPTH} deep")
        elif keys[0] == "include":
            self.problem(place, "include is for files; give the keys themselves")
        elif not all(map(is_unicode, keys)):
            self.problem(place, "the key is not Unicode text")
        elif value.lstrip().startswith("#"):
            self.problem(place, f"# begins a comment in YAML; put it in quotes, {path}=\"'{value.strip()}'\"")
        else:
            node = self.parse(value, source) or Node(None, place)
            node.key_place = place
            self.assign(root, keys, node)

    def assign(self, at: Node, keys: Sequence[str], node: Node) -> None:
        """Put `node` at the path of keys; a key into a list is an index. Whatever stands in its way is replaced."""
        for n, key in enumerate(keys):
            last = n == len(keys) - 1
            if isinstance(at.value, list):
                index = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else -1
                if not 0 <= index < len(at.value):
                    where = ".".join(keys[:n])
                    self.problem(node.place, f"{where} is a list of {len(at.value)}, which has no {key!r}; "
                                             f"count from 0, or give the whole list: {where}=[...]")
                    return
                if last:
                    at.value[index] = node
                at = at.value[index]
                continue
            if not isinstance(at.value, dict):
                at.value, at.place = {}, node.place
            if last:
                at.value[key] = node
            at = at.value.setdefault(key, Node({}, node.place, node.place))

    # From PyYAML's nodes to ours

    def parse(self, text: str, source: Source) -> Node | None:
        """The one document in `text`; None of an empty one."""
        loader = None
        try:
            if "\ufeff" in text:  # PyYAML would leave it out of its columns, and make it a part of a key that looks right
                before = LINE_BREAK.split(text[:text.index("\ufeff")])
                place = place_in(source, len(before), len(before[-1]) + 1)
                raise self.failure(place, "not YAML: a byte order mark (U+FEFF), which nobody sees; delete this character")
            loader = Loader(text)
            composed = loader.get_single_node()
        except yaml.reader.ReaderError as error:
            before = LINE_BREAK.split(text[:error.position])
            place = place_in(source, len(before), len(before[-1]) + 1)
            raise self.failure(place, f"not YAML: the character {text[error.position]!r} is not allowed") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(part for part in (error.context, error.problem) if part)
            way_out = "; indent with spaces" if "'\\t'" in what else ""
            raise self.failure(marked(source, mark), f"not YAML: {what}{way_out}") from None
        except (ValueError, OverflowError) as error:  # PyYAML's own, of "\UFFFFFFFF" and the like
            mark = loader.get_mark() if loader else None
            raise self.failure(marked(source, mark), f"not YAML: {error}") from None
        return None if composed is None else Converter(source, self.problems).node(composed)


def _merged(base: Node, top: Node) -> Node:
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    types = [node.value["type"].plain() for node in (base, top) if "type" in node.value]
    if len(types) == 2 and types[0] != types[1]:
        return top  # the keys of one type mean nothing to another
    both = {key: _merged(base.value[key], node) if key in base.value else node for key, node in top.value.items()}
    return Node({**base.value, **both}, top.place, top.key_place)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "null" if value is None else "a single value"


def _unreadable(path: str, error: Exception) -> str:
    tried = os.path.abspath(path) if "\0" not in path else path
    shown = shortened(tried, 300)
    if os.path.isdir(tried):
        return f"{shown} is a folder; name the .yaml file in it"
    if isinstance(error, FileNotFoundError):
        folder, name = os.path.split(tried)
        near = difflib.get_close_matches(name, os.listdir(folder) if os.path.isdir(folder) else [], 1)
        meant = f"; did you mean {os.path.join(os.path.dirname(path), near[0])!r}?" if near else ""
        return f"no such file: {shown}{meant}"
    return f"cannot read {shown}: {getattr(error, 'strerror', None) or error}"
