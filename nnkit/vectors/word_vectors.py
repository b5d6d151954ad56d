"""WordVectors: words and their vectors, asked for neighbours. Files are in `formats`, scores in `evaluation`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from nnkit.errors import UserError
from nnkit.vectors import formats

Query = str | np.ndarray | Sequence[str | np.ndarray]

LARGE = 1 << 24  # numbers of a product that is made at once: 64 MB


class Neighbours(list[tuple[str, float]]):
    """Words and their scores, the best first: a list of pairs, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(word)}</td><td>{score:.4f}</td></tr>" for word, score in self)
        return f"<table><tr><th>word</th><th>score</th></tr>{rows}</table>"


class UnknownWord(UserError, KeyError):
    """A word that has no vector. The text is one line with words of near spelling, looked for when it is printed."""

    def __init__(self, word: object, words: Sequence[str]):
        super().__init__(word)
        self.word = word
        self.words = words

    def __str__(self) -> str:
        near = near_spellings(str(self.word), self.words)
        hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
        return f"the word {self.word!r} is not among the {len(self.words):,} known{hint}"


def near_spellings(word: str, words: Sequence[str], n: int = 3) -> list[str]:
    """Up to n of `words` that are spelt like `word`, the nearest first; of equally near ones, the first in the list."""
    candidates = [other for other in words if abs(len(other) - len(word)) <= 2 and
                  (other[:1].casefold() == word[:1].casefold() or other[1:] == word[1:])]
    folded: dict[str, str] = {}
    for other in candidates[:20_000]:  # a second at most, and words come by falling frequency
        folded.setdefault(other.casefold(), other)
    return [folded[match] for match in difflib.get_close_matches(word.casefold(), folded, n)]


