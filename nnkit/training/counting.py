"""Small instruments of the trainer: a mean that knows of how many items it is, a clock that stops, and where a run stands."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mean:
    """A loss averaged over items: batches count by their items, in float64."""

    total: float = 0.0
    count: float = 0.0

    def add(self, total: float, count: float) -> None:
        self.total += total
        self.count += count

    def take(self) -> float | None:
        """The mean so far, None of nothing; and start anew."""
        mean = self.total / self.count if self.count else None
        self.total = self.count = 0.0
        return mean


class Stopwatch:
    """Counts the seconds spent in steps; `paused` leaves out evaluating, saving and drawing."""

    def __init__(self, seconds: float = 0.0):
        self._before = seconds
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        return self._before + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self._before, self._since = self.seconds, None

    @contextmanager
    def paused(self) -> Iterator[None]:
        was_running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if was_running:
                self.start()


@dataclass
class Position:
    """Where a run stands: everything but arrays and generators that the next step depends on."""

    epoch: int = 0                # finished epochs
    step_in_epoch: int = 0
    step: int = 0
    units: float = 0.0            # words or examples of this epoch so far
    since_log: Mean = field(default_factory=Mean)
    since_evaluation: Mean = field(default_factory=Mean)
    workers: list[dict[str, Any]] = field(default_factory=list)  # where each of them stands, if there are several


def grouped(batches: Iterable[Any], n: int) -> Iterator[list[Any]]:
    """Lists of n, the last one of what is left."""
    group = []
    for batch in batches:
        group.append(batch)
        if len(group) == n:
            yield group
            group = []
    if group:
        yield group
