"""Where a mistake in a config stands: file, line and column, or the override on the command line; and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnkit.errors import ConfigError


def printable(text: str) -> str:
    """`text` on one line: line breaks and control characters become escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int = 60) -> str:
    """`text`, or its beginning and dots where it is longer."""
    return text if len(text) <= most else text[:most - 3] + "..."


def dotted(keys: tuple[str | int, ...]) -> str:
    """The keys on the way to a value as one: model.layers[0].size."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{shortened(key)}" for key in keys).removeprefix(".")


@dataclass(frozen=True)
class Source:
    """A file, or one override of the command line. `folder` is what relative paths in it are relative to."""

    name: str
    folder: str
    lines: tuple[str, ...] = ()
    order: int = 0


@dataclass(frozen=True)
class Place:
    """Where something stood. Lines and columns count from 1; line 0 is an override, which has none."""

    source: Source
    line: int = 0
    column: int = 0
    width: int = 1

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}" if self.line else self.source.name

    @property
    def folder(self) -> Path:
        """The absolute folder that a relative path written here is relative to."""
        return Path(self.source.folder)

    def caret(self) -> str:
        """Two lines, the source and a caret under the place; nothing for an override."""
        if not 0 < self.line <= len(self.source.lines):
            return ""
        start = max(0, self.column - 80)  # of a very long line, the part around the place
        shown = "".join(c if c.isprintable() else " " for c in self.source.lines[self.line - 1][start:start + 120])
        marks = "^" * max(1, min(self.width, len(shown) - (self.column - 1 - start)))
        return f"{self.line:>8} | {shown}\n{'':>8} | {' ' * (self.column - 1 - start)}{marks}"


@dataclass(frozen=True)
class Problem:
    """One mistake: `what; the way out`, and its place."""

    place: Place
    text: str

    def __str__(self) -> str:
        return printable(f"{self.place}: {self.text}")


class AtKey(ValueError):
    """Raised by a validator of a whole section, about one of its keys; or, `of_value`, about what that key is set to.

    key: of what is nested in the section, all keys on the way to it.
    """

    def __init__(self, text: str, key: str | tuple[str | int, ...], of_value: bool = False):
        self.keys, self.of_value = key if isinstance(key, tuple) else (key,), of_value
        super().__init__(text)


class KeyedError(ConfigError):
    """A mistake in the value of a key that shows when the data is there. keys: the way to it, from the root of the config.

    inside: from there on to what the text names itself.
    """

    def __init__(self, keys: tuple[str | int, ...], text: str, inside: tuple[str | int, ...] = ()):
        self.keys = (*keys, *inside)
        super().__init__(f"{dotted(keys)}: {text}")


class PlacedError(ConfigError):
    """All mistakes that were found, in the order of their places; `str()` is one line for each."""

    def __init__(self, problems: Iterable[Problem]):
        def position(p: Problem) -> tuple[int, int, int, str]:
            return p.place.source.order, p.place.line, p.place.column, p.text

        self.problems = sorted(set(problems), key=position)
        super().__init__("\n".join(map(str, self.problems)))
