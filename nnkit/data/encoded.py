"""Texts as numbers, one after the other in one array: a batch of any of them is a gather, without a loop over words."""

from __future__ import annotations

import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from nnkit.data.vocabulary import Vocabulary, kept

Split = Callable[[str], list[str]]


class EncodedTexts:
    """n texts in the ids of a vocabulary, their unknown words left out.

    ids: (kept,) int32; offsets: (n + 1,) int64, text i is ids[offsets[i]:offsets[i + 1]]; words: (n,) int64, how many words each
    text has, unknown ones, too.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, words: np.ndarray):
        self.ids, self.offsets, self.words = ids, offsets, words

    @classmethod
    def of(cls, texts: Iterable[str], split: Split, vocabulary: Vocabulary) -> EncodedTexts:
        """The texts in the words of `vocabulary`, as `split` finds them."""
        ids, ends, words = array("i"), array("q", [0]), array("q")
        find = vocabulary.index.get
        for text in texts:
            found = split(text)
            ids.fromlist([i for i in map(find, found) if i is not None])
            ends.append(len(ids))
            words.append(len(found))
        return cls(np.array(ids, np.int32), np.array(ends, np.int64), np.array(words, np.int64))

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64: the known words of each text."""
        return np.diff(self.offsets)

    @property
    def unknown(self) -> int:
        """How many words the vocabulary does not have, in all texts."""
        return int(self.words.sum()) - len(self.ids)

    def __len__(self) -> int:
        return len(self.words)

    def bags(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the chosen texts in their order, and the place in them where each text begins: (len(chosen),)."""
        places, offsets = gather(self.offsets, chosen)
        return self.ids[places], offsets


def gather(offsets: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of texts that begin at `offsets`, (texts + 1,), the places of the chosen ones' words, one text after the other, and where
    in these each text begins, (len(chosen),)."""
    starts = offsets[chosen]
    lengths = offsets[np.asarray(chosen) + 1] - starts
    begin = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - begin, lengths), begin


def count_and_encode(
    texts: Iterable[str], split: Split, min_count: int, max_size: int | None, source: str
) -> tuple[Vocabulary, EncodedTexts]:
    """The vocabulary of the texts and the texts in it, in one pass: what `Vocabulary.count` and `EncodedTexts.of` give.

    Their words are never all in memory. DataError as in `Vocabulary.count`, which names `source`.
    """
    index: defaultdict[str, int] = defaultdict(itertools.count().__next__)  # as words are first seen
    ids, ends = array("i"), array("q", [0])
    for text in texts:
        ids.fromlist([index[word] for word in split(text)])
        ends.append(len(ids))
    first, offsets = np.array(ids, np.int32), np.array(ends, np.int64)
    counts, seen = np.bincount(first, minlength=len(index)).astype(np.int64), list(index)
    order = kept(counts, min_count, max_size, source)
    final = np.full(len(index), -1, np.int32)
    final[order] = np.arange(len(order), dtype=np.int32)
    numbers = final[first]
    known = numbers >= 0
    before = np.concatenate([[0], np.cumsum(known)])  # known words before each place
    return Vocabulary([seen[i] for i in order], counts[order]), EncodedTexts(numbers[known], before[offsets], np.diff(offsets))
