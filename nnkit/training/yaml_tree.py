"""YAML read into a tree that remembers where each key and value stood: a mistake found later can then name its line.

The scalars are those of YAML 1.2's core schema, which are what people mean: `1e-3` is a number, `no` is text, `010` is
ten. What only hides mistakes in a config is refused: duplicate keys, tags, merge keys, a second document.
"""

from __future__ import annotations

import codecs
import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nnkit.errors import ConfigError
from nnkit.training.places import Place, PlacedError, Problem, Source, printable

MAX_DEPTH = 50         # deeper than any config, and shallower than any recursion limit
MAX_REPEATED = 10_000  # nodes that aliases may add: a few lines of aliases of aliases can stand for billions
MAX_FILES = 100        # of includes, for the same reason
MAX_DIGITS = 1000

_TAG = "tag:yaml.org,2002:"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # as YAML counts lines
_SCALARS = {
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"),
}
# what PyYAML's `yaml_implicit_resolvers` should hold: None stands for "whatever the first character"
CORE_RESOLVERS: dict[Any, Any] = {None: [(_TAG + kind, pattern) for kind, pattern in _SCALARS.items()]}


def reads_as(text: str, kind: str) -> bool:
    """Whether plain `text` fits a kind of scalar: "null", "bool", "int" or "float" (which every int is too)."""
    return _SCALARS[kind].match(text) is not None


@dataclass
class Node:
    """A value with its place, and that of its key. Mappings and lists hold nodes."""

    value: Any
    place: Place
    key_place: Place | None = None

    def plain(self) -> Any:
        """The same without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


def read_tree(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Node:
    """The config at `path` over the files it includes, with overrides `a.b=value` on top; the last one wins.

    `include: base.yaml` (or a list) is relative to the file it stands in. Mappings merge, all else replaces, and so
    does a mapping whose `type` is another one. ConfigError with every mistake found, or where a file cannot be read.
    """
    return _Reader().read(os.fspath(path), overrides)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and a bound on depth."""

    yaml_implicit_resolvers = CORE_RESOLVERS
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


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
        return Source(name, folder, tuple(_LINE_BREAK.split(text)), self.n_sources)

    # Files

    def file(self, path: str, including: tuple[str, ...], asked: Place | None) -> Node:
        """The mapping in a file, merged over what it includes. `asked` is where an include named it."""
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            text = _unreadable(path, error)
            raise self.failure(asked, text) if asked else ConfigError(printable(f"{path}: {text}")) from error
        data = data.removeprefix(codecs.BOM_UTF8)
        folder = os.path.dirname(os.path.abspath(path))
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            good = _LINE_BREAK.split(data[:error.start].decode("utf-8"))
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
        elif not all(map(_is_unicode, keys)):
            self.problem(place, "the key is not Unicode text")
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
            loader = _Loader(text)
            composed = loader.get_single_node()
        except yaml.reader.ReaderError as error:
            before = _LINE_BREAK.split(text[:error.position])
            place = _place(source, len(before), len(before[-1]) + 1)
            raise self.failure(place, f"not YAML: the character {text[error.position]!r} is not allowed") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(part for part in (error.context, error.problem) if part)
            way_out = "; indent with spaces" if "'\\t'" in what else ""
            raise self.failure(_marked(source, mark), f"not YAML: {what}{way_out}") from None
        except (ValueError, OverflowError) as error:  # PyYAML's own, of "\UFFFFFFFF" and the like
            mark = loader.get_mark() if loader else None
            raise self.failure(_marked(source, mark), f"not YAML: {error}") from None
        return None if composed is None else _Converter(source, self.problems).node(composed)


