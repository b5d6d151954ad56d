"""Minibatches of arrays: all that a training without YAML needs of a data loader."""

from collections.abc import Iterator

import numpy as np


def minibatches(
    *arrays: np.ndarray, batch_size: int, rng: np.random.Generator | None = None
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield tuples of `batch_size` rows, the same rows of every array, until each row was there once.

    arrays: each (n, ...). The order is drawn from `rng` when this is called; without `rng` it is that of the arrays,
    and batches are views. The last batch is smaller where batch_size does not divide n, never left out. ValueError for
    arrays of unequal lengths, none at all, or batch_size < 1.
    """
    if not arrays:
        raise ValueError("minibatches needs at least one array")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"arrays of one length are needed, these have {', '.join(map(str, lengths))} rows")
    # a generator function would only complain, and only draw, at the first batch
    return _batches(arrays, lengths[0], batch_size, None if rng is None else rng.permutation(lengths[0]))


def _batches(
    arrays: tuple[np.ndarray, ...], n: int, batch_size: int, order: np.ndarray | None
) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, n, batch_size):
        rows = slice(start, start + batch_size)
        chosen = rows if order is None else order[rows]
        yield tuple(array[chosen] for array in arrays)
