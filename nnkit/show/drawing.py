"""draw: the graph behind a Tensor as a picture, or as a page to step through."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from nnkit import files
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.show.dot import dot_text
from nnkit.show.gradients import run_backward
from nnkit.show.graph import Result, collect, watched
from nnkit.show.page import page_text
from nnkit.show.png import write_png
from nnkit.show.scene import draw_scene
from nnkit.show.svg import svg_text
from nnkit.show.templating import require

SUFFIXES = (".svg", ".png", ".dot", ".html")
LARGE = 150    # nodes; more are hard to follow, and the picture says so
MOST = 1500    # nodes that are laid out: that many take some seconds


@dataclass(frozen=True)
class Drawing:
    """A drawing that is not written: a notebook shows it where it is the last line of a cell. svg: the text of an .svg file."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Drawing({len(self.svg):,} letters of SVG)"


@overload
def draw(result: Result, path: None = None, *, grad: Any = None, model: Module | None = None,
         title: str | None = None) -> Drawing: ...


@overload
def draw(result: Result, path: str | os.PathLike[str], *, grad: Any = None, model: Module | None = None,
         title: str | None = None) -> Path: ...


def draw(result: Result, path: str | os.PathLike[str] | None = None, *, grad: Any = None, model: Module | None = None,
         title: str | None = None) -> Path | Drawing:
    """Draw how `result` was computed, with values and gradients, to a .svg, .png, .dot or .html; the path.

    Without a path it is a Drawing, which a notebook shows.

    result: a Tensor, several of them of which the first is the loss, or a function without arguments that gives them: while it
    runs, modules are watched, and each of their calls is then a box. grad: as for `backward`, needed where the first result is
    not a single number and gradients are wanted. model: a Module whose parameters' names the leaves get, unless modules were
    watched. No `.grad` is changed; an operation that can be run backward only once has then been.
    ConfigError for another suffix or a missing folder, UserError where there is no graph, more than 1,500 nodes (.dot takes any
    number), or grandalf or jinja2 are missing (`pip install 'nnkit[show]'`).
    """
    is_shown, path = path is None, checked("graph.svg" if path is None else path)
    suffix = path.suffix.lower()
    results, watcher = watched(result)
    graph = collect(results, watcher, model)
    run_backward(graph, results[0], grad)
    count = len(graph.nodes)
    if count > MOST and suffix != ".dot":
        raise UserError(f"{path}: the graph has {count:,} nodes, and {MOST:,} at most are laid out; draw a smaller one, of a "
                        "shorter sequence or fewer layers, or write .dot, which has no layout")
    if count > LARGE:
        graph.remarks.append(f"a large graph: above {LARGE} nodes, a smaller one shows more")
    title = title or f"the graph of {graph.results[0].name or graph.results[0].operation.__name__}"
    scene = draw_scene(graph) if count <= MOST else None
    if scene is None or suffix == ".dot":
        text = dot_text(graph, scene, title)
    elif suffix == ".png":
        write_png(scene, path)
        return path
    elif suffix == ".svg":
        text = svg_text(scene, title)
        if is_shown:
            return Drawing(text)
    else:
        text = page_text(graph, scene, title)
    with files.requested(path) as file:
        file.write(text.encode(errors="replace"))  # a file's name that is no UTF-8 may be in its title
    return path


def checked(path: str | os.PathLike[str]) -> Path:
    """The path; before the work. ConfigError for another suffix or a missing folder, UserError where a library is missing."""
    require("grandalf", "jinja2")
    return files.checked(path, SUFFIXES, "the name of a graph's file")
