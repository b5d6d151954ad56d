"""From the rows of metrics.jsonl to the curves that a picture draws: over steps, epochs or seconds, smoothed, thinned out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import ConfigError, UserError
from nnkit.training.comparing import config_of
from nnkit.training.metrics import FIRST_COLUMNS, is_number, read_metrics

Points = tuple[np.ndarray, np.ndarray]  # float64 places on the x axis and float64 values, equally long
Rows = list[dict[str, Any]]

AXES = {"steps": "step", "epochs": "epochs", "seconds": "seconds"}  # the key of a row that says where it is drawn


@dataclass(frozen=True)
class View:
    """How curves are shown. ConfigError for what cannot be.

    smooth: the weight of what came before, in the train loss (see `smoothed`); 0 leaves it as it is. log: losses on a
    logarithmic axis; otherwise they are where they cover two powers of ten. x: "steps", "epochs" or "seconds" (of training).
    """

    smooth: float = 0.0
    log: bool = False
    x: str = "steps"

    def __post_init__(self) -> None:
        if not 0 <= self.smooth < 1:
            raise ConfigError(f"smooth: expected a number from 0 to less than 1, got {self.smooth:g}; 0.9 is usual, and 0 "
                              "leaves the curve as it is")
        if self.x not in AXES:
            raise ConfigError(f"x: expected {', '.join(AXES)}, got {self.x!r}")


PLAIN = View()


def measures(rows: Rows, x: str = "step") -> dict[str, Points]:
    """What there is to draw, by name: train_loss first, then what only evaluations measure (dev_loss, dev_acc ...)."""
    logged = [row for row in rows if row.get("event") != "eval"]
    evaluated = [row for row in rows if row.get("event") == "eval"]
    # an evaluation's line repeats train_loss; it is needed only where nothing was logged between evaluations
    train = points_of(logged, "train_loss", x)
    found = {"train_loss": train if len(train[0]) else points_of(evaluated, "train_loss", x)}
    known = {"event", "epochs", *FIRST_COLUMNS, *(key for row in logged for key in row)}
    for key in dict.fromkeys(key for row in evaluated for key in row):
        if key not in known and not key.endswith("_per_second"):
            found[key] = points_of(evaluated, key, x)
    return {key: points for key, points in found.items() if len(points[0])}


def points_of(rows: Rows, key: str, x: str = "step") -> Points:
    """Where (by the key `x`) `key` was a finite number, and its values there; not those that no axis can be laid around."""
    pairs = [(row[x], row[key]) for row in rows_of(rows, key) if is_number(row.get(x))]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    table = table[np.abs(table[:, 1]) < 1e100]
    return table[:, 0], table[:, 1]


def rows_of(rows: Rows, key: str) -> Rows:
    """The rows with a step in which `key` is a finite number.

    Log lines and evaluations both have a train_loss, over windows of different lengths, which make no one curve: it is of
    the kind that there are more of.
    """
    rows = [row for row in rows if is_number(row.get(key)) and is_number(row.get("step"))]
    if key != "train_loss":
        return rows
    evaluations = [row for row in rows if row.get("event") == "eval"]
    others = [row for row in rows if row.get("event") != "eval"]
    return evaluations if len(evaluations) > len(others) else others


def smoothed(values: np.ndarray, smooth: float) -> np.ndarray:
    """The debiased exponential moving average, (n,) float64: of n values, each weighs `smooth` times what the next one does.

        s[t] = Σ smooth^(t-i) y[i] / Σ smooth^(t-i),   i = 0 ... t

    So the first one is the first value, and there is no pull towards 0 at the start (Kingma and Ba, 2015, section 3).
    A value is a line of metrics.jsonl, whatever the steps between two lines.
    """
    total = weight = 0.0
    result = []
    for value in values.tolist():
        total, weight = smooth * total + value, smooth * weight + 1
        result.append(total / weight)
    return np.array(result, dtype=np.float64)


def thinned(points: Points, most: int) -> Points:
    """At most `most` points, each the average of as many neighbours as it takes."""
    size = len(points[0])
    if size <= most:
        return points
    starts = np.linspace(0, size, most, endpoint=False).astype(int)
    counts = np.diff(starts, append=size)
    places, values = (np.add.reduceat(column, starts) / counts for column in points)
    return places, values


def above_zero(points: Points) -> Points:
    """Those that have a place on a logarithmic axis."""
    kept = points[1] > 0
    return points[0][kept], points[1][kept]


def with_epochs(rows: Rows, config: Mapping[str, Any]) -> tuple[Rows, bool]:
    """The rows with `epochs`, how many passes over the data were done, and whether these are fractions of one.

    config: the run's, by dotted keys. A row names its epoch, not how far into it. Where evaluations or log lines are due at
    the ends of epochs, these ends are known, and what lies between two of them is divided by its steps: exact where the
    epochs have steps of one size. Elsewhere an epoch is drawn whole, by its last row of each kind.
    """
    rows = [row for row in rows if is_number(row.get("epoch")) and is_number(row.get("step"))]
    ends = _ends_of_epochs(rows, config)
    steps = [0, *ends.values()]
    if not ends or sorted(set(steps)) != steps:
        last = {(row["epoch"], row.get("event")): row for row in rows}
        return [{**row, "epochs": row["epoch"]} for row in last.values()], False
    epochs = [0, *ends]
    rate = (epochs[-1] - epochs[-2]) / (steps[-1] - steps[-2])  # of the epochs that have not ended yet
    placed = []
    for row in rows:
        at = np.interp(row["step"], steps, epochs) + rate * max(0, row["step"] - steps[-1])
        placed.append({**row, "epochs": float(min(max(at, row["epoch"] - 1), row["epoch"]))})
    return placed, True


def _ends_of_epochs(rows: Rows, config: Mapping[str, Any]) -> dict[int, int]:
    """The steps with which epochs ended, by their numbers, as far as the rows tell."""
    last = {row["epoch"]: row["step"] for row in rows}
    ends = {}
    for event, key in (("eval", "eval.every"), ("train", "log.every")):
        every = re.fullmatch(r"\s*([0-9]{1,9})\s+epochs?\s*", str(config.get(key)))
        if every is None:
            continue
        for before, row in zip([{}, *rows], rows):
            # a log line after an evaluation of its step is what was left where training.patience ended the run
            is_rest = event == "train" and before.get("event") == "eval" and before["step"] == row["step"]
            if (row.get("event") == event and row["epoch"] % int(every[1]) == 0 and row["step"] == last[row["epoch"]]
                    and not is_rest):
                ends[row["epoch"]] = row["step"]
    return dict(sorted(ends.items()))


def time_unit(longest: float) -> tuple[str, float]:
    """In what so many seconds are counted on an axis, and the seconds in one of it."""
    units: Sequence[tuple[str, float]] = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0))
    return next((unit for unit, next_one in zip(units, units[1:]) if longest < 5 * next_one[1]), units[-1])


@dataclass
class Curves:
    """The curves of one run as a View shows them. raw: the train loss before it was smoothed, if it was.

    rate: the learning rate. left_out: how many values of a loss have no place on a logarithmic axis. whole_epochs: whether
    epochs are drawn whole. places: where a step is on the x axis. lowest: (step, value) of the lowest dev_loss.
    """

    points: dict[str, Points]
    rate: Points
    raw: Points | None
    left_out: dict[str, int]
    whole_epochs: bool
    places: dict[int, float]
    lowest: tuple[int, float] | None

    @classmethod
    def read(cls, folder: Path, view: View) -> Curves:
        """The run's curves. UserError, with the file, where it has none, or not what the view asks for."""
        path, x = folder / "metrics.jsonl", AXES[view.x]
        rows, fractions = read_metrics(path), True
        if not measures(rows):
            raise UserError(f"{path}: no loss or other measure to draw yet")
        steps, values = measures(rows).get("dev_loss", (np.empty(0), np.empty(0)))
        lowest = (int(steps[values.argmin()]), float(values.min())) if len(values) else None
        if view.x == "epochs":
            rows, fractions = with_epochs(rows, config_of(folder))
        points = measures(rows, x)
        if not points:
            raise UserError(f"{path}: has no {view.x} beside its measures; draw it over steps")
        places = {row["step"]: row[x] for row in rows if is_number(row.get("step")) and is_number(row.get(x))}
        curves = cls(points, points_of(rows, "lr", x), None, {}, not fractions, places, lowest)
        if view.smooth:
            if "train_loss" not in points:
                raise UserError(f"{path}: has no train_loss to smooth")
            curves.raw = points["train_loss"]
            points["train_loss"] = curves.raw[0], smoothed(curves.raw[1], view.smooth)
        if view.log:
            curves.leave_out_what_has_no_logarithm(path)
        return curves

    def leave_out_what_has_no_logarithm(self, path: Path) -> None:
        """Of the losses. UserError, with the file, where nothing is left."""
        losses = [key for key in self.points if key.endswith("_loss")]
        if not losses:
            raise UserError(f"{path}: has no loss, and a logarithmic axis is for losses alone")
        for key in losses:
            given = self.raw if key == "train_loss" and self.raw is not None else self.points[key]
            if lost := int((given[1] <= 0).sum()):
                self.left_out[key] = lost
            self.points[key] = above_zero(self.points[key])
            if not len(self.points[key][0]):
                raise UserError(f"{path}: {key} is never above 0, and a logarithmic axis has no place for it")
        self.raw = self.raw and above_zero(self.raw)

    def longest(self) -> float:
        return max(float(places.max()) for places, _ in self.points.values())

    def divide(self, size: float) -> None:
        """Count the places on the x axis in units of `size`."""
        self.points = {key: (places / size, values) for key, (places, values) in self.points.items()}
        self.rate = self.rate[0] / size, self.rate[1]
        self.raw = self.raw and (self.raw[0] / size, self.raw[1])
        self.places = {step: place / size for step, place in self.places.items()}


def common_axis(view: View, runs: Sequence[Curves]) -> str:
    """Bring the curves of one picture to one x axis; its label, which says what it counts."""
    if view.x == "steps":
        return "step (updates)"
    if view.x == "epochs":
        return "epoch, by its last values" if any(curves.whole_epochs for curves in runs) else "epochs of training"
    name, size = time_unit(max(curves.longest() for curves in runs))
    for curves in runs:
        curves.divide(size)
    return f"{name} of training"
