"""Tables of numbers with a class in one column: what a first classifier is trained on."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnkit.data.files import reading
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
    rows = csv_rows(path)
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
            raise DataError(f"{name}:{number}: {wrong!r} is not a number; only the label may be text (for a table of texts "
                            "set data.features={type: bag})") from None
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


def read_npz(path: str | os.PathLike[str], with_labels: bool = True) -> tuple[np.ndarray, list[str]]:
    """Read a .npz with the arrays x and y, as numpy.savez(path, x=x, y=y) writes it: features (n, d) float32, and the n labels.

    Without labels: x alone, and none.

    x: (n, ...) numbers, all but its first dimension made one; y: (n,) integers, booleans or texts. DataError with the row, from
    0, for what is no finite float32; for arrays that are missing or of other shapes and types, and a file that is no .npz.
    """
    name = os.fspath(path)
    try:
        with reading(name), np.load(name, allow_pickle=False) as file:
            missing = [key for key in ("x", "y")[:1 + with_labels] if key not in file.files]
            if missing:
                raise DataError(f"{name}: no array {' and no array '.join(missing)} in it but {', '.join(file.files) or 'none'}; "
                                "expected x, the features (n, d), and y, the classes (n,)")
            x = file["x"]
            y = file["y"] if with_labels else np.zeros(x.shape[:1], int)
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{name}: cannot be read as a .npz of plain arrays ({error})") from None
    if x.ndim < 2 or y.shape != x.shape[:1] or not x.size:
        raise DataError(f"{name}: x of shape {x.shape} and y of shape {y.shape}; expected (n, d) and (n,), n and d at least 1")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{name}: x is of type {x.dtype}; expected numbers")
    if y.dtype.kind not in "iubU":
        raise DataError(f"{name}: y is of type {y.dtype}; expected classes, integers or texts (y.astype(int) makes them of whole "
                        "numbers)")
    with np.errstate(over="ignore"):  # as in read_csv
        table = x.reshape(len(x), -1).astype(np.float32)
    finite = np.isfinite(table)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        wrong = x.reshape(len(x), -1)[row, column]
        raise DataError(f"{name}: row {row} of x (from 0): {wrong} is not a finite float32; fill or leave out such rows")
    return table, [str(label) for label in y.tolist()] if with_labels else []


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


def balanced_weights(classes: Any, n_classes: int) -> np.ndarray:
    """(n_classes,) float64: n / (n_classes · examples of the class), as scikit-learn has it, so that all classes count the same.

    classes: (n,) integers. A class without an example is counted as if it had one.
    """
    counts = np.bincount(np.asarray(classes), minlength=n_classes)
    return len(np.asarray(classes)) / (n_classes * np.maximum(counts, 1))


def csv_rows(
    path: str | os.PathLike[str], delimiter: str = ",", encoding: str = "utf-8", another_way: str = ""
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the line it begins in. DataError as in `read_lines`, and for quotes
    that are not closed or end inside of a cell."""
    import csv

    longest = csv.field_size_limit(1 << 30)  # a cell may be a whole book; the limit is one for all of Python
    line, reader = 1, csv.reader((line + "\n" for line in read_lines(path, "strict", encoding, another_way)), delimiter=delimiter,
                                 strict=True)
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{os.fspath(path)}:{line}: {error}") from None
    finally:
        csv.field_size_limit(longest)


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
