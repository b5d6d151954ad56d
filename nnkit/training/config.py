"""From a YAML file to a checked config: pydantic finds what is wrong, this file says where, and the way out.

    tree = read_tree("configs/sgns.yaml", ["optimizer.lr=0.1"])
    config = validate(tree, Config)         # ConfigError with all mistakes at once, one line each
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from nnkit.errors import ConfigError
from nnkit.training.config_text import shown, to_scalar, to_yaml
from nnkit.training.places import AtKey, Place, PlacedError, Problem, dotted
from nnkit.training.schema import LOCATE_PATHS, PublicPath, public_paths, sections_in, tag_of
from nnkit.training.synonyms import explain, plain
from nnkit.training.yaml_nodes import Node, reads_as
from nnkit.training.yaml_tree import read_tree

__all__ = ["PublicPath", "format_errors", "public_paths", "read_tree", "recipe_of", "to_scalar", "to_yaml", "validate"]

M = TypeVar("M", bound=BaseModel)

EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "string_type": "text",
    "list_type": "a list", "tuple_type": "a list", "set_type": "a list", "frozen_set_type": "a list",
    "dict_type": "a section", "model_type": "a section", "model_attributes_type": "a section",
    "none_required": "null", "finite_number": "a finite number", "multiple_of": "a multiple of {multiple_of}",
    "greater_than": "a number greater than {gt}", "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number less than {lt}", "less_than_equal": "a number of at most {le}",
    "literal_error": "{expected}", "enum": "{expected}", "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "text, at least {min_length} characters of it",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list of at least {min_length}", "too_long": "a list of at most {max_length}",
}


def recipe_of(tree: Node) -> tuple[str, Place]:
    """The value of `recipe:` and its place, whose `folder` a path in it is relative to. ConfigError without one."""
    what = "the name of a recipe, or the path of a .py file"
    node = tree.value.get("recipe")
    if node is None and (near := difflib.get_close_matches("recipe", tree.value, 1, 0.6)):
        place = tree.value[near[0]].key_place
        assert place is not None
        raise PlacedError([Problem(place, f"unknown key {near[0]!r}; did you mean 'recipe'?")])
    if node is None:
        raise PlacedError([Problem(tree.place, f"missing key 'recipe'; it is {what}")])
    if not isinstance(node.value, str) or not node.value:
        raise PlacedError([Problem(node.place, f"recipe: expected {what}, got {shown(node.value)}")])
    return node.value, node.place


def validate(tree: Node, model_class: type[M]) -> M:
    """The config that `tree` describes. ConfigError (a PlacedError) with a line for every mistake."""
    data = tree.plain()
    _complete_sections(data, model_class)
    for error in _attempt(model_class, data, {LOCATE_PATHS: True})[1]:
        if error["type"] == LOCATE_PATHS:
            found = _find(tree, model_class, error["loc"])
            for inside in error["ctx"]["inside"]:
                node = _below(found.node, inside)
                try:
                    path = error["ctx"]["resolve"](node.value, node.place.folder)
                except ValueError:
                    continue  # it stays as it is, and is refused below with the rest
                _put(data, (*found.keys, *inside), path)
    config, errors = _attempt(model_class, data, {})
    if config is None:
        raise PlacedError(_problems(tree, model_class, errors))
    return config


def format_errors(error: ConfigError, carets: bool = False) -> str:
    """The text of the error; with `carets`, which are for a terminal, its source and a caret follow each line."""
    if not (carets and isinstance(error, PlacedError)):
        return str(error)
    return "\n".join(line for p in error.problems for line in (str(p), p.place.caret()) if line)


# From pydantic's errors to lines of ours

def _complete_sections(data: Any, model_class: type[BaseModel]) -> None:
    """Put the recipe's own values into a section with a `type` that gives only some: all its keys are of the default's type.

    So `optimizer: {momentum: 0.9}` is the recipe's own optimizer, with its own rate, and momentum.
    """
    for name, field in model_class.model_fields.items():
        section, default = data.get(name), field.default
        if not isinstance(section, dict) or not section or not isinstance(default, BaseModel) or not tag_of(type(default)):
            continue
        fields = type(default).model_fields
        of_others = {key for kind in sections_in(field.annotation) for key in kind.model_fields} - fields.keys()
        if section.get("type", tag_of(type(default))) == tag_of(type(default)) and not section.keys() & of_others:
            own = default.model_dump(mode="json")
            section |= {key: own[key] for key in fields if key not in section and getattr(default, key) != fields[key].default}
            section.setdefault("type", tag_of(type(default)))


def _attempt(model_class: type[M], data: Any, context: dict[str, Any]) -> tuple[M | None, list[Any]]:
    try:  # as JSON: there a list may become a tuple, and no number comes of a string
        return model_class.model_validate_json(json.dumps(data), context=context), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False))


@dataclass
class _Found:
    """Where an error points: the nearest node, its keys from the root, the classes it and its section may be of."""

    node: Node
    keys: tuple[str | int, ...]
    classes: list[type[BaseModel]]
    parent_classes: list[type[BaseModel]]

    @property
    def path(self) -> str:
        return dotted(self.keys)


def _find(tree: Node, model_class: type[BaseModel], loc: tuple[str | int, ...]) -> _Found:
    """Follow pydantic's location. It also holds the `type` of a section that has several, and union members' names."""
    node = tree
    keys: list[str | int] = []
    classes: list[type[BaseModel]] = [model_class]
    parents = classes
    has_keys = True  # whether what is here may have keys: a member of a union can be called as a key of a misplaced section
    for part in loc:
        tagged = [c for c in classes if tag_of(c) == part]
        if len(classes) > 1 and tagged:
            classes = tagged
        elif isinstance(node.value, dict) and part in node.value and has_keys:
            fields = [c.model_fields[str(part)] for c in classes if part in c.model_fields]
            parents = classes
            if fields:
                classes = [section for field in fields for section in sections_in(field.annotation)]
                has_keys = bool(classes) or any(_is_dict(field.annotation) for field in fields)
            node, keys = node.value[part], [*keys, part]
        elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            node, keys = node.value[part], [*keys, part]
    return _Found(node, tuple(keys), classes, parents)


def _is_dict(annotation: Any) -> bool:
    """Whether a value of this annotation may be a mapping with keys of its own choice, or hold one."""
    annotation = getattr(annotation, "__value__", annotation)  # of a `type X = ...` statement
    return annotation in (dict, Any) or get_origin(annotation) is dict or any(map(_is_dict, get_args(annotation)))


def _put(data: Any, keys: tuple[str | int, ...], value: Any) -> None:
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value


def _problems(tree: Node, model_class: type[BaseModel], errors: list[Any]) -> Iterator[Problem]:
    expected: dict[tuple[str | int, ...], list[tuple[Any, _Found]]] = {}
    for error in errors:
        found = _find(tree, model_class, error["loc"])
        kind = error["type"]
        if kind == "extra_forbidden":
            assert found.node.key_place is not None
            yield Problem(found.node.key_place, _unknown_key(found, model_class))
        elif kind == "missing":
            name = error["loc"][-1]
            field = next((c.model_fields[name] for c in found.classes if name in c.model_fields), None)
            about = f"; it is the {field.description}" if field is not None and field.description else ""
            yield Problem(found.node.place, f"missing key {name!r}{_in(found.keys)}{about}")
        elif kind == "union_tag_not_found" and (near := _misspelt(found, "type")):
            assert near.node.key_place is not None
            yield Problem(near.node.key_place, _unknown_key(near, model_class))
        elif kind == "union_tag_not_found":
            known = ", ".join(map(tag_of, found.classes))
            yield Problem(found.node.place, f"missing key 'type'{_in(found.keys)}; known types: {known}")
        elif kind == "union_tag_invalid":
            given = found.node.value["type"]
            yield Problem(given.place, _unknown_type(found.path, given.value, [tag_of(c) for c in found.classes]))
        elif kind == "literal_error" and found.keys[-1:] == ("type",):
            known_types = [tag_of(c) for c in found.parent_classes]
            yield Problem(found.node.place, _unknown_type(dotted(found.keys[:-1]), found.node.value, known_types))
        elif kind in EXPECTED:
            expected.setdefault(found.keys, []).append((error, found))
        else:
            ours = error.get("ctx", {}).get("error")  # the ValueError of a validator in a recipe or in schema.py
            what = str(ours) if ours is not None else error["msg"].replace("Input should be", "expected")
            place = _place_in(found.node, ours) if isinstance(ours, AtKey) else found.node.place
            yield Problem(place, f"{found.path}: {what}" if found.keys else what)
    for together in expected.values():  # one line where each member of a union has an error of its own
        yield _unexpected(together)


def _place_in(node: Node, mistake: AtKey) -> Place:
    inner = _below(node, mistake.keys)
    return inner.place if mistake.of_value or inner is node or inner.key_place is None else inner.key_place


def _below(node: Node, keys: tuple[str | int, ...]) -> Node:
    """The node that these keys lead to; `node` itself where they do not lead anywhere."""
    try:
        return reduce(lambda inner, key: inner.value[key], keys, node)
    except (KeyError, IndexError, TypeError):
        return node


def _misspelt(found: _Found, name: str) -> _Found | None:
    """The key of a section that was meant to be `name`, if there is one."""
    known = {key for c in found.classes for key in c.model_fields}
    near = difflib.get_close_matches(name, [key for key in found.node.value if key not in known], 1, 0.6)
    return _Found(found.node.value[near[0]], (*found.keys, near[0]), [], found.classes) if near else None


def _unexpected(together: list[tuple[Any, _Found]]) -> Problem:
    phrases, found = [], together[0][1]
    for error, _ in together:
        bounds = error.get("ctx", {}).items()
        context = {key: f"{bound:g}" if isinstance(bound, float) else bound for key, bound in bounds}
        phrases.append(EXPECTED[error["type"]].format(**context))
    value = found.node.value
    text = f"{found.path}: expected {' or '.join(dict.fromkeys(phrases))}, got {shown(value)}"
    kinds = {error["type"] for error, _ in together}
    way_out = ""
    if "bool_type" in kinds and str(value).lower() in {"yes", "y", "on", "1", "true", "no", "n", "off", "0", "false"}:
        way_out = "; write " + ("true" if str(value).lower() in {"yes", "y", "on", "1", "true"} else "false")
    elif kinds & {"int_type", "float_type"} and isinstance(value, str) and reads_as(value, "float"):
        way_out = "; take the quotes away"
    elif kinds & {"int_type", "int_from_float"} and isinstance(value, float) and value % 1 == 0 and abs(value) < 1e15:
        way_out = f"; write {int(value)}"
    elif "string_type" in kinds and isinstance(value, (int, float)):
        way_out = "; put it in quotes"
    elif kinds <= {"literal_error", "enum"} and isinstance(value, str):
        options = re.findall(r"'([^']*)'", phrases[0])
        way_out = "".join(f"; did you mean {near!r}?" for near in _near(value, options))
    return Problem(found.node.place, text + way_out)


def _unknown_type(path: str, given: Any, known: list[str]) -> str:
    near = "".join(f"; did you mean {name!r}?" for name in _near(given, known)) if isinstance(given, str) else ""
    return f"{path}: unknown type {shown(given)}{near or ';'} known types: {', '.join(sorted(known))}"


def _unknown_key(found: _Found, model_class: type[BaseModel]) -> str:
    section, key = found.keys[:-1], str(found.keys[-1])
    is_section = isinstance(found.node.value, Mapping)
    text = f"unknown {'section' if is_section else 'key'} {shown(key)}{_in(section)}"
    here = [name for c in found.parent_classes for name in c.model_fields]
    all_paths = public_paths(model_class)
    inside = re.sub(r"\[[0-9]+\]", "[]", dotted(section))
    kinds = [p.type for p in all_paths if p.path == (f"{inside}.{key}" if inside else key) and p.type]
    if kinds and len(found.parent_classes) == 1:
        own = tag_of(found.parent_classes[0])  # a group of parameters has none
        text = f"{text}{own and f' of type {own}'}; it belongs to type {' or '.join(kinds)}: leave it out"
        return text + (f", or on the command line give all of {inside}={{type: ...}}" if own else "")
    names = list(dict.fromkeys(name for p in all_paths for name in (*_prefixes(p.path), p.path)))
    near = _exactly(key, here, names)
    if not near and (answer := explain(key, names)):
        return f"{text}; {answer}"
    near = near or _nearly(key, here if section else [*here, "include"], names)  # which is there, but for read_tree alone
    if is_section and found.node.place.line == 0 and (chain := _chain(found.node)):  # modle.hidden=64: the whole of it
        near = difflib.get_close_matches(dotted((*found.keys, *chain)), [p.path for p in all_paths], 1) or near
    if near:
        quoted = [repr(name) for name in near]
        return f"{text}; did you mean {' or '.join([', '.join(quoted[:-1]), quoted[-1]] if quoted[1:] else quoted)}?"
    return f"{text}; known: {', '.join(dict.fromkeys(here))}"


def _exactly(key: str, here: list[str], names: list[str]) -> list[str]:
    """Keys that are called `key`, but for its spelling: bare in the same section, dotted elsewhere."""
    if plain(key) in here:
        return [plain(key)]
    return [name for name in names if name.rpartition(".")[2] == plain(key) and "[]" not in name][:3]


def _nearly(key: str, here: list[str], names: list[str]) -> list[str]:
    """A key that is written much like `key`, as in `_exactly`; the same section goes first."""
    if near := _near(key, here):
        return near
    leaves = {name.rpartition(".")[2]: name for name in reversed(names) if "[]" not in name}
    return [leaves.get(name, name) for name in difflib.get_close_matches(plain(key), [*leaves, *names], 1, 0.75)]


def _prefixes(path: str) -> list[str]:
    """The sections above a dotted path."""
    return [path[:at] for at, c in enumerate(path) if c == "."]


def _near(word: str, options: list[str]) -> list[str]:
    lower = {option.lower(): option for option in options}
    return [lower[name] for name in difflib.get_close_matches(word.lower(), list(lower), 1)]


def _chain(node: Node) -> list[str]:
    """The keys of nested sections that have one key each, as an override makes them."""
    keys: list[str] = []
    while isinstance(node.value, dict) and len(node.value) == 1:
        [(key, node)] = node.value.items()
        keys.append(key)
    return keys


def _in(section: tuple[str | int, ...]) -> str:
    return f" in {dotted(section)}" if section else ""
