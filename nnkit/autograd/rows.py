"""RowGrad: the gradient of a table lookup, which is zero in all rows but the few that were looked up.

A step of word2vec touches a thousand rows of a table that may have a million. The dense gradient would be the size of
the table; this one is the size of the step.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import sys
from typing import Any

import numpy as np

# Not by their characters: numbers of the other byte order are not pairs of these.
PAIRS: dict[np.dtype, Any] = {np.dtype(np.float32): np.dtype(np.complex64), np.dtype(np.float64): np.dtype(np.complex128)}

WORTH_COMPILING = 1 << 12  # numbers to be added: what is smaller need not wait for numba to be imported


class RowGrad:
    """Row rows[i] of a table of `shape` receives values[i], or values[index[i]] where many rows share one value, times factors[i]
    where there are factors.

    rows: (n,) integers in 0..shape[0]-1, repeats allowed (they add up). values: (n, ...) or, with index (n,), (m, ...). factors:
    (n,), with an index only.
    """

    __slots__ = ("factors", "index", "rows", "shape", "values")

    def __init__(self, rows: np.ndarray, values: np.ndarray, shape: tuple[int, ...], index: np.ndarray | None = None,
                 factors: np.ndarray | None = None):
        if values.shape[1:] != tuple(shape[1:]) or len(rows) != len(values if index is None else index):
            raise ValueError(f"RowGrad: {len(rows)} rows and values of shape {values.shape} do not fit a table {tuple(shape)}")
        if factors is not None and (index is None or len(factors) != len(rows)):
            raise ValueError(f"RowGrad: factors need an index, and one for each of the {len(rows)} rows")
        self.rows = rows
        self.values = values
        self.shape = tuple(shape)
        self.index = index
        self.factors = factors

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    def __repr__(self) -> str:
        return f"RowGrad({len(self.rows)} rows of {self.shape}, dtype={self.dtype})"

    def row_values(self) -> np.ndarray:
        """(n, ...): one value a row, shared ones written out."""
        values = self.values if self.index is None else self.values[self.index]
        if self.factors is not None:
            values *= self.factors.astype(self.dtype, copy=False).reshape(-1, *[1] * (values.ndim - 1))  # of the index's making
        return values

    def coalesce(self) -> RowGrad:
        """The same gradient with every row named once, in ascending order, repeats added up."""
        rows, place = np.unique(self.rows, return_inverse=True)
        values = np.zeros((len(rows), *self.shape[1:]), self.dtype)
        scatter_add_rows(values, place, self.values, index=self.index, factors=self.factors)
        return RowGrad(rows, values, self.shape)

    def dense(self) -> np.ndarray:
        """The whole table's gradient, zeros included: shape `shape`."""
        table = np.zeros(self.shape, self.dtype)
        scatter_add_rows(table, self.rows, self.values, index=self.index, factors=self.factors)
        return table

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.dense().astype(dtype or self.dtype, copy=False)

    def copy(self) -> RowGrad:
        index, factors = (None if a is None else a.copy() for a in (self.index, self.factors))
        return RowGrad(self.rows.copy(), self.values.copy(), self.shape, index, factors)

    def astype(self, dtype: Any) -> RowGrad:
        return RowGrad(self.rows, self.values.astype(dtype), self.shape, self.index, self.factors)


def add_grads(a: Any, b: Any, owned: bool = False) -> Any:
    """a + b where either may be a RowGrad. Two RowGrads stay one; beside an array the rows are written out.

    owned: a is nobody else's, so that an array may become the sum.
    """
    if isinstance(a, RowGrad) and isinstance(b, RowGrad):
        rows = np.concatenate([a.rows, b.rows])
        return RowGrad(rows, np.concatenate([a.row_values(), b.row_values()]), a.shape)
    if isinstance(a, RowGrad):
        a, b, owned = b, a, False
    if isinstance(b, RowGrad):
        total = a if owned else a.copy()
        scatter_add_rows(total, b.rows, b.values, index=b.index, factors=b.factors)
        return total
    if owned:
        return np.add(a, b, out=a)
    return np.asarray(a + b)  # the sum of two arrays of shape () is a number


