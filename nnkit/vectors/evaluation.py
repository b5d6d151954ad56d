"""Scores of word vectors against people's judgement: likeness of pairs, analogies, and the odd one out.

All follow gensim (and word2vec.c) in what is counted: upper and lower case are one, the first word of a spelling in the
vocabulary stands for all of it, and what has an unknown word is left out and counted as left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nnkit.errors import DataError
from nnkit.vectors.evaluation_files import Pair, read_pairs, read_sections
from nnkit.vectors.word_vectors import LARGE, WordVectors


@dataclass(frozen=True)
class PairScores:
    """Correlations between the cosines of pairs and people's scores; nan where either is the same for all pairs."""

    name: str
    spearman: float
    pearson: float
    used: int
    total: int
    skipped: list[Pair]  # those with an unknown word

    def __str__(self) -> str:
        return f"{self.name}: spearman {self.spearman:.4f}, pearson {self.pearson:.4f} ({self.used} of {self.total} pairs)"


@dataclass(frozen=True)
class Section:
    """How many questions of a section were answered right, of those used, of all. accuracy: right / used, nan for none."""

    name: str
    right: int
    used: int
    total: int

    @property
    def accuracy(self) -> float:
        return self.right / self.used if self.used else math.nan


@dataclass(frozen=True)
class AnalogyScores(Section):
    """The sum over all sections, in the file's order; `skipped` are the questions with an unknown word."""

    sections: list[Section]
    skipped: list[tuple[str, ...]]

    def __str__(self) -> str:
        return f"{self.name}: accuracy {self.accuracy:.4f} ({self.right} right of {self.used} used of {self.total} questions)"


@dataclass(frozen=True)
class OddOneOutScores(Section):
    """How many sets were answered right; `skipped` are those with an unknown word."""

    skipped: list[tuple[str, ...]]

    @property
    def chance(self) -> float:
        """The accuracy of guessing among five words."""
        return 1 / 5

    @property
    def chance_error(self) -> float:
        """The standard error of that on the sets used, sqrt(p (1 - p) / used); nan for none."""
        return math.sqrt(self.chance * (1 - self.chance) / self.used) if self.used else math.nan

    def __str__(self) -> str:
        if not self.used:
            return f"{self.name}: none of its {self.total} sets has all its words in the vocabulary"
        return (f"{self.name}: accuracy {self.accuracy:.4f} ({self.right} right of {self.used} used of {self.total} sets; "
                f"by chance {self.chance:.4f} ± {self.chance_error:.4f})")


def evaluate_pairs(vectors: WordVectors, pairs: str | os.PathLike[str] | Iterable[Pair | tuple[str, str, float]],
                   restrict: int | None = None, case_insensitive: bool = True, name: str = "pairs") -> PairScores:
    """Correlate the cosines of pairs, from a file (`read_pairs`) or a list of (word, word, score), with their scores.

    restrict: know the first so many words alone. DataError where no pair has two known words.
    """
    if isinstance(pairs, (str, os.PathLike)):
        name, pairs = os.path.basename(pairs), read_pairs(pairs)
    judged = [pair if isinstance(pair, Pair) else Pair(*pair) for pair in pairs]
    known, _ = _folded(vectors, restrict, case_insensitive)
    scores, cosines, skipped = [], [], []
    for pair in judged:
        a, b = (known.get(_fold(word, case_insensitive)) for word in (pair.first, pair.second))
        if a is None or b is None:
            skipped.append(pair)
            continue
        scores.append(pair.score)
        cosines.append(vectors.similarity(vectors.words[a], vectors.words[b]))
    if not scores:
        raise DataError(f"{name}: none of the {len(judged)} pairs has two words that the vectors know")
    x, y = np.array(cosines), np.array(scores)
    return PairScores(name, correlation(ranks(x), ranks(y)), correlation(x, y), len(scores), len(judged), skipped)


