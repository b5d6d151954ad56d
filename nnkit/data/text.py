"""Reading a text corpus as a stream: its size is no concern, and a bad byte is named before training starts."""

import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nnkit.data.files import BLOCK, check_errors, decoding, open_binary, reading, text_blocks
from nnkit.errors import DataError

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

BUILTIN = "builtin:"
BUILTINS = ("python-docs",)
SUFFIXES = (".txt", ".gz", ".bz2")  # the files that are read where a folder is named
LONGEST_WORD = 1 << 20  # characters; not below BLOCK, or a longer word could hide inside of a block


def read_lines(
    path: str | os.PathLike[str], errors: str = "strict", encoding: str = "utf-8", another_way: str = ""
) -> Iterator[str]:
    r"""Yield the lines of a .txt, .gz or .bz2 file without their ends, one in memory at a time.

    UTF-8, a byte order mark removed, or another `encoding` of Python. Only \n, \r\n and \r end a line. `errors` is what to
    do with bytes that are not of the encoding: "strict", "replace" (by U+FFFD) or "ignore". DataError for a file that is
    missing, a folder, damaged or not of the encoding (with line and byte, and `another_way` after "convert the file").
    An empty file has no lines.
    """
    check_errors(errors)
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with decoding(path, another_way, encoding), open_binary(path) as binary:
        with io.TextIOWrapper(binary, encoding=codec, errors=errors, newline=None) as stream:
            for line in stream:
                yield line.removesuffix("\n")


class InPieces(ABC):
    """Sentences that a subclass gives in pieces."""

    @abstractmethod
    def pieces(self) -> Iterator[tuple[list[str], bool]]:
        """Words, and whether the sentence ends with them."""

    def __iter__(self) -> Iterator[list[str]]:
        sentence: list[str] = []
        for words, last in self.pieces():
            sentence.extend(words)
            if last:
                yield sentence
                sentence = []


class Sentences(InPieces):
    """The sentences of a corpus as lists of words, as often as it is walked: what `read_sentences` returns."""

    def __init__(self, source: Source, errors: str = "strict"):
        self.source = source
        self.errors = errors

    def pieces(self) -> Iterator[tuple[list[str], bool]]:
        """The sentences in pieces that fit in little memory however long a line is, True with the last of each."""
        for text in self.texts():
            *ended, begun = text.split("\n")
            for line in ended:
                yield line.split(), True
            if words := begun.split():
                yield words, False

    def texts(self, watch: Callable[[bytes], object] | None = None) -> Iterator[str]:
        r"""The text itself, up to 256 kB at a time: no word is cut, a \n ends each sentence and the text of each file.

        `watch` gets the bytes of the files as they lie on the disk.
        """
        if builtin_name(self.source):
            from nnkit.data import python_docs

            for document in python_docs.load().documents:
                yield "\n".join(document.sentences) + "\n"
            return
        for file in source_files(self.source):
            yield from _whole_words(text_blocks(file, self.errors, watch, ", or set data.errors: replace"), file)


def read_sentences(source: Source, errors: str = "strict") -> Sentences:
    """The sentences of `source` as lists of words: a line of a file each, or those of "builtin:python-docs".

    `source` may also be a list of files, or a folder: its .txt, .gz and .bz2 files in the order of their names. Words
    are what stands between white space, unchanged; an empty line is an empty sentence. The result can be walked many
    times, the files are read anew each time, so pipes are refused. DataError as in `read_lines`; for a file that is
    named twice, a folder without text, a builtin that does not exist; and for a word of more than a million characters.
    """
    return Sentences(source, errors)


def describe(source: Source) -> dict[str, Any]:
    """What tells later which text a run was trained on: SHA-256, and a file's size or the counts of a builtin.

    Several files count as one text, in their order: the SHA-256 is what `cat FILES | sha256sum` prints.
    """
    if builtin_name(source):
        from nnkit.data import python_docs

        docs = python_docs.load()
        return {"source": str(source), "sha256": docs.sha256, "counts": docs.counts}
    import hashlib

    digest = hashlib.sha256()
    size = 0
    for file in source_files(source):
        with reading(file), open(file, "rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
                size += len(block)
    return described(source, digest.hexdigest(), size)


def described(source: Source, sha256: str, size: int) -> dict[str, Any]:
    """The description of files whose bytes have been seen."""
    if isinstance(source, (str, os.PathLike)):
        files = {"files": len(source_files(source))} if os.path.isdir(source) else {}
        return {"source": os.path.abspath(source), **files, "sha256": sha256, "bytes": size}
    return {"source": [os.path.abspath(item) for item in source], "sha256": sha256, "bytes": size}


def source_name(source: Source) -> str:
    """What an error calls the source."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if not source:
        raise DataError("the list of text files is empty; name at least one")
    more = len(source) - 1
    return os.fspath(source[0]) + (f" and {more} more" if more else "")


def builtin_name(source: Source) -> str | None:
    """The name after `builtin:`, None for paths; DataError where there is no such corpus."""
    if not isinstance(source, str) or not source.startswith(BUILTIN):
        return None
    name = source.removeprefix(BUILTIN)
    if name not in BUILTINS:
        known = ", ".join(BUILTIN + builtin for builtin in BUILTINS)
        raise DataError(f"{source}: no such built-in corpus; there is {known}")
    return name


def source_files(source: Source) -> list[str]:
    """The files of a path, a folder or a list of both. DataError where one cannot be read twice, or is there twice."""
    source_name(source)  # an empty list is no source
    files: list[str] = []
    for item in [source] if isinstance(source, (str, os.PathLike)) else source:
        name = os.fspath(item)
        if name.startswith(BUILTIN):
            raise DataError(f"{name}: a built-in corpus stands alone, not in a list of files")
        files += _folder_files(name) if os.path.isdir(name) else [name]
    seen: dict[str, str] = {}
    for file in files:
        with reading(file):
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise DataError(f"{file}: is a pipe or a device; training reads its text more than once, so save it in a file")
        place = os.path.realpath(file)
        if place in seen:
            other = f", as {seen[place]}" if seen[place] != file else ""
            raise DataError(f"{file}: is in the list of text files twice{other}; its words would count double")
        seen[place] = file
    return files


def _folder_files(folder: str) -> list[str]:
    with reading(folder):
        names = sorted(os.listdir(folder))
    # macOS puts files that begin with a dot beside those it copies
    names = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    files = [path for path in (os.path.join(folder, name) for name in names) if not os.path.isdir(path)]
    if not files:
        raise DataError(f"{folder}: no text in this folder; looked for names that end in {', '.join(SUFFIXES)}")
    return files


def _whole_words(blocks: Iterable[str], file: str) -> Iterator[str]:
    """The same text, parted at white space only, with a line end at its end."""
    begun, last = "", "\n"  # the word that the end of a block has cut, and the last character so far
    line, place = 1, 0  # of `begun`: its line, and the characters that stand before it there
    for block in filter(None, blocks):
        text = begun + block
        if begun and len(text.split(maxsplit=1)[0]) > LONGEST_WORD:
            raise DataError(
                f"{file}:{line}: the word that begins at character {place + 1:,} of this line has more than "
                f"{LONGEST_WORD:,} characters; words are what stands between white space: is this text?"
            )
        last = text[-1]
        begun = "" if last.isspace() else text.rsplit(maxsplit=1)[-1]
        text = text[: len(text) - len(begun)]
        ends = text.count("\n")
        line += ends
        place = len(text) - text.rfind("\n") - 1 + (0 if ends else place)
        yield text
    if last != "\n":
        yield begun + "\n"
