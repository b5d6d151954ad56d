"""Files that are never half written: whoever reads one finds the old one or the new one. And what is known before the work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nnkit.errors import ConfigError, UserError


@contextmanager
def replacing(path: str | os.PathLike[str], synced: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends well, and leaves no trace when it does not.

    A temporary file in the same folder, and a rename. synced: it is on the disk (fsync) before it takes the place, so that a
    power cut, too, leaves one of the two; what can be made again does without.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)  # the name that the user gave
        raise


@contextmanager
def requested(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`replacing`, for a file that somebody asked for and can ask for again: UserError where it cannot be written."""
    try:
        with replacing(path, synced=False) as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def checked(path: str | os.PathLike[str], suffixes: Sequence[str], what: str) -> Path:
    """The path of a file that will be written, for a mistake to be told before the work: ConfigError for another suffix, with
    `what` for the file's name, or a missing folder."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        ends = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}" if len(suffixes) > 1 else suffixes[0]
        raise ConfigError(f"{path}: {what} ends in {ends}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: cannot be written: there is no folder {path.parent}; make it first")
    return path
