"""Schedules: a hyper-parameter as a function of progress, 0 at the start of training and 1 at its end.

    schedule = schedules.warmup(schedules.cosine(0.1, 0.001), 0.05)
    optimizer.lr = schedule(progress)                       # before every step; any other: optimizer.set(momentum=...)

Before 0 and after 1 they stay as at the ends. Plateau alone depends on more than progress: on what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

Schedule = Callable[[float], float]


def constant(start: float) -> Schedule:
    """start, always."""
    return lambda progress: start


def linear(start: float, end: float) -> Schedule:
    """From start to end in a straight line; before 0 and after 1 it stays at the ends."""
    def schedule(progress: float) -> float:
        progress = min(max(progress, 0.0), 1.0)
        return start * (1 - progress) + end * progress
    return schedule


def cosine(start: float, end: float) -> Schedule:
    """From start to end along half a cosine, slowly at first and at last (Loshchilov & Hutter, 2017, eq. 5, without restarts).

        end + (start - end) · (1 + cos(π · progress)) / 2; before 0 and after 1 it stays at the ends
    """
    def schedule(progress: float) -> float:
        share = (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2
        return start * share + end * (1 - share)
    return schedule


def step(start: float, share: float, gamma: float = 0.1) -> Schedule:
    """start · gamma^n after n times `share` of the training: after each 10 of 30 epochs it is 10 / 30.

    ValueError unless share is above 0 and gamma is not negative.
    """
    if not share > 0 or not gamma >= 0:
        raise ValueError(f"step: expected share above 0 and gamma of at least 0, got {share=}, {gamma=}")

    def schedule(progress: float) -> float:
        times = math.floor(min(max(progress, 0.0), 1.0) / share + 1e-9)  # 0.3 / 0.1 is a little less than 3
        return start * gamma ** times
    return schedule


def warmup(schedule: Schedule, share: float, start: float = 0.0) -> Schedule:
    """From `start` in a straight line to the first value of `schedule`; then all of `schedule`, in what is left of the training.

    share: of the training; n steps of N in all are n / N. ValueError unless 0 <= share < 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"warmup: expected a share from 0 to below 1, got {share}")

    def warmed(progress: float) -> float:
        if progress >= share:
            return schedule((progress - share) / (1 - share))
        rise = max(progress, 0.0) / share
        return start * (1 - rise) + schedule(0.0) * rise
    return warmed


class Plateau:
    """Times `factor` whenever what is measured has not become better for more than `patience` measurements in a row.

    Better is smaller (mode "min", a loss) or larger ("max", an accuracy) than the best so far by more than `threshold` of
    its size, as in PyTorch's ReduceLROnPlateau; NaN and infinity are never better. The value does not fall below `end`.

        schedule = Plateau(0.1, factor=0.5, patience=2)
        schedule.observe(dev_loss)               # after every measurement: whether the value has fallen
        optimizer.lr = schedule(progress)        # the value as it is; warmup may stand in front

    ValueError unless 0 < factor < 1, and patience, threshold and end are not negative.
    """

    def __init__(self, start: float, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4, end: float = 0.0,
                 mode: Literal["min", "max"] = "min"):
        if not 0 < factor < 1:
            raise ValueError(f"Plateau: expected a factor between 0 and 1, got {factor}")
        if not (patience >= 0 and threshold >= 0 and end >= 0):
            raise ValueError(f"Plateau: expected no negative value, got {patience=}, {threshold=}, {end=}")
        if mode not in ("min", "max"):
            raise ValueError(f"Plateau: expected mode 'min' or 'max', got {mode!r}")
        self.factor, self.patience, self.threshold, self.end, self.mode = factor, patience, threshold, end, mode
        self.value = start
        self.best: float | None = None
        self.waited = 0

    def __call__(self, progress: float) -> float:
        return self.value

    def observe(self, measured: float) -> bool:
        """Take note of a measurement; True where the value falls."""
        if self.is_better(measured):
            self.best, self.waited = float(measured), 0
            return False
        self.waited += 1
        if self.waited <= self.patience:
            return False
        before, self.waited = self.value, 0
        self.value = min(before, max(before * self.factor, self.end))
        return self.value < before

    def is_better(self, measured: float) -> bool:
        if not math.isfinite(measured) or self.best is None:
            return math.isfinite(measured)
        least = self.threshold * abs(self.best)
        return measured < self.best - least if self.mode == "min" else measured > self.best + least

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: numbers, or None."""
        return {"value": self.value, "best": self.best, "waited": self.waited}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave. ValueError where it is no such state."""
        if state.keys() != self.state().keys():
            raise ValueError(f"Plateau: expected a state of {', '.join(self.state())}, got one of {', '.join(state)}")
        self.value, self.best, self.waited = state["value"], state["best"], state["waited"]


