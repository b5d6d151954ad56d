"""A directed graph without circles in layers, from top to bottom: what layer each vertex is in, and where in it.

All of that is grandalf's (Sugiyama's method): it is pure Python under the EPL, there for every Python from 3.10 on, and takes
boxes of any size. fast-sugiyama, which is younger, needs Python 3.11 and a wheel for the machine, and has one size for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BESIDE, BELOW = 24, 38  # between boxes, in pixels
PORTS_BELOW = 18        # a layer without height, which is one of ports
WIRE = 12               # the room that a link takes in a layer where it passes boxes,
APART = 6               # and this much more for each that runs beside it, between the same two boxes
ROUNDS = 6              # of changing the order in layers until fewer links cross


@dataclass
class Layers:
    """centres: x and y of each vertex. bands: top and bottom of its layer. passes: for each edge, from its source on, what is
    between two layers that are not neighbours: the x where it goes through a layer, and the layer's top and bottom."""

    width: float
    height: float
    centres: list[tuple[float, float]]
    bands: list[tuple[float, float]]
    passes: dict[tuple[int, int], list[tuple[float, float, float]]]


@dataclass
class View:
    """What grandalf wants to know of a vertex, and tells."""

    w: float
    h: float
    xy: tuple[float, float] = (0, 0)


def layered(sizes: Sequence[tuple[float, float]], edges: Mapping[tuple[int, int], int]) -> Layers:
    """sizes: width and height of each vertex. edges: (source, target), and how many links that is; all of it is in one piece.

    Layers are counted from the end, so that a source is just above what it is for, and not at the top.
    """
    from grandalf.graphs import Edge, Graph, Vertex
    from grandalf.layouts import SugiyamaLayout

    vertices = [Vertex(i) for i in range(len(sizes))]
    for vertex, (width, height) in zip(vertices, sizes):
        vertex.view = View(width, height)
    made = {(a, b): Edge(vertices[b], vertices[a]) for a, b in edges}
    (piece,) = Graph(vertices, list(made.values())).C
    class Layout(SugiyamaLayout):  # type: ignore[misc,unused-ignore]
        """Its conflicts as a set: grandalf looks them up in a list, which takes most of the time where links are many."""

        conflicts: Any

        def _detect_alignment_conflicts(self) -> None:
            super()._detect_alignment_conflicts()
            self.conflicts = set(self.conflicts)

    layout = Layout(piece)
    layout.dw, layout.dh, layout.xspace, layout.yspace = WIRE, 0, BESIDE, BELOW
    layout.init_all(roots=[v for v in vertices if not v.e_in()], inverted_edges=[])
    for key, edge in made.items():
        for stand_in in between(layout, edge):
            stand_in.view.w = WIRE + APART * (edges[key] - 1)
    layout.draw(ROUNDS)
    return from_top(layout, vertices, made)


def from_top(layout: Any, vertices: list[Any], made: dict[tuple[int, int], Any]) -> Layers:
    """grandalf's places turned over, so that the last vertex is the lowest, and moved so that they begin at 0."""
    x: dict[Any, float] = {}
    band: dict[Any, tuple[float, float]] = {}
    y = 0.0
    for i, layer in enumerate(reversed(layout.layers)):
        height = max(v.view.h for v in layer)
        if i and not height:
            y -= BELOW - PORTS_BELOW
        free = -math.inf
        for v in layer:
            # the rule for the places as Brandes and Köpf published it may let two boxes overlap (see their erratum of 2020)
            x[v] = max(v.view.xy[0], free + v.view.w / 2)
            free = x[v] + v.view.w / 2 + BESIDE / 2
            band[v] = y, y + height
        y += height + (BELOW if height else PORTS_BELOW)
    left = min(x[v] - v.view.w / 2 for v in x)
    width = max(x[v] + v.view.w / 2 for v in x) - left
    height = max(bottom for _, bottom in band.values())
    # in the middle of its layer; what nothing leads to is near what it is for
    centres = [(x[v] - left, sum(band[v]) / 2 if v.e_out() else band[v][1] - v.view.h / 2) for v in vertices]
    passes = {key: [(x[v] - left, *band[v]) for v in between(layout, edge)] for key, edge in made.items()}
    return Layers(width, height, centres, [band[v] for v in vertices], passes)


def between(layout: Any, edge: Any) -> list[Any]:
    """grandalf's stand-ins for an edge in the layers that it passes, from the source on."""
    by_rank = layout.ctrls.get(edge, {})  # with both ends
    return [v for _, v in sorted(by_rank.items(), reverse=True)[1:-1]]
