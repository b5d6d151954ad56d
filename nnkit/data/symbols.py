"""Text as a language model sees it: one symbol after the other, characters or words, with an end symbol after every line.

A text is read once into one array of numbers. Which symbols a model knows is decided by the part that it is trained on. Parts,
classes and contexts are then made of whole arrays, and an epoch takes no look at a single symbol.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnkit.data.files import text_blocks
from nnkit.data.numbering import LINE_END, Numbering
from nnkit.data.text import Source, builtin_name, read_sentences, source_files, source_name
from nnkit.data.vocabulary import Vocabulary, kept
from nnkit.errors import DataError

UNITS = ("characters", "words")
END, UNKNOWN, KNOWN = 0, 1, 2  # classes: the end of a line, every symbol that is not known, and the first one that is
UNKNOWN_WORD = "<unk>"  # a text that has this word means the unknown one
CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class Text:
    """A text before it is known which of its symbols a model knows.

    numbers: (n,) int32, places in names; a 0 ends every line. names: the different symbols, of which the first is the line end.
    name is what an error calls the text.
    """

    numbers: np.ndarray
    names: list[str]
    unit: str
    name: str

    @property
    def lines(self) -> np.ndarray:
        """(lines,): how many symbols each has, its end included."""
        return np.diff(np.flatnonzero(self.numbers == LINE_END), prepend=-1)

    @property
    def characters(self) -> int:
        """Of the text as it would be written: a line end is one, and so is the blank between two words."""
        if self.unit == "characters":
            return len(self.numbers)
        widths = np.array([len(name) + 1 for name in self.names])  # with the blank or the line end that comes after it
        widths[LINE_END] = 0
        return int(widths[self.numbers].sum() + np.count_nonzero(self.lines == 1))

    def without_empty_lines(self) -> Text:
        """The same where a line is an item: an empty one is none."""
        lines = self.lines
        return self.take(lines > 1) if (lines == 1).any() else self

    def take(self, chosen: np.ndarray) -> Text:
        """The lines that are True in `chosen`, (lines,)."""
        return replace(self, numbers=self.numbers[np.repeat(chosen, self.lines)])

    def cut(self, shares: Sequence[float], rng: np.random.Generator | None) -> list[Text]:
        """The text without its parts, then a part for each share, none of them empty.

        With rng the lines of a part are drawn. Without, a text that runs on is cut where it stands, the parts in the order of
        the shares are its end; a line that is cut ends with an end symbol in both. DataError where there is too little to cut.
        """
        if not shares:
            return [self]
        n, what = (len(self.numbers), "symbols") if rng is None else (len(self.lines), "lines")
        sizes = [max(1, round(share * n)) for share in shares]
        if sum(sizes) >= n:
            raise DataError(f"{self.name}: {n} {what if n > 1 else what[:-1]} in it, too few for {len(sizes) + 1} parts; lower "
                            "data.dev and data.test, or give them files")
        bounds = np.cumsum([0, n - sum(sizes), *sizes]).tolist()
        if rng is None:
            return [self._ended(self.numbers[a:b]) for a, b in zip(bounds, bounds[1:])]
        order, parts = rng.permutation(n), []
        for a, b in zip(bounds, bounds[1:]):
            chosen = np.zeros(n, bool)
            chosen[order[a:b]] = True
            parts.append(self.take(chosen))
        return parts

    def _ended(self, numbers: np.ndarray) -> Text:
        return replace(self, numbers=numbers if numbers[-1] == LINE_END else np.append(numbers, np.int32(LINE_END)))


def read_text(source: Source, unit: str, errors: str = "strict") -> Text:
    """A text as characters or words (what stands between white space); sources and DataErrors as in `read_sentences`.

    A file without a last line end gets one. DataError for a text without a symbol, ValueError for another unit.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    name = source_name(source)
    if unit == "words":
        numbering = Numbering()
        parts = [numbering.number(block) for block in read_sentences(source, errors).texts()]
        names = numbering.words
    else:
        parts, names = _number_characters(_characters(source, errors))
    if len(names) < 2:
        raise DataError(f"{name}: no {unit} in it; an empty text is of no use here")
    return Text(np.concatenate(parts), names, unit, name)


def read_parts(train: Source, dev: str | float, test: str | float | None, *, unit: str, errors: str = "strict",
               rng: np.random.Generator | None) -> dict[str, Text]:
    """The texts named train, dev and, where it is not None, test: each of the latter a file, or a share that `Text.cut` takes of
    train, by lines that are not empty with rng, else from its end. DataError as in `read_text` and there."""
    text = read_text(train, unit, errors)
    held_out = {name: value for name, value in (("dev", dev), ("test", test)) if value is not None}
    shares = {name: value for name, value in held_out.items() if isinstance(value, float)}
    parts = (text if rng is None else text.without_empty_lines()).cut(list(shares.values()), rng)
    files = {name: read_text(value, unit, errors) for name, value in held_out.items() if not isinstance(value, float)}
    return dict(zip(["train", *shares], parts)) | files


