"""Steps that would lead too far made shorter: for rows of a table that one step looks up again and again.

All gradients of a step are taken at one point, and those of a row that is looked up many times are summed. Where one word is in
hundreds of a step's pairs, as in a text of four words, the sum leads far beyond the minimum, and the next one further back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnkit.autograd import scatter_add_rows


@dataclass
class RepeatedRows:
    """Where one step looks up the rows that are bounded."""

    rows: np.ndarray    # (m,) rows of the table
    places: np.ndarray  # (n,) look-ups of these, counted through the step's ids
    which: np.ndarray   # (n,) whose: 0..m-1

    def clip(self, gradient: np.ndarray, longest: float) -> None:
        """Change the gradient of the step's look-ups, (..., d), in place: none of the rows gets more than `longest` in all.

        Where the sum of a row's parts has a larger norm, all of them are scaled down alike. The array is contiguous.
        """
        flat = gradient.reshape(-1, gradient.shape[-1])
        parts = flat.take(self.places, axis=0)
        total = np.zeros((len(self.rows), flat.shape[1]), flat.dtype)
        scatter_add_rows(total, self.which, parts)
        norm = np.sqrt(np.einsum("ij,ij->i", total, total))
        if not (norm <= longest).all():  # as it is, too, with numbers that are none
            flat[self.places] = parts * (longest / np.maximum(norm, longest))[self.which, None]


def repeated_rows(ids: np.ndarray, many: float, size: int) -> list[RepeatedRows] | None:
    """The rows that are looked up more than `many` times a step on average, where each step finds them; None if there are none.

    ids: (steps, n) integers in 0..size-1, what each of the steps looks up.
    """
    rows = np.flatnonzero(np.bincount(ids.reshape(-1), minlength=size) > many * len(ids))
    if not len(rows):
        return None
    number = np.full(size, -1, np.int32)
    number[rows] = np.arange(len(rows))
    which = number[ids]
    steps, places = np.nonzero(which >= 0)
    bounds = np.searchsorted(steps, np.arange(len(ids) + 1))
    which = which[steps, places]
    return [RepeatedRows(rows, places[i:j], which[i:j]) for i, j in zip(bounds, bounds[1:])]
