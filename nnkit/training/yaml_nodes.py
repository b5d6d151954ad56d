"""From PyYAML's nodes to ours, which know where each key and value stood.

The scalars are those of YAML 1.2's core schema, which are what people mean: `1e-3` is a number, `no` is text, `010` is
ten. What only hides mistakes in a config is refused: duplicate keys, tags, merge keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from nnkit.training.places import Place, PlacedError, Problem, Source, shortened

MAX_DEPTH = 50         # deeper than any config, and shallower than any recursion limit
MAX_REPEATED = 10_000  # nodes that aliases may add: a few lines of aliases of aliases can stand for billions
MAX_DIGITS = 1000

_TAG = "tag:yaml.org,2002:"
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # as YAML counts lines
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


class Loader(yaml.SafeLoader):
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


class Converter:
    def __init__(self, source: Source, problems: list[Problem]):
        self.source, self.problems = source, problems
        self.seen: set[int] = set()   # ids of PyYAML's nodes, which the document keeps alive
        self.open: set[int] = set()
        self.repeated = 0

    def problem(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(self.place(node), text))

    def place(self, node: yaml.Node) -> Place:
        return marked(self.source, node.start_mark, node.end_mark)

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
            self.problem(node, f"unknown tag {shortened(repr(node.tag.replace(_TAG, '!!')))}; a config has no tags, leave it out")
        self.open.discard(id(node))
        return result

    def mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        result: dict[str, Node] = {}
        for key_node, value_node in node.value:
            value = self.node(value_node)
            shown = shortened(repr(key_node.value)) if isinstance(key_node, yaml.ScalarNode) else ""
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, "a key must be text, not a list or a section")
            elif key_node.tag != _TAG + "str":
                self.problem(key_node, f"a key must be text; write {shown} in quotes")
            elif key_node.value == "<<" and key_node.style is None:
                self.problem(key_node, "merge keys (<<) are not in YAML 1.2; write the keys out, or `include: FILE`")
            elif key_node.value in result:
                first = result[key_node.value].key_place
                assert first is not None
                where = f"in line {first.line}" if first.line else "before"
                self.problem(key_node, f"duplicate key {shown}, already set {where}; keep one of them")
            elif not is_unicode(key_node.value):
                self.problem(key_node, "a key that is not Unicode text")
            else:
                value.key_place = self.place(key_node)
                result[key_node.value] = value
        return result

    def scalar(self, node: yaml.ScalarNode, kind: str) -> Any:
        text = node.value
        if kind == "str":
            if not is_unicode(text):
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


def place_in(source: Source, line: int, column: int, width: int = 1) -> Place:
    """A place in a file. An override is short enough to be one place."""
    return Place(source) if source.name.startswith("command line: ") else Place(source, line, column, width)


def marked(source: Source, start: yaml.Mark | None, end: yaml.Mark | None = None) -> Place:
    if start is None:
        return place_in(source, 1, 1)
    width = end.column - start.column if end is not None and end.line == start.line else 1
    return place_in(source, start.line + 1, start.column + 1, max(1, width))


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)
