"""Word vectors as TensorBoard's embedding projector reads them: a table of numbers and, line for line, the words.

It takes white space off both ends of a line and skips a line that is empty then; a tab in the first line makes that a header.
So words are written such that no line is empty, and none has a tab or a line break in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnkit.errors import DataError
from nnkit.files import replacing
from nnkit.vectors import decimals

# all that splits or trims a line, here or in a browser, but not the ASCII space; and what cannot be seen
_SPECIAL = re.compile(r"[^\S ]|[\x00-\x1f\x7f\ufeff]")


def write_projector(folder: str | os.PathLike[str], words: Sequence[str], matrix: np.ndarray) -> list[Path]:
    r"""Write vectors.tsv, the (n, d) matrix as float32 that reads back to the bit, and metadata.tsv, a word a line; their paths.

    In a word, a tab is written as \t, a line break as \n, other white space but a space in the same way. DataError for a word
    that UTF-8 cannot hold, OSError where a file cannot be written.
    """
    folder = Path(folder)
    labels, vectors = folder / "metadata.tsv", folder / "vectors.tsv"
    try:
        text = "".join(f"{label(word)}\n" for word in words).encode("utf-8")
    except UnicodeEncodeError as error:
        broken = next(word for word in words if any("\ud800" <= letter <= "\udfff" for letter in word))
        raise DataError(f"the word {broken!r} cannot be written in UTF-8 ({error.reason}); replace it") from None
    with replacing(vectors, synced=False) as file:
        step = max(1, (1 << 14) // max(matrix.shape[1], 1))
        for first in range(0, len(matrix), step):
            for row in decimals.format_rows(matrix[first:first + step].astype(np.float32, copy=False)):
                file.write(row.replace(b" ", b"\t") + b"\n")
    with replacing(labels, synced=False) as file:
        file.write(text)
    return [vectors, labels]


def label(word: str) -> str:
    """The word on a line of its own, which is not empty."""
    if not word.strip():
        return "".join(map(_escaped, word)) or "(empty)"
    return _SPECIAL.sub(lambda found: _escaped(found[0]), word)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii") if letter != " " else "\\x20"
