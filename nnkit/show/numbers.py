"""Numbers as a picture shows them: small arrays in full, of large ones the shape and the range."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.autograd import RowGrad

ROWS, COLUMNS = 4, 5  # what still counts as small, and is written in full


def number(x: Any) -> str:
    """Four digits, which is what float32 can be trusted with after a few steps: 0.1, -1.25, 3e-07, nan."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    return f"{float(x) + 0.0:.4g}"  # + 0.0 makes the 0 of a -0


def is_small(shape: tuple[int, ...]) -> bool:
    """At most a matrix of ROWS x COLUMNS."""
    rows, columns = ((1, 1, *shape)[-2:])
    return len(shape) <= 2 and rows <= ROWS and columns <= COLUMNS


def texts(value: Any) -> list[str]:
    """The lines for an array or a RowGrad: one for a number or a vector, one a row for a small matrix, else its range."""
    if isinstance(value, RowGrad):
        if not is_small(value.shape):
            return [f"{len(np.unique(value.rows)):,} of {value.shape[0]:,} rows, {spread(value.row_values())}"]
        value = value.dense()
    value = np.asarray(value)
    if not value.size:
        return ["no numbers"]
    if not is_small(value.shape):
        return [spread(value)]
    if not value.ndim:
        return [number(value[()])]
    cells = [[number(x) for x in row] for row in value.reshape(-1, value.shape[-1])]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [f"[{'  '.join(cell.rjust(width) for cell, width in zip(row, widths))}]" for row in cells]


def spread(value: np.ndarray) -> str:
    """From the least to the largest number, and how many are none; the number alone where all are one."""
    finite = value[np.isfinite(value)] if value.dtype.kind == "f" else value
    odd = f"{value.size - finite.size:,} nan or inf" if finite.size < value.size else ""
    if not finite.size:
        return odd or "no numbers"
    low, high = number(finite.min()), number(finite.max())
    return " and ".join(filter(None, [f"all {low}" if low == high else f"{low} to {high}", odd]))


def shape_text(value: Any) -> str:
    """(2, 3) float32"""
    return f"{tuple(value.shape)} {value.dtype}"
