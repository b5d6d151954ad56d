"""Folders of files that were costly to make and can be made again, found by name in later runs and by other processes.

They lie in corpora/ of the cache folder. Any of them may be deleted at any time, the whole of corpora/ too: what is
missing or damaged is made anew.
"""

import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from nnkit.data.python_docs import cache_folder
from nnkit.errors import DataError

KEPT = 16  # entries: those used last
KEPT_DAYS = 30
HEADER = "entry.json"  # a line with the SHA-256 of the rest, then JSON: the facts, and the size of each file
DAY = 86_400  # seconds


class Entry:
    """A folder of the cache, and the facts that were stored with its files.

    Where the cache folder cannot be written the folder is a temporary one, and goes with this object.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], temporary: bool = False):
        self.folder = folder
        self.facts = facts
        if temporary:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def cached(name: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
    """The entry `name`: from the cache where it is there and whole, else made, in a folder that is renamed when it is done.

    `make(folder)` writes files into an empty folder and returns facts that JSON can hold. Two processes may make one
    entry at the same time: both get a whole one. DataError where neither the cache nor the folder for temporary files
    can be written.
    """
    root = cache_folder() / "corpora"
    target = root / name
    facts = _read(target)
    if facts is not None:
        return Entry(target, facts)
    try:
        root.mkdir(parents=True, exist_ok=True)
        facts = _make_in(root, make, target)
    except OSError as in_cache:
        try:
            folder = Path(tempfile.mkdtemp(prefix="nnkit-"))
            return Entry(folder, _fill(folder, make), temporary=True)
        except OSError as error:
            raise DataError(
                f"{root}: cannot keep the encoded text there ({in_cache.strerror or in_cache}), nor in {tempfile.gettempdir()} "
                f"({error.strerror or error}); make room, or set NNKIT_CACHE to a folder that has it"
            ) from None
    _forget_old(root, but=target)
    return Entry(target, facts)


def _make_in(root: Path, make: Callable[[Path], dict[str, Any]], target: Path) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    facts = _fill(folder, make)
    try:
        if target.exists() and _read(target) is None:
            _remove(target)
        os.rename(folder, target)
    except OSError:  # another process was quicker
        shutil.rmtree(folder, ignore_errors=True)
        theirs = _read(target)
        if theirs is None:
            raise
        return theirs
    return facts


def _fill(folder: Path, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Make the files and, when they are safe on the disk, the header that vouches for them."""
    try:
        facts = make(folder)
        sizes = {}
        for file in folder.iterdir():
            sizes[file.name] = file.stat().st_size
            with open(file, "rb+") as stream:
                os.fsync(stream.fileno())
        body = json.dumps({"facts": facts, "sizes": sizes}).encode("ascii")
        with open(folder / HEADER, "wb") as stream:
            stream.write(sha256(body).hexdigest().encode("ascii") + b"\n" + body)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return facts


def _read(folder: Path) -> dict[str, Any] | None:
    """The facts of an entry, None where there is none or it is not as it was written."""
    try:
        checksum, body = (folder / HEADER).read_bytes().split(b"\n", 1)
        if sha256(body).hexdigest().encode("ascii") != checksum:
            return None
        stored = json.loads(body)
        if any((folder / name).stat().st_size != size for name, size in stored["sizes"].items()):
            return None
    except (OSError, ValueError, KeyError):
        return None
    try:
        os.utime(folder / HEADER)  # when it was used last
    except OSError:
        pass  # a folder that may only be read serves as well
    return stored["facts"]


def _forget_old(root: Path, but: Path) -> None:
    """Remove what was not used for long, all but the entries used last, and what processes that were killed left behind."""
    now = time.time()
    used: list[tuple[float, Path]] = []
    try:
        for folder in root.iterdir():
            if folder.name.startswith("."):
                if now - folder.stat().st_mtime > DAY:
                    shutil.rmtree(folder, ignore_errors=True)
            elif folder != but:
                used.append(((folder / HEADER).stat().st_mtime, folder))
    except OSError:  # another process removes it too
        return
    for place, (when, folder) in enumerate(sorted(used, reverse=True)):
        if place >= KEPT - 1 or now - when > KEPT_DAYS * DAY:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Out of sight at once: nobody may find half of an entry."""
    hidden = Path(tempfile.mkdtemp(prefix=".removing-", dir=folder.parent))
    try:
        os.rename(folder, hidden / folder.name)
    except OSError:
        pass
    shutil.rmtree(hidden, ignore_errors=True)
