"""Where everything in the drawing of a graph has its place: layers from top to bottom, sources above what is computed from them.

A module's call is laid out by itself, and is then one large box in the drawing around it. What was computed after the call
cannot be an input of what was computed in it, so that no circle comes of this. Where a link crosses the edge of a box it goes
through a port: inside, to a place in a first or last layer of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nnkit.show.graph import Box, Graph, Link, Node
from nnkit.show.layers import APART, Layers, layered

MARGIN, HEAD = 12, 22   # around what is in a module's box, and above it for its name
PORT = 16               # between two links through one edge

Point = tuple[float, float]
ENTRY, EXIT = "entry", "exit"
Part = Any  # a Node, a Box, ENTRY or EXIT


@dataclass
class Layout:
    """nodes: their centres. boxes: left, top, width, height. routes: the points of a link, from its source down to its target."""

    width: float
    height: float
    nodes: dict[Node, Point] = field(default_factory=dict)
    boxes: dict[Box, tuple[float, float, float, float]] = field(default_factory=dict)
    routes: dict[Link, list[Point]] = field(default_factory=dict)


@dataclass(eq=False)
class Segment:
    """The stretch of a link that lies in one box, not in those inside it."""

    link: Link
    start: Part
    end: Part


@dataclass
class Inside:
    """A box laid out by itself, its left upper corner being (0, 0). ports: where a source's links go through the upper edge
    ("entry") or the lower one."""

    width: float
    height: float
    centres: dict[Part, Point]
    routes: dict[Link, list[Point]]
    ports: dict[tuple[str, Node], float]


def lay_out(graph: Graph, size: Callable[[Node | Box], Point]) -> Layout:
    """The layout of a graph. size: width and height of a node; of a module's box the least width, for its name."""
    stretches = {link: split(link) for link in graph.links}
    segments: dict[Box, list[Segment]] = defaultdict(list)
    for stretch in stretches.values():
        for box, segment in stretch:
            segments[box].append(segment)
    done: dict[Box, Inside] = {}
    for box in [*reversed(list(graph.whole.inner_boxes())), graph.whole]:  # the inner before the outer
        done[box] = place(box, segments[box], done, size)
    layout = Layout(done[graph.whole].width, done[graph.whole].height)
    origins: dict[Box, Point] = {graph.whole: (0.0, 0.0)}
    for box in [graph.whole, *graph.whole.inner_boxes()]:  # the outer before the inner
        left, top = origins[box]
        for part in box.parts:
            x, y = done[box].centres[part]
            if isinstance(part, Node):
                layout.nodes[part] = left + x, top + y
            else:
                inside = done[part]
                origins[part] = left + x - inside.width / 2, top + y - inside.height / 2
                layout.boxes[part] = *origins[part], inside.width, inside.height
    for link, stretch in stretches.items():
        layout.routes[link] = [(origins[box][0] + x, origins[box][1] + y)
                               for box, _ in stretch for x, y in done[box].routes[link]]
    return layout


def split(link: Link) -> list[tuple[Box, Segment]]:
    """A link as a stretch in every box that it goes through: outwards from its source, then inwards to its target."""
    out, into = link.source.box.outwards(), link.target.box.outwards()
    common = next(box for box in out if box in into)
    outwards, inwards = [], []
    start: Part = link.source
    for box in out[:out.index(common)]:
        outwards.append((box, Segment(link, start, EXIT)))
        start = box
    end: Part = link.target
    for box in into[:into.index(common)]:
        inwards.append((box, Segment(link, ENTRY, end)))
        end = box
    return [*outwards, (common, Segment(link, start, end)), *reversed(inwards)]


