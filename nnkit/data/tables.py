"""Tables of numbers with a class in one column: what a first classifier is trained on."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnkit.data.text import read_lines
from nnkit.errors import DataError


def read_csv(
    path: str | os.PathLike[str], label: int | str = -1, header: bool | str = "auto"
) -> tuple[np.ndarray, list[str]]:
    """Read a .csv or .csv.gz: features (n, d) float32, and the n labels as they are written.

    `label` is the column of the class, a number from 0 (from the end where negative) or its name in the header; every
    other column is a feature. `header` is True, False or "auto": the first row is one if none of its features is a
    number. Blank lines are skipped. DataError with the line for rows of unequal length, features that are no finite
    number and empty labels; also for a table without rows, features or that column, and as in `read_lines`.
    """
    if header not in (True, False, "auto"):
        raise ValueError(f"header must be True, False or 'auto', not {header!r}")
    name = os.fspath(path)
    rows = _rows(path)
    number, first = next(rows, (0, []))
    if not first:
        raise DataError(f"{name}: no rows in it")
    column = _label_column(name, number, first, label)
    features: list[list[float]] = []
    labels: list[str] = []
    lines: list[int] = []

    def add(number: int, cells: list[str]) -> None:
        if len(cells) != len(first):
            raise DataError(f"{name}:{number}: {len(cells)} cells where the rows before have {len(first)}")
        kind = cells.pop(column).strip()
        if not kind:
            raise DataError(f"{name}:{number}: column {column + 1}, the label, is empty")
        try:
            features.append([float(cell) for cell in cells])
        except ValueError:
            wrong = next(cell for cell in cells if not is_number(cell))
            raise DataError(f"{name}:{number}: {wrong!r} is not a number; only the label may be text") from None
        labels.append(kind)
        lines.append(number)

    if header == "auto":
        header = isinstance(label, str) or not any(is_number(c) for i, c in enumerate(first) if i != column)
    if not header:
        add(number, list(first))
    for number, cells in rows:
        add(number, cells)
    if not labels:
        raise DataError(f"{name}: a header and no rows below it")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is named below
        table = np.array(features, dtype=np.float32)
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        wrong_value = features[row][int(np.argmin(np.isfinite(table[row])))]
        raise DataError(f"{name}:{lines[row]}: {wrong_value} is not a finite float32; fill or leave out such rows")
    return table, labels


def split(
    n_or_labels: int | Sequence | np.ndarray, fraction: float, rng: np.random.Generator, stratify: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `fraction` of the examples for the dev set: sorted int64 indices (train, dev), each example in exactly one.

    `n_or_labels` is the number of examples, or their labels. With labels and `stratify` every class gives its share, to
    within one example, and always keeps one to train on. ValueError for a fraction outside (0, 1) or too few examples.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")
    n = int(n_or_labels) if isinstance(n_or_labels, (int, np.integer)) else len(n_or_labels)
    if n < 2:
        raise ValueError(f"{n} examples cannot be split in two")
    classes = np.zeros(n, dtype=np.int64)  # all of one class, as it were
    if stratify and not isinstance(n_or_labels, (int, np.integer)):
        classes = np.unique(np.asarray(n_or_labels), return_inverse=True)[1]
    sizes = np.bincount(classes)
    quota = fraction * sizes
    take = np.minimum(np.floor(quota).astype(np.int64), sizes - 1)
    # the rest goes to the classes that rounding down has hurt most
    missing = max(1, round(fraction * n)) - int(take.sum())
    hurt = np.argsort(-(quota - take), kind="stable")
    hurt = hurt[sizes[hurt] - take[hurt] > 1][:missing]
    take[hurt] += 1
    if not take.any():
        raise ValueError("every class has only one example: none can be spared for the dev set; pass stratify=False")

    order = rng.permutation(n)
    by_class = order[np.argsort(classes[order], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    dev = np.concatenate([by_class[s : s + k] for s, k in zip(starts, take, strict=True)])
    in_dev = np.zeros(n, dtype=bool)
    in_dev[dev] = True
    return np.flatnonzero(~in_dev), np.flatnonzero(in_dev)


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    import csv

    reader = csv.reader((line + "\n" for line in read_lines(path)), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{os.fspath(path)}:{reader.line_num}: {error}") from None


def _label_column(name: str, number: int, first: list[str], label: int | str) -> int:
    if len(first) < 2:
        raise DataError(f"{name}:{number}: one column only; features and a label need two, with a comma between")
    if isinstance(label, str):
        titles = [title.strip() for title in first]
        if label not in titles:
            raise DataError(f"{name}:{number}: no column {label!r}; the header has {', '.join(titles)}")
        return titles.index(label)
    if not -len(first) <= label < len(first):
        raise DataError(f"{name}:{number}: no column {label}; the rows have {len(first)} cells")
    return label % len(first)


def is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
