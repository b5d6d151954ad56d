"""Ranks under MPI, by mpi4py: how they find each other, what they exchange, and that none outlives another.

mpi4py is imported only where a launcher (mpiexec, srun) has started this process as one of several, as the environment says.
A rank that fails while the others wait for it would leave them waiting: it ends all of them, after the reason is printed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from nnkit.errors import ConfigError
from nnkit.training.failures import described
from nnkit.training.ranks import ElsewhereError, Ranks

T = TypeVar("T")

# How launchers tell a process its number and how many there are: of MPICH and Intel MPI, Open MPI, and Slurm's `srun --mpi=pmix`.
LAUNCHERS = [("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMIX_RANK", "SLURM_STEP_NUM_TASKS")]

PATIENCE = 1.0  # seconds after which a rank that failed takes it that the others have not; the others wait twice as long for it
NAP = 0.001
LINGER = 0.3


def find_ranks(environment: Mapping[str, str] = os.environ) -> Ranks:
    """The ranks that a launcher started, or this process alone.

    ConfigError, on the first of them, where they cannot find each other: without mpi4py or an MPI library, or where mpiexec is of
    another MPI than the library: each would then train alone, and all of them write one run. ElsewhereError on the others.
    """
    rank, size = launched(environment)
    if size == 1:
        return Ranks()
    how = f"this process was started as one of {size} ranks of MPI"
    try:
        try:
            import mpi4py

            mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # the latter where there is no MPI library
            raise ConfigError(f"{how}, and mpi4py cannot be used ({str(error).splitlines()[0]}); pip install 'nnkit[mpi]', or "
                              "start it without mpiexec") from error
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        if "OMPI_COMM_WORLD_SIZE" in environment and "Open MPI" not in library:
            found = "cannot be started by Open MPI"  # it would end here, with words of its own
        else:
            if not MPI.Is_initialized():
                MPI.Init_thread(MPI.THREAD_SERIALIZED)
            found = f"finds {MPI.COMM_WORLD.size}"
        if found != f"finds {size}":
            raise ConfigError(f"{how}, and the MPI library of mpi4py {found} ({library}): mpiexec is of another MPI; use the one "
                              f"that belongs to {sys.executable}, as `nnkit train --ranks {size}` does")
    except ConfigError as error:
        raise error if rank == 0 else ElsewhereError(error.exit_code) from None
    return MPIRanks(MPI)


def launched(environment: Mapping[str, str]) -> tuple[int, int]:
    """(rank, size) by what the launcher says; (0, 1) without one."""
    for rank, size in LAUNCHERS:
        if environment.get(rank, "").isdecimal() and environment.get(size, "").isdecimal():
            return int(environment[rank]), int(environment[size])
    return 0, 1


class MPIRanks(Ranks):
    """The ranks of MPI.COMM_WORLD."""

    def __init__(self, MPI: Any):
        self._mpi, self._comm = MPI, MPI.COMM_WORLD
        self._failures = self._comm.Dup()  # where what fails is told does not mix with what the others are at
        self.rank, self.size = self._comm.rank, self._comm.size
        host = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        cores = set().union(*host.allgather(own_cores()))
        self.threads = max(1, len(cores) // host.size)
        self.turn = 0 if self.rank == 0 else 1 if host.rank == 0 else 2

    def gather(self, value: T) -> list[T]:
        return self._comm.allgather(value)

    def table(self, numbers: Sequence[float]) -> np.ndarray:
        own = np.array(numbers, np.float64)
        numbers_of_all = np.empty((self.size, len(own)))
        self._comm.Allgather(own, numbers_of_all)
        return numbers_of_all

    def add(self, array: np.ndarray) -> None:
        self._comm.Allreduce(self._mpi.IN_PLACE, array)

    def stack(self, rows: np.ndarray, lengths: list[int]) -> np.ndarray:
        rows = np.ascontiguousarray(rows)
        stacked = np.empty((sum(lengths), *rows.shape[1:]), rows.dtype)
        width = int(np.prod(rows.shape[1:]))
        self._comm.Allgatherv(rows, [stacked, [length * width for length in lengths]])
        return stacked

    def broadcast(self, arrays: Iterable[np.ndarray]) -> None:
        for array in arrays:
            values = array.copy(order="C")
            self._comm.Bcast(values)
            array[...] = values

    def wait(self) -> None:
        request = self._comm.Ibarrier()
        while not request.Test():  # what waits within MPI looks again and again, as fast as it can
            time.sleep(NAP)

    @contextmanager
    def guarded(self, record: Callable[[BaseException], Any] = lambda error: None) -> Iterator[None]:
        """As `Ranks.guarded`. Where all ranks come to the same end it is raised on each; one alone prints it, and ends all."""
        try:
            yield
        except BaseException as error:
            if self.is_first:
                record(error)
            if not self._all_fail():
                if not self.is_first:
                    record(error)
                self._abort(error)
            raise

    def _all_fail(self) -> bool:
        """Whether the others come here, too, and soon: what is wrong with a config or with the model, all of them find."""
        request = self._failures.Ibarrier()
        until = time.monotonic() + (PATIENCE if self.is_first else 2 * PATIENCE)
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(NAP)
        return True

    def _abort(self, error: BaseException) -> None:
        text, code = described(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        print(f"rank {self.rank} of {self.size}: {text}", file=sys.stderr, flush=True)
        time.sleep(LINGER)  # mpiexec, on a busy machine, would end all before it has handed on what was said
        self._comm.Abort(code)


def own_cores() -> set[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))  # macOS and Windows do not bind a process to some of them