def scatter_add_rows(table: np.ndarray, rows: np.ndarray, values: np.ndarray, *, index: np.ndarray | None = None,
                     scale: float = 1.0, factors: np.ndarray | None = None) -> None:
    """table[rows[i]] += scale * values[i] for every i, repeats included, in place; values[index[i]] where there is an index.

    table: (V, ...) floats, rows: (n,) in 0..V-1, values: (n, ...), or with index (n,): (m, ...). factors: (n,), what each addend
    is multiplied by, or None. The same bits with nnkit[fast], which compiles it. IndexError for a row behind the table.
    """
    rows = np.asarray(rows, np.intp)  # uint64 times an int would be a float
    width = math.prod(table.shape[1:])
    compiled = compiled_rows() if len(rows) * width >= WORTH_COMPILING and table.dtype in PAIRS else None
    if not table.flags.c_contiguous or width == 0:
        compiled = None
    if compiled is not None:
        flat, values = table.reshape(-1, width), np.ascontiguousarray(values, table.dtype).reshape(-1, width)
        scale = table.dtype.type(scale)
        if factors is not None:
            index = np.arange(len(rows)) if index is None else index
            added = compiled.add_weighted_rows(flat, rows, values, index, np.asarray(factors, table.dtype) * scale)
        elif index is not None:
            added = compiled.add_shared_rows(flat, rows, values, index, scale)
        else:
            added = compiled.add_rows(flat, rows, values, scale)
        if not added:                            # NumPy says so by itself
            check_range(rows, len(table), "rows")
            check_range(rows if index is None else index, len(values), "index")
        return
    if scale != 1 and factors is None:
        values = values * table.dtype.type(scale)
    if index is not None:
        values = values[index]
    if factors is not None:
        products = np.asarray(factors, table.dtype) * table.dtype.type(scale)
        values = values * products.reshape(-1, *[1] * (values.ndim - 1))
    if not table.flags.c_contiguous or width == 0:
        np.add.at(table, rows, values)
        return
    values = np.ascontiguousarray(values, table.dtype).reshape(len(rows), width)
    table = table.reshape(-1, width)
    pair = PAIRS.get(table.dtype)
    if pair is not None and width % 2 == 0:  # two floats as one complex number: half as many places to look up
        values, table, width = values.view(pair), table.view(pair), width // 2
    # np.add.at has a quick path for one-dimensional arrays only: ten times as fast as adding rows of two dimensions.
    places = (rows[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(table.reshape(-1), places, values.reshape(-1))


def check_range(places: np.ndarray, size: int, what: str) -> None:
    if len(places) and not -size <= places.min() <= places.max() < size:
        raise IndexError(f"scatter_add_rows: {what} from {places.min()} to {places.max()}, there are {size}")


@functools.cache
def compiled_rows() -> Any:
    """The module nnkit.autograd.compiled, or None where numba is not installed, or finds no place for what it compiles."""
    try:
        from nnkit.autograd import compiled
    except (ImportError, RuntimeError):
        return None
    return compiled


def is_compiled() -> bool:
    """False where numba is installed and finds nothing compiled here: the first large sum of rows then takes some seconds."""
    from pathlib import Path  # it costs a fifth of `import nnkit`, and only a run of word vectors asks

    if importlib.util.find_spec("numba") is None:
        return True
    here = Path(__file__).parent / "__pycache__"
    folder, names = here, f"compiled.add_rows-*.py{sys.version_info.major}{sys.version_info.minor}.nbi"
    if "NUMBA_CACHE_DIR" in os.environ:
        folder, names = Path(os.environ["NUMBA_CACHE_DIR"]), f"*/{names}"
    return any(folder.glob(names)) or not os.access(folder if folder.exists() else folder.parent, os.W_OK)
