"""Texts with a tag on every token, from what people have: a token and its tag a line, and an empty line between two sentences.

So are the files of the CoNLL tasks, with more columns, of which two are asked for. A token is a word, or a single character.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnkit.data.text import Source, read_lines, source_files, source_name
from nnkit.errors import DataError

DOCUMENT = "-DOCSTART-"  # a line that begins with it parts two documents, and is no token
UNITS = ("words", "characters")


class Sentence(NamedTuple):
    """Tokens and as many tags, and where they stand: lines[i] of the file has token i; all the same where the file is a text."""

    tokens: list[str]
    tags: list[str]
    file: str
    lines: list[int]

    def place(self, i: int) -> str:
        return f"{self.file}:{self.lines[i]}"


def read_tagged(source: Source, token: int = 0, tag: int = -1, *, unit: str = "words", comment: str | None = None,
                errors: str = "strict") -> list[Sentence]:
    """The sentences of files, .gz and .bz2 too; a list of files, or a folder of them, is read as one.

    token, tag: columns, numbers from 0, or from the end where negative. Columns stand between tabs if the first line of the file
    has one, else between white space. comment: what lines begin with that are left out. DataError, with FILE:LINE, where a line
    has not as many columns as the first one, a column that is asked for is not there or is empty, and, with unit characters, a
    token is more than one; DataError for a source without a token, and as in `read_lines`.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    found = [sentence for file in source_files(source) for sentence in sentences_of(file, token, tag, unit, comment, errors)]
    if not found:
        raise DataError(f"{source_name(source)}: no tokens in it; expected a token and its tag a line, with a tab between")
    return found


def sentences_of(file: str, token: int, tag: int, unit: str, comment: str | None, errors: str) -> Iterator[Sentence]:
    """Those of one file."""
    tabs, width = None, 0  # whether columns stand between tabs, and how many there are: as in the first line
    is_comment = False     # whether that looks like one
    sentence = Sentence([], [], file, [])
    for number, line in enumerate(read_lines(file, errors, another_way=", or set data.errors: replace"), 1):
        if comment is not None and line.startswith(comment):
            continue
        if not line.strip() or line.startswith(DOCUMENT):
            if sentence.tokens:
                yield sentence
            sentence = Sentence([], [], file, [])
            continue
        if tabs is None:
            is_comment = line.startswith("# ")
            tabs = "\t" in line
        cells = line.split("\t") if tabs else line.split()
        width = width or checked_width(f"{file}:{number}", len(cells), token, tag)
        if len(cells) != width:
            raise DataError(f"{file}:{number}: {counted(len(cells))}, the first line has {width}"
                            + (", with a tab between" if tabs else "")
                            + (", and looks like a comment; set data.comment: '#'" if is_comment else ""))
        word, kind = cells[token], cells[tag].strip()
        if unit == "words":
            word = word.strip()
        elif len(word) > 1:
            raise DataError(f"{file}:{number}: {word!r:.40} is more than one character; set data.unit: words")
        if not word or not kind:
            what, column = ("token", token) if not word else ("tag", tag)
            raise DataError(f"{file}:{number}: the {what} is empty; is column {column} (data.{what}) the right one?")
        sentence.tokens.append(word)
        sentence.tags.append(kind)
        sentence.lines.append(number)
    if sentence.tokens:
        yield sentence


def checked_width(place: str, width: int, token: int, tag: int) -> int:
    """The number of columns, which are enough. DataError where they are not."""
    if width < 2:
        raise DataError(f"{place}: {counted(width)}; expected a token and its tag, with a tab or a blank between")
    for name, column in (("token", token), ("tag", tag)):
        if not -width <= column < width:
            raise DataError(f"{place}: {counted(width)}, which data.{name} = {column} is none of; they are counted from 0, or "
                            "from the end: -1 is the last")
    if token % width == tag % width:
        raise DataError(f"{place}: data.token = {token} and data.tag = {tag} are one column of the {width}")
    return width


def counted(n: int) -> str:
    return f"{n} column" + "s" * (n != 1)
