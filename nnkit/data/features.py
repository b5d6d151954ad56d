"""From what a file or a person gives to the rows a classifier takes: the same way in training and long after it.

What is learnt of the training part of a table, its means and deviations, is kept in a small file that people can read, and lines
that come later are read, checked and encoded by it alone. (Texts: text_inputs.py and bags.py.)
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.data.tables import is_number, read_npz
from nnkit.data.text import read_lines
from nnkit.errors import DataError

PathOf = Callable[[str], Path]  # of a file name: where it belongs

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass
class Example:
    """An input that was read: its place (FILE:LINE), what was given, its class if it has one, its numbers or words."""

    place: str
    given: Any
    label: str | None
    content: list[Any]


class Columns:
    """The columns of a table, each brought to mean 0 and deviation 1 by what the training part says of it.

    names: what the table calls them, None where it does not. mean, deviation: (columns,) float64. label: the column of the class
    in a table of examples.
    """

    file = "columns.csv"

    def __init__(self, names: list[str] | None, mean: np.ndarray, deviation: np.ndarray, label: int | str = -1):
        self.names, self.mean, self.deviation, self.label = names, mean, deviation, label
        self.n_features = len(mean)

    @classmethod
    def of(cls, rows: np.ndarray, names: list[str] | None = None, label: int | str = -1) -> Columns:
        """Learn them from the rows of the training part, (n, columns)."""
        exact = rows.astype(np.float64)  # in float32 a large column overflows, and a constant one has a deviation
        return cls(names, exact.mean(0), exact.std(0), label)

    def encode(self, rows: Any) -> np.ndarray:
        """(n, columns) float32 of n rows of numbers."""
        exact = np.asarray(rows, np.float32).astype(np.float64)
        return ((exact - self.mean) / np.where(self.deviation == 0, 1, self.deviation)).astype(np.float32)

    def read(self, inputs: Iterable[Any], source: str, label: int | str | None = None) -> Iterator[Example]:
        """The Examples in rows of numbers: lines of CSV, or sequences. `label`: the column of the class, None: there is none.

        A first row of the training's names, or without a number, is a header, whose names must be those; without a label that is
        so only where the training had names. DataError with the line for rows of another length and what is no finite float32.
        """
        width = self.n_features + (label is not None)
        for row, (place, given) in enumerate(filled(inputs, source, may_be_empty=label is not None)):
            cells = cells_of(given, place)
            named = row == 0 and isinstance(label, str)
            if named:
                if label not in cells:
                    raise DataError(f"{place}: no column {label!r}, the class; the header has {', '.join(cells)}")
                label = cells.index(label)
            if len(cells) != width:
                what = ("without the class; nnkit evaluate takes rows with it" if label is None else
                        f"and the class (data.label = {label}); nnkit predict takes rows without it")
                raise DataError(f"{place}: {len(cells)} cells, expected {width}: {self.n_features} numbers {what}")
            kind = None if label is None else cells.pop(label)  # type: ignore[arg-type]
            # a table that is measured may have got a header since; rows that are to be answered have one only if that is known
            may_be_names = row == 0 and (self.names is not None or kind is not None)
            if named or (may_be_names and (cells == self.names or not any(map(is_number, cells)))):
                self._check_names(cells, place)
            else:
                yield Example(place, given, kind, [finite(cell, place) for cell in cells])

    def read_labelled(self, file: str) -> Iterator[Example]:
        """The Examples in a table like that of the training, with the class: a .csv, or a .npz as `read_npz` reads it."""
        if not is_npz(file):
            yield from self.read(read_lines(file), file, self.label)
            return
        rows, labels = read_npz(file)
        if rows.shape[1] != self.n_features:
            raise DataError(f"{file}: x has {rows.shape[1]} numbers in a row, in the training they were {self.n_features}")
        for number, (row, label) in enumerate(zip(rows.tolist(), labels)):
            yield Example(f"{file}: row {number} of x", row, label, row)

    def count_words(self, example: Example) -> tuple[int, int]:
        """As for texts; a table has no words."""
        return 0, 0

    def _check_names(self, names: list[str], place: str) -> None:
        for number, (name, own) in enumerate(zip(names, self.names or names), 1):
            if name != own:
                raise DataError(f"{place}: number {number} of a row is {name!r}, in the training it was {own!r}; bring the "
                                f"columns into the order {', '.join(self.names or names)}")

    def save(self, path: PathOf) -> None:
        with open(path(self.file), "w", encoding="utf-8", newline="") as out:
            table = csv.writer(out, lineterminator="\n")
            table.writerow(["column", "mean", "deviation"])
            table.writerows(zip(self.names or unnamed(self.n_features), self.mean.tolist(), self.deviation.tolist()))

    @classmethod
    def load(cls, path: PathOf, label: int | str = -1) -> Columns:
        """Read what `save` wrote, to the bit. DataError where it is damaged."""
        file = path(cls.file)
        try:
            rows = list(csv.reader(read_lines(file), strict=True))[1:]
            names = [name for name, _, _ in rows]
            mean, deviation = np.array([numbers for _, *numbers in rows], np.float64).T
        except (ValueError, csv.Error) as error:
            raise DataError(f"{file}: is damaged ({error}); a run writes it at its end") from None
        return cls(None if names == unnamed(len(names)) else names, mean, deviation, label)


def column_names(file: str | os.PathLike[str], label: int | str) -> list[str] | None:
    """What a table that `read_csv` accepts calls its columns, that of the class left out; None where it has no header."""
    first = next(row for row in csv.reader(line + "\n" for line in read_lines(file)) if row)
    names = [name.strip() for name in first]
    names.pop(names.index(label) if isinstance(label, str) else label)
    return None if not isinstance(label, str) and any(map(is_number, names)) else names


def is_npz(file: str | os.PathLike[str]) -> bool:
    return os.fspath(file).lower().endswith(".npz")


def unnamed(n: int) -> list[str]:
    return [str(number) for number in range(1, n + 1)]


def filled(inputs: Iterable[Any], source: str, may_be_empty: bool) -> Iterator[tuple[str, Any]]:
    """Place (source:number) and value of the inputs that hold something. DataError for an empty one, unless it may be."""
    for number, given in enumerate(inputs, 1):
        if not isinstance(given, str) or given.strip():
            yield f"{source}:{number}", given
        elif not may_be_empty:
            raise DataError(f"{source}:{number}: is empty; every line gets an answer, so leave it out")


def cells_of(row: Any, place: str) -> list[Any]:
    if not isinstance(row, str):
        try:
            return list(row)
        except TypeError:
            raise DataError(f"{place}: expected a row of numbers or a line of CSV, got {row!r}") from None
    try:
        return [cell.strip() for cell in next(csv.reader([row], strict=True))]
    except csv.Error as error:
        raise DataError(f"{place}: {error}") from None


def finite(cell: Any, place: str) -> float:
    """The number in a cell. DataError where there is none, or none that float32 can hold."""
    if not is_number(cell):
        raise DataError(f"{place}: {cell!r} is not a number")
    if not abs(float(cell)) <= FLOAT32_MAX:
        raise DataError(f"{place}: {cell!r} is not a finite float32; fill or leave out such rows")
    return float(cell)
