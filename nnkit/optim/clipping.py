"""Steps that would lead too far made shorter: all gradients of a step by their norm or their size, between backward and step

    loss.backward()
    clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()

and the rows of a table that one step looks up again and again. All gradients of a step are taken at one point, and those of
such a row are summed. Where one word is in hundreds of a step's pairs, as in a text of four words, the sum leads far beyond the
minimum, and the next one further back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nnkit.autograd import RowGrad, Tensor

PIECE = 1 << 15  # numbers that are widened to float64 at a time


def grad_norm(params: Iterable[Tensor]) -> float:
    """The 2-norm of all gradients taken as one vector, summed in float64; a RowGrad counts as the dense gradient it stands for.

    Tensors without a gradient count as zeros. Infinite or NaN where a gradient is. TypeError for a gradient that is a Tensor.
    """
    total = 0.0
    with np.errstate(all="ignore"):  # what is not finite is the answer
        for p in params:
            if p.grad is None:
                continue
            if isinstance(p.grad, Tensor):
                raise TypeError("grad_norm: this gradient is a Tensor, made with create_graph=True; take its norm with "
                                "nnkit.ops, or clip what backward() without create_graph gives")
            flat = (p.grad.coalesce().values if isinstance(p.grad, RowGrad) else p.grad).reshape(-1)
            for start in range(0, flat.size, PIECE):
                piece = flat[start:start + PIECE].astype(np.float64, copy=False)
                total += float(piece @ piece)
    return math.sqrt(total)


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Where the 2-norm of all gradients taken as one vector is above max_norm, scale all of them down to it. Returns the norm
    before (Pascanu, Mikolov & Bengio, 2013).

        g ← g · max_norm / (norm + 1e-6), if that is smaller, as in PyTorch

    In place; a RowGrad is replaced. A norm that is not finite leaves the gradients as they are. ValueError unless max_norm > 0.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: expected a max_norm above 0, got {max_norm}")
    params = list(params)
    norm = grad_norm(params)
    scale = float(max_norm) / (norm + 1e-6)
    if math.isfinite(norm) and scale < 1:
        for p in params:
            if isinstance(p.grad, RowGrad):  # its values may be anybody's
                p.grad = RowGrad(p.grad.rows, p.grad.values * scale, p.grad.shape, p.grad.index, p.grad.factors)
            elif p.grad is not None:
                p.grad *= scale
    return norm


def clip_grad_value(params: Iterable[Tensor], limit: float) -> None:
    """Bring every number of every gradient into -limit..limit; NaN stays NaN.

    In place; a RowGrad is replaced by one whose repeats are added up first. ValueError unless limit > 0.
    """
    if not limit > 0:
        raise ValueError(f"clip_grad_value: expected a limit above 0, got {limit}")
    for p in params:
        if isinstance(p.grad, RowGrad):
            p.grad = p.grad.coalesce()
            np.clip(p.grad.values, -limit, limit, out=p.grad.values)
        elif isinstance(p.grad, Tensor):
            raise TypeError("clip_grad_value: this gradient is a Tensor, made with create_graph=True; clip what backward() "
                            "without create_graph gives")
        elif p.grad is not None:
            np.clip(p.grad, -limit, limit, out=p.grad)


@dataclass
class RepeatedRows:
    """Where one step looks up the rows that are bounded. Look-ups of a row stand together."""

    rows: np.ndarray    # (m,) rows of the table
    places: np.ndarray  # (n,) look-ups of these, counted through the step's ids
    firsts: np.ndarray  # (p,) where in `places` the look-ups of each row begin, for the p of the m rows that this step has

    def clip(self, gradient: np.ndarray, longest: float) -> None:
        """Change the gradient of the step's look-ups, (..., d), in place: none of the rows gets more than `longest` in all.

        Where the sum of a row's parts has a larger norm, all of them are scaled down alike. The array is contiguous.
        """
        if not len(self.firsts):
            return
        flat = gradient.reshape(-1, gradient.shape[-1])
        parts = flat.take(self.places, axis=0)
        total = np.add.reduceat(parts, self.firsts, axis=0)
        norm = np.sqrt(np.einsum("ij,ij->i", total, total))
        if not (norm <= longest).all():  # as it is, too, with numbers that are none
            counts = np.diff(self.firsts, append=len(parts))
            flat[self.places] = parts * np.repeat(longest / np.maximum(norm, longest), counts)[:, None]


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
    which = which[steps, places]
    order = np.lexsort((which, steps))           # stable: a row's look-ups stay in their order
    places = places[order]
    new = np.flatnonzero(np.diff(steps * len(rows) + which[order], prepend=-1))
    bounds = np.searchsorted(steps, np.arange(len(ids) + 1))
    heads = np.searchsorted(new, bounds)
    return [RepeatedRows(rows, places[i:j], new[k:m] - i)
            for i, j, k, m in zip(bounds, bounds[1:], heads, heads[1:])]
