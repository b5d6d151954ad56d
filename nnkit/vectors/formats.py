"""One way in and one way out for every file format: what a file is shows in its bytes, what it shall be in its name."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnkit.errors import ConfigError
from nnkit.vectors.binary_format import is_binary, read_binary, write_binary
from nnkit.vectors.files import opened, replacing_vectors
from nnkit.vectors.numpy_format import read_npz, write_npz
from nnkit.vectors.text_format import read_text, write_text

FORMATS = {".vec": "word2vec", ".w2v": "word2vec", ".bin": "word2vec-binary", ".txt": "glove", ".npz": "npz"}  # by suffix


def read(path: str | os.PathLike[str], unicode_errors: str = "strict", mmap: bool = False
         ) -> tuple[list[str], np.ndarray, list[str]]:
    """(words, matrix, notices) of a file in any of the formats; see `WordVectors.load`."""
    codecs.lookup_error(unicode_errors)
    with opened(path) as source:
        if source.start.startswith(b"PK\3\4") and not source.packed:
            return read_npz(path, mmap)
        return (read_binary if is_binary(source) else read_text)(source, unicode_errors)


def write(path: str | os.PathLike[str], words: Sequence[str], matrix: np.ndarray, form: str | None = None) -> None:
    """Write a file in one piece, in the format `form` or the one its name asks for; gzip where the name ends in .gz.

    DataError for a word the format cannot hold, OSError where the file cannot be written.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if packed else suffixes[-1:])
    form = form or FORMATS.get(suffix)
    if form is None or form not in FORMATS.values():
        raise ConfigError(f"{path}: the name says no format; end it in {', '.join(FORMATS)}, and in .gz after that to pack it")
    if form == "npz" and packed:
        raise ConfigError(f"{path}: an .npz is not packed, so that it can be mapped; leave out .gz")
    with replacing_vectors(path) as file:
        if form == "npz":
            write_npz(file, words, matrix)
        elif form == "word2vec-binary":
            write_binary(file, words, matrix)
        else:
            write_text(file, words, matrix, header=form == "word2vec")
