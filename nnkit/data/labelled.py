"""Texts with a class each, from what people have: tables, lines, JSON, a file a class, a folder a class.

What is not said of a file is told from its ending, its first line and its columns, and what was found out is kept: it is said
when a run starts, and is how a file that is measured later is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nnkit.data.files import reading
from nnkit.data.labelled_tables import DELIMITERS, Table, choose_columns
from nnkit.data.tables import csv_rows
from nnkit.data.text import SUFFIXES, read_lines, source_files
from nnkit.errors import DataError

FORMATS = ("auto", "tsv", "csv", "lines", "jsonl", "files", "folders")
ENDINGS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True)
class Layout:
    """How labelled texts are written down; None and "auto" are found out.

    format: one of FORMATS. text, label: columns of a table by number from 0 (from the end where negative) or by name, fields of
    JSON. header: whether the first row names the columns. classes: only these are read.
    """

    format: str = "auto"
    text: int | str | None = None
    label: int | str | None = None
    header: bool | None = None
    encoding: str = "utf-8"
    classes: tuple[str, ...] | None = None

    @property
    def codec(self) -> str:
        """The encoding, by one name where it is UTF-8."""
        return "utf-8" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a file of this encoding."""
        return read_lines(path, "strict", self.codec, another_way(self.codec))

    def __str__(self) -> str:
        parts = [self.format]
        if self.format in ("tsv", "csv"):
            parts.append("with a header" if self.header else "without a header")
        if self.text is not None and self.label is not None:
            parts.append(f"text: {self.text}, label: {self.label}")
        return ", ".join(parts + ([self.encoding] if self.codec != "utf-8" else []))


class Labelled(NamedTuple):
    """A text, its class, and where it stands; line 0 is a whole file."""

    text: str
    label: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """What `read_labelled` read.

    layout: all that was found out, "auto" in it no more. blank: lines without anything, which are no examples. left_out: examples
    of classes that layout.classes does not have. files: what was read, in this order.
    """

    path: str
    layout: Layout
    examples: list[Labelled]
    files: list[str]
    blank: int = 0
    left_out: int = 0


def read_labelled(path: str | os.PathLike[str], layout: Layout = Layout()) -> LabelledTexts:
    """Read a file or a folder of labelled texts, .gz and .bz2 too. An empty text is kept.

    tsv: a tab between cells; a cell in quotes from end to end loses them. csv: as spreadsheets write it, with ',' or, where the
    first line has none, ';' or a tab. lines: the class, a space or tab, the text. jsonl: an object a line. files: a text a line,
    the file's name without its endings is the class. folders: a file a text, its folder's name is the class. DataError, with
    FILE:LINE where there is one, for bytes of another encoding, rows of unequal length, columns that are not there or cannot be
    told, a class that is empty or has a line break in it, and where there is no example.
    """
    name = os.fspath(path)
    kind = told(name, layout) if layout.format == "auto" else layout.format
    layout = replace(layout, format=kind)
    if os.path.isdir(name) != (kind in ("files", "folders")):
        with reading(name):
            os.stat(name)
        what = "a folder" if os.path.isdir(name) else "a file"
        raise DataError(f"{name}: is {what}, which data.format = {kind} does not read; leave it out, or name another")
    if kind in ("files", "folders"):
        files = class_files(name, kind)
        found = [Labelled(text, label, file, line) for label, file in files for line, text in texts_of(file, kind, layout)]
        blank = sum(not e.text.strip() for e in found) if kind == "files" else 0
        examples = found if kind == "folders" else [e for e in found if e.text.strip()]
        read = [file for _, file in files]
    else:
        source_files(name)  # a pipe can be read only once
        layout, examples, blank = READERS[kind](name, layout)
        read = [name]
    for example in examples:
        if not example.label or len(example.label.splitlines()) > 1:
            what = f"{example.label!r}, with a line break in it" if example.label else "empty"
            raise DataError(f"{example.place}: the class is {what}; is data.label = {layout.label} the right column?")
    for label in {e.label for e in examples} if kind in ("files", "folders") else ():
        if not label.isascii() and any("\ud800" <= c <= "\udfff" for c in label):  # what Python makes of a name's other bytes
            raise DataError(f"{name}: the name of the class {label!a} is not UTF-8; give the {kind[:-1]} another name")
    kept = examples if layout.classes is None else [e for e in examples if e.label in layout.classes]
    if not kept:
        there = f"; there are {some(sorted({e.label for e in examples}))}" if examples else ""
        wanted = f" of the classes {some(layout.classes or ())}" if examples else ""
        raise DataError(f"{name}: no examples in it{wanted}{there}")
    return LabelledTexts(name, layout, kept, read, blank, len(examples) - len(kept))


