"""The graph as a page on which a person steps forward through the computation, and backward through its gradients.

All steps are written here, as items of a list; the page's script shows one at a time, and who has no script reads the list.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnkit.autograd import RowGrad
from nnkit.show.graph import Graph, Link
from nnkit.show.numbers import is_small, shape_text, spread, texts
from nnkit.show.scene import Scene
from nnkit.show.svg import path
from nnkit.show.templating import render

FEW = 4  # what a sentence lists


@dataclass
class Step:
    """What the page shows: a sentence, the numbers behind it, the code of an operation's direction.

    numbers: (of what, [(word, numbers), ...]). current: the nodes it is about, links: the links that something goes along, both
    by their keys. values, gradients: the nodes whose numbers appear with it.
    """

    direction: str
    title: str
    sentence: str
    current: list[str]
    numbers: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    gradients: list[str] = field(default_factory=list)
    code: str = ""


def page_text(graph: Graph, scene: Scene, title: str) -> str:
    """A whole .html file."""
    keys = {link: f"l{i}" for i, link in enumerate(graph.links)}
    steps = [*forward_steps(graph, keys), *backward_steps(graph, keys)]
    operations = list(dict.fromkeys(node.operation for node in graph.nodes if node.operation is not None))
    codes = [(operation.__name__, source(operation.forward), source(operation.backward)) for operation in operations]
    return render("graph.html", scene=scene, title=title, path=path, steps=steps, codes=codes, link_keys=keys)


def forward_steps(graph: Graph, keys: dict[Link, str]) -> list[Step]:
    """First all that is given, then the operations in the order in which they were computed."""
    given = [node for node in graph.nodes if node.operation is None]
    named = ", ".join(f"{node.title} = {inline(node.value)}" for node in given[:FEW])
    more = f" and {len(given) - FEW} more" if len(given) > FEW else ""
    steps = [Step("forward", "what is given", f"Given are {named}{more}.", [node.key for node in given],
                  [(node.title, [(f"{node.kind} {shape_text(node.value)}", block(node.value))]) for node in given],
                  values=[node.key for node in given])]
    for node in graph.nodes:
        if node.operation is not None:
            numbers = [(link.source.title, [("value", block(link.source.value))]) for link in node.inputs]
            numbers.append((node.title, [("result", block(node.value))]))
            steps.append(Step("forward", node.title, f"{node.title} gives {inline(node.value)}.", [node.key], numbers,
                              [keys[link] for link in node.inputs], [node.key], code=node.operation.__name__))
    return steps


def backward_steps(graph: Graph, keys: dict[Link, str]) -> list[Step]:
    """The gradient of the result by itself, then what each operation hands on; at the end what has reached the leaves."""
    if not graph.backward:
        return []
    result = graph.results[0]
    steps = [Step("backward", result.title, f"Backward begins at the result, {result.title}: its gradient is "
                  f"{inline(result.gradient)}.", [result.key], [(result.title, [("gradient", block(result.gradient))])],
                  gradients=[result.key])]
    for node in graph.backward:
        step = Step("backward", node.title, "", [node.key], code=node.operation.__name__)
        told, sums = [], []
        for link in node.inputs:
            if link.given is None:
                continue
            local = "see its backward" if link.local is None else block(link.local)
            summed = ", summed" if link.local is not None and node.value.ndim and link.local.shape != link.given.shape else ""
            step.numbers.append((f"to {link.source.title}", [("upstream", block(node.gradient)), ("× local", local),
                                                             (f"= downstream{summed}", block(link.given))]))
            step.links.append(keys[link])
            told.append(f"{link.source.title} receives {inline(link.given)}")
            sums += addition(link)
            if link is link.source.arrived[-1]:
                step.gradients.append(link.source.key)
        step.sentence = f"{node.title} has the gradient {inline(node.gradient)}: {'; '.join(told)}. {' '.join(sums)}".strip()
        steps.append(step)
    leaves = [node for node in graph.nodes if node.operation is None and node.gradient is not None]
    steps.append(Step("backward", "the leaves", "The gradients have reached the leaves. A step of gradient descent is now "
                      "value -= lr * gradient.", [node.key for node in leaves],
                      [(node.title, [("value", block(node.value)), ("gradient", block(node.gradient))]) for node in leaves],
                      gradients=[node.key for node in leaves]))
    return steps


def addition(link: Link) -> list[str]:
    """What becomes of a gradient that has come back: those of several paths are added, and then a hook may change it."""
    node = link.source
    whole, arrived = len(node.arrived), node.arrived.index(link) + 1
    if arrived < whole:
        return [f"{node.title}: this is path {arrived} of {whole}; the others are still to come."]
    if whole == 1:
        return [f"{node.title}: a hook makes it {inline(node.gradient)}."] if node.hooked else []
    are_few = whole <= FEW and is_row(node.value)
    parts = f": {' + '.join(inline(path.given) for path in node.arrived)}" if are_few else ""
    end = ". A hook makes it" if node.hooked else " =" if are_few else " to"
    return [f"{node.title}: its {whole} paths meet and are added{parts}{end} {inline(node.gradient)}."]


def block(value: Any) -> str:
    """Numbers for a cell of a table, a row of a matrix a line."""
    return "\n".join(texts(value))


def inline(value: Any) -> str:
    """Numbers for a sentence, which has no room for a matrix."""
    lines = texts(value)
    if is_row(value) or (isinstance(value, RowGrad) and len(lines) == 1):
        return lines[0]
    return f"{tuple(value.shape)} numbers, {spread(np.asarray(value))}"


def is_row(value: Any) -> bool:
    """A number or a few, that a line tells in full."""
    return is_small(value.shape) and len(texts(value)) == 1


def source(function: Any) -> str:
    """The lines of a forward or a backward as they stand in their file."""
    try:
        return textwrap.dedent(inspect.getsource(function)).removeprefix("@staticmethod\n").rstrip()
    except (OSError, TypeError):  # defined at Python's prompt
        return "(its source is in no file)"
