"""The layers of step one: the affine map, the table, the activations, dropout, and one after the other."""

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.nn import init
from nnkit.nn.module import Module


class Linear(Module):
    """y = x W + b.

    x: (..., in_features), y: (..., out_features). W is (in_features, out_features) and b (out_features,),
    both uniform in ±1/sqrt(in_features) at first. ValueError where x does not fit.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Any = None):
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: expected sizes of at least 1, got {in_features} and {out_features}")
        rng = init.generator(rng)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = init.uniform((in_features, out_features), in_features ** -0.5, rng)
        self.bias = init.uniform((out_features,), in_features ** -0.5, rng) if bias else None

    def forward(self, x):
        try:
            return ops.linear(x, self.weight, self.bias)
        except ValueError:
            if np.shape(x)[-1:] == (self.in_features,):
                raise
            raise ValueError(f"{self!r}: expected an input of shape (..., {self.in_features}), got {np.shape(x)}") from None

    def __repr__(self):
        return f"Linear({self.in_features}, {self.out_features}{'' if self.bias is not None else ', bias=False'})"


class Embedding(Module):
    """table[ids]: one row of num_embeddings x embedding_dim learned numbers for each id.

    ids: integers of any shape; the result is ids' shape + (embedding_dim,). weight is normal with deviation 1 at first, as
    in PyTorch. padding_idx: a row that is zero and stays so (-1: the last). sparse: its gradient is a RowGrad (see there
    what that means for momentum, Adam and decay), else dense. IndexError for an id outside the table, TypeError for
    other numbers.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, sparse: bool = True, *,
                 rng: Any = None):
        self._describe(num_embeddings, embedding_dim, padding_idx, sparse)
        self.weight = init.normal((num_embeddings, embedding_dim), rng=rng)
        if self.padding_idx is not None:
            self.weight.value[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, weight: Tensor | np.ndarray, freeze: bool = True, padding_idx: int | None = None,
                        sparse: bool = True) -> "Embedding":
        """A layer whose table is `weight`, (num_embeddings, embedding_dim) floats, not a copy; freeze: it is not trained.

        ValueError for another number of dimensions or a padding_idx outside the table.
        """
        values = weight.value if isinstance(weight, Tensor) else np.asarray(weight)
        if values.ndim != 2 or values.dtype.kind != "f":
            raise ValueError(f"Embedding.from_pretrained: expected a table of floats, got shape {values.shape}, {values.dtype}")
        layer = cls.__new__(cls)
        layer._describe(values.shape[0], values.shape[1], padding_idx, sparse)
        layer.weight = Tensor(values, requires_grad=not freeze)
        return layer

    def _describe(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, sparse: bool) -> None:
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is not one of {num_embeddings} rows")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.sparse = sparse

    def forward(self, ids):
        return ops.embedding(self.weight, ids, padding=self.padding_idx, sparse=self.sparse)

    def __repr__(self):
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


class Sequential(Module):
    """Each layer on what the one before it gave. Any callable on Tensors may stand among them."""

    def __init__(self, *layers: Any):
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, i):
        return self.layers[i]

    def __repr__(self):
        return f"Sequential({', '.join(map(repr, self.layers))})"


class ReLU(Module):
    """max(x, 0)"""

    def forward(self, x):
        return ops.relu(x)


class Tanh(Module):
    """Hyperbolic tangent"""

    def forward(self, x):
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))"""

    def forward(self, x):
        return ops.sigmoid(x)


class Dropout(Module):
    """In training, each element is 0 with probability p and 1/(1-p) times itself otherwise (Srivastava et al., 2014).

    In evaluation x itself. rng: the generator of the masks; a checkpoint keeps its state.
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be at least 0 and less than 1, got {p}")
        self.p = p
        self.rng = init.generator(rng)

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, p=self.p, rng=self.rng) if self.training and self.p > 0 else x

    def __repr__(self):
        return f"Dropout(p={self.p})"
