"""What there is to see of a run: its curves as numbers and as a picture, its best evaluation, and what a notebook shows of it."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnkit.errors import UserError
from nnkit.training.curves import PLAIN, View
from nnkit.training.metrics import history_rows, is_number, read_metrics
from nnkit.training.plots import plot_run
from nnkit.training.run_directory import RunDirectory


class Best(NamedTuple):
    """The best evaluation by eval.monitor: the measure and its value, and the epoch and step it was made after."""

    metric: str
    value: float
    epoch: int
    step: int


class History(dict[str, np.ndarray]):
    """Measures by name, each float64 (n,): one number for each row of history.csv, NaN where that has none."""

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> History:
        """The history of the rows of metrics.jsonl."""
        kept = history_rows(rows)
        names = dict.fromkeys(key for row in kept for key, value in row.items() if is_number(value))
        return cls({name: np.array([row[name] if is_number(row.get(name)) else np.nan for row in kept], np.float64)
                    for name in names})

    def __missing__(self, name: str) -> np.ndarray:
        raise UserError(f"the history has no {name!r}; it has {', '.join(self) or 'nothing yet'}")


@dataclass(frozen=True)
class Picture:
    """A picture that is shown and not written: a notebook shows it where it is the last line of a cell. png: the file's bytes."""

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Picture({len(self.png):,} bytes of PNG)"


class SeenRun:
    """The part of a run that is read from its folder. `fit`, `resume` and `load` return one."""

    directory: RunDirectory

    @property
    def path(self) -> Path:
        return self.directory.folder

    @property
    def status(self) -> str:
        """finished, interrupted (`nnkit.resume` goes on with it), running, failed or diverged."""
        return str(self.directory.read_run().get("status", "unknown"))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        return read_metrics(self.directory.path("metrics.jsonl"))

    @property
    def history(self) -> History:
        """`run.history["dev_acc"]`: a measure over the evaluations and the ends of epochs; UserError where there is none."""
        return History.of(self.metrics)

    @property
    def best(self) -> Best | None:
        """The best evaluation; None where the config has no eval.monitor, or nothing was measured yet."""
        best = self.directory.read_run().get("best")
        return Best(best["metric"], best["value"], best["epoch"], best["step"]) if best else None

    def plot(self, path: str | os.PathLike[str] | None = None, *, smooth: float = 0.0, log: bool = False,
             x: str = "steps") -> Picture | Path:
        """The curves: written to `path` (.png, .svg or .pdf), which is returned; without one, a Picture that a notebook shows.

        smooth, log, x: as `nnkit plot` has them. ConfigError for what cannot be, UserError where nothing was logged yet.
        """
        view = View(smooth, log, x)
        return self._picture(view) if path is None else plot_run(self.path, [path], view)[0]

    def _picture(self, view: View = PLAIN) -> Picture:
        with tempfile.TemporaryDirectory() as folder:
            return Picture(plot_run(self.path, [Path(folder, "curves.png")], view)[0].read_bytes())

    def __repr__(self) -> str:
        try:
            step, best = self.directory.read_run().get("step"), self.best
        except UserError:
            return f"{type(self).__name__}({self.path}, of which run.json cannot be read)"
        parts = [str(self.path), self.status, "" if step is None else f"{step:,} steps"]
        if best:
            parts.append(f"best {best.metric} {best.value:.4f} in epoch {best.epoch}, step {best.step:,}")
        return f"{type(self).__name__}({', '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        """One line and the curves, or why there are none."""
        line = f"<p><code>{escape(repr(self))}</code></p>"
        try:
            png = base64.b64encode(self._picture().png).decode()
        except UserError as error:
            return f"{line}\n<p>{escape(str(error))}</p>"
        return f'{line}\n<img alt="its curves" width="640" src="data:image/png;base64,{png}">'
