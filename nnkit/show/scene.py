"""The drawing of a graph before it is a file: every box, line of text and curve with its place in pixels.

Both the SVG and the PNG are made of it, so that there is one drawing. Letters are of one width, and so it is known how wide a
text will be without asking a font.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

from nnkit.show.graph import Box, Graph, Link, Node
from nnkit.show.layout import Point, lay_out
from nnkit.show.numbers import number, shape_text, texts

FONT = 12        # pixels
LETTER = 7.5     # the width of one, at most, in the monospaced fonts of the systems
LINE = 16
PAD = 9          # in a node, around its text
EDGE = 14        # around the drawing
ARROW = 7

# (light, dark); contrast of text on its ground at least 4.5 in both
COLOURS = {
    "paper": ("#ffffff", "#16181c"),
    "ink": ("#1b1f24", "#e8eaed"),
    "muted": ("#5a626c", "#a6adb7"),
    "line": ("#6b7480", "#8e97a3"),
    "box": ("#f3f5f7", "#1f2329"),
    "box-line": ("#b4bcc6", "#4a525d"),
    "operation": ("#ffffff", "#262b32"),
    "parameter": ("#dcebfb", "#17364f"),
    "leaf": ("#dff3e4", "#1b3d28"),
    "constant": ("#ececec", "#33373d"),
    "result": ("#fdebc8", "#4d3a10"),
    "value": ("#0b57a4", "#8cc4ff"),
    "gradient": ("#a8330b", "#ffab85"),
    "accent": ("#b3400a", "#ffb074"),
}


@dataclass
class Text:
    """kind: "title", "shape", "value" or "gradient". x, y: where its base line begins."""

    kind: str
    text: str
    x: float
    y: float


@dataclass
class DrawnNode:
    node: Node
    kind: str  # what it is coloured by: the node's kind, or "result"
    left: float
    top: float
    width: float
    height: float
    lines: list[Text]


@dataclass
class DrawnBox:
    label: str
    left: float
    top: float
    width: float
    height: float


@dataclass
class Curve:
    """points: the route's; between two of them that are not one below the other the curve leaves and arrives downwards.
    arrow: the three corners of its head."""

    link: Link
    points: list[Point]
    arrow: list[Point]


@dataclass
class Scene:
    width: float
    height: float
    nodes: list[DrawnNode]
    boxes: list[DrawnBox]
    curves: list[Curve]
    remarks: list[str]


def draw_scene(graph: Graph) -> Scene:
    lines = {node: node_lines(node) for node in graph.nodes}

    def size(part: Node | Box) -> Point:
        if isinstance(part, Box):
            return width_of(part.label) + 2 * PAD, 0
        return max(width_of(text) for _, text in lines[part]) + 2 * PAD, LINE * len(lines[part]) + 2 * PAD - 4

    layout = lay_out(graph, size)
    remarks = [f"{len(graph.nodes):,} nodes, {len(graph.links):,} links", *graph.remarks]
    top = EDGE + LINE * len(remarks)
    nodes = []
    for node in graph.nodes:
        (x, y), (width, height) = layout.nodes[node], size(node)
        left, upper = x - width / 2 + EDGE, y - height / 2 + top
        placed = [Text(kind, text, left + PAD, upper + PAD + LINE * (i + 1) - 6) for i, (kind, text) in enumerate(lines[node])]
        nodes.append(DrawnNode(node, "result" if node.is_result else node.kind, left, upper, width, height, placed))
    boxes = [DrawnBox(box.label, left + EDGE, upper + top, width, height)
             for box, (left, upper, width, height) in layout.boxes.items()]
    curves = []
    for link, route in layout.routes.items():
        points = [(x + EDGE, y + top) for x, y in route]
        x, y = points[-1]
        arrow = [(x, y), (x - ARROW / 2, y - ARROW), (x + ARROW / 2, y - ARROW)]
        # the curve ends where the head begins, also where the layer does, which the last point but one is
        curves.append(Curve(link, [*points[:-2], (x, min(points[-2][1], y - ARROW)), (x, y - ARROW)], arrow))
    width = max(layout.width, *(width_of(remark) for remark in remarks)) + 2 * EDGE
    return Scene(width, layout.height + top + EDGE, nodes, boxes, curves, remarks)


def node_lines(node: Node) -> list[tuple[str, str]]:
    """What stands in a node: title, shape, value, gradient."""
    kind = "result" if node.is_result else "" if node.kind == "operation" else node.kind
    lines = [("title", node.title), ("shape", f"{kind} {shape_text(node.value)}".strip())]
    lines += labelled("value", "value", texts(node.value))
    if node.gradient is not None:
        lines += labelled("gradient", "grad", gradient_texts(node))
    return lines


def labelled(kind: str, word: str, rows: list[str]) -> list[tuple[str, str]]:
    return [(kind, f"{word if i == 0 else '':5} {row}") for i, row in enumerate(rows)]


def gradient_texts(node: Node) -> list[str]:
    """The gradient; where several paths meet, as the sum that it is."""
    parts = [link.given for link in node.arrived]
    total = texts(node.gradient)
    if len(parts) < 2:
        return [*total, "(after its hook)"] if node.hooked else total
    if np.shape(node.value) == () and not node.hooked and len(parts) <= 3:
        return [f"{' + '.join(number(part) for part in parts)} = {total[0]}"]
    return [*total, f"(sum of {len(parts)} paths{', after its hook' if node.hooked else ''})"]


def width_of(text: str) -> float:
    """In pixels; Chinese, Japanese and Korean letters are twice as wide."""
    return LETTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
