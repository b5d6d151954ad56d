"""Word vectors as one .npz that can be mapped: a million words are there at once, and take no memory before they are used.

Three arrays, not compressed: matrix (n, d); words, uint8, the UTF-8 of all of them; ends, int64, where each word ends.
numpy.load reads it too. Nothing in it is code.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from nnkit.errors import DataError


def write_npz(file: BinaryIO, words: Sequence[str], matrix: np.ndarray) -> None:
    """Any words, the matrix in its own dtype."""
    raw_words = [word.encode("utf-8", "surrogatepass") for word in words]
    ends = np.cumsum([len(word) for word in raw_words], dtype=np.int64)
    np.savez(file, matrix=matrix, words=np.frombuffer(b"".join(raw_words), np.uint8), ends=ends)  # the matrix first: aligned


def read_npz(path: str | os.PathLike[str], mmap: bool) -> tuple[list[str], np.ndarray, list[str]]:
    """(words, matrix, notices); with `mmap` the matrix is a read-only map of the file. DataError where it is damaged."""
    name = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            arrays = {key: _mapped(archive, file, name, key) for key in ("matrix", "words", "ends")}
    except (zipfile.BadZipFile, struct.error, EOFError) as error:
        raise DataError(f"{name}: damaged or cut short, {os.path.getsize(path):,} bytes ({error})") from None
    matrix, letters, ends = arrays["matrix"], arrays["words"], arrays["ends"]
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or letters.dtype != np.uint8 or ends.dtype.kind != "i":
        raise DataError(f"{name}: expected a matrix of floats with words and ends, found {matrix.dtype} {matrix.shape}, "
                        f"{letters.dtype} and {ends.dtype}")
    stops = ends.tolist()
    if len(stops) != len(matrix) or [0, *stops] != sorted([0, *stops]) or (stops[-1] if stops else 0) != letters.size:
        raise DataError(f"{name}: expected {len(matrix):,} words for as many rows; its `ends` do not fit its `words`")
    text = letters.tobytes()
    try:
        words = [text[a:b].decode("utf-8", "surrogatepass") for a, b in zip([0, *stops], stops)]
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: a word is not UTF-8: {error.object[:40]!r}") from None
    if not mmap:
        matrix = np.array(matrix)
        if not np.isfinite(matrix).all():
            row = int(np.argwhere(~np.isfinite(matrix))[0][0])
            raise DataError(f"{name}: word {row + 1:,} of {len(words):,}, {words[row]!r}: its vector is not finite")
    return words, matrix, []


def _mapped(archive: zipfile.ZipFile, file: BinaryIO, name: str, key: str) -> np.ndarray:
    """An array of the archive, mapped from the file; its header is believed only as far as the archive has bytes for it."""
    try:
        entry = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise DataError(f"{name}: has no array `{key}`; expected the .npz that WordVectors.save writes") from None
    if entry.compress_type != zipfile.ZIP_STORED:
        raise DataError(f"{name}: is compressed; expected the .npz that WordVectors.save writes")
    file.seek(entry.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    begin = entry.header_offset + 30 + name_length + extra_length
    file.seek(begin)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise DataError(f"{name}: the array `{key}` is damaged ({error})") from None
    offset, size = file.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject or fortran or offset - begin + size != entry.file_size or begin + entry.file_size > os.path.getsize(name):
        raise DataError(f"{name}: the array `{key}` is damaged: {dtype} {shape} in {entry.file_size:,} bytes")
    if not size:
        return np.empty(shape, dtype)
    return np.memmap(name, dtype, mode="r", offset=offset, shape=shape)
