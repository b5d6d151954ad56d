"""The pictures of a run: its loss curves, and several runs in one frame.

Drawn with matplotlib's Figure on the Agg canvas, never pyplot, so that a machine without a display draws as well as
any; matplotlib is imported when the first picture is drawn, and what a user's matplotlibrc says is left aside.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import ConfigError, UserError
from nnkit.training.comparing import config_of, differences
from nnkit.training.files import replacing
from nnkit.training.metrics import Points, is_number, measures, points_of, read_metrics, thinned
from nnkit.training.run_directory import RunDirectory

# Okabe and Ito's, which colour-blind readers can tell apart
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
DASHES: list[Any] = ["-", "--", ":", "-."]  # from the eighth run on
GREY = "#666666"
DRAWN = 2000  # points of a curve; more would only be ink
SUFFIXES = (".png", ".svg", ".pdf")


def plot_run(run: str | os.PathLike[str], files: Iterable[str | os.PathLike[str]] | None = None) -> list[Path]:
    """Draw one run's curves to `files` (.png, .svg or .pdf; RUN/loss.png and RUN/loss.svg by default); their paths.

    Losses above, other measures of the evaluations below, the learning rate in a thin panel; the best is marked.
    UserError where the run has no metrics yet or a file cannot be written.
    """
    folder = Path(run)
    paths = _checked([folder / "loss.png", folder / "loss.svg"] if files is None else files)
    rows = read_metrics(folder / "metrics.jsonl")
    curves = _curves(rows, folder)
    losses = {key: points for key, points in curves.items() if key.endswith("_loss")}
    panels = [losses] if losses else []
    others = [key for key in curves if key not in losses]
    shares = [key for key in others if np.abs(curves[key][1]).max() <= 1]  # accuracies and correlations: one scale
    panels += [{key: curves[key] for key in shares}] if shares else []
    panels += [{key: curves[key]} for key in others if key not in shares]
    rate = points_of(rows, "lr")
    heights = [3.0 if panel is losses else 1.7 for panel in panels] + ([0.75] if len(rate[0]) else [])
    best = _best(folder, curves)
    with _canvas(6.4, 1.0 + sum(heights)) as figure:
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        figure.suptitle(_text(RunDirectory(folder).id, 60), x=0.012, ha="left", fontsize=12, fontweight="bold",
                        parse_math=False)
        ends = []
        for axis, panel in zip(axes, panels, strict=False):
            for number, (key, points) in enumerate(panel.items()):
                colour = COLOURS[number % len(COLOURS)]
                _draw(axis, points, colour)
                if len(panel) > 1:
                    ends.append((axis, points, key.removesuffix("_loss") if panel is losses else key, colour))
            name = next(iter(panel)) if len(panel) == 1 else "score"
            label = ("train loss" if name == "train_loss" else "loss") + " (mean per item)" if panel is losses else name
            _style(axis, panel.values(), label, panel is losses)
        if len(rate[0]):
            _draw(axes[-1], rate, GREY, few=1)
            _style(axes[-1], [rate], "lr", False)
            axes[-1].locator_params(axis="y", nbins=2)
        if best is not None:
            key, step, value = best
            for axis in axes:
                axis.axvline(step, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
            axis = next(axis for axis, panel in zip(axes, panels, strict=False) if key in panel)
            axis.plot([step], [value], "o", markersize=8, markerfacecolor="none", markeredgecolor="black", zorder=5)
            axes[0].set_title(_text(f"best {key} {value:.4g} at step {step:,}", 70), loc="left", fontsize=9, color=GREY,
                              parse_math=False)
        axes[-1].set_xlabel("step (updates)")
        figure.align_ylabels(axes)
        _label_ends(figure, ends)
        return _write(figure, paths)


def plot_runs(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] = "compare.png") -> Path:
    """Draw several runs in one picture: a colour for each, a panel for each measure; the path written.

    The legend names each run's id and in what its config differs from the others'. UserError as from `plot_run`.
    """
    folders = [Path(run) for run in runs]
    paths = _checked([out])
    measured = [_curves(read_metrics(folder / "metrics.jsonl"), folder) for folder in folders]
    keys = list(dict.fromkeys(key for curves in measured for key in curves))
    keys.sort(key=lambda key: not key.endswith("_loss"))  # stable: losses first
    columns = min(2, len(keys))
    lines = math.ceil(len(keys) / columns)
    width = 6.4 + 2.6 * (columns - 1)
    with _canvas(width, 0.4 + 2.9 * lines + 0.21 * len(folders)) as figure:
        from matplotlib.lines import Line2D

        axes = figure.subplots(lines, columns, sharex=True, squeeze=False).ravel()
        looks = [(COLOURS[number % 7], DASHES[number // 7 % 4]) for number in range(len(folders))]
        for axis, key in zip(axes, keys, strict=False):
            drawn = [(curves[key], look) for curves, look in zip(measured, looks, strict=True) if key in curves]
            for points, (colour, dashes) in drawn:
                _draw(axis, points, colour, dashes)
            _style(axis, [points for points, _ in drawn], "loss (mean per item)" if key.endswith("_loss") else "score",
                   key.endswith("_loss"))
            axis.set_title(_text(key, 40), loc="left", fontsize=10, fontweight="bold", parse_math=False)
            axis.set_xlabel("step (updates)")
            axis.tick_params(labelbottom=True)  # the axes are shared so that they begin and end together
        for axis in axes[len(keys):]:
            axis.remove()
        handles = [Line2D([], [], color=colour, linestyle=dashes, linewidth=2) for colour, dashes in looks]
        labels = _run_labels(folders, longest=int(11 * width))
        legend = figure.legend(handles, ["-"] * len(labels), loc="outside lower left", frameon=False, fontsize=9)
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_parse_math(False)  # and set afterwards: the legend leaves out a label that begins with "_"
            text.set_text(label)
        return _write(figure, paths)[0]


def safe_plot(run: str | os.PathLike[str], files: Iterable[str | os.PathLike[str]] | None = None) -> str | None:
    """`plot_run` for a training, which a picture must never fail: None, or one line that says why there is none."""
    try:
        plot_run(run, files)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return f"no picture: {' '.join(reason.split())} (later: nnkit plot {os.fspath(run)})"
    return None


@contextmanager
def _canvas(width: float, height: float) -> Iterator[Any]:
    """A Figure of so many inches under matplotlib's own defaults."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(f"matplotlib cannot be imported ({error}); pip install matplotlib") from error
    with matplotlib.rc_context(), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes, and is no reason to fail
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        # text stays text in an .svg: small, searchable, and the reader's fonts have the glyphs that ours lacks
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nnkit"})
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _write(figure: Any, paths: list[Path]) -> list[Path]:
    for path in paths:
        kind = path.suffix[1:].lower()
        undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]  # same curves, same bytes
        try:
            with replacing(path) as file:
                figure.savefig(file, format=kind, dpi=150, metadata=undated)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    return paths


