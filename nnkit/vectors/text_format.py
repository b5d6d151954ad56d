r"""Word vectors as text: word2vec's (`n d` first, then `word x1 ... xd` a line) and GloVe's, which has no first line.

Only the ASCII space divides and only \n or \r\n ends a line: words may hold any other white space, and do. Lines are
read in blocks; a block in which every line has d spaces is parsed at once, any other line by line and from the right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import BinaryIO

import numpy as np

from nnkit.errors import DataError
from nnkit.vectors import decimals
from nnkit.vectors.files import Collector, Source, check_promise

CHUNK = 1 << 17       # bytes: the arrays that parsing makes of them stay in the processor's cache
LONGEST = 1 << 24     # bytes of a line
HEADER = re.compile(rb"([0-9]{1,20}) ([0-9]{1,20}) ?\r?(?:\n|\Z)")
BOM = b"\xef\xbb\xbf"


def header_of(start: bytes) -> tuple[int, int, int] | None:
    """(n, d, bytes in the header) where the file starts with word2vec's header."""
    skip = len(BOM) if start.startswith(BOM) else 0
    match = HEADER.match(start, skip)
    return (int(match[1]), int(match[2]), match.end()) if match else None


def read_text(source: Source, unicode_errors: str) -> tuple[list[str], np.ndarray, list[str]]:
    """(words, (n, d) float32, notices) of a file in either form. DataError names the line that is not as it should be."""
    header = header_of(source.start)
    if header is not None:
        n, d, skip = header
        check_promise(source, n, d, n * (1 + 2 * d))
    else:
        skip = len(BOM) if source.start.startswith(BOM) else 0
        n, d = None, _dim(source, skip)
        length = max(source.start.find(b"\n", skip) - skip, 2 * d)
        n_guess = source.size // length + 1
    reader = _Reader(source, n, d, Collector(source, d, n or n_guess, unicode_errors,
                                             lambda row: f"{source.name}:{row + (1 if n is None else 2)}"))
    rest = b""
    for chunk in source.chunks(CHUNK, skip):
        rest += chunk
        cut = rest.rfind(b"\n") + 1
        if cut:
            reader.block(rest[:cut])
            rest = rest[cut:]
        elif len(rest) > LONGEST:
            raise DataError(f"{reader.here()}: a line of more than {LONGEST:,} bytes; this is no file of word vectors")
    if rest.strip(b" \r"):
        reader.last = True
        reader.block(rest + b"\n")
    return reader.finish()


