"""The graph in Graphviz's language, for whoever has that, or other programs that read it.

Every node carries its place in our layout where there is one: `neato -n2` draws that, `dot` makes its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.show.graph import Box, Graph, Node
from nnkit.show.scene import COLOURS, Scene, node_lines


def dot_text(graph: Graph, scene: Scene | None, title: str) -> str:
    """scene: the layout, or None for a graph that is too large for one."""
    places = {}
    for drawn in scene.nodes if scene is not None else ():
        assert scene is not None
        x, y = drawn.left + drawn.width / 2, scene.height - drawn.top - drawn.height / 2  # dot counts upwards
        places[drawn.node] = f', pos="{x:.1f},{y:.1f}", width={drawn.width / 72:.3f}, height={drawn.height / 72:.3f}'
    lines = [f"digraph {quoted(title)} {{", '  node [shape=box, style="rounded,filled", fontname="monospace", fontsize=12];']
    lines += statements(graph.whole, places, "  ", iter(range(1_000_000_000)))
    lines += [f"  {link.source.key} -> {link.target.key};" for link in graph.links]
    return "\n".join([*lines, "}", ""])


def statements(box: Box, places: dict[Node, str], indent: str, count: Iterator[int]) -> list[str]:
    """The nodes of a box; boxes in it are clusters."""
    lines = []
    for part in box.parts:
        if isinstance(part, Box):
            lines += [f"{indent}subgraph cluster_{next(count)} {{", f"{indent}  label={quoted(part.label)};",
                      *statements(part, places, indent + "  ", count), f"{indent}}}"]
        else:
            colour = COLOURS["result" if part.is_result else part.kind][0]
            label = "".join(quoted(text)[1:-1] + "\\l" for _, text in node_lines(part))  # \l: the line is to the left
            lines.append(f'{indent}{part.key} [label="{label}", fillcolor="{colour}"{places.get(part, "")}];')
    return lines


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
