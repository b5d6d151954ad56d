"""Memory that several processes train in: one file that all of them map, with the parameters and a small board for messages.

Its space is reserved before anything is written, so that a full disk is a line at the start and not a crash in the middle. The
file lies in memory where the system has a place for such files. It has no name, workers inherit it: nothing is left behind,
however a run ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from nnkit.errors import UserError
from nnkit.nn import Module

RUN, PAUSE, STOP = range(3)  # what the trainer orders
STARTING, READY, DIVERGED = range(3)  # what has become of a worker
ALIGNED = 64  # bytes


class Board:
    """What the trainer and its workers tell each other: numbers of 8 bytes, each written by one process alone.

    order: RUN, PAUSE or STOP, and its number. epochs: a worker may train while its epoch is below. For each worker: its state,
    the last order that it obeys by standing still, its epoch, step (in the epoch), steps (in all); units, loss, count (sums).
    """

    def __init__(self, memory: np.ndarray, workers: int):
        whole = memory[: 24 + 40 * workers].view(np.int64)
        self._orders, per_worker = whole[:3], whole[3:].reshape(workers, 5)
        self.state, self.obeyed, self.epoch, self.step, self.steps = per_worker.T
        numbers = memory[24 + 40 * workers: self.size(workers)].view(np.float64).reshape(workers, 3)
        self.units, self.loss, self.count = numbers.T

    @staticmethod
    def size(workers: int) -> int:
        return 24 + 64 * workers

    @property
    def order(self) -> int:
        return int(self._orders[0])

    @order.setter
    def order(self, order: int) -> None:
        self._orders[0] = order
        self._orders[2] += 1  # second: who reads the number before the order never obeys an old one under a new number

    @property
    def number(self) -> int:
        return int(self._orders[2])

    @property
    def stands_still(self) -> bool:
        """Whether every worker obeys the last order by standing still. After PAUSE it stays so until the next RUN."""
        return bool((self.obeyed == self.number).all())

    @property
    def epochs(self) -> int:
        return int(self._orders[1])

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self._orders[1] = epochs


class SharedModel:
    """The memory of a model's parameters, and the board. `file` is what workers inherit."""

    def __init__(self, file: IO[bytes], model: Module, workers: int):
        """Map the file, which `create` made for a model of these shapes."""
        self.file = file
        memory = np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8)
        if len(memory) != needed(model, workers):
            raise UserError(f"the recipe built a model of {needed(model, workers):,} bytes in a worker and of {len(memory):,} in "
                            "the trainer: `build` may depend on nothing but the config and the data")
        self.board = Board(memory, workers)
        self._tables = []
        at = aligned(Board.size(workers))
        for p in model.parameters():
            self._tables.append((p, memory[at: at + p.value.nbytes].view(p.value.dtype).reshape(p.value.shape)))
            at += aligned(p.value.nbytes)

    @classmethod
    def create(cls, model: Module, workers: int, fallback: Path) -> SharedModel:
        """Reserve the space in memory, in the folder for temporary files, or in `fallback`; write the parameters into it.

        UserError says what each of them answered where none has the room.
        """
        size, tried = needed(model, workers), []
        for folder in (Path("/dev/shm"), Path(tempfile.gettempdir()), fallback):
            if not folder.is_dir():
                continue
            try:
                file = tempfile.TemporaryFile(dir=folder)
                try:
                    reserve(file.fileno(), size)
                    shared = cls(file, model, workers)
                except BaseException:
                    file.close()
                    raise
            except OSError as error:
                tried.append(f"{folder} ({error.strerror})")
                continue
            for p, table in shared._tables:
                table[...] = p.value
            return shared
        raise UserError(f"no room for the {size / 1e6:.0f} MB of parameters that training.workers share: {', '.join(tried)}; "
                        "make room there, or set training.workers: 1")

    def attach(self) -> None:
        """From now on the model's parameters are the shared ones."""
        for p, table in self._tables:
            p.value = table


def needed(model: Module, workers: int) -> int:
    return aligned(Board.size(workers)) + sum(aligned(p.value.nbytes) for p in model.parameters())


def aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def reserve(file: int, size: int) -> None:
    """Make the file so large, and its space its own. OSError where there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(1 << 20)  # macOS has no such call
    for at in range(0, size, len(zeros)):
        os.pwrite(file, zeros[: size - at], at)
