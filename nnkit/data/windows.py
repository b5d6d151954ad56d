"""What word2vec sees of a text: thinned out, each word with a window of its own, in blocks from all over, and random words.

A block is a run of consecutive words together with the words around it. Recipes take B blocks a step and turn them into
matrix products; which words are near each other, which are left out and which are drawn as negatives is decided here, for
a whole stretch of the text at once, so that a step costs no more than slices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnkit.data.corpus import Corpus

SHUFFLED_WORDS = 300_000  # blocks are shuffled over so many words of the text, or over all of it


@dataclass
class Blocks:
    """n blocks of L words, in random order. A word of sentence s is paired with words of s alone."""

    text: np.ndarray       # (n, L + 2 · window) ids: the block, and the words before and after it
    left: np.ndarray       # (n, L): how many words before this one are in its window
    right: np.ndarray      # (n, L): and after it; both 0 where a block is filled up
    negatives: np.ndarray  # (n, K) ids in proportion to count ** power
    raw_words: float       # words of the text that these blocks account for, rare ones and thinned ones included


class Windows:
    """Draws the blocks of an epoch.

    subsample: t of word2vec's rule, by which a word of frequency f stays with probability sqrt(t / f) + t / f; 0 keeps all.
    A window reaches 1 to `window` words to both sides, drawn for every word after thinning (so it reaches over what was left
    out), and ends where the sentence does.
    """

    def __init__(self, corpus: Corpus, *, window: int, subsample: float, power: float):
        self.corpus, self.window = corpus, window
        counts = corpus.vocabulary.counts
        frequency = counts / counts.sum()
        keep = np.sqrt(subsample / frequency) + subsample / frequency if subsample else np.ones(len(counts))
        self.keep = keep.astype(np.float32)               # (words,)
        self.noise = np.cumsum((counts / counts.max()) ** power)  # a share: a count to a large power would be infinite
        self.noise /= self.noise[-1]                      # (words,): the distribution of negatives, summed up
        self.first, self.last = 0, len(corpus.ids)        # this worker's part of the text

    def take_part(self, part: int, parts: int, n: int = 1) -> None:
        """Keep n of equal parts of the text, from number `part` on. A part begins and ends where a sentence does; each word
        is in one.
        """
        starts = self.corpus.starts
        shares = np.arange(parts + 1) * len(self.corpus.ids) // parts
        bounds = starts[np.searchsorted(starts, shares)]
        self.first, self.last = int(bounds[part]), int(bounds[part + n])

    @property
    def raw_words(self) -> float:
        """Words of the text in this part, those that are not in the vocabulary included."""
        return self.raw_words_of(self.last - self.first)

    def raw_words_of(self, n_ids: int) -> float:
        return n_ids * self.corpus.raw_tokens / len(self.corpus.ids)

    def blocks(self, rng: np.random.Generator, *, length: int, negatives: int, multiple: int) -> Iterator[Blocks]:
        """An epoch, one stretch of SHUFFLED_WORDS after the other; in each, a multiple of `multiple` blocks of `length` words."""
        for first in range(self.first, self.last, SHUFFLED_WORDS):
            yield self.stretch(first, min(first + SHUFFLED_WORDS, self.last), rng, length, negatives, multiple)

    def stretch(self, first: int, last: int, rng: np.random.Generator, length: int, negatives: int, multiple: int) -> Blocks:
        ids, w = self.corpus.ids[first:last], self.window
        stays = rng.random(len(ids), dtype=np.float32) < self.keep[ids]  # before the windows are drawn
        before, after = self.corpus.edges(first, last, stays)
        ids = ids[stays]
        n_blocks = max(1, -(-len(ids) // (length * multiple))) * multiple
        padding = n_blocks * length - len(ids)            # nothing is dropped: what is missing is filled with words of no window
        reach = rng.integers(1, w + 1, len(ids), dtype=np.int32)
        left = np.pad(np.minimum(reach, before), (0, padding)).reshape(-1, length)
        right = np.pad(np.minimum(reach, after), (0, padding)).reshape(-1, length)
        text = np.lib.stride_tricks.sliding_window_view(np.pad(ids, (w, w + padding)), length + 2 * w)[::length]
        # blocks from all over: a word repeated in one article would be summed a hundred times in one step
        order = rng.permutation(n_blocks)
        return Blocks(text[order], left[order], right[order], self.draw_negatives(n_blocks, negatives, rng),
                      self.raw_words_of(last - first))

    def draw_negatives(self, n_blocks: int, negatives: int, rng: np.random.Generator) -> np.ndarray:
        """(n_blocks, negatives) ids, those of a block from equal shares of the distribution.

        Draws in order are found in the table three times as fast; so all of them are drawn in order, dealt out one share
        after the other, and the blocks shuffled.
        """
        draws = np.cumsum(rng.standard_exponential(n_blocks * negatives + 1))  # the n-th is at draws[n] / draws[-1] of [0, 1)
        ids = np.searchsorted(self.noise, draws[:-1] / draws[-1], side="right").astype(np.int32)
        return ids.reshape(negatives, n_blocks).T[rng.permutation(n_blocks)]