class _Converter:
    def __init__(self, source: Source, problems: list[Problem]):
        self.source, self.problems = source, problems
        self.seen: set[int] = set()   # ids of PyYAML's nodes, which the document keeps alive
        self.open: set[int] = set()
        self.repeated = 0

    def problem(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(self.place(node), text))

    def place(self, node: yaml.Node) -> Place:
        return _marked(self.source, node.start_mark, node.end_mark)

    def node(self, node: yaml.Node) -> Node:
        result = Node(None, self.place(node))
        self.repeated += id(node) in self.seen
        if self.repeated > MAX_REPEATED:
            text = f"aliases repeat more than {MAX_REPEATED} values; write less"
            raise PlacedError([*self.problems, Problem(result.place, text)])
        self.seen.add(id(node))
        if id(node) in self.open:
            self.problem(node, "this contains itself, through an alias; write it out")
            return result
        self.open.add(id(node))
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            result.value = self.mapping(node)
        elif isinstance(node, yaml.SequenceNode) and kind == "seq":
            result.value = [self.node(item) for item in node.value]
        elif isinstance(node, yaml.ScalarNode) and (kind == "str" or kind in _SCALARS):
            result.value = self.scalar(node, kind)
        else:
            self.problem(node, f"unknown tag {node.tag.replace(_TAG, '!!')!r}; a config has no tags, leave it out")
        self.open.discard(id(node))
        return result

    def mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        result: dict[str, Node] = {}
        for key_node, value_node in node.value:
            value = self.node(value_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, "a key must be text, not a list or a section")
            elif key_node.tag != _TAG + "str":
                self.problem(key_node, f"a key must be text; write '{key_node.value}' in quotes")
            elif key_node.value == "<<" and key_node.style is None:
                self.problem(key_node, "merge keys (<<) are not in YAML 1.2; write the keys out, or `include: FILE`")
            elif key_node.value in result:
                first = result[key_node.value].key_place
                assert first is not None
                where = f"in line {first.line}" if first.line else "before"
                self.problem(key_node, f"duplicate key {key_node.value!r}, already set {where}; keep one of them")
            elif not _is_unicode(key_node.value):
                self.problem(key_node, "a key that is not Unicode text")
            else:
                value.key_place = self.place(key_node)
                result[key_node.value] = value
        return result

    def scalar(self, node: yaml.ScalarNode, kind: str) -> Any:
        text = node.value
        if kind == "str":
            if not _is_unicode(text):
                self.problem(node, "half a surrogate pair is not Unicode text; write the character itself")
                return ""
            return text
        if not reads_as(text, kind):
            self.problem(node, f"{text[:60]!r} is not {kind} as the tag !!{kind} says; leave the tag out")
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "float":
            return float(text.replace(".", "", 1) if text.lower().endswith(("inf", "nan")) else text)
        if kind == "int" and len(text) > MAX_DIGITS:
            self.problem(node, f"a whole number of more than {MAX_DIGITS} digits; write it as 1e300")
            return 0
        return None if kind == "null" else int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _place(source: Source, line: int, column: int, width: int = 1) -> Place:
    """A place in a file. An override is short enough to be one place."""
    return Place(source) if source.name.startswith("command line: ") else Place(source, line, column, width)


def _marked(source: Source, start: yaml.Mark | None, end: yaml.Mark | None = None) -> Place:
    if start is None:
        return _place(source, 1, 1)
    width = end.column - start.column if end is not None and end.line == start.line else 1
    return _place(source, start.line + 1, start.column + 1, max(1, width))


def _merged(base: Node, top: Node) -> Node:
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    types = [node.value["type"].plain() for node in (base, top) if "type" in node.value]
    if len(types) == 2 and types[0] != types[1]:
        return top  # the keys of one type mean nothing to another
    both = {key: _merged(base.value[key], node) if key in base.value else node for key, node in top.value.items()}
    return Node({**base.value, **both}, top.place, top.key_place)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "null" if value is None else "a single value"


def _unreadable(path: str, error: Exception) -> str:
    tried = os.path.abspath(path) if "\0" not in path else path
    if os.path.isdir(tried):
        return f"{tried} is a folder; name the .yaml file in it"
    if isinstance(error, FileNotFoundError):
        folder, name = os.path.split(tried)
        near = difflib.get_close_matches(name, os.listdir(folder) if os.path.isdir(folder) else [], 1)
        meant = f"; did you mean {os.path.join(os.path.dirname(path), near[0])!r}?" if near else ""
        return f"no such file: {tried}{meant}"
    return f"cannot read {tried}: {getattr(error, 'strerror', None) or error}"
