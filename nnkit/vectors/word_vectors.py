"""WordVectors: words and their vectors, saved as other tools read them, and asked for neighbours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class WordVectors:
    """words: list of n strings; matrix: (n, d) float32, one row a word, in the order of the words.

    A word's neighbours are those at the smallest angle: cosine similarity, 0 for a vector of zeros.
    """

    def __init__(self, words: Sequence[str], matrix: np.ndarray):
        if len(words) != len(matrix):
            raise ValueError(f"WordVectors: {len(words)} words and {len(matrix)} vectors")
        self.words = list(words)
        self.matrix = matrix
        self.index = {word: i for i, word in enumerate(self.words)}
        length = np.linalg.norm(matrix, axis=1, keepdims=True)
        self.directions = matrix / np.where(length == 0, 1, length)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> np.ndarray:
        """(d,): the vector of a word; KeyError where it is not known."""
        return self.matrix[self.index[word]]

    def most_similar(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The n nearest other words and their cosine, nearest first. KeyError where the word is not known."""
        place = self.index[word]
        cosine = self.directions @ self.directions[place]
        cosine[place] = -np.inf
        n = min(n, len(self) - 1)
        nearest = np.argpartition(-cosine, n - 1)[:n]
        nearest = nearest[np.argsort(-cosine[nearest], kind="stable")]
        return [(self.words[i], float(cosine[i])) for i in nearest]

    def save_word2vec(self, path: str | os.PathLike[str]) -> None:
        """word2vec's text format: a line `n d`, then `word x1 ... xd` a line; the numbers read back to the same float32.

        ValueError for a word with white space in it, which no reader could tell from the numbers.
        """
        for word in self.words:
            if not word or any(c in word for c in " \t\r\n"):
                raise ValueError(f"WordVectors: {word!r} has white space in it, which the text format cannot hold")
        path = Path(path)
        temporary = path.with_name(path.name + ".tmp")
        with open(temporary, "w", encoding="utf-8", newline="\n") as out:
            out.write(f"{len(self)} {self.matrix.shape[1]}\n")
            for word, vector in zip(self.words, self.matrix.astype(np.float32, copy=False)):
                out.write(f"{word} {' '.join(map(str, vector))}\n")
        os.replace(temporary, path)
