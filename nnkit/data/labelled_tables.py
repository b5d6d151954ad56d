"""Which column of a table is the text, which the class, and whether the first row names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nnkit.data.tables import is_number
from nnkit.errors import DataError

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

# names that people give to these columns, the likeliest first
TEXTS = ("text", "sentence", "review", "phrase", "comment", "tweet", "message", "document", "content", "body")
LABELS = ("label", "class", "category", "sentiment", "target", "polarity", "stars", "rating", "y")


class Asked(Protocol):
    """What a config says of the columns: see `nnkit.data.labelled.Layout`."""

    @property
    def text(self) -> int | str | None: ...
    @property
    def label(self) -> int | str | None: ...
    @property
    def header(self) -> bool | None: ...


@dataclass
class Table:
    """The rows below the header, each with the line it begins in. names: the header's, None where there is none."""

    name: str
    place: str
    names: list[str] | None
    lines: list[int]
    rows: list[list[str]]

    @classmethod
    def of(cls, name: str, lines: list[int], rows: list[list[str]], delimiter: str, asked: Asked) -> Table:
        """DataError for a table without rows, of one column, or with rows of unequal length."""
        between = DELIMITERS[delimiter]
        if not rows:
            raise DataError(f"{name}: no rows in it")
        width = len(rows[0])
        if width < 2:
            raise DataError(f"{name}:{lines[0]}: one column only; a class and a text need two, with {between} between")
        for line, row in zip(lines, rows):
            if len(row) != width:
                quotes = ("; set data.format: csv if a cell in quotes has a tab or a line break in it"
                          if delimiter == "\t" and sum(cell.count('"') for cell in row) % 2 else "")
                more = f"; a text with {between} in it needs quotes around it" if len(row) > width and delimiter != "\t" else ""
                raise DataError(f"{name}:{line}: {len(row)} cell{'' if len(row) == 1 else 's'} where the first row has "
                                f"{width}{quotes}{more}")
        names = None
        if is_header(rows, asked) if asked.header is None else asked.header:
            names = [cell.strip() for cell in rows[0]]
            if len(rows) < 2:
                raise DataError(f"{name}: a header and no rows below it")
        below = names is not None
        return cls(name, f"{name}:{lines[0]}", names, lines[below:], rows[below:])

    def columns(self, asked: Asked) -> tuple[int, int]:
        """Those of the text and of the class."""
        return choose_columns(self.place, self.names, len(self.rows[0]), self.rows, asked)

    def called(self, column: int) -> int | str:
        """A column's name, or its number where it has none of its own."""
        if self.names is None or not self.names[column] or self.names.count(self.names[column]) > 1:
            return column
        return self.names[column]


def is_header(rows: list[list[str]], asked: Asked) -> bool:
    """Whether the first row names columns: it has no number and nothing that stands below it once more, and either a name that is
    common for a column, or a single word above a column of few values or of numbers."""
    if isinstance(asked.text, str) or isinstance(asked.label, str):
        return True
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    below = [{row[j].strip() for row in rest} for j in range(len(first))]
    if not rest or any(map(is_number, first)) or any(cell in values for cell, values in zip(first, below) if cell):
        return False
    if any(cell.casefold() in TEXTS + LABELS for cell in first):
        return True
    return not any(len(cell.split()) > 1 for cell in first) and any(
        len(values) <= len(rest) / 2 or all(map(is_number, values)) for cell, values in zip(first, below) if cell)


def holds_texts(rows: list[list[str]]) -> bool:
    """Whether a column is one of texts, most of whose cells are of several words. Where all others are numbers it may be that of
    the class, Iris setosa: it is one of texts then only if most of its cells are different."""
    columns = list(zip(*(row for row in rows[1:] or rows if len(row) == len(rows[0]))))
    half = len(columns[0]) / 2 if columns else 0
    wordy = [cells for cells in columns if sum(len(cell.split()) > 1 for cell in cells) > half]
    written = sum(sum(map(is_number, cells)) <= half for cells in columns)
    return any(written > 1 or len(set(cells)) > half for cells in wordy)


def choose_columns(place: str, names: list[str] | None, width: int, rows: list[list[str]], asked: Asked) -> tuple[int, int]:
    """The columns of the text and of the class: those that were asked for, else by their names; of two the class is the one that
    has fewer values, or the shorter ones. DataError, with what columns there are, where this does not tell."""
    text, label = (None if column is None else column_number(place, what, column, names, width)
                   for what, column in (("text", asked.text), ("label", asked.label)))
    folded = [name.casefold() for name in names or []]
    if label is None:
        label = next((folded.index(name) for name in LABELS if name in folded and folded.index(name) != text), None)
    if text is None:
        text = next((folded.index(name) for name in TEXTS if name in folded and folded.index(name) != label), None)
    if width == 2 and text is None and label is None:
        sizes = [(len({row[j] for row in rows}), sum(len(row[j]) for row in rows)) for j in range(2)]
        label = None if sizes[0] == sizes[1] else sizes.index(min(sizes))
    if width == 2 and label is not None and text is None:
        text = 1 - label
    if width == 2 and text is not None and label is None:
        label = 1 - text
    for what, column in (("label", label), ("text", text)):
        if column is None:
            there = f"one of {', '.join(map(repr, names))}" if names else (
                f"a number from 0 to {width - 1} (a row: {', '.join(map(repr, rows[0])):.80})")
            raise DataError(f"{place}: cannot tell which column is the {'class' if what == 'label' else 'text'}; set data.{what} "
                            f"to {there}")
    assert text is not None and label is not None
    if text == label:
        raise DataError(f"{place}: data.text = {asked.text} and data.label = {asked.label} are one column; they must be two")
    return text, label


def column_number(place: str, what: str, column: int | str, names: list[str] | None, width: int) -> int:
    if isinstance(column, str):
        if names is None:
            raise DataError(f"{place}: data.{what} = {column!r} is a name, and this table has no header that names columns")
        if column not in names:
            raise DataError(f"{place}: no column {column!r} (data.{what}); there are {', '.join(map(repr, names))}")
        return names.index(column)
    if not -width <= column < width:
        raise DataError(f"{place}: no column {column} (data.{what}); there are {width}, 0 to {width - 1}"
                        + (f": {', '.join(map(repr, names))}" if names else ""))
    return column % width
