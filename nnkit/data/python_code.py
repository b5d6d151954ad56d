"""Tagged text that is always there: the standard library's own source, every character with what it is.

A syntax highlighter is a tagger of characters, and Python brings the teacher along: `tokenize` and `keyword` say of each
character whether it is of a comment, a keyword, a name, a number, an operator or a string, or none of them. The character alone
does not tell: the i of `if` is one of a name in `item`, and everything is another thing behind a # or between two quotes.

A line is one example. Lines that a string goes on from, or into, are left out: nothing in the line itself would say that it is
prose.
"""

from __future__ import annotations

import io
import keyword
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from nnkit.data.cache import Entry, cached
from nnkit.data.files import reading
from nnkit.data.python_docs import python_files
from nnkit.data.tagged import Sentence
from nnkit.errors import DataError

NAME = "builtin:python-code"
FORMAT = 1        # raise it with every change of what is extracted: caches made before are then left alone
LONGEST = 120     # characters of a line
MOST = 40_000     # lines that are kept

TAGS = {"c": "comment", "k": "keyword", "n": "name", "d": "number", "o": "operator", " ": "space", "s": "string"}
KINDS = {tokenize.COMMENT: "c", tokenize.NUMBER: "d", tokenize.OP: "o", tokenize.STRING: "s", tokenize.ERRORTOKEN: " "}
# since Python 3.12 an f-string is many tokens: all from its beginning to its end is a string here, as it was before
BEGINS, ENDS = ({getattr(tokenize, f"{kind}STRING_{end}", None) for kind in "FT"} - {None} for end in ("START", "END"))


def load(lines: int) -> list[Sentence]:
    """`lines` lines of the standard library, at most MOST; always the same ones in one installation, and of those that differ in
    their indentation alone one.

    They are extracted once (some seconds) and cached. DataError where no source is installed.
    """
    folder = extracted().folder
    texts, letters = ((folder / name).read_text(encoding="utf-8").split("\n")[:lines] for name in ("lines", "tags"))
    if not texts[0]:
        raise DataError(f"{NAME}: no Python source to read in {sysconfig.get_path('stdlib')}; name a tagged file instead")
    return [sentence(text, marks, NAME, number) for number, (text, marks) in enumerate(zip(texts, letters), 1)]


def describe() -> dict[str, Any]:
    """What tells later which lines these were."""
    return {"source": NAME, **extracted().facts}


def extracted() -> Entry:
    # two installations of one version may differ: distributions leave modules out
    place = sha256(sysconfig.get_path("stdlib").encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return cached(f"python-code-{FORMAT}-{sys.version.split()[0].replace('+', '_')}-{place}", extract)


def read_python(file: str | os.PathLike[str]) -> list[Sentence]:
    """The lines of a file of Python. DataError where it is none, or has no line."""
    with reading(file):
        try:
            with tokenize.open(file) as stream:
                found = list(tagged_lines(stream.read()))
        except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
            raise DataError(f"{os.fspath(file)}: is no Python that can be read ({error})") from None
    if not found:
        raise DataError(f"{os.fspath(file)}: no line of Python in it")
    return [sentence(text, marks, os.fspath(file), number) for number, text, marks in found]


def sentence(text: str, letters: str, file: str, line: int) -> Sentence:
    return Sentence(list(text), [TAGS[letter] for letter in letters], file, [line] * len(text))


def tagged_lines(source: str) -> Iterator[tuple[int, str, str]]:
    """Number, text and letters (see TAGS) of the lines that stand for themselves; none is empty."""
    lines = io.StringIO(source).readlines()
    marks, whole, begun, depth = [[" "] * len(line) for line in lines], [True] * len(lines), (1, 0), 0
    for token in tokenize.generate_tokens(iter(lines).__next__):
        kind, start, end = KINDS.get(token.type), token.start, token.end
        if token.type == tokenize.NAME:
            kind = "k" if keyword.iskeyword(token.string) else "n"
        if token.type in BEGINS:
            begun = start if depth == 0 else begun
            depth += 1
        elif token.type in ENDS:
            depth -= 1
            kind, start = "s", begun
        if kind is None or depth:
            continue
        (first, column), (last, stop) = start, end
        if first != last:  # a string over several lines
            whole[first - 1:last] = [False] * (last - first + 1)
        else:
            marks[first - 1][column:stop] = kind * (stop - column)
    for number, (line, letters) in enumerate(zip(lines, marks), 1):
        text = line.rstrip()
        if text and whole[number - 1]:
            yield number, text, "".join(letters[:len(text)])


def extract(folder: Path) -> dict[str, Any]:
    """Write lines and their tags. Files and lines come in the order of their SHA-256: mixed, and always the same."""
    found: dict[str, tuple[str, str]] = {}  # by what they are without indentation
    files = [file for file, package in python_files("stdlib") if package != "encodings"]  # those are tables, line after line
    for file in sorted(files, key=lambda file: sha256(file.name.encode()).digest()):
        if len(found) >= MOST:
            break
        try:
            with tokenize.open(file) as stream:
                for _, text, letters in tagged_lines(stream.read()):
                    if len(text) <= LONGEST and text.isprintable():
                        found.setdefault(text.strip(), (text, letters))
        except (SyntaxError, ValueError, tokenize.TokenError, OSError):
            continue
    order = [found[text] for text in sorted(found, key=lambda text: sha256(text.encode("utf-8")).digest())[:MOST]]
    digest = sha256()
    for name, lines in zip(("lines", "tags"), zip(*order) if order else ((), ())):
        content = "\n".join(lines).encode("utf-8")
        digest.update(content)
        (folder / name).write_bytes(content)
    return {"all_lines": len(order), "sha256": digest.hexdigest()}
