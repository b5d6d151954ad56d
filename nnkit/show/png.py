"""The scene as PNG, by matplotlib: the same boxes, curves and texts in the same places as in the SVG."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from nnkit.errors import UserError
from nnkit.files import requested
from nnkit.show.scene import COLOURS, FONT, Curve, Scene

LARGEST = 30_000  # pixels a side
LIGHT = {name: light for name, (light, _) in COLOURS.items()}


def write_png(scene: Scene, path: Path, sharpness: float = 2.0) -> None:
    """Write the picture, `sharpness` pixels for one of the scene's. UserError for one that is too large, or cannot be written."""
    if max(scene.width, scene.height) * sharpness > LARGEST:
        raise UserError(f"{path}: the picture would have {scene.width * sharpness:,.0f} x {scene.height * sharpness:,.0f} "
                        "pixels; write .svg or .html, which can be moved about in")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a script that the font lacks is drawn as boxes
        matplotlib.rcdefaults()
        figure = Figure(figsize=(scene.width / 72, scene.height / 72))  # a point is a pixel of the scene
        FigureCanvasAgg(figure)
        axis = figure.add_axes((0, 0, 1, 1), xlim=(0, scene.width), ylim=(scene.height, 0))
        axis.set_axis_off()
        paint(axis, scene)
        with requested(path) as file:
            figure.savefig(file, format="png", dpi=72 * sharpness, facecolor=LIGHT["paper"])


def paint(axis: Any, scene: Scene) -> None:
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon

    def box(left: float, top: float, width: float, height: float, ground: str, line: str, z: float) -> None:
        axis.add_patch(FancyBboxPatch((left, top), width, height, boxstyle="round,pad=0,rounding_size=5", mutation_aspect=1,
                                      facecolor=LIGHT[ground], edgecolor=LIGHT[line], linewidth=1, zorder=z))

    def write(x: float, y: float, text: str, colour: str, z: float, bold: bool = False, ground: str | None = None) -> None:
        axis.text(x, y, text, fontsize=FONT, family="DejaVu Sans Mono", color=LIGHT[colour], zorder=z, va="baseline",
                  weight="bold" if bold else "normal", parse_math=False,
                  bbox=None if ground is None else {"facecolor": LIGHT[ground], "edgecolor": "none", "pad": 1})

    for i, remark in enumerate(scene.remarks):
        write(14, 16 + 16 * i, remark, "muted", 3)
    for depth, drawn in enumerate(scene.boxes):  # the outer before the inner
        box(drawn.left, drawn.top, drawn.width, drawn.height, "box", "box-line", depth / len(scene.boxes))
        write(drawn.left + 9, drawn.top + 15, drawn.label, "muted", 2.5, ground="box")
    for curve in scene.curves:
        axis.add_patch(PathPatch(bezier(curve), fill=False, edgecolor=LIGHT["line"], linewidth=1.2, zorder=2))
        axis.add_patch(Polygon(curve.arrow, facecolor=LIGHT["line"], edgecolor="none", zorder=2))
    for node in scene.nodes:
        box(node.left, node.top, node.width, node.height, node.kind, "line", 3)
        for line in node.lines:
            colour = {"title": "ink", "shape": "muted"}.get(line.kind, line.kind)
            write(line.x, line.y, line.text, colour, 4, bold=line.kind == "title")


def bezier(curve: Curve) -> Any:
    from matplotlib.path import Path as Outline

    (x, y), *others = curve.points
    points, codes = [(x, y)], [Outline.MOVETO]
    for u, v in others:
        middle = (y + v) / 2
        points += [(u, v)] if u == x else [(x, middle), (u, middle), (u, v)]
        codes += [Outline.LINETO] if u == x else [Outline.CURVE4] * 3
        x, y = u, v
    return Outline(points, codes)
