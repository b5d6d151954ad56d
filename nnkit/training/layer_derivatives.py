"""Every operation and every layer of a model by itself, the inner before the outer: where does a wrong gradient come from?

One forward pass is written down, with what goes into every operation and every layer in it. Each is then a function of its own,
which is held against difference quotients at these very inputs. So the first that is wrong is the culprit, and not what stands
above it. An operation that fails is tried once more on a few rows and columns, where its Jacobian can be written out and tells
the cause.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.autograd.anomaly import Watch, parts
from nnkit.autograd.check import GradientError, compare
from nnkit.autograd.differences import Subject
from nnkit.autograd.modes import observed
from nnkit.autograd.operation import apply
from nnkit.nn import Module
from nnkit.training.layer_shapes import Names, shapes

SECONDS = 0.2       # for the elements of one operation or layer, about
ELEMENTS = (4, 24)  # of an input or a parameter that are nudged one by one, at least and at most


class Recorder(Watch):
    """What was run: operations as they came, layers as they returned, each once for inputs of the same shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: dict[Any, tuple[Tensor, list[Module]]] = {}  # and the modules it was run in, the outermost first
        self.layers: dict[Any, tuple[Module, tuple, dict[str, Any]]] = {}

    def left(self, module: Any, inputs: tuple, options: dict[str, Any], result: Any) -> None:
        super().left(module, inputs, options, result)
        self.layers.setdefault((module, shapes((*inputs, *options.values()))), (module, inputs, options))

    def saw(self, node: Tensor, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> None:
        if node.operation is not None:
            key = operation, self.stack[-1] if self.stack else None, shapes(inputs)
            self.operations.setdefault(key, (node, list(self.stack)))


def check_layers(run: Callable[[], Tensor], model: Module, rules: Sequence[str], reset: Callable[[], Any]
                 ) -> tuple[str, str | None]:
    """A line on what was compared, and what to say of the culprit, if anything is wrong.

    run: the loss, under which the model's parameters are float64. reset: sets the generators that the model holds to a known
    state. rules: names of parameters, layers or operations whose gradient is on purpose another rule; what lies between such
    parameters and the loss, and leads to no other parameter, is left out.
    """
    recorder = Recorder()
    with observed(recorder):
        run()
    checker, compared = Checker(model, rules, reset), 0
    for number, wrong in [*map(checker.operation, recorder.operations.values()), *map(checker.layer, recorder.layers.values())]:
        compared += number
        if wrong:
            return "", wrong
    layers = len({id(module) for module, _, _ in recorder.layers.values()})
    return f"{len(recorder.operations)} operations and {layers} layers by themselves: {compared:,} derivatives agree, too", None


class Checker:
    """What is known of a model while its parts are looked at one after the other."""

    def __init__(self, model: Module, rules: Sequence[str], reset: Callable[[], Any]):
        self.model, self.rules, self.reset = model, rules, reset
        self.names, self.rng = Names(model), np.random.default_rng(0)
        self.ruled = {id(p) for name, p in model.named_parameters() if name in rules}
        self.excused: list[Module] = []  # in which something was left out

    def operation(self, record: tuple[Tensor, list[Module]]) -> tuple[int, str]:
        """How many of its derivatives were compared, and what is wrong, if anything is."""
        node, around = record
        operation, attributes = node.operation, node.attributes
        if self.is_ruled(node, around):
            self.excused += around
            return 0, ""
        given, moved = as_leaves(node.inputs)
        if not moved:
            return 0, ""
        name = f"{self.names[around[-1]]}: " if around else ""
        name += f"operation {operation.__name__} ({place_of(operation.backward)})"
        called = [f"input {i}" for i, x in enumerate(given) if any(x is leaf for leaf in moved)]
        free = [np.ones(leaf.shape, bool) for leaf in moved]
        if operation is ops.embedding.operation and attributes["padding"] is not None:  # type: ignore[attr-defined]
            free[0][attributes["padding"]] = False
        number, text = held(lambda: apply(operation, given, attributes), moved, name, called, self.rng, free, attributes)
        return number, text and (in_small(operation, node, name, called) or text)

    def layer(self, call: tuple[Module, tuple, dict[str, Any]]) -> tuple[int, str]:
        """The same of a layer, whose inner ones and operations are right."""
        module, inputs, options = call
        if any(module is other for other in self.excused):
            return 0, ""
        given, moved = as_leaves((*inputs, *options.values()))
        fed, with_options = given[:len(inputs)], dict(zip(options, given[len(inputs):]))
        own = dict(module.named_parameters())
        leaves = [*moved, *own.values()]
        number, text = held(lambda: layer_result(module, fed, with_options, self.reset), leaves,
                            f"{self.names[module]} ({place_of(type(module))})",
                            [*(f"its input {i}" for i in range(len(moved))), *own], self.rng,
                            [trained(self.model, leaf) for leaf in leaves])
        return number, text and (f"{text.rstrip('?')}. Each operation in it is right: does the gradient end, or start anew, "
                                 "in its forward?")

    def is_ruled(self, node: Tensor, around: list[Module]) -> bool:
        """Whether a rule names it, a layer that it is in, or all the parameters that its gradient reaches."""
        known_as = {node.operation.__name__, *(name for module in around for name in names_of(module, self.names))}
        reached = {id(t) for t in graph([node]) if t.is_leaf and t.requires_grad}
        return bool(known_as & set(self.rules)) or bool(reached and reached <= self.ruled)


def held(compute: Callable[[], Tensor], moved: list[Tensor], name: str, called: list[str], rng: np.random.Generator,
         free: list[np.ndarray], attributes: dict[str, Any] | None = None) -> tuple[int, str]:
    """How many derivatives of `compute` by the Tensors `moved` were compared, and what is wrong with one."""
    run, begin = drawing_the_same(compute, attributes or {}), time.perf_counter()
    result = run()
    took = time.perf_counter() - begin
    if not moved or not result.requires_grad or not result.value.size:
        return 0, ""
    elements = int(np.clip(SECONDS / (8 * took + 1e-9) / len(moved), *ELEMENTS))
    subject = Subject(run, moved, rng.standard_normal(result.shape), tolerance=1e-5)
    try:
        return compare(subject, name, called, rng, 1, elements, free), ""
    except GradientError as error:
        text = str(error)
    except (ValueError, TypeError, IndexError) as error:  # of the engine, on what backward returned
        text = str(error)
    return 0, text if text.startswith(name) else f"{name}: {text}"


def in_small(operation: Any, node: Tensor, name: str, called: list[str]) -> str:
    """The same mistake of an operation on inputs of a few rows and columns, where its cause shows; "" where that cannot be."""
    lengths = sorted({n for x in node.inputs for n in np.shape(x) if n > 1})
    cut = {n: min(n, k) for k, n in enumerate(lengths, 2)}
    smaller = []
    for x in node.inputs:
        value = x.value if isinstance(x, Tensor) else x
        if isinstance(value, np.ndarray):
            value = value[tuple(slice(cut.get(n, n)) for n in value.shape)].copy()
            if value.dtype.kind in "iu":
                value %= 2
        smaller.append(Tensor(value) if isinstance(x, Tensor) and x.requires_grad else value)
    moved = [x for x in smaller if isinstance(x, Tensor)]
    try:
        run = drawing_the_same(lambda: apply(operation, tuple(smaller), node.attributes), node.attributes)
        rng = np.random.default_rng(0)
        compare(Subject(run, moved, rng.standard_normal(run().shape)), name, called, rng)
    except GradientError as error:
        return str(error) if str(error).startswith(name) else f"{name}: {error}"
    except Exception:  # its attributes are of the other shapes
        pass
    return ""


def drawing_the_same(compute: Callable[[], Tensor], attributes: dict[str, Any]) -> Callable[[], Tensor]:
    """`compute`, of which the generators among its attributes draw the same each time."""
    states = [(g, g.bit_generator.state) for g in attributes.values() if isinstance(g, np.random.Generator)]

    def again() -> Tensor:
        for generator, state in states:
            generator.bit_generator.state = state
        return compute()

    return again if states else compute


def layer_result(module: Module, inputs: tuple, options: dict[str, Any], reset: Callable[[], Any]) -> Tensor:
    """All that a layer returns with a gradient, side by side; hooks, which change gradients on purpose, are left out."""
    reset()
    made = [y for y in parts(module.forward(*inputs, **options)) if isinstance(y, Tensor) and y.requires_grad]
    for node in graph(made):
        if not node.is_leaf:
            node.hooks = None
    flat = [ops.reshape(y, shape=(-1,)) for y in made]
    return ops.concatenate(*flat, axis=0) if flat else Tensor(np.zeros(0), requires_grad=False)


def as_leaves(values: tuple) -> tuple[tuple, list[Tensor]]:
    """The values with a leaf for each Tensor that wants a gradient, in tuples and lists, too; and these leaves."""
    leaves: dict[Tensor, Tensor] = {}
    fixed = [getattr(x, "value", x) for x in parts(values) if not (isinstance(x, Tensor) and x.requires_grad)]

    def leaf_for(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            replaced = map(leaf_for, x)
            return type(x)(*replaced) if hasattr(x, "_fields") else type(x)(replaced)  # of a batch of bags, with names
        if not (isinstance(x, Tensor) and x.requires_grad):
            return x
        if x not in leaves:
            value = np.require(x.value, requirements=["C", "W"])
            shared = any(isinstance(other, np.ndarray) and np.may_share_memory(other, value)
                         for other in [*fixed, *(known.value for known in leaves.values())])
            leaves[x] = Tensor(value.copy() if shared else value.view())  # .detach() of it is not to move with it
        return leaves[x]

    return tuple(map(leaf_for, values)), list(leaves.values())


def trained(model: Module, p: Tensor) -> np.ndarray:
    """Where a parameter has a gradient at all: not in the row for padding, which is to stay zero."""
    mask = np.ones(p.shape, bool)
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if padding is not None and getattr(module, "weight", None) is p:
            mask[padding] = False
    return mask


def graph(roots: Sequence[Tensor]) -> list[Tensor]:
    """The Tensors and all that they were computed from."""
    found = dict.fromkeys(roots)
    waiting = list(found)
    while waiting:
        new = [parent for parent in waiting.pop().parents if parent not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def names_of(module: Module, names: Names) -> tuple[str, ...]:
    return names[module].split(" ")[0], type(module).__name__


def place_of(thing: Any) -> str:
    """FILE:LINE of a function or a class."""
    try:
        if inspect.isclass(thing):
            return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
        return f"{thing.__code__.co_filename}:{thing.__code__.co_firstlineno}"
    except (OSError, TypeError, AttributeError):  # typed into an interpreter, or compiled
        return f"{getattr(thing, '__module__', '?')}"
