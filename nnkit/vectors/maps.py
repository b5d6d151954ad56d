"""A map of words: their vectors brought down to two numbers each, and drawn so that every label can be read.

matplotlib's Figure on the Agg canvas, never pyplot, so that a machine without a display draws as well as any.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import ConfigError, UserError
from nnkit.files import requested

METHODS = ("pca", "tsne", "umap")
SUFFIXES = (".png", ".svg", ".pdf")


def pca(matrix: np.ndarray) -> np.ndarray:
    """(n, d) to (n, 2): the two directions in which the rows differ most, by SVD; each sign such that the largest is positive."""
    centred = (matrix - matrix.mean(axis=0)).astype(np.float64)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(matrix), 2))
    points[:, :min(2, len(scale))] = left[:, :2] * scale[:2]
    signs = np.sign(np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0))
    return points * np.where(signs == 0, 1, signs)


def project(matrix: np.ndarray, method: str = "pca", seed: int = 0) -> np.ndarray:
    """(n, d) to (n, 2) by "pca", or by "tsne" (scikit-learn) or "umap" (umap-learn), where that is installed.

    The rows are brought to length 1 first: what is near then has a high cosine, which is what all else here calls alike.
    ConfigError for another name or one that is not installed.
    """
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    units = matrix / np.where(lengths == 0, 1, lengths)
    if method == "pca":
        return pca(units)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about their own future
            if method == "tsne":
                from sklearn.manifold import TSNE  # type: ignore[import-not-found,unused-ignore]

                near = min(30, max(1, (len(units) - 1) // 3))
                return TSNE(2, perplexity=near, init="pca", random_state=seed).fit_transform(units)
            if method == "umap":
                from umap import UMAP  # type: ignore[import-not-found,unused-ignore]

                return UMAP(n_neighbors=min(15, len(units) - 1), metric="cosine", random_state=seed).fit_transform(units)
    except ImportError as error:
        package = {"tsne": "scikit-learn", "umap": "umap-learn"}[method]
        raise ConfigError(f"method {method} needs {package} ({error}); pip install {package}, or use pca") from None
    raise ConfigError(f"method {method!r} is not known; there are {', '.join(METHODS)}")


def draw_map(words: Sequence[str], points: np.ndarray, path: str | os.PathLike[str], title: str = "") -> tuple[Path, int]:
    """Draw (n, 2) points with their words to a .png, .svg or .pdf: (the path, how many words found a place for a label).

    Earlier words come first; one whose label would lie on another keeps its dot alone. UserError where it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: a picture's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(f"matplotlib cannot be imported ({error}); pip install matplotlib") from error
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a script that the font lacks is drawn as boxes
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nnkit"})
        figure = Figure(figsize=(10, 8), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axis = figure.subplots()
        axis.scatter(points[:, 0], points[:, 1], s=7, color="#0072B2", linewidths=0)
        axis.margins(0.06)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_color("#cccccc")
        axis.set_title(_printable(title), loc="left", fontsize=11, parse_math=False)
        labelled = _label(axis, canvas, words, points)
        undated: dict[str, Any] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix.lower()]
        with requested(path) as file:
            figure.savefig(file, format=path.suffix[1:].lower(), dpi=150, metadata=undated)
    return path, labelled


def _label(axis: Any, canvas: Any, words: Sequence[str], points: np.ndarray) -> int:
    """Put each word at the first of eight places around its dot where it lies on no other label and little on other dots."""
    axis.figure.draw_without_rendering()
    renderer = canvas.get_renderer()
    dots = axis.transData.transform(points)
    frame = axis.get_window_extent(renderer)
    pixels = axis.figure.dpi / 72
    taken = np.empty((0, 4))  # left, bottom, right, top
    for word, point, (x, y) in zip(words, points, dots):
        text = axis.annotate(_printable(word), (0, 0), xycoords="figure pixels", fontsize=8, parse_math=False, va="baseline")
        size = text.get_window_extent(renderer)
        width, height, gap = size.width, size.height, 2.5 * pixels
        centre, middle = x - width / 2, y - height / 2
        right, left, above, below = x + gap, x - gap - width, y + gap, y - gap - height
        corners = [(right, middle), (left, middle), (centre, above), (centre, below),
                   (right, above), (left, above), (right, below), (left, below)]
        boxes = np.array([(a, b, a + width, b + height) for a, b in corners])
        free = [i for i, box in enumerate(boxes) if _inside(box, frame) and not _overlap(box, taken).any()]
        if not free:
            text.remove()
            continue
        around = np.concatenate([dots, dots], axis=1)
        best = min(free, key=lambda i: int(_overlap(boxes[i], around).sum()))
        # tied to the dot in points, not pixels, as the file's resolution is another one
        text.set_position(((boxes[best][0] - x - size.x0) / pixels, (boxes[best][1] - y - size.y0) / pixels))
        text.xy = point
        text.xycoords = "data"
        text.set_anncoords("offset points")
        taken = np.concatenate([taken, boxes[best:best + 1]])
    return len(taken)


def _inside(box: np.ndarray, frame: Any) -> bool:
    return frame.x0 <= box[0] and frame.y0 <= box[1] and box[2] <= frame.x1 and box[3] <= frame.y1


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (box[0] < others[:, 2]) & (others[:, 0] < box[2]) & (box[1] < others[:, 3]) & (others[:, 1] < box[3])


def _printable(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 40 else text[:39] + "…"
