"""What all formats of word vectors share: opening, collecting rows as they are read, and writing a file in one piece."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nnkit.errors import DataError
from nnkit.files import replacing

START = 1 << 16  # bytes that are looked at to tell a format


@dataclass
class Source:
    """An open file. name: its path, for errors; start: its first bytes, which `chunks` gives once more; packed: is it gzip.

    size: the bytes in it; where it is packed the most there can be, for gzip makes nothing more than 1032 times smaller.
    """

    name: str
    stream: BinaryIO
    start: bytes
    size: int
    packed: bool

    def chunks(self, length: int, skip: int = 0) -> Iterator[bytes]:
        """All of the file but its first `skip` bytes (which are in start), in pieces of about `length` bytes."""
        yield self.start[skip:]
        while chunk := self.stream.read(length):
            yield chunk


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Source]:
    """A file to read, unpacked where it is gzip, whatever its name.

    DataError where it is missing, a folder, not readable or empty, and where the gzip file is damaged or cut short.
    """
    name = os.fspath(path)
    size = unpacked = 0
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as stream:
                    try:
                        yield Source(name, stream, _some(name, stream.read(START)), 1032 * size, True)  # type: ignore[arg-type]
                    finally:
                        unpacked = stream.tell()
            else:
                yield Source(name, file, _some(name, file.read(START)), size, False)
    except FileNotFoundError:
        raise DataError(f"{name}: no such file (looked for {os.path.abspath(path)})") from None
    except IsADirectoryError:
        raise DataError(f"{name}: is a folder; name a file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name}: the gzip file of {size:,} bytes is cut short or damaged: {unpacked:,} unpacked bytes were read "
                        f"({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error})") from None


def _some(name: str, start: bytes) -> bytes:
    if not start:
        raise DataError(f"{name}: is empty, 0 bytes; it should hold word vectors")
    return start


@contextmanager
def replacing_vectors(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`nnkit.files.replacing`, packed where the name ends in .gz; not synced, for vectors are made from a checkpoint."""
    with replacing(path, synced=False) as file:
        if Path(path).suffix.lower() == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:  # same vectors, same bytes
                yield packed  # type: ignore[misc]
        else:
            yield file


def check_promise(source: Source, words: int, dim: int, least: int) -> None:
    """Believe a header only as far as the file goes, before memory is reserved; least: bytes its rows need at least."""
    if words < 1 or dim < 1:
        raise DataError(f"{source.name}: the header promises {words} words of {dim} numbers; there must be 1 of each at least")
    if least > source.size:
        most = "no more than " if source.packed else ""
        raise DataError(f"{source.name}: the header promises {words:,} words of {dim:,} numbers, which is {least:,} bytes at "
                        f"least, and the file has {most}{source.size:,}: it is cut short, or the header is wrong")


class Collector:
    """Words and rows in the order they are read; of a word that comes twice the first stays.

    place: what errors call a row, by its number from 0. expected: how many words the file is thought to have; the matrix
    is made for them where the file's size vouches for them, and grows in place where it does not.
    """

    def __init__(self, source: Source, dim: int, expected: int, unicode_errors: str, place: Callable[[int], str]):
        if source.packed:
            expected = min(expected, 1 + (1 << 22) // dim)
        self.name = source.name
        self.matrix = np.empty((expected, dim), np.float32)
        self.places: dict[str, int] = {}
        self.seen = 0  # rows, the repeated ones among them
        self.repeated = ""
        self.unicode_errors = unicode_errors
        self.place = place

    def add(self, raw_words: list[bytes], rows: np.ndarray) -> None:
        """Take k words and their rows, (k, d). DataError names a word that is not UTF-8 and a number that is not finite."""
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            raise DataError(f"{self.place(self.seen + row)}: number {column + 1} is {rows[row, column]} in float32; "
                            "vectors must be finite: make them anew, or leave this word out")
        new = []
        for row, word in enumerate(self._decoded(raw_words)):
            if word in self.places:
                self.repeated = self.repeated or word
            else:
                self.places[word] = len(self.places)
                new.append(row)
        self.seen += len(raw_words)
        end = len(self.places)
        if end > len(self.matrix):
            self._resize(max(end, len(self.matrix) * 5 // 4))
        self.matrix[end - len(new):end] = rows if len(new) == len(rows) else rows[new]

    def finish(self) -> tuple[list[str], np.ndarray, list[str]]:
        """(words, matrix, notices): what was read, and what the user should hear about it."""
        if len(self.places) < len(self.matrix):
            self._resize(len(self.places))
        notices = []
        if self.seen > len(self.places):
            notices.append(f"{self.name}: {self.seen - len(self.places):,} of {self.seen:,} rows repeat a word (the first is "
                           f"{self.repeated!r}); of each the first row is kept, which leaves {len(self.places):,} words")
        return list(self.places), self.matrix, notices

    def _resize(self, rows: int) -> None:
        self.matrix.resize((rows, self.matrix.shape[1]), refcheck=False)  # realloc: no second copy where the system can do so

    def _decoded(self, raw_words: list[bytes]) -> list[str]:
        try:
            return [word.decode("utf-8", self.unicode_errors) for word in raw_words]
        except UnicodeDecodeError as error:
            row = raw_words.index(error.object)
            raise DataError(f"{self.place(self.seen + row)}: the word {error.object!r} is not UTF-8 ({error.reason} at its byte "
                            f"{error.start}); load it with unicode_errors='replace' or 'ignore'") from None
