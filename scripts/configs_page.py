"""Writes the tables of docs/configs.md: every key of every recipe that ships, from the classes that check it.

Usage: configs_page.py [--check]
The text above the line that says so is written by hand and stays. --check writes nothing, and fails where the page is not fresh.
"""
import argparse
import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from nnkit.training.components import LayerSpec
from nnkit.training.config_text import to_scalar
from nnkit.training.interval import Interval
from nnkit.training.recipe import load_recipe
from nnkit.training.schema import DataPath, DataSource, DataSources, PublicPath, RunConfig, public_paths, sections_in

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "configs.md"
MARK = "<!-- What follows is written by scripts/configs_page.py from the classes that check a config. -->"
NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text", NoneType: "null", Interval: "an interval",
         Any: "anything", dict: "a mapping"}
NAMED = [(DataSources, "one path or several, or a builtin"), (DataSource, "a path, or a builtin"), (DataPath, "a path"),
         (LayerSpec, "a layer")]
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def words(annotation: Any, metadata: Any = ()) -> str:
    """What a key may be, for a person."""
    for known, name in NAMED:
        if annotation == known:
            return name
    annotation = getattr(annotation, "__value__", annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = ", ".join(f"{said} {getattr(one, key):g}" for one in unfolded(metadata) for key, said in BOUNDS.items()
                          if getattr(one, key, None) is not None)
    bounds = f" {bounds}" if bounds else ""
    if origin is Annotated:
        return words(arguments[0], [*arguments[1:], *metadata])
    if sections_in(annotation) and origin not in (list, dict):
        return "a section"
    if origin is Literal:
        return " or ".join(f"`{to_scalar(value)}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(words(one) + (bounds if one in (int, float) else "") for one in arguments))
    if origin is list:
        return f"a list, each {words(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} values, each {words(arguments[0])}"
    if origin is dict:
        return f"a mapping to {words(arguments[1])}"
    return NAMES.get(annotation, getattr(annotation, "__name__", str(annotation))) + bounds


def unfolded(metadata: Any) -> list:
    """pydantic's Field keeps its bounds in a list of its own."""
    return [one for item in metadata for one in (getattr(item, "metadata", None) or [item])]


def cells(key: PublicPath) -> tuple[str, ...]:
    """What a row says of a key beside its section's type."""
    default = key.default if plain(key.default) else str(key.default)
    default = float(f"{default:.6g}") if isinstance(default, float) else default
    shown = "**required**" if key.required else f"`{to_scalar(default)}`"
    return f"`{key.path}`", words(key.annotation, key.metadata), shown, key.help


def plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, bool, list, tuple, dict, NoneType))


def table(keys: list[PublicPath]) -> list[str]:
    """A row a key; what several types of a section have alike is one row. The text above tells of items of lists and mappings."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        if "[]" not in key.path:
            rows.setdefault(cells(key), []).append(key.type)
    lines = ["| key | may be | default | what it is for |", "|---|---|---|---|"]
    for (path, *others), types in rows.items():
        of = f" ({', '.join(types)})" if any(types) else ""
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (path + of, *others)) + " |")
    return [*lines, ""]


def tables() -> str:
    """All that follows the mark."""
    common = {cells(key) for key in public_paths(RunConfig)}
    lines = ["", "## Keys of every recipe", "", *table(public_paths(RunConfig))]
    for file in sorted((PROJECT / "recipes").glob("*.py")):
        keys = [key for key in public_paths(load_recipe(file).Config) if cells(key) not in common]
        lines += [f"## {file.stem}", "", f"`recipes/{file.name}` has these beside them, or with another default:", ""]
        lines += table(keys)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the page is not fresh")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    fresh = text[:text.index(MARK) + len(MARK)] + "\n" + tables()
    if options.check and fresh != text:
        print(f"{PAGE}: is not fresh; run python scripts/configs_page.py", file=sys.stderr)
        return 1
    if not options.check:
        PAGE.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
