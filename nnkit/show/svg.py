"""The scene as SVG: a picture by itself, or the part of a page whose nodes and links a script finds by their data."""

from __future__ import annotations

from nnkit.show.scene import Curve, Scene
from nnkit.show.templating import render


def svg_text(scene: Scene, title: str) -> str:
    """A whole .svg file; light or dark as the reader's system is."""
    return render("alone.svg", scene=scene, title=title, path=path)


def path(curve: Curve) -> str:
    """The curve in SVG's letters: M begins, L draws a line, C a Bézier curve."""
    (x, y), *others = curve.points
    parts = [f"M{x:.1f} {y:.1f}"]
    for u, v in others:
        middle = (y + v) / 2
        parts.append(f"L{u:.1f} {v:.1f}" if u == x else f"C{x:.1f} {middle:.1f} {u:.1f} {middle:.1f} {u:.1f} {v:.1f}")
        x, y = u, v
    return "".join(parts)
