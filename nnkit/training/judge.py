"""Which model of a run is the best so far, and when there is no hope of a better one: by one measure, eval.monitor."""

from __future__ import annotations

import math
from typing import Any


class Judge:
    """monitor: the measure with its sign, "+dev_acc" where more is better, "-dev_loss" where less is, or None.

    patience: after so many evaluations in a row without a better one it gives up; None: never. NaN and infinity are never better.
    """

    def __init__(self, monitor: str | None, patience: int | None):
        self.monitor, self.patience = monitor, patience
        self.best: float | None = None
        self.epoch = self.step = 0    # of the best
        self.waited = 0               # evaluations since

    @property
    def gives_up(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def value(self, row: dict[str, Any]) -> float:
        """The measure in a row of metrics; NaN where it has none, as a mean of no losses."""
        assert self.monitor is not None
        value = row.get(self.monitor[1:])
        return math.nan if value is None else float(value)

    def sees(self, row: dict[str, Any]) -> bool:
        """Take note of an evaluation; whether it is the best so far."""
        if self.monitor is None:
            return False
        value = self.value(row)
        sign = 1 if self.monitor[0] == "+" else -1
        if not math.isfinite(value) or (self.best is not None and sign * value <= sign * self.best):
            self.waited += 1
            return False
        self.best, self.epoch, self.step, self.waited = value, row["epoch"], row["step"], 0
        return True

    def state(self) -> dict[str, Any]:
        return {"monitor": self.monitor, "best": self.best, "epoch": self.epoch, "step": self.step, "waited": self.waited}

    def load_state(self, state: dict[str, Any]) -> None:
        self.best, self.epoch, self.step, self.waited = (state[name] for name in ("best", "epoch", "step", "waited"))
