"""The picture of a confusion matrix: which classes are taken for which others, for two of them and for a hundred."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnkit.metrics import ratio
from nnkit.training.drawing import canvas, checked, text, write

NUMBERED = 25   # with more classes than these the cells are too small for numbers
NAMED = 120     # with more, only some rows and columns have their names


def draw_confusion(counts: np.ndarray, names: Sequence[str], path: str | os.PathLike[str], title: str = "") -> Path:
    """Draw a confusion matrix, (classes, classes) counts with a row for each true class, to a .png, .svg or .pdf; the path.

    A cell's colour is its share of the row, on a scale of roots, so that rare mistakes are seen, too; its number is the count.
    ConfigError for another kind of file, UserError where it cannot be written.
    """
    paths = checked([path])
    n = len(counts)
    shares = ratio(counts, counts.sum(1, keepdims=True))
    inches = max(2.2, n * (0.42 if n <= NUMBERED else 0.125)) if n <= NAMED else 13.0
    labels = [text(name, 18) for name in names]
    beside = 0.09 * max(map(len, labels)) + 0.6
    with canvas(inches + beside + 0.9, inches + beside + 0.5) as figure:
        from matplotlib.colors import PowerNorm

        axis = figure.subplots()
        image = axis.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        size = 9 if n <= NUMBERED else 6.5
        shown = range(0, n, -(-n // NAMED))
        axis.set_xticks(shown, [labels[i] for i in shown], rotation=90, fontsize=size, parse_math=False)
        axis.set_yticks(shown, [labels[i] for i in shown], fontsize=size, parse_math=False)
        axis.tick_params(length=0)
        axis.set_xlabel("predicted", fontsize=10)
        axis.set_ylabel("true", fontsize=10)
        axis.set_title(text(title, int(9 * (inches + beside))), loc="left", fontsize=10, parse_math=False)
        axis.spines[:].set_color("#bbbbbb")
        axis.set_xticks(np.arange(n + 1) - 0.5, minor=True)  # a grid between the cells
        axis.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="#e6e6e6", linewidth=0.4)
        axis.tick_params(which="minor", length=0)
        if n <= NUMBERED:
            for i, j in zip(*np.nonzero(counts)):
                number = f"{counts[i, j]}" if counts[i, j] < 10_000 else f"{counts[i, j] / 1000:.0f}k"
                axis.text(j, i, number, ha="center", va="center", fontsize=8, color="white" if shares[i, j] > 0.4 else "black")
        bar = figure.colorbar(image, ax=axis, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="{x:g}", shrink=min(1.0, 4 / inches),
                              aspect=25)
        bar.set_label("share of the true class", fontsize=9)
        bar.ax.tick_params(labelsize=8, length=0)
        bar.outline.set_visible(False)
        return write(figure, paths)[0]