def _checked(files: Iterable[str | os.PathLike[str]]) -> list[Path]:
    paths = [Path(file) for file in files]
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{path}: a picture's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return paths


def _curves(rows: list[dict[str, Any]], folder: Path) -> dict[str, Points]:
    curves = measures(rows)
    if not curves:
        raise UserError(f"{folder / 'metrics.jsonl'}: no loss or other measure to draw yet")
    return curves


def _best(folder: Path, curves: dict[str, Points]) -> tuple[str, int, float] | None:
    """(measure, step, value) of the best evaluation: as run.json says, otherwise where dev_loss is lowest."""
    try:
        best = RunDirectory(folder).read_run().get("best")
    except UserError:
        best = None
    if isinstance(best, dict) and best.get("metric") in curves:
        if is_number(best.get("step")) and is_number(best.get("value")):
            return best["metric"], int(best["step"]), float(best["value"])
    if "dev_loss" not in curves:
        return None
    steps, values = curves["dev_loss"]
    return "dev_loss", int(steps[values.argmin()]), float(values.min())


def _draw(axis: Any, points: Points, colour: str, dashes: Any = "-", few: int = 30) -> None:
    size = len(set(points[0]))  # points without a line between them would not be seen
    axis.plot(*thinned(points, DRAWN), color=colour, linestyle=dashes, linewidth=1.1 if size > 150 else 1.6,
              marker="o" if size <= few else "", markersize=3.5)


def _style(axis: Any, curves: Iterable[Points], label: str, is_loss: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    steps, values = (np.concatenate(column) for column in zip(*curves, strict=True))
    if is_loss and values.min() > 0 and values.max() > 100 * values.min():
        axis.set_yscale("log")
        label += ", log"
    else:
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if np.ptp(steps) < 1:  # one step alone: whole numbers beside it, not fractions
        axis.set_xlim(steps[0] - 3, steps[0] + 3)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1e3:g}k" if step >= 1e4 else f"{step:g}"))
    axis.set_ylabel(_text(label, 30), fontsize=9, parse_math=False)
    axis.tick_params(which="both", labelsize=9, length=0)
    axis.grid(color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#bbbbbb")


def _label_ends(figure: Any, ends: list[tuple[Any, Points, str, str]]) -> None:
    """Name each curve at its right end, as far apart as the letters are high: no legend lies on a curve."""
    figure.draw_without_rendering()
    apart = 13 * figure.dpi / 72
    for axis in dict.fromkeys(end[0] for end in ends):
        lowest = -math.inf
        placed = []
        for _, points, name, colour in (end for end in ends if end[0] is axis):
            steps, values = thinned(points, DRAWN)
            placed.append((axis.transData.transform((steps[-1], values[-1]))[1], steps[-1], values[-1], name, colour))
        for height, step, value, name, colour in sorted(placed):
            lowest = max(height, lowest + apart)
            shift = (7, (lowest - height) * 72 / figure.dpi)
            axis.annotate(_text(name, 24), (step, value), xytext=shift, textcoords="offset points", color=colour,
                          fontsize=9, va="center", annotation_clip=False, parse_math=False)


def _run_labels(folders: Sequence[Path], longest: int) -> list[str]:
    """The runs' ids, each with the values that its config.yaml has and another's has not."""
    names = [RunDirectory(folder).id for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    labels = []
    for name, values in zip(names, differences([config_of(folder) for folder in folders]), strict=True):
        parts = [f"{key}={_text(value, 20)}" for key, value in values.items()]
        labels.append(_text(f"{name}   {'  '.join(parts)}".strip(), longest))
    return labels


def _text(value: Any, longest: int) -> str:
    """`value` as a font and an .svg can take it, and no longer than fits."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= longest else text[:longest - 1] + "…"
