"""How pictures of curves look and are written: the canvas, a curve, an axis, names at the ends of curves.

Drawn with matplotlib's Figure on the Agg canvas, never pyplot, so that a machine without a display draws as well as
any; matplotlib is imported when the first picture is drawn, and what a user's matplotlibrc says is left aside.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import UserError
from nnkit.files import checked as checked_file
from nnkit.files import requested
from nnkit.training.curves import Points, thinned

# Okabe and Ito's, which colour-blind readers can tell apart
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
DASHES: list[Any] = ["-", "--", ":", "-."]  # from the eighth run on
GREY = "#666666"
DRAWN = 2000  # points of a curve; more would only be ink
ROUND = [1, 2, 2.5, 5, 10]  # what the ticks of an axis are multiples of
SIZE = 10  # of letters, in points: a picture that is shown at a third of its width is still to be read
SUFFIXES = (".png", ".svg", ".pdf")


@contextmanager
def canvas(width: float, height: float) -> Iterator[Any]:
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


def write(figure: Any, paths: list[Path]) -> list[Path]:
    """Write the picture to every path, in the format of its suffix; the paths. UserError where one cannot be written."""
    for path in paths:
        kind = path.suffix[1:].lower()
        undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]  # same curves, same bytes
        with requested(path) as file:
            figure.savefig(file, format=kind, dpi=150, metadata=undated)
    return paths


def checked(files: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The paths; ConfigError for one that is not called as a picture is, or has no folder to lie in."""
    return [checked_file(file, SUFFIXES, "a picture's name") for file in files]


def draw(axis: Any, points: Points, colour: str, dashes: Any = "-", few: int = 30, faint: bool = False) -> None:
    """A curve. few: up to so many points are marked; faint: it stands behind another one."""
    size = len(set(points[0]))  # points without a line between them would not be seen
    axis.plot(*thinned(points, DRAWN), color=colour, linestyle=dashes, linewidth=1.1 if size > 150 or faint else 1.6,
              marker="o" if size <= few else "", markersize=3.5, alpha=0.3 if faint else 1.0)


def style(axis: Any, curves: Iterable[Points], label: str, scale: str = "linear", whole: bool = True) -> None:
    """Ticks, grid and label. scale: "linear", "log", or "auto": log where the curves cover two powers of ten.

    whole: the x axis counts what comes in whole numbers alone.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    values = np.concatenate([values for _, values in curves])
    low, high = values.min(), values.max()
    if scale == "log" or (scale == "auto" and low > 0 and high > 100 * low):
        axis.set_yscale("log")
        # over less than two powers of ten they alone are too few, and round numbers are what people know
        axis.yaxis.set_major_locator(LogLocator() if high > 50 * low else MaxNLocator(6, steps=ROUND))
        axis.yaxis.set_minor_locator(NullLocator())
        label += ", log"
    else:
        axis.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=whole, steps=[1, 2, 5, 10]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place / 1e3:g}k" if place >= 1e4 else f"{place:g}"))
    axis.set_ylabel(text(label, 30), fontsize=SIZE, parse_math=False)
    axis.tick_params(which="both", labelsize=SIZE, length=0)
    axis.grid(color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#bbbbbb")


def widen(axis: Any, curves: Iterable[Points], whole: bool = True) -> None:
    """Room on the x axis that panels share, where all their curves are at one place: whole numbers beside it, not fractions."""
    places = np.concatenate([places for places, _ in curves])
    if np.ptp(places) == 0:
        beside = 3 if whole else max(0.5, abs(places[0]) / 2)
        axis.set_xlim(max(0, places[0] - beside), places[0] + beside)


def label_ends(figure: Any, ends: list[tuple[Any, Points, str, str]]) -> None:
    """Name each curve, (axis, points, name, colour), at its right end, as far apart as the letters are high.

    So no legend lies on a curve.
    """
    figure.draw_without_rendering()
    apart = 1.4 * SIZE * figure.dpi / 72
    for axis in dict.fromkeys(end[0] for end in ends):
        lowest = -math.inf
        placed = []
        for _, points, name, colour in (end for end in ends if end[0] is axis):
            places, values = thinned(points, DRAWN)
            placed.append((axis.transData.transform((places[-1], values[-1]))[1], places[-1], values[-1], name, colour))
        for height, place, value, name, colour in sorted(placed):
            lowest = max(height, lowest + apart)
            shift = (7, (lowest - height) * 72 / figure.dpi)
            axis.annotate(text(name, 24), (place, value), xytext=shift, textcoords="offset points", color=colour,
                          fontsize=SIZE, va="center", annotation_clip=False, parse_math=False)


def text(value: Any, longest: int) -> str:
    """`value` as a font and an .svg can take it, and no longer than fits."""
    letters = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return letters if len(letters) <= longest else letters[:longest - 1] + "…"