def place(box: Box, segments: list[Segment], done: dict[Box, Inside], size: Callable[[Node | Box], Point]) -> Inside:
    """One box by itself; those in it are done."""
    is_whole = box.parent is None
    parts: list[Part] = list(box.parts)
    starts, ends = {s.start for s in segments}, {s.end for s in segments}
    sources, sinks = [part for part in parts if part not in ends], [part for part in parts if part not in starts]
    entering = list(dict.fromkeys(s.link.source for s in segments if s.start is ENTRY))
    leaving = list(dict.fromkeys(s.link.source for s in segments if s.end is EXIT))
    invisible: list[tuple[Part, Part]] = []  # they keep the ports in the first and the last layer, and all of it in one piece
    if entering:
        parts.append(ENTRY)
        invisible += [(ENTRY, part) for part in sources]
    if not is_whole or len(sinks) > 1:
        parts.append(EXIT)
        invisible += [(part, EXIT) for part in sinks]

    def size_of(part: Part) -> Point:
        if part is ENTRY or part is EXIT:
            return PORT * len(entering if part is ENTRY else leaving), 0
        return size(part) if isinstance(part, Node) else (done[part].width, done[part].height)

    number = {part: i for i, part in enumerate(parts)}
    sizes = [size_of(part) for part in parts]
    counts = Counter((number[s.start], number[s.end]) for s in segments)
    layers = layered(sizes, {**{(number[a], number[b]): 1 for a, b in invisible}, **counts})
    margin, head = (0, 0) if is_whole else (MARGIN, HEAD)
    width = max(layers.width + 2 * margin, 0 if is_whole else size(box)[0])
    left = (width - layers.width) / 2
    inside = Inside(width, layers.height + head + margin, {}, {}, {})
    for part, i in number.items():
        inside.centres[part] = layers.centres[i][0] + left, layers.centres[i][1] + head
    # where links of several sources go through one edge, they stand in the order of their other ends
    for port, through in ((ENTRY, entering), (EXIT, leaving)):
        other = {source: [inside.centres[s.end if port is ENTRY else s.start][0] for s in segments
                          if s.link.source is source and (s.start is port or s.end is port)] for source in through}
        through.sort(key=lambda source: sum(other[source]) / len(other[source]))
        for k, source in enumerate(through):
            inside.ports[port, source] = inside.centres[port][0] + PORT * (k - (len(through) - 1) / 2)
    route_all(inside, segments, number, sizes, layers, done, left, head)
    return inside


def route_all(inside: Inside, segments: list[Segment], number: dict[Part, int], sizes: list[Point], layers: Layers,
              done: dict[Box, Inside], left: float, head: float) -> None:
    """The points of every stretch of a link: down from its start, through the layers between, down to its end."""
    passes: dict[Segment, list[Point]] = {}
    beside: dict[tuple[Part, Part], list[Segment]] = defaultdict(list)
    for s in segments:
        beside[s.start, s.end].append(s)
    arriving: dict[Part, list[Segment]] = defaultdict(list)
    for s in segments:
        same = beside[s.start, s.end]  # x * x: two links with the same ends
        shift = APART * (same.index(s) - (len(same) - 1) / 2)
        passes[s] = [(x + left + shift, y + head) for x, top, bottom in layers.passes[number[s.start], number[s.end]]
                     for y in (top, bottom)]
        arriving[s.end].append(s)
    for end, all_arriving in arriving.items():
        def from_where(s: Segment) -> float:
            return passes[s][-1][0] if passes[s] else start_of(s)

        def start_of(s: Segment) -> float:
            x = inside.centres[s.start][0]
            if isinstance(s.start, Box):
                return x - done[s.start].width / 2 + done[s.start].ports[EXIT, s.link.source]
            return inside.ports[ENTRY, s.link.source] if s.start is ENTRY else x

        all_arriving.sort(key=from_where)
        for k, s in enumerate(all_arriving):
            x = inside.centres[end][0]
            if isinstance(end, Node):  # its inputs side by side
                x += sizes[number[end]][0] * 0.6 * ((k + 0.5) / len(all_arriving) - 0.5)
            elif isinstance(end, Box):
                x += done[end].ports[ENTRY, s.link.source] - done[end].width / 2
            else:
                x = inside.ports[EXIT, s.link.source]
            a, b = number[s.start], number[s.end]
            upper = inside.centres[s.start][1] + sizes[a][1] / 2 if s.start is not ENTRY else 0
            lower = inside.centres[end][1] - sizes[b][1] / 2 if end is not EXIT else inside.height
            inside.routes[s.link] = [(start_of(s), upper), (start_of(s), layers.bands[a][1] + head), *passes[s],
                                     (x, layers.bands[b][0] + head), (x, lower)]
