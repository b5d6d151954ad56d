"""Words that stand together more often than chance has it, joined to one: new york → new_york (Mikolov et al., 2013).

    python -m nnkit.data.phrases INPUT OUTPUT [--passes 2]

A pair a b is a phrase if  (count(a b) - discount) / (count(a) · count(b)) · N > threshold,  N being all words of the
text: by about how much it is commoner than it would be among words in random order. A second pass over the joined text
finds phrases of up to four words.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO

import numpy as np

from nnkit.data.text import InPieces, Sentences, read_sentences
from nnkit.data.vocabulary import checked
from nnkit.errors import DataError, UserError

CHUNK = 1 << 21  # pairs that are counted at a time

Pair = tuple[str, str]


def learn_phrases(
    sentences: Iterable[Sequence[str]],
    min_count: int = 5,
    threshold: float = 100.0,
    *,
    discount: float | None = None,
    max_pairs: int = 20_000_000,
) -> dict[Pair, float]:
    """The pairs of neighbours that are phrases, with their scores, highest first; equal scores in the order of the words.

    Words and pairs seen less than `min_count` times are none; `discount` is min_count unless given, as in word2phrase.
    Never more than about 2 · `max_pairs` distinct pairs are held, 16 bytes each. Where a text has more, those seen once
    so far are forgotten, then those seen twice, until half of the room is free: their counts are then a little low, as
    in word2phrase. `sentences` is walked twice; TypeError as in `Vocabulary.count`.
    """
    discount = min_count if discount is None else discount
    total, seen = 0, Counter[str]()
    for words, _ in _pieces(sentences):
        total += len(words)
        seen.update(words)
    frequent = [word for word, n in seen.items() if n >= max(min_count, 1)]
    counts = np.array([seen[word] for word in frequent], dtype=np.float64)
    del seen
    pairs, together = _count_pairs(sentences, frequent, max_pairs)

    first, second = np.divmod(pairs, max(len(frequent), 1))
    scores = (together - discount) / (counts[first] * counts[second]) * total
    found = np.flatnonzero((scores > threshold) & (together >= min_count))
    names = [(-scores[i], frequent[first[i]], frequent[second[i]]) for i in found]
    return {(a, b): float(-score) for score, a, b in sorted(names)}


def join_phrases(
    sentences: Iterable[Sequence[str]], phrases: Collection[Pair], separator: str = "_"
) -> "JoinedSentences":
    """The sentences with each pair that is in `phrases` made one word; they can be walked as often as `sentences`.

    From left to right, and a word that was joined is not joined again: of a b c with both pairs a_b c is made. ValueError
    for a separator with white space in it, or none.
    """
    return JoinedSentences(sentences, phrases, separator)


class JoinedSentences(InPieces):
    """What `join_phrases` returns: an iterable of lists of words."""

    def __init__(self, sentences: Iterable[Sequence[str]], phrases: Collection[Pair], separator: str):
        if separator.split() != [separator]:
            raise ValueError(f"the separator {separator!r} becomes part of a word: it needs a sign or more, without white space")
        self.sentences = sentences
        self.phrases = phrases
        self.separator = separator

    def pieces(self) -> Iterator[tuple[list[str], bool]]:
        """As `Sentences.pieces`: what fits in little memory however long a sentence is, True with the last of each."""
        before: str | None = None  # the word that may begin a phrase
        for words, last in _pieces(self.sentences):
            joined = []
            for word in words:
                if before is None:
                    before = word
                elif (before, word) in self.phrases:
                    joined.append(before + self.separator + word)
                    before = None
                else:
                    joined.append(before)
                    before = word
            if last and before is not None:
                joined.append(before)
                before = None
            yield joined, last


def _pieces(sentences: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], bool]]:
    if isinstance(sentences, (Sentences, JoinedSentences)):
        yield from sentences.pieces()
    else:
        for words in checked(sentences):
            yield words, True


def _count_pairs(sentences: Iterable[Sequence[str]], words: list[str], max_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs of neighbours as first · len(words) + second, rising, and the count of each: both int64."""
    pairs, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    waiting: list[np.ndarray] = []  # pairs with repeats; merged when they are as many as the distinct ones
    forget = 0
    for chunk in _pairs(sentences, words):
        waiting.append(chunk)
        if sum(map(len, waiting)) >= max(min(len(pairs), max_pairs), CHUNK):
            pairs, counts = _merge(pairs, counts, waiting)
            while len(pairs) > max_pairs:
                forget += 1
                pairs, counts = pairs[counts > forget], counts[counts > forget]
    return _merge(pairs, counts, waiting)


