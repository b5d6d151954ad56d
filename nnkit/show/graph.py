"""The computation graph as a picture needs it: nodes in the order they were computed, and the call of a module each was made in.

A Tensor knows what it was computed from, and so the graph is there already; what is added is a name for every node, constants
as nodes of their own, and boxes, for which somebody must have watched while modules were called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnkit.autograd import Tensor
from nnkit.autograd.modes import Observer, observed
from nnkit.autograd.operation import constant
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.nn.where import label

LONGEST = 44  # letters of a title


@dataclass(eq=False)
class Box:
    """A call of a module and what was made in it. The outermost one has no module: it is the whole drawing."""

    module: Module | None = None
    parent: Box | None = None
    label: str = ""
    parts: list[Node | Box] = field(default_factory=list)

    def outwards(self) -> list[Box]:
        """This box, the one around it, and on to the whole drawing."""
        return [self] if self.parent is None else [self, *self.parent.outwards()]

    def inner_boxes(self) -> Iterator[Box]:
        for part in self.parts:
            if isinstance(part, Box):
                yield part
                yield from part.inner_boxes()


@dataclass(eq=False)
class Link:
    """An input of an operation: `source` is what `target` has at this place.

    given: the gradient that went back along it, in source's shape. local: the derivative of target by source, element by element,
    where it is that simple: given = upstream gradient x local, summed over what was broadcast.
    """

    source: Node
    target: Node
    place: int
    given: Any = None
    local: np.ndarray | None = None


@dataclass(eq=False)
class Node:
    """kind: "operation", "parameter" (of a module), "leaf" (another Tensor that wants a gradient) or "constant"."""

    key: str
    kind: str
    title: str
    value: np.ndarray
    box: Box
    operation: Any = None
    name: str = ""
    inputs: list[Link] = field(default_factory=list)
    uses: list[Link] = field(default_factory=list)
    gradient: Any = None
    arrived: list[Link] = field(default_factory=list)  # those of its uses that a gradient came back from, in that order
    hooked: bool = False  # its gradient may have been changed on the way
    is_result: bool = False


@dataclass
class Graph:
    """nodes: sources before targets. tensors: those of them that are Tensors. remarks: what a reader of the picture should know.

    backward: the operations in the order in which their backward ran; empty where none did.
    """

    nodes: list[Node]
    tensors: dict[Tensor, Node]
    results: list[Node]
    whole: Box
    remarks: list[str] = field(default_factory=list)
    backward: list[Node] = field(default_factory=list)

    @property
    def links(self) -> list[Link]:
        return [link for node in self.nodes for link in node.inputs]


class Watcher(Observer):
    """Sees which call of a module every node was made in."""

    def __init__(self) -> None:
        self.whole = self.now = Box()
        self.made_in: dict[Tensor, Box] = {}

    def entered(self, module: Module) -> None:
        self.now = Box(module, self.now)

    def left(self, module: Module, inputs: tuple, options: dict[str, Any], result: Any) -> None:
        while self.now.module is not module and self.now.parent is not None:  # its calls that ended in an exception
            self.now = self.now.parent
        self.now = self.now.parent or self.now

    def saw(self, node: Tensor, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        self.made_in[node] = self.now


def watched(result: Any) -> tuple[list[Tensor], Watcher]:
    """The Tensors that `result` is, or where it is a function gives; with it the calls of modules that were seen meanwhile."""
    watcher = Watcher()
    if callable(result) and not isinstance(result, Tensor):
        with observed(watcher):
            result = result()
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    for tensor in results:
        if not isinstance(tensor, Tensor):
            raise UserError("draw: expected a Tensor, several of them, or a function that gives them; "
                            f"got {type(tensor).__name__}")
        if tensor.is_leaf:
            raise UserError(f"draw: {tensor!r} has no graph: it is a leaf, or was computed under no_grad or from nothing that "
                            "requires a gradient; draw what was computed from Tensors with requires_grad=True")
    if not results:
        raise UserError("draw: there is no Tensor to draw")
    return results, watcher


def collect(results: list[Tensor], watcher: Watcher, model: Module | None = None) -> Graph:
    """The graph behind some results. model: gives parameters and modules their names; else the outermost modules called do."""
    tensors = ancestors(results)
    outermost = [model] if model is not None else outermost_modules(watcher)
    names = {t: name for module in outermost for name, t in [*module.named_parameters(), *module.named_buffers()]}
    graph = Graph([], {}, [], watcher.whole)
    constants: dict[int, Node] = {}  # by id, as their arrays are alive while the graph is

    def add(kind: str, title: str, value: Any, box: Box, **more: Any) -> Node:
        node = Node(f"n{len(graph.nodes)}", kind, shortened(title), value, box, **more)
        graph.nodes.append(node)
        return node

    for tensor in tensors:
        name = str(tensor.name or names.get(tensor, ""))
        if tensor.operation is None:
            kind = "constant" if not tensor.requires_grad else "parameter" if tensor in names else "leaf"
            node = add(kind, name or kind, tensor.value, watcher.whole, name=name)
        else:
            sources: list[tuple[int, Node]] = []
            for place, x in enumerate(tensor.inputs):
                if isinstance(x, Tensor):
                    sources.append((place, graph.tensors[x]))
                elif not is_plain(x):
                    if id(x) not in constants:
                        called = argument(tensor.operation, place)
                        value = np.asarray(constant(x, tensor.dtype))
                        constants[id(x)] = add("constant", called or "constant", value, watcher.whole, name=called)
                    sources.append((place, constants[id(x)]))
            node = add("operation", title(tensor, name, dict(sources)), tensor.value, watcher.made_in.get(tensor, watcher.whole),
                       operation=tensor.operation, name=name)
            node.inputs = [Link(source, node, place) for place, source in sources]
            for link in node.inputs:
                link.source.uses.append(link)
        node.hooked = bool(tensor.hooks)
        graph.tensors[tensor] = node
    graph.results = [graph.tensors[t] for t in results]
    for node in graph.results:
        node.is_result = True
    put_into_boxes(graph, {module: name for top in outermost for name, module in top.named_modules()})
    return graph


def ancestors(results: list[Tensor]) -> list[Tensor]:
    """All that they were computed from, and they themselves; the oldest first, which is a topological order."""
    found, waiting = set(results), list(results)
    while waiting:
        tensor = waiting.pop()
        for x in tensor.inputs if tensor.operation is not None else ():
            if isinstance(x, Tensor) and x not in found:
                found.add(x)
                waiting.append(x)
    return sorted(found, key=lambda t: t.serial)


def outermost_modules(watcher: Watcher) -> list[Module]:
    seen = [box.outwards()[-2].module for box in watcher.made_in.values() if box.parent is not None]
    return [module for module in dict.fromkeys(seen) if module is not None]


def put_into_boxes(graph: Graph, paths: Mapping[Module, str]) -> None:
    """Each node into its box, a parameter into the innermost one around all its uses; boxes that hold something get a label."""
    placed: set[Box] = set()
    for node in graph.nodes:
        if node.kind == "parameter":
            first, *others = [link.target.box.outwards() for link in node.uses]
            node.box = next(box for box in first if all(box in chain for chain in others))
        node.box.parts.append(node)
        for inner, outer in zip(node.box.outwards(), node.box.outwards()[1:]):
            if inner not in placed:
                outer.parts.append(inner)
                placed.add(inner)
    for inner in graph.whole.inner_boxes():
        assert inner.module is not None
        inner.label = shortened(f"{paths.get(inner.module, '')} {label(inner.module)}".strip(), 64)


def title(tensor: Tensor, name: str, sources: Mapping[int, Node]) -> str:
    """`h = add(·, b)`: inputs by name where they have a short one, plain numbers and what was chosen by keyword written out."""
    words = []
    for place, x in enumerate(tensor.inputs):
        if place in sources:
            known = sources[place].name.rpartition(".")[2]
            words.append(known if known and len(known) <= 8 else "·")
        elif x is not None:
            words.append(str(x) if not isinstance(x, (float, np.floating)) else f"{float(x):g}")
    words += [f"{key}={written(value)}" for key, value in (tensor.attributes or {}).items()
              if isinstance(value, (int, float, str, tuple, slice)) and value is not False and len(written(value)) <= 12
              and key != "name"]  # which is the layer's, for messages; its box has it
    called = f"{tensor.operation.__name__}({', '.join(words)})"
    return f"{name} = {called}" if name else called


def written(value: Any) -> str:
    """As in a program; what x[:, 2:4] chooses by is (:, 2:4)."""
    if isinstance(value, slice):
        ends = [value.start, value.stop, value.step][:2 if value.step is None else 3]
        return ":".join("" if end is None else str(end) for end in ends)
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' if len(value) == 1 else ''})"
    return "..." if value is ... else str(value)


def argument(operation: Any, place: int) -> str:
    """What forward calls its input, which tells what an array is for: ids, classes. "" where that is a letter, as in a + b."""
    named = [name for name, parameter in inspect.signature(operation.forward).parameters.items()
             if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    name = named[place + 1] if place + 1 < len(named) else ""  # the first is ctx
    return name if len(name) > 1 else ""


def is_plain(x: Any) -> bool:
    """What is written into the title: a number or None, no array."""
    return x is None or isinstance(x, (bool, int, float, np.generic))


def shortened(text: str, longest: int = LONGEST) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= longest else text[:longest - 1] + "…"


Result = Tensor | tuple[Tensor, ...] | list[Tensor] | Callable[[], Any]
