"""Reading a text corpus as a stream: its size is no concern, and a bad byte is named before training starts."""

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from nnkit.errors import DataError

BUILTIN = "builtin:"
BUILTINS = ("python-docs",)
PIECE = 1 << 16  # characters: a corpus that is one line of 100 MB (text8) must not become 17 million strings at once
BLOCK = 1 << 20  # bytes


def read_lines(path: str | os.PathLike[str], errors: str = "strict") -> Iterator[str]:
    r"""Yield the lines of a .txt, .gz or .bz2 file without their ends, one in memory at a time.

    UTF-8, a byte order mark removed. Only \n, \r\n and \r end a line. `errors` is what to do with bytes that are not
    UTF-8: "strict", "replace" (by U+FFFD) or "ignore". DataError for a file that is missing, a folder, not UTF-8 (with
    line and byte) or damaged. An empty file has no lines.
    """
    with _open_text(path, errors) as stream:
        for line in stream:
            yield line.removesuffix("\n")


class Sentences:
    """The sentences of a corpus as lists of words, as often as it is walked: what `read_sentences` returns."""

    def __init__(self, source: str | os.PathLike[str], errors: str = "strict"):
        self.source = source
        self.errors = errors

    def __iter__(self) -> Iterator[list[str]]:
        sentence: list[str] = []
        for words, last in self.pieces():
            sentence.extend(words)
            if last:
                yield sentence
                sentence = []

    def pieces(self) -> Iterator[tuple[list[str], bool]]:
        """The sentences in pieces that fit in little memory however long a line is, True with the last of each."""
        if _builtin_name(self.source):
            from nnkit.data import python_docs

            for document in python_docs.load().documents:
                for sentence in document.sentences:
                    yield sentence.split(), True
            return
        with _open_text(self.source, self.errors, ", or set data.errors: replace") as stream:
            yield from _split(stream)


def read_sentences(source: str | os.PathLike[str], errors: str = "strict") -> Sentences:
    """The sentences of `source` as lists of words: a line of a file each, or those of "builtin:python-docs".

    Words are what stands between white space, unchanged; an empty line is an empty sentence. The result can be walked
    many times, the file is read anew each time. DataError as in `read_lines`, and for a builtin that does not exist.
    """
    return Sentences(source, errors)


def describe(source: str | os.PathLike[str]) -> dict[str, Any]:
    """What tells later which text a run was trained on: SHA-256, and a file's size or the counts of a builtin."""
    if _builtin_name(source):
        from nnkit.data import python_docs

        docs = python_docs.load()
        return {"source": str(source), "sha256": docs.sha256, "counts": docs.counts}
    import hashlib

    digest = hashlib.sha256()
    size = 0
    with _reading(source), open(source, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            size += len(block)
    return {"source": os.path.abspath(source), "sha256": digest.hexdigest(), "bytes": size}


def _builtin_name(source: str | os.PathLike[str]) -> str | None:
    """The name after `builtin:`, None for a path; DataError where there is no such corpus."""
    if not isinstance(source, str) or not source.startswith(BUILTIN):
        return None
    name = source.removeprefix(BUILTIN)
    if name not in BUILTINS:
        known = ", ".join(BUILTIN + builtin for builtin in BUILTINS)
        raise DataError(f"{source}: no such built-in corpus; there is {known}")
    return name


def _split(stream: io.TextIOWrapper) -> Iterator[tuple[list[str], bool]]:
    begun, last = "", True  # `begun`: a word that the end of a piece has cut
    while piece := stream.readline(PIECE):
        words = (begun + piece).split()
        last = piece.endswith("\n")
        begun = "" if piece[-1].isspace() else words.pop()
        yield words, last
    if not last:  # no line end at the end of the file
        yield [begun] if begun else [], True


@contextmanager
def _open_text(path: str | os.PathLike[str], errors: str, another_way: str = "") -> Iterator[io.TextIOWrapper]:
    if errors not in ("strict", "replace", "ignore"):
        raise ValueError(f"errors must be 'strict', 'replace' or 'ignore', not {errors!r}")
    with _reading(path), _open_binary(path) as binary:
        try:
            with io.TextIOWrapper(binary, encoding="utf-8-sig", errors=errors, newline=None) as stream:
                yield stream
        except UnicodeDecodeError:
            line, offset, byte = _first_bad_byte(path)
            raise DataError(
                f"{os.fspath(path)}:{line}: byte {offset} (0x{byte:02x}) is not UTF-8; convert the file{another_way}"
            ) from None


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system and the decompressors say about `path` into one line for the user."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{os.fspath(path)}: no such file (looked for {os.path.abspath(path)})") from None
    except IsADirectoryError:
        raise DataError(f"{os.fspath(path)}: is a folder; name a file") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{os.fspath(path)}: damaged or cut short ({error}); fetch or compress it again") from None
    except OSError as error:
        if error.errno is None:  # gzip and bz2 raise bare OSErrors for data that is not theirs
            raise DataError(f"{os.fspath(path)}: damaged, or not what its name says ({error})") from None
        if os.path.isdir(path):  # what Windows says to a folder is "permission denied"
            raise DataError(f"{os.fspath(path)}: is a folder; name a file") from None
        raise DataError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from None


def _open_binary(path: str | os.PathLike[str]) -> BinaryIO:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".bz2":
        import bz2

        return bz2.open(path, "rb")  # type: ignore[return-value]
    return open(path, "rb")


def _first_bad_byte(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Line (from 1), offset in the uncompressed text (from 0) and value of the first byte that is not UTF-8."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    line, offset, after_return = 1, 0, False
    with _open_binary(path) as binary:
        while True:
            block = binary.read(BLOCK)
            pending = len(decoder.getstate()[0])  # of a character that the end of a block has cut
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                good = block[: max(error.start - pending, 0)]
                bad = offset - pending + error.start
                return line + _line_ends(good, after_return), bad, error.object[error.start]
            line += _line_ends(block, after_return)
            after_return = block.endswith(b"\r")
            offset += len(block)


def _line_ends(block: bytes, after_return: bool) -> int:
    ends = block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
    return ends - 1 if after_return and block.startswith(b"\n") else ends
