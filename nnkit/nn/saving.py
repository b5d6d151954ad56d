"""save and load_into: a module's arrays in one .npz file, by name, without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO

import numpy as np

from nnkit.errors import DataError
from nnkit.nn.module import Module


def save(module: Module, path: str | os.PathLike) -> None:
    """Write parameters and buffers to `path`, by way of a temporary file: an interrupted save leaves the old one."""
    temporary = os.fspath(path) + ".tmp"
    with open(temporary, "wb") as file:
        write_npz(file, module.state_dict())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_npz(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """What np.savez writes. np.savez itself takes names as keywords, and would lose an array named `file`."""
    import zipfile  # it costs more than the rest of nnkit.nn, and most programs save nothing

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array = np.asarray(array, order="C")
            if array.dtype.hasobject:
                raise ValueError(f"the array {name!r} holds objects; only numbers and text are saved")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                member.write(array.reshape(-1).view(np.uint8).data)  # write_array copies by 16 MB


def load_into(module: Module, path: str | os.PathLike) -> None:
    """Read what `save` wrote into a module of the same shape.

    DataError for a file that is missing or damaged, ValueError where names or shapes differ; then the module is unchanged.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # np.load alone leaves a damaged file open
            state = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # a damaged archive fails in a dozen ways, from BadZipFile to RuntimeError
        raise DataError(f"{path}: not a file of nnkit.save, or damaged ({error})") from None
    module.load_state_dict(state)
