"""EmbeddingBag: texts as the sum or the mean of their words' vectors, without a row for each word in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.nn.layers import Embedding
from nnkit.nn.module import Module
from nnkit.ops.common import numbers
from nnkit.ops.lookup import Bags


class EmbeddingBag(Module):
    """The sum or the mean of the rows of `weight`, num_embeddings x embedding_dim, that a bag of ids names.

    ids: (bags, length) integers; or (n,), with offsets, the ascending places at which each bag begins (with
    include_last_offset also the n at the end). y: (bags, embedding_dim), zeros for an empty bag. weight is normal with deviation
    1 at first, as in PyTorch. mode: "mean" or "sum". padding_idx: ids of this row count nothing, not in the mean either; the row
    is zero and stays so (-1: the last). per_sample_weights: of ids' shape, a factor for each row; a mean divides by the number
    of rows all the same. sparse: see Embedding. ValueError for other shapes, IndexError for an id outside the table.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, mode: str = "mean", sparse: bool = True,
                 include_last_offset: bool = False, padding_idx: int | None = None, *, rng: Any = None):
        if mode not in ("mean", "sum"):
            raise ValueError(f"EmbeddingBag: mode must be 'mean' or 'sum', got {mode!r}")
        table = Embedding(num_embeddings, embedding_dim, padding_idx, sparse, rng=rng)
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, table.padding_idx
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self.weight = table.weight

    def forward(self, ids, offsets=None, per_sample_weights=None):
        if offsets is not None:
            offsets = numbers(offsets)
            if self.include_last_offset:
                if offsets.ndim != 1 or not offsets.size or offsets[-1] != len(ids):
                    raise ValueError(f"{self!r}: with include_last_offset the last offset is the number of ids, {len(ids)}, got "
                                     f"{offsets}")
                offsets = offsets[:-1]
        weights = per_sample_weights
        if self.padding_idx is not None:
            ids, offsets, weights = self._without_padding(numbers(ids), offsets, weights)
        inputs = (self.weight, ids) if weights is None else (self.weight, ids, weights)
        return ops.embedding_bag(*inputs, offsets=offsets, mode=self.mode, sparse=self.sparse)

    def _without_padding(self, ids, offsets, weights):
        """The ids that count, flat, and where the bags begin among them."""
        bags = Bags(ids, self.num_embeddings, offsets, None)
        counted = bags.ids != self.padding_idx
        if weights is not None:
            weights = weights if isinstance(weights, Tensor) else np.asarray(weights)
            if weights.shape != ids.shape:
                raise ValueError(f"{self!r}: weights of shape {weights.shape} for ids of shape {ids.shape}")
            weights = bags.flat(weights)[counted]
        before = np.concatenate([[0], np.cumsum(counted)])  # how many count in front of each place
        return bags.ids[counted], before[np.cumsum(bags.counts) - bags.counts], weights

    def __repr__(self):
        return f"EmbeddingBag({self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r})"
