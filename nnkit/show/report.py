"""Runs as a page: their curves, measures and configs side by side, and what each of them has to show.

The curves are drawn by plotly.js, which comes with plotly for Python in one piece and can be put into the page: zooming, reading
off values and heat maps need nothing else, and no network. All that is drawn stands in tables, too, which need no script.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import files
from nnkit.errors import ConfigError
from nnkit.metrics import ClassScores, Tally, as_text, class_scores, ratio, shortened
from nnkit.show.run_parts import Parts, parts_of
from nnkit.show.scene import COLOURS
from nnkit.show.templating import render, require
from nnkit.training.comparing import config_of, differences
from nnkit.training.curves import AXES, Curves, Points, Rows, View, common_axis, rows_of, thinned
from nnkit.training.drawing import COLOURS as LINES
from nnkit.training.files import plain
from nnkit.training.metrics import is_number, read_metrics
from nnkit.training.plots import best_of, names_of
from nnkit.training.run_directory import RunDirectory

MOST = 12            # runs: more colours cannot be told apart
LONGEST = 2000       # points of a curve; of more each is the average of several, as in nnkit plot
POINTS = 6000        # of one measure, of all runs together: so a page has hardly more than 8 MB, of which plotly.js has 5
ON_THE_MAP = 2000    # words of a run; more would hide each other
WORDS = 10_000       # of all runs together
COLOURED = 200       # classes whose confusion matrix is a picture
TABULATED = 30       # classes whose confusion matrix is a table, too; of more, the commonest mistakes are


@dataclass
class Measure:
    """One row of the table of measures: the last value, the lowest and the highest, and where they were."""

    run: str
    name: str
    last: float
    lowest: float
    lowest_at: str
    highest: float
    highest_at: str


@dataclass
class Told:
    """What is told of one run. curves: by the name of the x axis. facts: one line of the table of runs."""

    name: str
    facts: dict[str, str]
    curves: dict[str, Curves]
    measures: list[Measure]
    differs: dict[str, str]
    config: str
    parts: Parts


def write_report(runs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str],
                 say: Callable[[str], Any] = print) -> Path:
    """Write a page about runs, by path, id or "@last", to a .html; the path. `say` hears what is left out of it, and why.

    It runs the recipes in the runs' folders. UserError where there is no such run, jinja2 or plotly are missing
    (`pip install 'nnkit[show]'`), or the file cannot be written; ConfigError for another suffix or more than 12 runs.
    """
    path = checked(path)
    found = {os.path.realpath(run): run for run in map(RunDirectory.open, runs)}  # one that is named twice is shown once
    directories = list(found.values())
    if not 1 <= len(directories) <= MOST:
        raise ConfigError(f"a report is of 1 to {MOST} runs, not of {len(directories)}; name fewer")
    text = page_text(directories, say)
    with files.requested(path) as file:
        file.write(text.encode(errors="replace"))  # a path that is no UTF-8 holds what cannot be encoded
    return path


def checked(path: str | os.PathLike[str]) -> Path:
    """The path; before the work. ConfigError for another suffix or a missing folder, UserError where a library is missing."""
    require("jinja2", "plotly")
    return files.checked(path, [".html"], "the name of a report")


def page_text(directories: Sequence[RunDirectory], say: Callable[[str], Any]) -> str:
    """A whole .html file."""
    from plotly.offline import get_plotlyjs

    names = names_of([run.folder for run in directories])
    differs = differences([config_of(run) for run in directories])
    words = min(ON_THE_MAP, WORDS // len(names))
    told = [tell(run, name, differing, words) for run, name, differing in zip(directories, names, differs)]
    for one in told:
        for reason in one.parts.left_out:
            say(f"note: {one.name}: {reason}")
    data = figures(told)
    title = names[0] if len(names) == 1 else f"{len(names)} runs compared"
    return render("report.html", title=title, told=told, data=plain(data), plotly=get_plotlyjs(), tabulated=TABULATED,
                  coloured=COLOURED, scores_of=scores_of, confusions_of=confusions_of, as_text=as_text, shortened=shortened)


def figures(told: Sequence[Told]) -> dict[str, Any]:
    """All that the page's script draws: the axes and groups of the curves, and of each run its curves, map and confusion matrix.

    A measure of which each run has but one value is in the table of measures alone: one point is no curve.
    """
    axes = {}
    for axis in AXES:
        if shown := [one.curves[axis] for one in told if axis in one.curves]:
            axes[axis] = common_axis(View(x=axis), shown)
    most = min(LONGEST, POINTS // len(told))
    runs: list[dict[str, Any]] = []
    for one in told:
        curves = {axis: {key: listed(points, most) for key, points in {**found.points, "lr": found.rate}.items()}
                  for axis, found in one.curves.items()}
        tally = one.parts.tally
        runs.append({"name": one.name, "curves": curves, "map": one.parts.map and asdict(one.parts.map),
                     "confusion": tally and len(tally.names) <= COLOURED and {"names": tally.names, "counts": tally.counts}})
    sizes: dict[str, int] = {}  # how many places the longest curve of each measure has
    for run in runs:
        for key, (x, _) in run["curves"].get("steps", {}).items():
            sizes[key] = max(sizes.get(key, 0), len(set(x)))
    groups = [group for group in grouped(sizes) if any(sizes[key] > 1 for key in group["keys"])]
    if [group["keys"] for group in groups] == [["lr"]]:  # of interest beside what it led to
        groups = []
    return {"axes": axes, "groups": groups, "colours": LINES, "heat": COLOURS["value"][::-1], "runs": runs}


def tell(directory: RunDirectory, name: str, differs: dict[str, str], words: int) -> Told:
    """Collect all there is of a run; what cannot be read is left out."""
    parts = parts_of(directory, words)
    known: dict[str, Any] = {"status": "broken"}
    rows: Rows = []
    curves: dict[str, Curves] = {}
    config = ""
    with parts.unless_it_fails("its status is not known"):
        known = directory.read_run()
    with parts.unless_it_fails("no config"):
        config = directory.path("config.yaml").read_text(encoding="utf-8", errors="replace")
    with parts.unless_it_fails("no curves"):
        rows = read_metrics(directory.path("metrics.jsonl"))
        curves["steps"] = Curves.read(directory.folder, View())
    for axis in [axis for axis in AXES if axis not in curves] if curves else []:
        with parts.unless_it_fails(f"no curves over {axis}"):
            curves[axis] = Curves.read(directory.folder, View(x=axis))
    steps = curves.get("steps")
    measures = [measure(name, key, rows) for key in steps.points] if steps else []
    return Told(name, facts(directory, known, rows, steps), curves, measures, differs, config, parts)


def facts(directory: RunDirectory, known: dict[str, Any], rows: Rows, curves: Curves | None) -> dict[str, str]:
    """A row of the table of runs: what the run came to."""
    last = next((row for row in reversed(rows) if is_number(row.get("step"))), {})
    best = best_of(directory.folder, curves) if curves else None
    epochs, seconds = config_of(directory).get("training.epochs", "?"), known.get("seconds", last.get("seconds"))
    told = {"status": str(known.get("status", "unknown")),
            "best": "none" if best is None else f"{best[0]} {best[2]:.6g} at {place(rows, best[1])}",
            "epochs": f"{last['epoch']} of {epochs}" if "epoch" in last else "none logged",
            "steps": f"{last['step']:,}" if last else "none logged",
            "training time": f"{seconds:,.1f} s" if is_number(seconds) else "unknown"}
    return told | ({"what happened": str(known["error"])} if "error" in known else {})


def place(rows: Rows, step: int) -> str:
    """Where in the training a step is."""
    epoch = next((row["epoch"] for row in rows if row.get("step") == step and "epoch" in row), None)
    return f"step {step:,}" if epoch is None else f"epoch {epoch}, step {step:,}"


def measure(run: str, key: str, rows: Rows) -> Measure:
    """Whether low or high is good only the measure's inventor knows; so both are told."""
    rows = rows_of(rows, key)
    lowest, highest = min(rows, key=lambda row: row[key]), max(rows, key=lambda row: row[key])
    return Measure(run, key, rows[-1][key], lowest[key], place([lowest], lowest["step"]), highest[key],
                   place([highest], highest["step"]))


