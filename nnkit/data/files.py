"""Opening a text file as it lies on the disk: plain or compressed, and with one clear line for what is wrong with it."""

import codecs
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from nnkit.errors import DataError

BLOCK = 1 << 18  # bytes


def text_blocks(
    path: str | os.PathLike[str],
    errors: str = "strict",
    watch: Callable[[bytes], object] | None = None,
    another_way: str = "",
) -> Iterator[str]:
    r"""Yield a UTF-8 text in pieces of at most 256 kB: no byte order mark, and every line end a \n.

    `watch` gets all bytes of the file as it lies on the disk (of a .gz those that are compressed). DataError as in
    `nnkit.data.read_lines`; `another_way` is what an error says after "convert the file".
    """
    check_errors(errors)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(errors), translate=True)
    with decoding(path, another_way), open_binary(path, watch) as stream:
        while block := stream.read(BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def check_errors(errors: str) -> None:
    if errors not in ("strict", "replace", "ignore"):
        raise ValueError(f"errors must be 'strict', 'replace' or 'ignore', not {errors!r}")


@contextmanager
def decoding(path: str | os.PathLike[str], another_way: str = "", encoding: str = "utf-8") -> Iterator[None]:
    """`reading`, and the place of the first byte that is not of the encoding."""
    with reading(path):
        try:
            yield
        except UnicodeDecodeError:
            line, offset, byte = _first_bad_byte(path, encoding)
            name = "UTF-8" if encoding == "utf-8" else encoding
            raise DataError(
                f"{os.fspath(path)}:{line}: byte {offset} (0x{byte:02x}) is not {name}; convert the file{another_way}"
            ) from None
        except UnicodeError as error:  # of the whole file: UTF-16 without its first two bytes
            raise DataError(f"{os.fspath(path)}: is not {encoding} ({error}); convert the file{another_way}") from None


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
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


@contextmanager
def open_binary(path: str | os.PathLike[str], watch: Callable[[bytes], object] | None = None) -> Iterator[BinaryIO]:
    """The uncompressed bytes of a file; `watch` gets those on the disk, all of them where the block ends well."""
    with open(path, "rb") as file:
        raw: Any = file if watch is None else _Watched(file, watch)
        suffix = os.path.splitext(path)[1].lower()
        if suffix == ".gz":
            import gzip

            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream  # type: ignore[misc]
        elif suffix == ".bz2":
            import bz2

            with bz2.BZ2File(raw) as stream:
                yield stream  # type: ignore[misc]
        else:
            yield raw
        if watch is not None:
            while raw.read(BLOCK):  # what a decompressor leaves behind the end of its data
                pass


class _Watched:
    """As much of a file as the decompressors ask for."""

    def __init__(self, file: BinaryIO, watch: Callable[[bytes], object]):
        self.file = file
        self.watch = watch

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.watch(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)


def _first_bad_byte(path: str | os.PathLike[str], encoding: str = "utf-8") -> tuple[int, int, int]:
    """Line (from 1), offset in the uncompressed text (from 0) and value of the first byte that is not of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, offset, after_return = 1, 0, False
    with open_binary(path) as binary:
        while True:
            block = binary.read(BLOCK)
            before = decoder.getstate()
            pending = len(before[0])  # of a character that the end of a block has cut
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                decoder.setstate(before)
                good = decoder.decode(block[: max(error.start - pending, 0)])
                bad = offset - pending + error.start
                return line + _line_ends(good, after_return), bad, error.object[error.start]
            line += _line_ends(text, after_return)
            after_return = text.endswith("\r") or (not text and after_return)
            offset += len(block)


def _line_ends(text: str, after_return: bool) -> int:
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    return ends - 1 if after_return and text.startswith("\n") else ends