class StepWarmup:
    """`warmup` by a number of steps, where nobody knows how many there will be: it is told how many are done.

    From 0 in a straight line to the first value of `schedule`, in `steps` steps; then all of `schedule`, in what is left of the
    training.

        schedule = StepWarmup(cosine(0.1, 0.001), 500)
        schedule.tell(step, progress)            # before every step: those done before it, and the progress
        optimizer.lr = schedule(progress)

    A training of fewer steps ends while the value still rises. ValueError unless steps is above 0.
    """

    def __init__(self, schedule: Schedule, steps: int):
        if not steps > 0:
            raise ValueError(f"StepWarmup: expected steps above 0, got {steps}")
        self.schedule, self.steps = schedule, steps
        self.step = 0
        self.began: float | None = None  # the progress at which `schedule` began

    def tell(self, step: int, progress: float) -> None:
        self.step = step
        if self.began is None and step >= self.steps:
            self.began = progress

    def __call__(self, progress: float) -> float:
        if self.began is None:
            return self.schedule(0.0) * (self.step / self.steps)
        rest = 1 - self.began
        return self.schedule((progress - self.began) / rest if rest > 0 else 0.0)


class Schedules:
    """Several hyper-parameters by name, a schedule for each; with what a training needs in order to go on from a checkpoint.

        optimizer.set(**schedules.at(progress, step))    # before every step
        schedules.observe(measured)                      # after every evaluation, where there are `plateaus`

    plateaus: those of them that depend on what is measured. warmups: those that begin with steps that are counted.
    """

    def __init__(self, by_name: dict[str, Schedule], plateaus: dict[str, Plateau] | None = None,
                 warmups: dict[str, StepWarmup] | None = None):
        self.by_name, self.plateaus, self.warmups = by_name, plateaus or {}, warmups or {}

    def at(self, progress: float, step: int) -> dict[str, float]:
        """The values for the step that comes after `step` of them."""
        if self.warmups:
            for warming in self.warmups.values():
                warming.tell(step, progress)
        values = {}
        for name, schedule in self.by_name.items():
            values[name] = schedule(progress)
        return values

    def observe(self, measured: float) -> None:
        for plateau in self.plateaus.values():
            plateau.observe(measured)

    def state(self, length: int) -> dict[str, Any]:
        """What a checkpoint keeps: numbers, or None. length: of the whole training, for instance in epochs."""
        return {"plateaus": {name: plateau.state() for name, plateau in self.plateaus.items()},
                "began": {name: warming.began for name, warming in self.warmups.items()}, "length": length}

    def load_state(self, state: dict[str, Any], length: int) -> None:
        """Put back what `state` gave, into a training that may be longer now."""
        for name, plateau in self.plateaus.items():
            plateau.load_state(state["plateaus"][name])
        for name, warming in self.warmups.items():
            began = state["began"][name]
            # as it was, to the bit, where the length is
            warming.began = began if began is None or length == state["length"] else began * state["length"] / length
