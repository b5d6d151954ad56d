"""The pictures of a run: its loss curves, and several runs in one frame."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nnkit.errors import UserError
from nnkit.training import drawing
from nnkit.training.comparing import config_of, differences
from nnkit.training.curves import PLAIN, Curves, View, common_axis
from nnkit.training.drawing import COLOURS, DASHES, GREY, SIZE
from nnkit.training.metrics import is_number
from nnkit.training.run_directory import RunDirectory


def plot_run(run: str | os.PathLike[str], files: Iterable[str | os.PathLike[str]] | None = None,
             view: View = PLAIN) -> list[Path]:
    """Draw one run's curves to `files` (.png, .svg or .pdf; RUN/loss.png and RUN/loss.svg by default); their paths.

    Losses above, other measures of the evaluations below, the learning rate in a thin panel; the best is marked. Where the
    train loss is smoothed, it lies as it was, faint, behind. UserError where the run has no metrics yet, or not those that
    the view asks for, or a file cannot be written.
    """
    folder = Path(run)
    paths = drawing.checked([folder / "loss.png", folder / "loss.svg"] if files is None else files)
    shown = Curves.read(folder, view)
    x_label = common_axis(view, [shown])
    curves, rate = shown.points, shown.rate
    losses = {key: points for key, points in curves.items() if key.endswith("_loss")}
    panels = [losses] if losses else []
    others = [key for key in curves if key not in losses]
    shares = [key for key in others if np.abs(curves[key][1]).max() <= 1]  # accuracies and correlations: one scale
    panels += [{key: curves[key] for key in shares}] if shares else []
    panels += [{key: curves[key]} for key in others if key not in shares]
    heights = [3.0 if panel is losses else 1.7 for panel in panels] + ([0.75] if len(rate[0]) else [])
    best = best_of(folder, shown)
    whole = view.x == "steps" or shown.whole_epochs
    with drawing.canvas(6.4, 1.0 + sum(heights)) as figure:
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        figure.suptitle(drawing.text(RunDirectory(folder).id, 60), x=0.012, ha="left", fontsize=SIZE + 3, fontweight="bold",
                        parse_math=False)
        ends = []
        for axis, panel in zip(axes, panels, strict=False):
            for number, (key, points) in enumerate(panel.items()):
                colour = COLOURS[number % len(COLOURS)]
                if key == "train_loss" and shown.raw is not None:
                    drawing.draw(axis, shown.raw, colour, faint=True)
                drawing.draw(axis, points, colour)
                if len(panel) > 1:
                    ends.append((axis, points, key.removesuffix("_loss") if panel is losses else key, colour))
            name = next(iter(panel)) if len(panel) == 1 else "score"
            label = ("train loss" if name == "train_loss" else "loss") + " (mean per item)" if panel is losses else name
            drawing.style(axis, panel.values(), label, _scale(view, panel is losses), whole)
        if len(rate[0]):
            drawing.draw(axes[-1], rate, GREY, few=1)
            drawing.style(axes[-1], [rate], "lr", whole=whole)
            axes[-1].locator_params(axis="y", nbins=2)
        drawing.widen(axes[-1], [*curves.values(), *([rate] if len(rate[0]) else [])], whole)
        notes = _notes(view, shown)
        if best is not None:
            key, step, value = best
            place = shown.places.get(step, step if view.x == "steps" else None)
            for axis in axes if place is not None else []:
                axis.axvline(place, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
            axis = next(axis for axis, panel in zip(axes, panels, strict=False) if key in panel)
            if place is not None and (value > 0 or axis.get_yscale() == "linear"):
                axis.plot([place], [value], "o", markersize=8, markerfacecolor="none", markeredgecolor="black", zorder=5)
            notes.insert(0, f"best {key} {value:.4g} at step {step:,}")
        axes[0].set_title("\n".join(drawing.text(note, 80) for note in notes), loc="left", fontsize=SIZE, color=GREY,
                          parse_math=False)
        axes[-1].set_xlabel(x_label, fontsize=SIZE)
        figure.align_ylabels(axes)
        drawing.label_ends(figure, ends)
        return drawing.write(figure, paths)


def plot_runs(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] = "compare.png", view: View = PLAIN) -> Path:
    """Draw several runs in one picture: a colour for each, a panel for each measure; the path written.

    The legend names each run's id and in what its config differs from the others'. UserError as from `plot_run`.
    """
    folders = [Path(run) for run in runs]
    paths = drawing.checked([out])
    shown = [Curves.read(folder, view) for folder in folders]
    x_label = common_axis(view, shown)
    keys = list(dict.fromkeys(key for curves in shown for key in curves.points))
    keys.sort(key=lambda key: not key.endswith("_loss"))  # stable: losses first
    columns = min(2, len(keys))
    lines = math.ceil(len(keys) / columns)
    width = 6.4 + 1.8 * (columns - 1)
    with drawing.canvas(width, 0.4 + 2.7 * lines + 0.24 * len(folders)) as figure:
        from matplotlib.lines import Line2D

        axes = figure.subplots(lines, columns, sharex=True, squeeze=False).ravel()
        whole = view.x == "steps" or any(curves.whole_epochs for curves in shown)
        looks = [(COLOURS[number % 7], DASHES[number // 7 % 4]) for number in range(len(folders))]
        for axis, key in zip(axes, keys, strict=False):
            drawn = [(curves.points[key], look) for curves, look in zip(shown, looks, strict=True) if key in curves.points]
            for points, (colour, dashes) in drawn:
                drawing.draw(axis, points, colour, dashes)
            is_loss = key.endswith("_loss")
            drawing.style(axis, [points for points, _ in drawn], "loss (mean per item)" if is_loss else "score",
                          _scale(view, is_loss), whole)
            smooth = f", smoothed by {view.smooth:g}" if view.smooth and key == "train_loss" else ""
            lost = sum(curves.left_out.get(key, 0) for curves in shown)
            axis.set_title(drawing.text(key, 40) + smooth + (f" ({lost:,} not above 0)" if lost else ""), loc="left",
                           fontsize=SIZE, fontweight="bold", parse_math=False)
            axis.set_xlabel(x_label, fontsize=SIZE)
            axis.tick_params(labelbottom=True)  # the axes are shared so that they begin and end together
        drawing.widen(axes[0], [points for curves in shown for points in curves.points.values()], whole)
        for axis in axes[len(keys):]:
            axis.remove()
        handles = [Line2D([], [], color=colour, linestyle=dashes, linewidth=2) for colour, dashes in looks]
        labels = _run_labels(folders, longest=int(11 * width))
        legend = figure.legend(handles, ["-"] * len(labels), loc="outside lower left", frameon=False, fontsize=SIZE)
        for entry, label in zip(legend.get_texts(), labels, strict=True):
            entry.set_parse_math(False)  # and set afterwards: the legend leaves out a label that begins with "_"
            entry.set_text(label)
        return drawing.write(figure, paths)[0]


def safe_plot(run: str | os.PathLike[str], files: Iterable[str | os.PathLike[str]] | None = None) -> str | None:
    """`plot_run` for a training, which a picture must never fail: None, or one line that says why there is none."""
    try:
        plot_run(run, files)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return f"no picture: {' '.join(reason.split())} (later: nnkit plot {os.fspath(run)})"
    return None


def _scale(view: View, is_loss: bool) -> str:
    return "linear" if not is_loss else "log" if view.log else "auto"


def _notes(view: View, shown: Curves) -> list[str]:
    """What was done to the curves."""
    notes = [f"train loss: exponential moving average by {view.smooth:g} a line; faint: as logged"] if view.smooth else []
    for key, lost in shown.left_out.items():
        notes.append(f"{key}: {lost:,} value{'s' * (lost > 1)} of 0 or less left out")
    return notes


def best_of(folder: Path, shown: Curves) -> tuple[str, int, float] | None:
    """(measure, step, value) of the best evaluation: as run.json says, otherwise where dev_loss is lowest."""
    try:
        best = RunDirectory(folder).read_run().get("best")
    except UserError:
        best = None
    if isinstance(best, dict) and best.get("metric") in shown.points:
        if is_number(best.get("step")) and is_number(best.get("value")):
            return best["metric"], int(best["step"]), float(best["value"])
    return None if shown.lowest is None else ("dev_loss", *shown.lowest)


def names_of(folders: Sequence[Path]) -> list[str]:
    """The runs' ids; their paths where two have the same id."""
    names = [RunDirectory(folder).id for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _run_labels(folders: Sequence[Path], longest: int) -> list[str]:
    """The runs' ids, each with the values that its config.yaml has and another's has not."""
    labels = []
    for name, values in zip(names_of(folders), differences([config_of(folder) for folder in folders]), strict=True):
        parts = [f"{key}={drawing.text(value, 20)}" for key, value in values.items()]
        labels.append(drawing.text(f"{name}   {'  '.join(parts)}".strip(), longest))
    return labels