def evaluate_analogies(vectors: WordVectors, path: str | os.PathLike[str], top: int | None = 30_000,
                       case_insensitive: bool = True) -> AnalogyScores:
    """Questions `a b c d`, right where d is the word nearest to b - a + c (3CosAdd) that is none of a, b and c.

    top: answers, and words of questions, are the first so many of the vocabulary alone; None for all. DataError for a
    line that is not four words.
    """
    questions = read_sections(path, 4)
    known, spelling = _folded(vectors, top, case_insensitive)
    places = [[known.get(_fold(word, case_insensitive), -1) for word in question.words] for question in questions]
    asked = np.array(places)
    used = np.min(asked, axis=1) >= 0
    right = np.zeros(len(questions), bool)
    right[used] = _answers(vectors.matrix[:top], spelling, asked[used, :3]) == asked[used, 3]
    right &= (asked[:, :3] != asked[:, 3:]).all(axis=1)     # a word of the question is no answer
    names = list(dict.fromkeys(question.section for question in questions))
    member = np.array([names.index(question.section) for question in questions])
    sections = [Section(section, int(right[member == i].sum()), int(used[member == i].sum()), int((member == i).sum()))
                for i, section in enumerate(names)]
    skipped = [question.words for question, is_used in zip(questions, used) if not is_used]
    return AnalogyScores(os.path.basename(path), int(right.sum()), int(used.sum()), len(questions), sections, skipped)


def evaluate_odd_one_out(vectors: WordVectors, path: str | os.PathLike[str], case_insensitive: bool = True) -> OddOneOutScores:
    """Sets of five words a line, the last of which does not belong: right where its cosine with the mean of the five unit
    vectors is less than that of every other (`WordVectors.doesnt_match`). Equal cosines are no answer.

    DataError for a line that is not five words.
    """
    sets = read_sections(path, 5)
    known, _ = _folded(vectors, None, case_insensitive)
    right, skipped = 0, []
    for line in sets:
        places = [known.get(_fold(word, case_insensitive)) for word in line.words]
        if None in places:
            skipped.append(line.words)
            continue
        cosines = vectors.centrality([vectors.words[place] for place in places if place is not None])
        right += bool(cosines[-1] < cosines[:-1].min())
    return OddOneOutScores(os.path.basename(path), right, len(sets) - len(skipped), len(sets), skipped)


def _answers(matrix: np.ndarray, spelling: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The answers to (q, 3) questions, as the first word of their spelling: (q,). One product for many questions."""
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    units = (matrix / np.where(lengths == 0, 1, lengths)[:, None]).astype(matrix.dtype)
    spellings: dict[int, list[int]] = {}
    for place, first in enumerate(spelling.tolist()):
        spellings.setdefault(first, []).append(place)
    answers = np.empty(len(asked), np.intp)
    step = max(1, LARGE // len(units))
    for first in range(0, len(asked), step):
        block = asked[first:first + step]
        a, b, c = units[block.T]
        cosines = (b - a + c) @ units.T
        for row, words in zip(cosines, block.tolist()):
            row[[place for word in words for place in spellings[word]]] = -np.inf  # no other spelling of the question, either
        answers[first:first + step] = spelling[cosines.argmax(axis=1)]
    return answers


def _folded(vectors: WordVectors, top: int | None, case_insensitive: bool) -> tuple[dict[str, int], np.ndarray]:
    """Known spellings and the place of the first word that has each; and for each word the place of that first one."""
    known: dict[str, int] = {}
    first = [known.setdefault(_fold(word, case_insensitive), place) for place, word in enumerate(vectors.words[:top])]
    return known, np.array(first, np.intp)


def _fold(word: str, case_insensitive: bool) -> str:
    return word.upper() if case_insensitive else word


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value from 0, (n,) float64; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's; of ranks it is Spearman's. nan where either does not vary."""
    if x.min() == x.max() or y.min() == y.max():
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y) / math.sqrt(x @ x) / math.sqrt(y @ y)