def read_more(path: str | os.PathLike[str], layout: Layout, labels: Sequence[str]) -> LabelledTexts:
    """`read_labelled` of a file beside one whose classes are known: a first row that is of one of `labels` is no header."""
    read = read_labelled(path, layout)
    by_name = isinstance(layout.text, str) or isinstance(layout.label, str)
    wrong = layout.header is None and not by_name and read.layout.header and read.layout.label in labels
    return read_labelled(path, replace(layout, header=False)) if wrong else read


def told(name: str, layout: Layout) -> str:
    """The format, by the ending and the first line; of a folder by whether there are files or folders in it."""
    if os.path.isdir(name):
        return "folders" if any(text_files(folder) for folder in folders(name)) else "files"
    stem, ending = os.path.splitext(name)
    if ending.lower() in (".gz", ".bz2"):
        ending = os.path.splitext(stem)[1]
    if ending.lower() in ENDINGS:
        return ENDINGS[ending.lower()]
    first = next((line for line in layout.lines(name) if line.strip()), "")
    if first.lstrip().startswith("[") and ending.lower() == ".json":
        raise DataError(f"{name}: is one array of JSON; write an object a line (jq -c '.[]')")
    if first.lstrip().startswith("{"):
        return "jsonl"
    return "tsv" if "\t" in first else "lines"


def another_way(encoding: str) -> str:
    return ", or set data.encoding: cp1252 or latin-1, if it is that" if encoding == "utf-8" else ", or set another data.encoding"


# A file


def read_delimited(name: str, layout: Layout) -> tuple[Layout, list[Labelled], int]:
    """tsv and csv."""
    lines: list[int] = []
    rows: list[list[str]] = []
    blank = 0
    if layout.format == "csv":
        first = next((line for line in layout.lines(name) if line.strip()), "")
        delimiter = next((sign for sign in DELIMITERS if sign in first), ",")
        found = csv_rows(name, delimiter, layout.codec, another_way(layout.codec))
    else:
        delimiter = "\t"
        found = ((number, [unquoted(cell) for cell in line.split("\t")]) for number, line in enumerate(layout.lines(name), 1))
    for number, cells in found:
        if not any(map(str.strip, cells)):
            blank += 1
        else:
            lines.append(number)
            rows.append(cells)
    table = Table.of(name, lines, rows, delimiter, layout)
    text, label = table.columns(layout)
    decided = replace(layout, header=table.names is not None, text=table.called(text), label=table.called(label))
    return decided, [Labelled(row[text], row[label].strip(), name, n) for n, row in zip(table.lines, table.rows)], blank


def unquoted(cell: str) -> str:
    """A cell of a TSV: the quotes around all of it are taken away, others belong to the text."""
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def read_label_first(name: str, layout: Layout) -> tuple[Layout, list[Labelled], int]:
    """lines"""
    examples, blank = [], 0
    for number, line in enumerate(layout.lines(name), 1):
        words = line.split(maxsplit=1)
        if words:
            examples.append(Labelled(words[1] if words[1:] else "", words[0], name, number))
        else:
            blank += 1
    return layout, examples, blank


