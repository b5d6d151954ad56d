"""The gradients of all ranks added up, between backward and update: dense ones in one buffer, rows as rows, never as a table.

    g ← Σ over ranks g of the rank

Every rank ends with the same bits, so that the same clipping and the same update follow on each.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnkit.autograd import RowGrad, Tensor
from nnkit.training.ranks import Ranks

NONE, DENSE = -2, -1  # what a rank says of a gradient; of a RowGrad, how many rows it has


class Exchange:
    """`add_up` does it for these parameters, in their own dtypes. bytes: that this rank gave away in the last step."""

    def __init__(self, params: Iterable[Tensor], ranks: Ranks):
        self.params, self.ranks, self.bytes = list(params), ranks, 0
        self._buffers: dict[np.dtype, np.ndarray] = {}

    def add_up(self) -> None:
        """Replace every gradient by its sum over the ranks. One that none of them has stays None.

        Ranks need not agree: one whose part of the batch is empty has no gradients, and a table that one of them looked up, and
        another one multiplied with, has a dense one.
        """
        if self.ranks.size == 1:
            return
        for p in self.params:
            if isinstance(p.grad, RowGrad) and p.grad.index is None:
                p.grad = p.grad.coalesce()
        own = [number for p in self.params for number in sizes(p)]
        of_all = self.ranks.table(own).astype(int).reshape(self.ranks.size, len(self.params), 2)
        self.bytes = 8 * len(own)
        is_dense, has_rows = np.any(of_all[..., 0] == DENSE, axis=0), np.any(of_all[..., 0] >= 0, axis=0)
        self.add_dense([p for p, dense in zip(self.params, is_dense) if dense])
        for i, p in enumerate(self.params):
            if has_rows[i] and not is_dense[i]:
                self.add_rows(p, np.maximum(of_all[:, i, 0], 0), of_all[:, i, 1])

    def add_dense(self, params: list[Tensor]) -> None:
        """All of one dtype are added up at once: a message has its price, however small it is."""
        for dtype in dict.fromkeys(p.dtype for p in params):
            group = [p for p in params if p.dtype == dtype]
            total = sum(p.value.size for p in group)
            if len(self._buffers.get(dtype, ())) != total:
                self._buffers[dtype] = np.empty(total, dtype)
            flat, first = self._buffers[dtype], 0
            places = []
            for p in group:
                place = flat[first:first + p.value.size].reshape(p.value.shape)
                place[...] = 0 if p.grad is None else p.grad.dense() if isinstance(p.grad, RowGrad) else p.grad
                places.append(place)
                first += p.value.size
            self.ranks.add(flat)
            self.bytes += flat.nbytes
            for p, place in zip(group, places):
                if isinstance(p.grad, np.ndarray):
                    p.grad[...] = place  # in its own memory, which the next step uses again
                else:
                    p.grad = place.copy()

    def add_rows(self, p: Tensor, n_rows: np.ndarray, n_values: np.ndarray) -> None:
        """The rows of all ranks, one rank's after the other's; who reads them adds up those that are the same.

        Where rows share values, as all words of a text do, those are sent once: (row, number of its value, factor) for each row.
        """
        grad = p.grad if isinstance(p.grad, RowGrad) else RowGrad(np.empty(0, int), np.empty((0, *p.shape[1:]), p.dtype), p.shape)
        is_own, n_values = (n_values < 0).all(), np.where(n_values < 0, n_rows, n_values)
        values = self.stack(grad.values, n_values)
        if is_own:
            p.grad = RowGrad(self.stack(grad.rows.astype(np.int64, copy=False), n_rows), values, p.shape)
            return
        number = np.arange(len(grad.rows)) if grad.index is None else grad.index
        look_ups = np.ones((len(grad.rows), 3))
        look_ups[:, 0], look_ups[:, 1] = grad.rows, number
        if grad.factors is not None:
            look_ups[:, 2] = grad.factors
        rows, index, factors = self.stack(look_ups, n_rows).T
        index = index.astype(np.int64) + np.repeat(np.cumsum(n_values) - n_values, n_rows)  # its place among those of all ranks
        p.grad = RowGrad(rows.astype(np.int64), values, p.shape, index, factors.astype(p.dtype))

    def stack(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        self.bytes += rows.nbytes
        return self.ranks.stack(rows, lengths.tolist())


def sizes(p: Tensor) -> tuple[int, int]:
    """What the gradient is, or how many rows it has; and how many values these share, -1 where each has its own."""
    if p.grad is None:
        return NONE, -1
    if not isinstance(p.grad, RowGrad):
        return DENSE, -1
    return len(p.grad.rows), -1 if p.grad.index is None else len(p.grad.values)