class WordVectors:
    """words: n different strings; matrix: (n, d) floats, one row a word, in the order of the words. No copy is made.

    Likeness is the cosine of the angle between two vectors, from -1 to 1; that of a vector of zeros with any other is 0.
    Queries keep the length of every row, n numbers that are computed with the first query, and never a second matrix; the
    matrix must not change after that. `notices` holds what a user should hear about the file that was loaded.

    ValueError where the words are not as many as the rows, or one is there twice.
    """

    def __init__(self, words: Sequence[str], matrix: np.ndarray):
        if matrix.ndim != 2 or len(words) != len(matrix):
            raise ValueError(f"WordVectors: {len(words)} words and a matrix of shape {matrix.shape}; expected a row a word")
        self.words = list(words)
        self.matrix = matrix if matrix.dtype.kind == "f" else matrix.astype(np.float32)
        self.index = {word: i for i, word in enumerate(self.words)}
        if len(self.index) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self.index[word] != i)
            raise ValueError(f"WordVectors: the word {twice!r} is in the list twice")
        self.notices: list[str] = []
        self._lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> np.ndarray:
        """(d,): the vector of a word; UnknownWord, which is a KeyError, where it has none."""
        return self.matrix[self._place(word)]

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words, {self.matrix.shape[1]} numbers each)"

    # files

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, unicode_errors: str = "strict", mmap: bool = False) -> WordVectors:
        """Read word2vec text or binary, GloVe text, any of these packed by gzip: float32; or the .npz of `save`.

        The format is told from the bytes, not from the name. unicode_errors: what to do with words that are not UTF-8:
        "strict", "replace" or "ignore". mmap: map the matrix of an .npz, read-only, in place of reading it; in other
        formats there is nothing to map, and they are read.

        `notices` of the result tells of repeated words (the first row of each is kept) and of words with spaces.
        DataError names file, line or word, and byte where the file is damaged, cut short, or not what its header says.
        """
        words, matrix, notices = formats.read(path, unicode_errors, mmap)
        vectors = cls(words, matrix)
        vectors.notices = notices
        return vectors

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> None:
        """Write what the name asks for: .vec word2vec text, .bin word2vec binary, .txt GloVe text, .npz for `mmap`.

        form: "word2vec", "word2vec-binary", "glove" or "npz", whatever the name. .gz after it packs all but npz.
        The old file stays until the new one is whole; numbers read back to the same float32. DataError for a word with
        white space, which only npz can hold; OSError where the file cannot be written.
        """
        formats.write(path, self.words, self.matrix, form)

    def save_word2vec(self, path: str | os.PathLike[str], binary: bool = False) -> None:
        """word2vec's format, whatever the name: a line `n d`, then a word and its numbers a row. Otherwise as `save`."""
        formats.write(path, self.words, self.matrix, "word2vec-binary" if binary else "word2vec")

    # queries

    def similarity(self, a: str | np.ndarray, b: str | np.ndarray) -> float:
        """The cosine of two words or vectors. UnknownWord where a word has no vector."""
        return float(self._unit(a) @ self._unit(b))

    def similarities(self, word: str | np.ndarray, others: Iterable[str] | None = None) -> np.ndarray:
        """The cosines of a word or vector with `others`, or with all words: (k,). UnknownWord."""
        if others is None:
            return self._cosines(self._unit(word))
        return np.array([self.similarity(word, other) for other in others], self.matrix.dtype)

    def most_similar(self, positive: Query, negative: Query | int = (), n: int = 10) -> Neighbours:
        """The n words nearest to what is `positive` and farthest from what is `negative`, with their cosine, nearest first.

        Both take a word, a vector (d,), or a list of these. Words are added with length 1, vectors as they are, and
        negative ones subtracted (3CosAdd of Levy and Goldberg, 2014). The words of the question are never in the answer.
        A number in second place is n. UnknownWord.
        """
        if isinstance(negative, int):
            n = negative
        plus, minus = _listed(positive), [] if isinstance(negative, int) else _listed(negative)
        if not plus and not minus:
            raise ValueError("most_similar: no words to be similar to")
        total = sum(self._term(item) for item in plus) - sum(self._term(item) for item in minus)
        return self._nearest(self._cosines(_normalized(np.asarray(total))), n, [*plus, *minus])

    def most_similar_many(self, words: Sequence[str], n: int = 10) -> list[Neighbours]:
        """`most_similar(word, n)` for each of many words, in one matrix product for as many as fit in 64 MB. UnknownWord."""
        places = [self._place(word) for word in words]
        step = max(1, LARGE // max(len(self), 1))
        result = []
        for first in range(0, len(places), step):
            units = np.stack([self._unit(word) for word in words[first:first + step]])
            cosines = units @ self.matrix.T
            cosines /= self._safe_lengths()
            result += [self._nearest(row, n, [word]) for row, word in zip(cosines, words[first:first + step])]
        return result

    def analogy(self, a: str, b: str, c: str, n: int = 10, method: str = "3cosadd") -> Neighbours:
        """a is to b as c is to what? The n best words and their scores.

        "3cosadd" scores by the cosine with b - a + c, "3cosmul" by cos(x, b) · cos(x, c) / (cos(x, a) + 1e-6), each cosine
        moved to 0..1 (Levy and Goldberg, 2014). UnknownWord.
        """
        if method == "3cosadd":
            return self.most_similar([b, c], [a], n)
        if method != "3cosmul":
            raise ValueError(f"analogy: method must be '3cosadd' or '3cosmul', not {method!r}")
        near_a, near_b, near_c = ((1 + self._cosines(self._unit(word))) / 2 for word in (a, b, c))
        return self._nearest(near_b * near_c / (near_a + self.matrix.dtype.type(1e-6)), n, [a, b, c])

    def centrality(self, words: Sequence[str]) -> np.ndarray:
        """The cosine of each word with the mean of the unit vectors of all: (len(words),). UnknownWord."""
        if not words:
            raise ValueError("centrality: no words")
        units = np.stack([self._unit(word) for word in words])
        return units @ _normalized(units.mean(axis=0))

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that goes least with the others, by `centrality`; of equals the first in the alphabet. UnknownWord."""
        return min(zip(self.centrality(words), words))[1]

    # what they are made of

    def _place(self, word: str) -> int:
        try:
            return self.index[word]
        except KeyError:
            raise UnknownWord(word, self.words) from None

    def _safe_lengths(self) -> np.ndarray:
        """(n,): the lengths of the rows, 1 for a row of zeros: its products are 0, and so are its cosines then.

        As zeros counts a row so short (1e-38 in float32) that its numbers have lost their digits.
        """
        if self._lengths is None:
            lengths = np.empty(len(self), self.matrix.dtype)
            for first in range(0, len(self), 4096):  # in float64, for the square of a float32 may be too large or too small
                rows = self.matrix[first:first + 4096].astype(np.float64)
                lengths[first:first + 4096] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            lengths[lengths < np.finfo(lengths.dtype).tiny] = 1
            self._lengths = lengths
        return self._lengths

    def _unit(self, item: str | np.ndarray) -> np.ndarray:
        """(d,): the vector of a word, or this vector, at length 1; zeros stay zeros."""
        return _normalized(self[item] if isinstance(item, str) else np.asarray(item, self.matrix.dtype))

    def _term(self, item: str | np.ndarray) -> np.ndarray:
        return self._unit(item) if isinstance(item, str) else np.asarray(item, self.matrix.dtype)

    def _cosines(self, unit: np.ndarray) -> np.ndarray:
        cosines = self.matrix @ unit
        cosines /= self._safe_lengths()
        return cosines

    def _nearest(self, scores: np.ndarray, n: int, question: Iterable[str | np.ndarray]) -> Neighbours:
        """The n words of the highest scores, but for those of the question; equal scores in the order of the words."""
        asked = {self.index[item] for item in question if isinstance(item, str)}
        scores[list(asked)] = -np.inf
        n = min(n, len(self) - len(asked))
        if n < 1:
            return Neighbours()
        places = np.flatnonzero(scores >= np.partition(scores, -n)[-n])
        places = places[np.argsort(-scores[places], kind="stable")[:n]]
        return Neighbours((self.words[i], float(scores[i])) for i in places)


def _listed(query: Query) -> list[str | np.ndarray]:
    if isinstance(query, str) or (isinstance(query, np.ndarray) and query.ndim == 1):
        return [query]
    return list(query)


def _normalized(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1, in its own dtype; a vector of zeros as it is."""
    exact = vector.astype(np.float64)
    length = np.sqrt(exact @ exact)
    return (exact / (length or 1)).astype(vector.dtype)
