"""Reading what people have judged: pairs of words with a score, and analogy questions, as they are handed around."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

from nnkit.data.text import read_lines
from nnkit.errors import DataError


@dataclass(frozen=True)
class Pair:
    """Two words and how alike people find them."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Line:
    """The words of a line of a file in sections. section: the name after the last `: `, "" before the first one."""

    section: str
    words: tuple[str, ...]


def read_pairs(path: str | os.PathLike[str]) -> list[Pair]:
    """Pairs of a file `word word score`, in tabs or white space; `#` begins a comment line, an empty line is none.

    A first line without a number is a title line. Of more columns (the official SimLex-999 has ten) the first number
    counts. DataError names the line that is no pair.
    """
    pairs = []
    title = True
    for number, line in _content(path):
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        scores = [score for score in map(_number, fields[2:]) if score is not None]
        if len(fields) >= 3 and scores and all(fields[:2]):
            pairs.append(Pair(fields[0], fields[1], scores[0]))
        elif not (title and len(fields) >= 3):
            raise DataError(f"{os.fspath(path)}:{number}: expected two words and a number, found {line.strip()!r}")
        title = False
    if not pairs:
        raise DataError(f"{os.fspath(path)}: has no pairs of words; expected lines of two words and a number")
    return pairs


def read_sections(path: str | os.PathLike[str], size: int) -> list[Line]:
    """Lines of `size` words each, in sections that begin with `: name`; `#` begins a comment line, an empty line is none.

    DataError names the line with another number of words.
    """
    lines = []
    section = ""
    for number, line in _content(path):
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        words = tuple(line.split())
        if len(words) != size:
            raise DataError(f"{os.fspath(path)}:{number}: expected {size} words, found {len(words)}: {line.strip()!r}")
        lines.append(Line(section, words))
    if not lines:
        raise DataError(f"{os.fspath(path)}: has no lines of {size} words")
    return lines


def kind_of(path: str | os.PathLike[str]) -> str:
    """What a file of judgements holds, by its first lines: "pairs", "analogies" or "odd-one-out".

    A file in sections holds no pairs, and one of pairs has numbers; then it is four or five words a line that count.
    """
    in_sections = False
    lines = []
    for _, line in _content(path):
        if line.startswith(":"):
            in_sections = True
        else:
            lines.append(line.split())
        if len(lines) == 3:
            break
    if not lines or (not in_sections and any(_number(field) is not None for line in lines for field in line[2:])):
        return "pairs"
    return {4: "analogies", 5: "odd-one-out"}.get(len(lines[0]), "analogies" if in_sections else "pairs")


def _content(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(read_lines(path), start=1)
            if line.strip() and not line.startswith("#"))


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