def grouped(keys: Iterable[str]) -> list[dict[str, Any]]:
    """The figures of the page: all losses in one, each other measure in its own, the learning rate last."""
    keys = list(keys)
    losses = [key for key in keys if key.endswith("_loss")]
    others = sorted((key for key in keys if key not in losses), key=lambda key: key == "lr")  # stable
    groups = ([{"title": "loss", "keys": losses}] if losses else []) + [{"title": key, "keys": [key]} for key in others]
    return [{**group, "title": "learning rate" if group["title"] == "lr" else group["title"]} for group in groups]


def listed(points: Points, most: int) -> list[list[float]]:
    """Places and values."""
    return [column.tolist() for column in thinned(points, most)]


def scores_of(tally: Tally) -> list[tuple[str, Any]]:
    """Each class with its scores."""
    return list(zip(tally.names, map(ClassScores._make, zip(*class_scores(tally.counts)))))


def confusions_of(tally: Tally) -> list[tuple[str, str, int, float]]:
    """The commonest mistakes: true class, predicted class, how often, and the share of the true class that it is."""
    counts = tally.counts.copy()
    np.fill_diagonal(counts, 0)
    shares = ratio(counts, tally.counts.sum(1, keepdims=True))
    order = np.argsort(-counts, axis=None, kind="stable")[:TABULATED]
    cells = zip(*np.unravel_index(order, counts.shape))
    return [(tally.names[i], tally.names[j], int(counts[i, j]), float(shares[i, j])) for i, j in cells if counts[i, j]]
