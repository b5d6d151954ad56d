"""Where a mistake in a config stands: file, line and column, or the override on the command line; and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnkit.errors import ConfigError


def printable(text: str) -> str:
    """`text` on one line: line breaks and control characters become escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


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


class PlacedError(ConfigError):
    """All mistakes that were found, in the order of their places; `str()` is one line for each."""

    def __init__(self, problems: Iterable[Problem]):
        def position(p: Problem) -> tuple[int, int, int, str]:
            return p.place.source.order, p.place.line, p.place.column, p.text

        self.problems = sorted(set(problems), key=position)
        super().__init__("\n".join(map(str, self.problems)))
