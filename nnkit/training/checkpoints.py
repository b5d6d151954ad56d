"""Saving and loading the state of a run: a kill at any moment leaves a whole checkpoint, and no file runs code.

A checkpoint is an .npz that `np.load` reads: arrays, and under `meta` one JSON text. Nothing in it is ever unpickled,
and nothing is allocated on the word of a file: arrays lie in it uncompressed, so none can be larger than the file is.
"""

from __future__ import annotations

import glob
import json
import math
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import UserError
from nnkit.files import replacing
from nnkit.nn.saving import write_npz

FORMAT = 2  # 1 had no schedules but the learning rate's
COPIES = 3  # of a checkpoint, while one is written
KINDS = "biufcSUmM"  # dtype.kind of what may be saved: all but objects and what hides them


def save_checkpoint(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays (any shape, any dtype but object) and `meta` (what JSON can hold; integers of any size).

    The file takes its place in one piece, and the one that was there stays as `<stem>.prev.npz`.
    TypeError for object arrays and for a `meta` that JSON cannot hold; UserError where the disk refuses.
    """
    path = Path(path)
    for name, array in arrays.items():
        dtype = np.asarray(array).dtype
        if not _is_savable(dtype):
            raise TypeError(f"checkpoint array {name!r} has dtype {dtype}; only numbers and text are saved")
    if "meta" in arrays:
        raise ValueError("'meta' is the checkpoint's own; give the array another name")
    # the names are listed, so that a file that lost an array is known to have lost it
    text = json.dumps({"format": FORMAT, "arrays": list(arrays), "meta": dict(meta)}, default=_numpy_number)
    aside = path.with_name(f".{path.name}.{os.getpid()}.prev.tmp")
    try:
        for stale in glob.glob(str(path.with_name(f".{glob.escape(path.name)}.*.tmp"))):
            os.unlink(stale)  # of a process that was killed: each is as large as a checkpoint
        with replacing(path) as file:
            write_npz(file, {**arrays, "meta": np.array(text)})
            if path.exists():
                _second_name(path, aside)
        # only now: until the new one was in place, the earlier .prev might have been the only whole one
        if aside.exists():
            os.replace(aside, _previous(path))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be saved ({reason}); the last checkpoint saved is whole") from error
    finally:
        aside.unlink(missing_ok=True)


def check_room(folder: str | os.PathLike[str], n_bytes: int) -> None:
    """UserError where the disk of `folder` has no room for checkpoints of so many bytes: before a training, not hours into it.

    There are three of them while one is written: itself, the last, and the one before. Those that are there count as theirs.
    """
    try:
        free = shutil.disk_usage(folder).free
        there = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(".npz"))
    except OSError:
        return  # a file system that does not say
    needed = COPIES * n_bytes - there
    if free < needed:
        raise UserError(f"{folder}: the checkpoints need {_size(needed)} of disk, {_size(free)} are free; make room, or give a "
                        "folder on another disk with --out")


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `save_checkpoint` was given: (arrays, meta), equal to the bit.

    UserError names the file and what is wrong: missing, cut off, not a checkpoint, changed (CRC), compressed, larger
    than the file can hold, objects inside, or written by a newer nnkit.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            members = _checked_members(archive, os.fstat(file.fileno()).st_size)
            if "meta" not in members:
                raise UserError("is not a checkpoint of nnkit: it has no 'meta'")
            text = _read(archive, members.pop("meta"))
            if text.dtype.kind != "U" or text.shape != ():
                raise UserError("is damaged: 'meta' is not a text")
            content = json.loads(str(text[()]))
            if content["format"] > FORMAT:
                raise UserError(f"was written by a newer nnkit (format {content['format']}, this one reads "
                                f"{FORMAT}); update nnkit")
            if content["format"] < FORMAT:
                raise UserError(f"was written by an older nnkit (format {content['format']}, this one reads {FORMAT}); train "
                                "anew, or use it with the nnkit that wrote it")
            if content["arrays"] != list(members):
                raise UserError("is damaged: its list of arrays and its arrays differ")
            return {name: _read(archive, info) for name, info in members.items()}, content["meta"]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint") from None
    except UserError as error:
        raise type(error)(f"{path}: {error}") from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: is damaged, or is no checkpoint ({error})") from error
    except Exception as error:  # zipfile, NumPy and JSON raise many kinds on damaged bytes
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def load_latest(folder: str | os.PathLike[str],
                name: str = "last") -> tuple[dict[str, np.ndarray], dict[str, Any], Path, str]:
    """(arrays, meta, path, notice) of `<name>.npz`, or of `<name>.prev.npz` where the first cannot be used.

    The notice is empty, or one line that says why the previous one was taken. UserError where neither can be used.
    """
    path = Path(folder) / f"{name}.npz"
    try:
        return *load_checkpoint(path), path, ""
    except UserError as error:
        previous = _previous(path)
        if not previous.exists():
            raise
        try:
            loaded = load_checkpoint(previous)
        except UserError as second:
            raise UserError(f"{error}\n{second}") from error
        return *loaded, previous, f"{error}; went on from the one before it, {previous}"


def _is_savable(dtype: np.dtype) -> bool:
    return dtype.kind in KINDS and dtype.itemsize > 0  # NumPy makes room for items that claim to be of no size


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}.prev{path.suffix}")


def _second_name(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, other)


def _numpy_number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"checkpoint meta holds a {type(value).__name__}, which JSON cannot hold: {value!r}")


def _checked_members(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """Array name → zip entry, once the entries' own claims are possible; nothing has been allocated yet."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for name, info in members.items():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise UserError(f"{name!r} is compressed, which checkpoints never are")
    if len(members) != len(archive.infolist()):
        raise UserError("is damaged: two arrays of one name")
    claimed = sum(info.file_size for info in archive.infolist())
    if claimed > file_size:
        raise UserError(f"is damaged: it claims {claimed:,} bytes of arrays and has {file_size:,}")
    return members


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array. Its header is read first: what it claims must be what the entry holds, before memory is taken."""
    with archive.open(info) as member:
        major = np.lib.format.read_magic(member)[0]
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(member)
        if not _is_savable(dtype):
            raise UserError(f"{info.filename!r} holds {dtype}, not numbers or text; it could run code and is not read")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
            raise UserError(f"is damaged: {info.filename!r} is not as large as its shape {shape} says")
    with archive.open(info) as member:  # from the start: seeking back would switch the CRC check off
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read():
            raise UserError(f"is damaged: {info.filename!r} has bytes after its end")
        return array
