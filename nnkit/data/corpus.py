"""A text as numbers on the disk: larger than memory, made once, and mapped by every process that trains on it.

Two entries of the cache hold it. The first is the text in provisional ids, numbered as words are first seen, with a 0
at the end of every line; reading and splitting the text is what costs. The second has final ids, for one choice of
the vocabulary, and takes one quick pass over the first. Words and counts lie beside them in files of their own.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.data.cache import Entry, cached
from nnkit.data.files import check_errors
from nnkit.data.numbering import LINE_END, Numbering
from nnkit.data.text import Sentences, Source, builtin_name, describe, described, source_files, source_name
from nnkit.data.vocabulary import Vocabulary, kept, sentence_starts
from nnkit.errors import DataError

FORMAT = 2  # raise it with every change of what the files hold: entries made before are then left alone
BLOCK = 1 << 20  # ids
PROGRESS = 1 << 20  # bytes
FEW_KNOWN = 0.5  # of the tokens: when a given vocabulary knows fewer, the description says so

Progress = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text in numbers, without the words that are not in the vocabulary. The arrays are mapped files, and read-only.

    ids: (kept,) int32, places in the vocabulary. starts: (sentences + 1,) int64: sentence i is
    ids[starts[i]:starts[i + 1]]; none is empty, none has more than 1,000 words, no line has a part of another.
    """

    vocabulary: Vocabulary
    ids: np.ndarray
    starts: np.ndarray
    raw_tokens: int  # all words read, also those that are not kept
    description: dict[str, Any]  # for run.json, see `nnkit.data.describe`
    entry: Entry | None = field(default=None, repr=False)  # keeps a temporary folder in being

    @cached_property
    def counts(self) -> np.ndarray:
        """How often each word of the vocabulary stands in `ids`: (words,) int64; vocabulary.counts unless that was given."""
        return _bincount((self.ids[i : i + BLOCK] for i in range(0, len(self.ids), BLOCK)), len(self.vocabulary))

    def edges(self, first: int, last: int, stay: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """How many words of its own sentence stand before and after each of ids[first:last], as far as that slice goes.

        before, after: (last - first,) int32. Words outside the slice do not count. `stay`, (last - first,) bool, thins
        the slice out first, as subsampling does: both arrays are then (stay.sum(),), and count only words that stay.
        """
        last = max(first, min(last, len(self.ids)))
        i, j = np.searchsorted(self.starts, [first, last], side="right")
        bounds = np.concatenate([[first], self.starts[i:j], [last]]) - first
        if stay is not None:
            bounds = np.concatenate([[0], np.cumsum(stay)])[bounds]
        lengths = np.diff(bounds)
        places = np.arange(bounds[-1], dtype=np.int32)
        before = places - np.repeat(bounds[:-1].astype(np.int32), lengths)
        after = np.repeat(bounds[1:].astype(np.int32) - 1, lengths) - places
        return before, after


def load_corpus(
    source: Source,
    min_count: int = 5,
    max_size: int | None = None,
    errors: str = "strict",
    *,
    vocabulary: Vocabulary | str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Count and encode a text: what `Vocabulary.count` and `encode` give, with a memory of its distinct words alone.

    source: a file, a list of files, a folder or a builtin, as in `nnkit.data.read_sentences`. The numbers are kept in
    the cache folder (see `nnkit.data.cache`) and found again as long as paths, sizes and times of the files are the
    same. With `vocabulary`, a `Vocabulary` or the file of one, the ids are places in it and it stays as it is, with its
    own counts; min_count and max_size are then not used, and a text of which it knows less than half has a "notice" in
    its description. `progress(done, total)` is called about every MB of the files as they lie on the disk while they
    are read, and not at all when the cache has them. DataError as in `read_sentences` and `Vocabulary.count`, where the
    text has no word of the vocabulary, and where a file changes while it is read; all before anything is trained.
    """
    check_errors(errors)
    name, where = source_name(source), _vocabulary_name(vocabulary)
    given = Vocabulary.load(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else vocabulary
    if given is not None:
        _check_given(given, where)
    text = _text_key(source, errors)
    choice = [min_count, max_size] if given is None else [given.words, given.counts.tolist()]

    def make(folder: Path) -> dict[str, Any]:
        counted = cached(_name(text), lambda folder: _count(folder, Sentences(source, errors), text, progress))
        seen = _vocabulary(counted.folder)
        if given is None or not len(seen):
            order = kept(seen.counts, min_count, max_size, name)
            final = np.full(len(seen), -1, dtype=np.int32)
            final[order] = np.arange(len(order))
            _store(folder, [seen.words[i] for i in order], seen.counts[order])
        else:
            final = np.array([given.index.get(word, -1) for word in seen.words], dtype=np.int32)
            if final.max() < 0:
                raise DataError(
                    f"{name}: none of the {len(given):,} words of {where} is in it; that has {_some(given.words)}, the text "
                    f"{_some(seen.words)}: do the language, and upper and lower case, agree?"
                )
        _encode(counted.folder / "tokens.int32", np.insert(final, LINE_END, -1), folder)
        return counted.facts

    while True:
        entry = cached(_name([text, choice]), make)
        try:
            ids, starts = _mapped(entry.folder / "ids.int32", np.int32), _mapped(entry.folder / "starts.int64", np.int64)
            known = _vocabulary(entry.folder) if given is None else given
            break
        except FileNotFoundError:  # somebody has emptied the cache this moment
            continue
    facts = entry.facts
    description = described(source, **facts["files"]) if "files" in facts else describe(source)
    if given is not None and len(ids) < FEW_KNOWN * facts["tokens"]:
        description["notice"] = f"{where} knows only {len(ids) / facts['tokens']:.0%} of the {facts['tokens']:,} tokens of {name}"
    return Corpus(known, ids, starts, facts["tokens"], description, entry)


# ---- the two passes


def _count(folder: Path, sentences: Sentences, key: list[Any], progress: Progress | None) -> dict[str, Any]:
    """Write the text in provisional ids, its words as they are first seen, and their counts."""
    numbering = Numbering()
    files = _Raw(sum(file[1] for file in key[2]), progress)
    path = folder / "tokens.int32"
    with open(path, "wb") as stream:
        for text in sentences.texts(files.watch):
            stream.write(numbering.number(text).data)
    files.finish()
    facts: dict[str, Any] = {}
    if not builtin_name(sentences.source):
        if _text_key(sentences.source, sentences.errors) != key:
            raise DataError(f"{source_name(sentences.source)}: was changed while it was read; start again")
        facts["files"] = {"sha256": files.digest.hexdigest(), "size": files.done}
    words = numbering.words[LINE_END + 1 :]
    counts = _bincount(_stored(path), LINE_END + 1 + len(words))[LINE_END + 1 :]
    _store(folder, words, counts)
    return {**facts, "tokens": int(counts.sum())}


def _store(folder: Path, words: list[str], counts: np.ndarray) -> None:
    (folder / "words.txt").write_bytes("\n".join(words).encode("utf-8"))
    counts.tofile(folder / "counts.int64")


def _vocabulary(folder: Path) -> Vocabulary:
    """What `_store` wrote. The files are mapped, and so can be removed while they are in use."""
    return Vocabulary.stored(_mapped(folder / "words.txt", np.uint8), _mapped(folder / "counts.int64", np.int64))


def _encode(tokens: Path, final: np.ndarray, folder: Path) -> None:
    """Write the final ids of the words that have one (final[i] >= 0), and where sentences start."""
    first = size = 0  # of the sentence that has begun, and of all ids so far
    with open(folder / "ids.int32", "wb") as ids, open(folder / "starts.int64", "wb") as starts:
        for block in _stored(tokens):
            known = final[block]
            stays = known >= 0
            ends = size + np.cumsum(stays)[block == LINE_END]
            ids.write(known[stays].data)
            starts.write(sentence_starts(first, ends).data)
            size += int(np.count_nonzero(stays))
            first = int(ends[-1]) if len(ends) else first
        starts.write(np.array([size], dtype=np.int64).data)


def _stored(path: Path) -> Iterator[np.ndarray]:
    with open(path, "rb") as stream:
        while len(block := np.fromfile(stream, dtype=np.int32, count=BLOCK)):
            yield block


def _bincount(blocks: Iterator[np.ndarray], size: int) -> np.ndarray:
    counts = np.zeros(size, dtype=np.int64)
    for block in blocks:  # bincount copies what it counts to int64
        counts += np.bincount(block, minlength=size)
    return counts


class _Raw:
    """What is known of files from their bytes as they go by."""

    def __init__(self, total: int, progress: Progress | None):
        self.total = total
        self.progress = progress
        self.done = 0
        self.told = 0
        self.digest = sha256()

    def watch(self, data: bytes) -> None:
        self.digest.update(data)
        self.done += len(data)
        if self.progress and self.told + PROGRESS <= self.done < self.total:
            self.told = self.done
            self.progress(self.done, self.total)

    def finish(self) -> None:
        if self.progress and self.total:
            self.progress(self.total, self.total)


# ---- names


def _text_key(source: Source, errors: str) -> list[Any]:
    """What a text is known by without reading it."""
    if builtin_name(source):
        from nnkit.data import python_docs

        return [FORMAT, errors, [], str(source), python_docs.load().sha256]
    stats = [(os.path.abspath(file), os.stat(file)) for file in source_files(source)]
    return [FORMAT, errors, [[file, s.st_size, s.st_mtime_ns, s.st_ctime_ns] for file, s in stats]]


def _name(key: Any) -> str:
    return sha256(json.dumps(key).encode("ascii")).hexdigest()[:32]


def _vocabulary_name(vocabulary: Vocabulary | str | os.PathLike[str] | None) -> str:
    return os.fspath(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else "the given vocabulary"


def _check_given(vocabulary: Vocabulary, name: str) -> None:
    if len(vocabulary) < 2:
        raise DataError(f"{name}: {len(vocabulary)} words; a vocabulary needs at least 2")
    if not vocabulary.counts.all():
        word = vocabulary.words[int(np.argmin(vocabulary.counts))]
        raise DataError(f"{name}: the word {word!r} has a count of 0; give it at least 1, or take it out")


def _some(words: list[str]) -> str:
    return ", ".join(map(repr, words[:3]))


def _mapped(path: Path, dtype: type) -> np.ndarray:
    if not path.stat().st_size:  # which cannot be mapped
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
