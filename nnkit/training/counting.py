"""Two small instruments of the trainer: a mean that knows how many items it is of, and a clock that can be stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