def _pairs(sentences: Iterable[Sequence[str]], words: list[str]) -> Iterator[np.ndarray]:
    """About CHUNK pairs at a time, those with a word that is not in `words` left out."""
    index = {word: i for i, word in enumerate(words)}
    ids = [-1]  # -1: the end of a sentence, or a word that is too rare
    for piece, last in _pieces(sentences):
        ids.extend(index.get(word, -1) for word in piece)
        if last:
            ids.append(-1)
        if len(ids) > CHUNK:
            yield _neighbours(ids, len(words))
            ids = ids[-1:]
    yield _neighbours(ids, len(words))


def _neighbours(ids: list[int], n_words: int) -> np.ndarray:
    array = np.array(ids, dtype=np.int64)
    first, second = array[:-1], array[1:]
    return (first * n_words + second)[(first >= 0) & (second >= 0)]


def _merge(pairs: np.ndarray, counts: np.ndarray, waiting: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`pairs` and their counts with what waits added; `waiting` is empty afterwards."""
    new, n = np.unique(np.concatenate([pairs[:0], *waiting]), return_counts=True)
    waiting.clear()
    both, place = np.unique(np.concatenate([pairs, new]), return_inverse=True)
    total = np.zeros(len(both), dtype=np.int64)
    total[place[: len(pairs)]] = counts
    total[place[len(pairs) :]] += n
    return both, total


# ---- the program


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nnkit.data.phrases", description="Join the words of phrases: new york becomes new_york."
    )
    parser.add_argument("input", metavar="INPUT", help="text, one sentence a line: .txt, .gz, .bz2, a folder or a builtin")
    parser.add_argument("output", metavar="OUTPUT", help="the text that is written; .gz and .bz2 are compressed")
    parser.add_argument("--passes", type=int, default=1, help="2: phrases of up to 4 words; 3: of up to 8 (default 1)")
    parser.add_argument("--min-count", type=int, default=5, help="words and pairs seen less often are left alone (default 5)")
    parser.add_argument(
        "--threshold", type=float, nargs="+", default=[100.0], help="lower: more phrases; one, or one a pass (default 100)"
    )
    parser.add_argument("--separator", default="_", help="what stands between the words of a phrase (default _)")
    parser.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict", help="bytes that are not UTF-8")
    parser.add_argument("--force", action="store_true", help="overwrite OUTPUT")
    options = parser.parse_args(arguments)
    if options.passes < 1:
        parser.error(f"--passes {options.passes}: at least 1")
    if len(options.threshold) not in (1, options.passes):
        parser.error(f"--threshold: {len(options.threshold)} numbers for {options.passes} passes; name one, or one a pass")
    if options.separator.split() != [options.separator]:
        parser.error(f"--separator {options.separator!r}: needs a sign or more, without white space")
    try:
        _write_joined(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _write_joined(options: argparse.Namespace) -> None:
    output = options.output
    if os.path.exists(output) and not options.force:
        raise DataError(f"{output}: is there already; add --force to overwrite it")
    folder = os.path.dirname(os.path.abspath(output))
    if os.path.isdir(output) or not os.path.isdir(folder):
        raise DataError(f"{output}: {'is a folder; name a file' if os.path.isdir(output) else f'there is no folder {folder}'}")
    sentences: Sentences | JoinedSentences = read_sentences(options.input, options.errors)
    thresholds = options.threshold * options.passes if len(options.threshold) == 1 else options.threshold
    for number, threshold in enumerate(thresholds, start=1):
        phrases = learn_phrases(sentences, options.min_count, threshold)
        examples = ", ".join(map(options.separator.join, list(phrases)[:5]))
        print(f"pass {number}: {len(phrases):,} phrases{': ' if phrases else ''}{examples}", file=sys.stderr)
        sentences = join_phrases(sentences, phrases, options.separator)
    try:
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as making:  # OUTPUT appears when it is whole
            temporary = os.path.join(making, "text" + os.path.splitext(output)[1])
            with _open_to_write(temporary) as stream:
                _write(sentences, stream)
            os.replace(temporary, output)
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {error.strerror or error}") from None


def _write(sentences: "Sentences | JoinedSentences", stream: IO[str]) -> None:
    space = ""
    for words, last in sentences.pieces():
        if words:
            stream.write(space + " ".join(words))
            space = " "
        if last:
            stream.write("\n")
            space = ""


def _open_to_write(path: str) -> IO[str]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".gz":
        import gzip

        return gzip.open(path, "wt", encoding="utf-8", newline="\n")
    if suffix == ".bz2":
        import bz2

        return bz2.open(path, "wt", encoding="utf-8", newline="\n")
    return open(path, "w", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
