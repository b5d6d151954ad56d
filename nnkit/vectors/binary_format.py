r"""Word vectors as word2vec's binary: `n d\n` as text, then for each word the word, a space and d float32, little-endian.

word2vec.c puts a \n after each vector and others do not. Nothing has to be guessed: a vector is as long as it is, even
where its first byte looks like a \n, and a \n before a word belongs to no word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from nnkit.errors import DataError
from nnkit.vectors import decimals
from nnkit.vectors.files import Collector, Source, check_promise
from nnkit.vectors.text_format import check_words, header_of

CHUNK = 1 << 20     # bytes
LONGEST = 10_000    # bytes of a word


def is_binary(source: Source) -> bool:
    """Whether a file that starts with a header goes on in binary: its first line is no row of text, and its bytes no text."""
    header = header_of(source.start)
    if header is None:
        return False
    n, d, skip = header
    start = source.start[skip:]
    line, ended, _ = start.partition(b"\n")
    fields = line.rstrip(b" \r").split(b" ")
    numbers, enough = (fields[1:][-d:], d) if ended else (fields[1:-1], 100)   # a row may be longer than what is looked at
    if len(numbers) >= enough and all(decimals.parse_one(field) is not None for field in numbers):
        return False
    if any(byte < 32 and byte not in b"\t\n\r" for byte in start):
        return True
    position = 0    # few floats have no such byte: does the file end where the last vector would?
    for _ in range(n):
        space = start.find(b" ", position)
        if space < 0:
            return False
        position = space + 1 + 4 * d
    return position == len(start.removesuffix(b"\n")) or position == len(start)


def read_binary(source: Source, unicode_errors: str) -> tuple[list[str], np.ndarray, list[str]]:
    """(words, (n, d) float32, notices). DataError names the word and the byte where the file is not as it should be."""
    header = header_of(source.start)
    assert header is not None
    n, d, skip = header
    width = 4 * d
    check_promise(source, n, d, skip + n * (width + 2))
    rows = Collector(source, d, n, unicode_errors, lambda row: f"{source.name}: word {row + 1:,} of {n:,}")
    buffer, offset = b"", skip     # offset: of the buffer's first byte in the file
    for chunk in source.chunks(CHUNK, skip):
        buffer += chunk
        words: list[bytes] = []
        vectors: list[bytes] = []
        position = 0
        while rows.seen + len(words) < n:
            space = buffer.find(b" ", position, position + LONGEST)
            too_long = space < 0 and len(buffer) - position >= LONGEST
            if too_long or (space >= 0 and not buffer[position:space].lstrip(b"\n")):
                raise DataError(f"{rows.place(rows.seen + len(words))}: expected a word and a space at byte "
                                f"{offset + position:,}, found none; is it a file of {d:,} float32 numbers a word?")
            stop = space + 1 + width
            if space < 0 or stop > len(buffer):
                break
            words.append(buffer[position:space].lstrip(b"\n"))
            vectors.append(buffer[space + 1:stop])
            position = stop
        rows.add(words, np.frombuffer(b"".join(vectors), "<f4").reshape(-1, d))
        buffer, offset = buffer[position:], offset + position
        if rows.seen == n and buffer.lstrip(b"\n"):
            raise DataError(f"{source.name}: the header promises {n:,} words and the file goes on after them, at byte {offset:,}")
    if rows.seen < n:
        raise DataError(f"{rows.place(rows.seen)}: cut short: expected {(n - rows.seen) * (width + 2):,} bytes or more from byte "
                        f"{offset:,} on, found {len(buffer):,}; fetch the file again")
    return rows.finish()


def write_binary(file: BinaryIO, words: Sequence[str], matrix: np.ndarray) -> None:
    r"""As word2vec.c writes it, with a \n after each vector."""
    raw_words = check_words(words)
    n, d = matrix.shape
    file.write(b"%d %d\n" % (n, d))
    step = max(1, CHUNK // (4 * max(d, 1)))
    for first in range(0, n, step):
        rows = matrix[first:first + step].astype("<f4", copy=False)
        file.write(b"".join([b"%b %b\n" % (word, row.tobytes()) for word, row in zip(raw_words[first:first + step], rows)]))
