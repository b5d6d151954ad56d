"""edugrad's batches. They are drawn from NumPy's global generator, so that np.random.seed gives edugrad's order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nnkit.compat.edugrad.tensor import Tensor

__all__ = ["Batch", "BatchIterator", "DataIterator", "Iterator", "NamedTuple", "Tensor", "np"]


class Batch(NamedTuple):
    """Some examples, and what they should give."""

    inputs: Tensor
    targets: Tensor


class DataIterator:
    """Base class: calling one on all examples yields batches."""

    def __call__(self, inputs: Any, targets: Any) -> Iterator[Batch]:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class BatchIterator(DataIterator):
    """Yields slices of batch_size consecutive examples, the last one shorter; shuffle changes the order of the slices."""

    def __init__(self, batch_size: int = 32, shuffle: bool = True):
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __call__(self, inputs: Any, targets: Any) -> Iterator[Batch]:
        starts = np.arange(0, len(inputs), self.batch_size)
        if self.shuffle:
            np.random.shuffle(starts)  # noqa: NPY002
        for start in starts:
            rows = slice(start, start + self.batch_size)
            yield Batch(Tensor(inputs[rows], name="x"), Tensor(targets[rows], name="y"))
