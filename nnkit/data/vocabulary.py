"""From words to numbers: which words a model knows, and how often each was seen."""

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from nnkit.errors import DataError

LONGEST_SENTENCE = 1000  # kept words, as in word2vec.c: what is longer is trained as several sentences


class Vocabulary:
    """The words of a corpus by falling count, those of one count in the order they were first seen.

    words: list of str; counts: (len,) int64; index: the place of each word in both. ValueError where words repeat or
    the lengths differ. One that `load_corpus` found in its files makes words and index when they are first asked for.
    """

    _text: np.ndarray  # of a stored one

    def __init__(self, words: Sequence[str], counts: Sequence[int] | np.ndarray):
        self.words = list(words)
        self.counts = np.array(counts, dtype=np.int64)
        if self.counts.shape != (len(self.words),):
            raise ValueError(f"{len(self.words)} words need one count each, not an array of shape {self.counts.shape}")
        if len(self.index) != len(self.words):
            word = next(word for i, word in enumerate(self.words) if self.index[word] != i)
            raise ValueError(f"the word {word!r} is in the list twice")

    @classmethod
    def stored(cls, text: np.ndarray, counts: np.ndarray) -> "Vocabulary":
        """The vocabulary whose words stand in `text`, the bytes (uint8) of a file: UTF-8, a word a line, each once.

        They become strings when `words` or `index` is first asked for: 100 bytes a word and more, which a process that
        trains by numbers does without.
        """
        vocabulary = cls.__new__(cls)
        vocabulary._text, vocabulary.counts = text, counts
        return vocabulary

    @cached_property
    def words(self) -> list[str]:
        return self._text.tobytes().decode("utf-8").split("\n") if len(self) else []

    @cached_property
    def index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.counts)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words seen {int(self.counts.sum()):,} times)"

    @classmethod
    def count(
        cls,
        sentences: Iterable[Sequence[str]],
        min_count: int = 5,
        max_size: int | None = None,
        *,
        source: str = "the corpus",
    ) -> "Vocabulary":
        """Count the words of `sentences`; keep the `max_size` most frequent of those seen at least `min_count` times.

        `source` is the name errors give the text. DataError where fewer than 2 words stay; TypeError for strings in
        place of lists of words and for a one-shot iterator, which would be empty when it is encoded.
        """
        seen: Counter[str] = Counter()
        for words in checked(sentences):
            seen.update(words)
        for word in seen:
            if not isinstance(word, str):
                raise TypeError(f"words are strings; {source} has {word!r}, a {type(word).__name__}")
        words, counts = list(seen), np.fromiter(seen.values(), np.int64, len(seen))
        order = kept(counts, min_count, max_size, source)
        return cls([words[i] for i in order], counts[order])

    def encode(self, sentences: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the known words of all sentences, (kept,) int32, and where each sentence starts in them.

        starts: (sentences + 1,) int64, the last is `kept`. Unknown words are dropped, a sentence of more than 1,000
        known words is cut into several, one without any is left out. TypeError as in `count`.
        """
        ids, ends = array("i"), array("q")
        find = self.index.get
        for words in checked(sentences):
            ids.fromlist([i for i in map(find, words) if i is not None])
            ends.append(len(ids))
        starts = sentence_starts(0, np.array(ends, dtype=np.int64))
        return np.array(ids, dtype=np.int32), np.append(starts, len(ids))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one `word count` a line, UTF-8. ValueError for a word with a line end in it."""
        for word in self.words:
            if "\n" in word:
                raise ValueError(f"the word {word!r} has a line end in it and cannot be saved as text")
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{word} {n}\n" for word, n in zip(self.words, self.counts.tolist(), strict=True))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Read what `save` wrote, in the order of the file. DataError names the line that is no `word count`."""
        words: dict[str, int] = {}
        name = os.fspath(path)
        try:
            # newline="\n": a word may hold any other sign that some call a line end
            with open(path, encoding="utf-8", newline="\n") as stream:
                for number, line in enumerate(stream, start=1):
                    word, space, n = line.rpartition(" ")
                    if not space or not n.strip().isdecimal():
                        raise DataError(f"{name}:{number}: expected a word, a space and its count")
                    if int(n) >= 1 << 63:
                        raise DataError(f"{name}:{number}: the count {n.strip()} is too large; it should be below 2 ** 63")
                    if word in words:
                        raise DataError(f"{name}:{number}: the word {word!r} was there before")
                    words[word] = int(n)
        except FileNotFoundError:
            raise DataError(f"{name}: no such file (looked for {os.path.abspath(path)})") from None
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DataError(f"{name}: is not UTF-8 text; a vocabulary has one `word count` a line") from None
        return cls(list(words), list(words.values()))


def kept(counts: np.ndarray, min_count: int, max_size: int | None, source: str) -> np.ndarray:
    """The words to keep, most frequent first; DataError where they are too few to train on."""
    if not len(counts):
        raise DataError(f"{source}: no words in it; an empty file cannot be trained on")
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= min_count]
    top = int(counts.max())
    found = (
        f"{source}: {int(counts.sum()):,} tokens, {len(counts):,} distinct, "
        f"the most frequent seen {'once' if top == 1 else f'{top:,} times'}"
    )
    if not len(order):
        raise DataError(f"{found}: none reaches data.min_count = {min_count}; lower it")
    order = order[:max_size]
    if len(order) < 2:
        raise DataError(
            f"{found}: {len(order)} stays with data.min_count = {min_count}, data.max_size = {max_size}; "
            "a vocabulary needs at least 2 words"
        )
    return order


def sentence_starts(first: int, ends: np.ndarray) -> np.ndarray:
    """The starts of the sentences that end at `ends` (int64), the first of which starts at `first`.

    Empty ones are left out, those longer than LONGEST_SENTENCE are cut into pieces.
    """
    begins = np.concatenate([[first], ends[:-1]]).astype(np.int64)[: len(ends)]
    pieces = -(-(ends - begins) // LONGEST_SENTENCE)
    piece = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)  # its number in its sentence
    return np.repeat(begins, pieces) + piece * LONGEST_SENTENCE


def checked(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The sentences, each a list or tuple of words, or a TypeError that says what was passed instead."""
    if isinstance(sentences, (str, bytes)):
        raise TypeError("expected sentences as lists of words, got one string; pass [text.split()]")
    if not isinstance(sentences, Iterable):
        raise TypeError(f"expected sentences as lists of words, got a {type(sentences).__name__}")
    if iter(sentences) is sentences:
        raise TypeError("sentences are walked more than once, a one-shot iterator only once; pass list(sentences)")
    for i, words in enumerate(sentences):
        if isinstance(words, (list, tuple)):
            yield words
        elif isinstance(words, (str, bytes)) or not isinstance(words, Iterable):
            raise TypeError(f"sentence {i} is {words!r:.60}, a {type(words).__name__}, not a list of words; split it")
        elif iter(words) is words:
            raise TypeError(f"sentence {i} is a one-shot iterator, not a list of words; pass list(words)")
        else:
            yield list(words)
