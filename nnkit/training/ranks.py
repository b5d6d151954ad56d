"""Ranks: the processes that train one model together under MPI, and the few things that they tell each other.

Every rank runs the same trainer on the same data, draws the same batches, and takes its part of each; the gradients are added up,
so that all make the same update and hold the same model. `mpiexec -n 4 python -m nnkit.train CONFIG` starts four of them.
`Ranks` is the one process of an ordinary run, which has nobody to tell anything; nnkit/training/mpi.py has the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from nnkit import nn
from nnkit.errors import ConfigError, UserError
from nnkit.training.schema import RunConfig
from nnkit.training.signals import StopRequest

T = TypeVar("T")


class ElsewhereError(UserError):
    """What ended the first rank, on the others: it has said what there is to say."""

    def __init__(self, exit_code: int):
        super().__init__("the first rank failed")
        self.exit_code = exit_code


class Ranks:
    """One process alone. rank: its number, from 0; size: how many there are. threads: of a matrix product; None: as configured.

    What is called on one rank is called on all of them, in the same order: each of these waits for the others.
    """

    rank = 0
    size = 1
    threads: int | None = None
    turn = 0  # of those that do a thing one after the other: 0 for the first rank, 1 for the first of another machine, else 2

    @property
    def is_first(self) -> bool:
        """Whether this one writes, draws and prints."""
        return self.rank == 0

    # What MPI does

    def gather(self, value: T) -> list[T]:
        """The value of every rank, in their order; small things that can be pickled."""
        return [value]

    def table(self, numbers: Sequence[float]) -> np.ndarray:
        """(size, n) float64: the n numbers of every rank."""
        return np.array([numbers], np.float64)

    def add(self, array: np.ndarray) -> None:
        """Replace the contiguous array by the sum over all ranks, to the same bits on each."""

    def stack(self, rows: np.ndarray, lengths: list[int]) -> np.ndarray:
        """(Σ lengths, ...): the rows of all ranks one after the other. lengths: how many each of them has."""
        return rows

    def broadcast(self, arrays: Iterable[np.ndarray]) -> None:
        """Give the arrays, in place, the values that they have on the first rank."""

    def wait(self) -> None:
        """Until all ranks are here, and leave the cores meanwhile to those that are not."""

    @contextmanager
    def guarded(self, record: Callable[[BaseException], Any] = lambda error: None) -> Iterator[None]:
        """Around what may fail: no rank waits for one that did. `record` gets the error, once, before it is raised."""
        try:
            yield
        except BaseException as error:
            record(error)
            raise

    # What follows from it

    def sum(self, *numbers: float) -> tuple[float, ...]:
        """The sum of each of the numbers over all ranks."""
        return numbers if self.size == 1 else tuple(self.table(numbers).sum(0).tolist())

    def first(self, function: Callable[[], T]) -> T:
        """What the function gives on the first rank, where alone it is called. ElsewhereError on the others where it raises."""
        if self.size == 1:
            return function()
        value = self._on_first(function)
        return self.gather(value)[0]  # type: ignore[return-value]  # the function's own

    def in_turn(self, function: Callable[[], T]) -> T:
        """What the function gives on each rank: it is called on the first, then on the first of every other machine, then on the
        rest. What it puts into a cache, those that come later find there.
        """
        if self.size == 1:
            return function()
        value = self._on_first(function)
        for turn in (1, 2):
            if self.turn == turn:
                value = function()
            self.wait()
        return value  # type: ignore[return-value]  # the function's own

    def _on_first(self, function: Callable[[], T]) -> T | None:
        value, error = None, None
        if self.is_first:
            try:
                value = function()
            except Exception as raised:
                error = raised
        self.wait()
        code = self.gather(None if error is None else getattr(error, "exit_code", 1))[0]
        if error is not None:
            raise error
        if code is not None:
            raise ElsewhereError(code)
        return value

    def agree(self, stop: StopRequest) -> bool:
        """Whether a signal has reached any of the ranks: all leave at the same step, or those that stay would wait for ever."""
        if self.size > 1:
            stop.signal = int(self.table([stop.signal or 0]).max()) or None
        return stop.signal is not None

    def check_same(self, value: Any, what: str) -> None:
        """UserError, on all ranks, where they do not have the same value."""
        values = self.gather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise UserError(f"{what} is not the same on rank 0 and rank {rank} of {self.size}: do they see the same files?")

    def check_equal(self, arrays: Mapping[str, np.ndarray], when: str) -> None:
        """UserError, on all ranks, where one of the arrays is not the same everywhere: they would train different models."""
        if self.size == 1:
            return
        digests = self.gather([hashlib.blake2b(np.ascontiguousarray(array).data).digest() for array in arrays.values()])
        for i, name in enumerate(arrays):
            others = [rank for rank in range(self.size) if digests[rank][i] != digests[0][i]]
            if others:
                raise UserError(f"{when}: {name} is not the same on rank 0 and rank {others[0]} of {self.size}; does the model "
                                "change it as it computes, or draw numbers that no seed gives? Train with one process")

    def jump(self, generators: Iterable[tuple[str, np.random.Generator]]) -> None:
        """Give every rank streams of its own, for dropout; the first keeps what it would have alone. They never meet."""
        for _, generator in generators:
            if self.rank:
                bits = generator.bit_generator
                bits.state = bits.jumped(self.rank).state  # type: ignore[attr-defined]  # as if 2^127 numbers were drawn, rank times


def check_ranks(ranks: Ranks, settings: RunConfig, model: nn.Module | None = None) -> None:
    """ConfigError for what several ranks cannot do: start workers, or take statistics over a batch of which each has a part."""
    if ranks.size == 1:
        return
    if settings.training.workers > 1:
        raise ConfigError(f"training.workers: {settings.training.workers}: {ranks.size} ranks of MPI train already, and start no "
                          "processes of their own; leave it out, or start one process without mpiexec")
    for name, module in model.named_modules() if model is not None else ():
        if isinstance(module, nn.BatchNorm1d):
            raise ConfigError(f"{name or 'the model'} is {module!r}, which takes the mean of a whole batch, and each of the "
                              f"{ranks.size} ranks has a part of one: take LayerNorm, or train with one process")