def read_json_lines(name: str, layout: Layout) -> tuple[Layout, list[Labelled], int]:
    """jsonl"""
    found: list[tuple[int, dict]] = []
    blank = 0
    for number, line in enumerate(layout.lines(name), 1):
        if not line.strip():
            blank += 1
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}:{number}: is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"{name}:{number}: expected an object such as {{\"text\": ..., \"label\": ...}}, got {line:.40}")
        found.append((number, value))
    if not found:
        raise DataError(f"{name}: no examples in it")
    names = list(found[0][1])
    # JSON's own writing of a value tells columns apart as well as the value
    rows = [[json.dumps(value.get(column)) for column in names] for _, value in found]
    # numbers are of columns, which a table beside this file may have
    wanted_text, wanted_label = (None if isinstance(column, int) else column for column in (layout.text, layout.label))
    asked = replace(layout, text=wanted_text, label=wanted_label)
    text, label = (names[i] for i in choose_columns(f"{name}:{found[0][0]}", names, len(names), rows, asked))
    examples = []
    for number, value in found:
        for column in (text, label):
            if column not in value:
                raise DataError(f"{name}:{number}: has no field {column!r}; it has {some(value)}")
        if not isinstance(value[text], str) or not isinstance(value[label], (str, int, float)):
            column, wanted = (label, "a text or a number") if isinstance(value[text], str) else (text, "a text")
            raise DataError(f"{name}:{number}: {column} is {json.dumps(value[column]):.40}; expected {wanted}")
        kind = value[label] if isinstance(value[label], str) else json.dumps(value[label]).removesuffix(".0")  # 1.0 is 1
        try:
            f"{value[text]}{kind}".encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{name}:{number}: has half of a character in it, {error.object[error.start]!a}; "
                            "it was cut where it was written") from None
        examples.append(Labelled(value[text], kind.strip(), name, number))
    return replace(layout, text=text, label=label), examples, blank


READERS: dict[str, Callable[[str, Layout], tuple[Layout, list[Labelled], int]]] = {
    "tsv": read_delimited, "csv": read_delimited, "lines": read_label_first, "jsonl": read_json_lines}


# A folder


def class_files(name: str, kind: str) -> list[tuple[str, str]]:
    """Class and path of every file that belongs to one, in the order of their names."""
    if kind == "files":
        found = [(class_of(file), file) for file in text_files(name)]
        labels = [label for label, _ in found]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise DataError(f"{name}: two files are of the class {twice}; their names without the endings are the classes")
    else:
        found = [(os.path.basename(folder), file) for folder in folders(name) for file in text_files(folder)]
    if not found:
        where = "it" if kind == "files" else "the folders in it"
        raise DataError(f"{name}: no text in {where}; looked for names that end in {', '.join(SUFFIXES)}")
    return found


def texts_of(file: str, kind: str, layout: Layout) -> Iterator[tuple[int, str]]:
    """Line and text of each: the lines of a file, or all of it as one."""
    if kind == "files":
        return enumerate(layout.lines(file), 1)
    return iter([(0, "\n".join(layout.lines(file)))])


def class_of(file: str) -> str:
    """neg.txt.gz is of the class neg."""
    path = Path(file)
    while path.suffix.lower() in SUFFIXES:
        path = path.with_suffix("")
    return path.name


def folders(name: str) -> list[str]:
    return [path for path in entries(name) if os.path.isdir(path)]


def text_files(name: str) -> list[str]:
    return [path for path in entries(name) if path.lower().endswith(SUFFIXES) and not os.path.isdir(path)]


def entries(name: str) -> list[str]:
    with reading(name):
        return [os.path.join(name, entry) for entry in sorted(os.listdir(name)) if not entry.startswith(".")]


def some(names: object) -> str:
    """The first ten of them."""
    listed = [str(name) for name in names]  # type: ignore[attr-defined]
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if listed[10:] else "")