class _Reader:
    """Blocks of whole lines go in; rows come together in the collector."""

    def __init__(self, source: Source, n: int | None, d: int, rows: Collector):
        self.name, self.n, self.d, self.rows = source.name, n, d, rows
        self.spaced = 0               # words with spaces in them
        self.first_spaced = ""
        self.ended = False            # an empty line was seen, after which nothing may come
        self.last = False             # this line has no end

    def here(self, row: int = 0) -> str:
        return self.rows.place(self.rows.seen + row)

    def block(self, block: bytes) -> None:
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        while b" \n" in block:
            block = block.replace(b" \n", b"\n")
        marks, ends = decimals.split(block)
        n = block.count(b"\n")
        if len(ends) == n * (self.d + 1) and not self.ended:
            ends = ends.reshape(n, self.d + 1)
            stops = marks[ends]
            if (np.frombuffer(block, np.uint8)[stops[:, -1]] == decimals.NEWLINE).all():
                words = [block[a:b] for a, b in zip([0, *(stops[:-1, -1] + 1).tolist()], stops[:, 0].tolist())]
                if all(words):
                    self._regular(block, words, marks, ends, stops)
                    return
        for line in block.split(b"\n")[:-1]:
            self._line(line)

    def _regular(self, block: bytes, words: list[bytes], marks: np.ndarray, ends: np.ndarray, stops: np.ndarray) -> None:
        values, known = decimals.parse(block, marks, ends)
        for row, column in np.argwhere(~known):
            field = block[stops[row, column] + 1:stops[row, column + 1]]
            values[row, column] = self._number(field, int(row), int(column))
        self._add(words, values)

    def _line(self, line: bytes) -> None:
        """One line, whose word may have spaces: its last d fields are the numbers."""
        fields = [field for field in line.split(b" ") if field]
        if not fields:
            self.ended = True
            return
        if self.ended:
            raise DataError(f"{self.here()}: an empty line in the middle of the file; expected a word and {self.d} numbers")
        words, numbers = fields[:-self.d], fields[-self.d:]
        surplus = any(b"." in field and decimals.parse_one(field) is not None for field in words[1:])
        if not words or surplus:  # "area 51" is a word, "cat 0.3" is one number too many
            found = sum(1 for _ in takewhile(lambda field: decimals.parse_one(field) is not None, reversed(fields[1:])))
            end = "; the file ends here, it may be cut short" if self.last else ""
            raise DataError(f"{self.here()}: expected a word and {self.d} numbers, found {found}{end}")
        if len(words) > 1:
            self.spaced += 1
            self.first_spaced = self.first_spaced or f"{self.here()}: {b' '.join(words).decode('utf-8', 'replace')!r}"
        values = np.array([[self._number(field, 0, column) for column, field in enumerate(numbers)]], np.float32)
        self._add([b" ".join(words)], values)

    def _number(self, field: bytes, row: int, column: int) -> np.float32:
        value = decimals.parse_one(field)
        if value is None:
            raise DataError(f"{self.here(row)}: {field[:40].decode('utf-8', 'replace')!r} is no number "
                            f"(number {column + 1} of {self.d})")
        with np.errstate(over="ignore"):  # 1e39 becomes inf, which is refused by name
            return np.float32(value)

    def _add(self, words: list[bytes], values: np.ndarray) -> None:
        if self.n is not None and self.rows.seen + len(words) > self.n:
            raise DataError(f"{self.here(self.n - self.rows.seen)}: the header promises {self.n:,} words and the file goes on "
                            "after them; correct the header")
        self.rows.add(words, values)

    def finish(self) -> tuple[list[str], np.ndarray, list[str]]:
        seen = self.rows.seen
        if self.n is not None and seen != self.n:
            raise DataError(f"{self.name}: the header promises {self.n:,} words and the file has {seen:,}: it is cut short, or "
                            "the header is wrong")
        if not seen:
            raise DataError(f"{self.name}: has no words; expected lines of a word and its numbers")
        words, matrix, notices = self.rows.finish()
        if self.spaced:
            notices.append(f"{self.name}: {self.spaced:,} words have a space in them (the first: {self.first_spaced}); the last "
                           f"{self.d} fields of a line were taken for its numbers")
        if self.last:
            notices.append(f"{self.name}: its last line has no end; where the file was cut short, the last number is wrong")
        return words, matrix, notices


def _dim(source: Source, skip: int) -> int:
    """d of a file without a header: the numbers that most of its first lines have."""
    lines = source.start[skip:].split(b"\n")
    if len(lines) == 1 and source.size > len(source.start):
        raise DataError(f"{source.name}: no line end in the first {len(source.start):,} bytes; this is no file of word vectors")
    lines = lines[:-1] or lines
    found = Counter(len(line.rstrip(b" \r").split(b" ")) - 1 for line in lines[:100] if line.strip())
    numbers = [line.rstrip(b" \r").split(b" ")[1:] for line in lines[:100]]
    d = found.most_common(1)[0][0] if found else 0
    if d < 1 or not any(fields and decimals.parse_one(fields[-1]) is not None for fields in numbers):
        raise DataError(f"{source.name}: holds no word vectors that are known here; expected word2vec text or binary, GloVe text "
                        "(a word and its numbers on each line), any of these as .gz, or the .npz that WordVectors.save writes")
    return d


def check_words(words: Sequence[str]) -> list[bytes]:
    """The words in UTF-8. DataError for one that no reader could tell from the numbers after it."""
    for word in words:
        if not word or any(c in word for c in " \t\r\n"):
            what = "has white space in it" if word else "is empty"
            raise DataError(f"the word {word!r} {what}, which word2vec's and GloVe's formats cannot hold; "
                            "write it with '_', or save an .npz")
    try:
        return [word.encode("utf-8") for word in words]
    except UnicodeEncodeError as error:
        raise DataError(f"the word {error.object!r} cannot be written in UTF-8; replace it, or save as .npz") from None


def write_text(file: BinaryIO, words: Sequence[str], matrix: np.ndarray, header: bool) -> None:
    """Lines `word x1 ... xd`, which read back to the same float32; first `n d` where a header is wanted."""
    raw_words = check_words(words)
    n, d = matrix.shape
    if header:
        file.write(b"%d %d\n" % (n, d))
    step = max(1, (1 << 14) // max(d, 1))
    for first in range(0, n, step):
        rows = decimals.format_rows(matrix[first:first + step].astype(np.float32, copy=False))
        file.write(b"".join([b"%b %b\n" % pair for pair in zip(raw_words[first:first + step], rows)]))