def _characters(source: Source, errors: str) -> Iterator[str]:
    """The text as it is, in pieces, with a line end at the end of each file."""
    if builtin_name(source):
        yield from read_sentences(source).texts()
        return
    for file in source_files(source):
        last = "\n"
        for block in text_blocks(file, errors, another_way=", or set data.errors: replace"):
            yield block
            last = block[-1:] or last
        if last != "\n":
            yield "\n"


def _number_characters(blocks: Iterable[str]) -> tuple[list[np.ndarray], list[str]]:
    points = [np.frombuffer(block.encode("utf-32-le"), "<u4") for block in blocks]
    seen = np.zeros(CODE_POINTS, bool)
    for part in points:
        seen[part] = True
    seen[ord("\n")] = False
    codes = np.flatnonzero(seen)
    numbers = np.full(CODE_POINTS, LINE_END, np.int32)
    numbers[codes] = np.arange(1, len(codes) + 1)
    return [numbers[part] for part in points], ["\n", *map(chr, codes.tolist())]


class Symbols:
    """What a model predicts: the end of a line, the unknown symbol, then the words or characters of a vocabulary.

    n_classes: how many these are. start: the number after them, of the symbol that stands before a line; it is never predicted.
    """

    def __init__(self, vocabulary: Vocabulary, unit: str):
        self.vocabulary, self.unit = vocabulary, unit
        self.n_classes = self.start = KNOWN + len(vocabulary)

    @classmethod
    def count(cls, text: Text, min_count: int = 1, max_size: int | None = None) -> Symbols:
        """Those of the text that are seen min_count times or more, max_size most frequent of these. DataError: less than 2."""
        counts = np.bincount(text.numbers, minlength=len(text.names))
        counts[LINE_END] = 0
        if text.unit == "words" and UNKNOWN_WORD in text.names:
            counts[text.names.index(UNKNOWN_WORD)] = 0
        seen = np.flatnonzero(counts)
        order = seen[kept(counts[seen], min_count, max_size, text.name)]
        return cls(Vocabulary([text.names[i] for i in order.tolist()], counts[order]), text.unit)

    def encode(self, text: Text) -> np.ndarray:
        """(n,) int32: the class of each symbol of the text."""
        return np.array([self.class_of(name) for name in text.names], np.int32)[text.numbers]

    def class_of(self, symbol: str) -> int:
        if symbol == "\n":
            return END
        place = self.vocabulary.index.get(symbol)
        return UNKNOWN if place is None else KNOWN + place

    def parted(self, text: str) -> list[str]:
        """The symbols of a string; a line end is one of them."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self.unit == "characters":
            return list(text)
        return [word for line in text.split("\n") for word in (*line.split(), "\n")][:-1]

    def joined(self, classes: Iterable[int]) -> str:
        """The text of some classes, that of the unknown one as <unk>."""
        words = self.vocabulary.words
        symbols = ["\n" if c == END else UNKNOWN_WORD if c == UNKNOWN else words[c - KNOWN] for c in classes]
        if self.unit == "characters":
            return "".join(symbols)
        return " ".join(symbols).replace(" \n", "\n").replace("\n ", "\n")

    def save(self, path: str | os.PathLike[str]) -> None:
        self.vocabulary.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], unit: str) -> Symbols:
        """What `save` wrote; DataError where it is damaged."""
        return cls(Vocabulary.load(path), unit)


class Contexts:
    """Every symbol of a text with the `size` symbols before it.

    classes: (n,) of a text, END at the end of each line. start: what stands before a line, so that no context reaches into the
    line before it; None for a text that runs on, before which line ends stand.
    """

    def __init__(self, classes: np.ndarray, size: int, start: int | None):
        self.size = size
        ends = classes == END
        first = np.flatnonzero(np.append(True, ends[:-1])) if start is not None else np.zeros(1, int)
        self.padded = np.insert(classes, np.repeat(first, size), END if start is None else start)
        before = np.cumsum(ends) - ends if start is not None else 0                     # lines before each symbol
        self.places = np.arange(len(classes)) + (before + 1) * size                     # (n,): of each symbol in `padded`
        self.reach = np.arange(-size, 0)

    def __len__(self) -> int:
        return len(self.places)

    def of(self, chosen: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """(m, size) the symbols before, the nearest last, and (m,) classes of the chosen symbols."""
        places = self.places[chosen]
        return self.padded[places[:, None] + self.reach], self.padded[places]


class Part:
    """A text that a model is trained or measured on.

    running: it runs on over its lines; if not, empty lines are left out and every line begins anew. size: of the contexts.
    """

    def __init__(self, text: Text, symbols: Symbols, size: int, running: bool):
        self.text = text if running else text.without_empty_lines()
        self.classes = symbols.encode(self.text)
        self.size, self.start = size, None if running else symbols.start
        self.unknown = float(np.mean(self.classes == UNKNOWN))  # their share

    @cached_property
    def contexts(self) -> Contexts:
        """Made when it is asked for: a model that looks at windows of the text does without."""
        return Contexts(self.classes, self.size, self.start)

    def __len__(self) -> int:
        return len(self.classes)
