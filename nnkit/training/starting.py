"""A training that goes on from saved vectors: which words have some, and which of them must stay as they are.

Two kinds of source: a file of vectors, which gives a model's first table, or the folder of a run of the same kind of recipe, of
which the last checkpoint gives both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import nn
from nnkit.autograd import Tensor
from nnkit.data import describe
from nnkit.data.vocabulary import Vocabulary
from nnkit.errors import ConfigError, DataError
from nnkit.training.checkpoints import load_latest
from nnkit.vectors import WordVectors


class Start:
    """The vectors that `path` has for `words`, which are the rows of a model's tables.

    tables: the names of the model's two tables, the one that is the result first. found: (n,) places in `words` of those that
    have a vector. offered: how many words the source has. description: what tells later which file it was. notices: what a user
    should hear about it.
    DataError where it cannot be read, where its vectors do not have `dim` numbers (both are named), and where it has none of
    the words.
    """

    def __init__(self, path: str, words: Sequence[str], dim: int, tables: Sequence[str], unicode_errors: str = "strict"):
        self.path, self.tables, self.unicode_errors = path, tables, unicode_errors
        self.has_both = os.path.isdir(path)
        self.notices: list[str] = []
        theirs, matrices, file = self._read()
        self.offered, width = matrices[0].shape
        if width != dim:
            raise DataError(f"{path}: its vectors have {width} numbers, model.dim is {dim}; set model.dim: {width}, or another "
                            "model.start")
        index = {word: i for i, word in enumerate(theirs)}
        rows = np.array([index.get(word, -1) for word in words])
        self.found = np.flatnonzero(rows >= 0)
        if not len(self.found):
            raise DataError(f"{path}: has none of the {len(words):,} words of the text; it has {_some(theirs)}, the text "
                            f"{_some(words)}: do the language, and upper and lower case, agree?")
        self.description: dict[str, Any] = describe(str(file))
        self._rows = rows[self.found]
        self._matrices: list[np.ndarray] | None = [matrix[self._rows] for matrix in matrices]

    def fill(self, model: nn.Module) -> None:
        """Write the vectors into the model's tables. They are not kept here after that: a second time reads the file again."""
        matrices = self._matrices or [matrix[self._rows] for matrix in self._read()[1]]
        self._matrices = None
        for name, matrix in zip(self.tables, matrices):
            getattr(model, name).weight.value[self.found] = matrix

    def freeze(self, model: nn.Module) -> None:
        """Put a PartlyFrozen in the place of every table that was given vectors. ConfigError where that is every word."""
        table = getattr(model, self.tables[0])
        if len(self.found) == table.num_embeddings:
            raise ConfigError(f"model.freeze: all {len(self.found):,} words of the text are in {self.path}, so that none of "
                              "their vectors would be trained; set model.freeze: false, or give a text with new words")
        for name in self.tables[:1 + self.has_both]:
            setattr(model, name, PartlyFrozen.of(getattr(model, name).weight, self.found))

    def _read(self) -> tuple[Sequence[str], list[np.ndarray], Path]:
        """The words, a matrix for each table that is given, and the file that holds them."""
        if not self.has_both:
            if not os.path.exists(self.path):
                raise DataError(f"{self.path}: no such file or run; model.start names it, and resuming a run needs it, too")
            vectors = WordVectors.load(self.path, unicode_errors=self.unicode_errors)
            self.notices = vectors.notices
            return vectors.words, [vectors.matrix], Path(self.path)
        vocabulary, checkpoints = Path(self.path, "vocab.txt"), Path(self.path, "checkpoints")
        if not vocabulary.is_file() or not checkpoints.is_dir():
            what = "vocab.txt" if checkpoints.is_dir() else "checkpoints/"
            raise DataError(f"{self.path}: has no {what}; model.start is a file of vectors, or the folder of a run of word "
                            "vectors that came to its end")
        words = Vocabulary.load(vocabulary).words
        arrays, _, file, notice = load_latest(checkpoints)
        self.notices = [notice] if notice else []
        saved = {name.removeprefix("model/"): array for name, array in arrays.items() if name.startswith("model/")}
        names = [f"{name}.weight" for name in self.tables]
        if sorted(saved) != sorted(names):
            raise DataError(f"{self.path}: is a run of another kind of recipe: its tables are {', '.join(saved)}, and not "
                            f"{', '.join(names)}; give its vectors alone: {Path(self.path, 'vectors.vec')}")
        if any(len(saved[name]) != len(words) for name in names):
            raise DataError(f"{vocabulary}: has {len(words):,} words, {file} tables of {len(saved[names[0]]):,}; one of them is "
                            f"of another run; give its vectors alone: {Path(self.path, 'vectors.vec')}")
        return words, [saved[name] for name in names], file


class PartlyFrozen(nn.Embedding):
    """An Embedding of which some rows are not trained: their gradient is zero, and a step of plain SGD leaves every bit of them.

    A step that decays weights would shrink them all the same.
    """

    frozen: np.ndarray  # (num_embeddings,) bool

    @classmethod
    def of(cls, weight: Tensor, rows: np.ndarray) -> PartlyFrozen:
        """The table `weight`, (num_embeddings, embedding_dim), not a copy, with these of its rows frozen."""
        layer = cls.from_pretrained(weight, freeze=False)
        assert isinstance(layer, PartlyFrozen)
        layer.frozen = np.zeros(len(weight.value), bool)
        layer.frozen[rows] = True
        return layer

    def forward(self, ids):
        looked_up = super().forward(ids)
        if looked_up.requires_grad:
            still = self.frozen[ids][..., None]
            looked_up.register_hook(lambda gradient: np.where(still, 0, gradient))
        return looked_up

    def __repr__(self):
        return f"PartlyFrozen({self.num_embeddings}, {self.embedding_dim}, frozen={int(self.frozen.sum())})"


def _some(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words[:3]))
