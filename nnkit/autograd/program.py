"""A recorded list of operations as one straight Python function: forward in order, then backward in reverse order.

What a dynamic graph asks at every step (which input is a Tensor, who wants a gradient, what comes next) is answered once, when
the function is written. `print(step.source)` shows it: a few lines an operation, by the rules of engine.py. It is written
twice. The first version looks at whatever comes out of an operation, as the engine does, and notes what it had to mend: a
gradient to be summed over a broadcast axis, a number that should be an array. That depends on shapes and dtypes, which do
not change, so the second version mends just there and looks no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.autograd.engine import add_to_leaf, check_count, fitted
from nnkit.autograd.memory import LARGE, is_unshared
from nnkit.autograd.operation import FLOAT64, Context
from nnkit.autograd.rows import RowGrad, add_grads
from nnkit.autograd.tensor import Tensor


class RecordedContext(Context):
    """A ctx that is used again at every run, and keeps the memory of the large arrays that its operation made."""

    __slots__ = ("buffers", "leaves")

    def __init__(self, needs_grad: tuple[bool, ...], leaves: tuple[Tensor | None, ...]):
        self.needs_grad, self.leaves, self.owns_grad = needs_grad, leaves, False
        self.buffers: list[np.ndarray | None] = [None] * (len(needs_grad) + 1)  # one a gradient, the last for the result

    def out(self, i: int) -> np.ndarray | None:
        leaf = self.leaves[i]
        if leaf is None:
            return self.again(i)
        spare, leaf.spare = leaf.spare, None
        return spare

    def again(self, i: int) -> np.ndarray | None:
        """The array of the last run, unless somebody has it: a result that was returned, a gradient that became a leaf's."""
        buffer, self.buffers[i] = self.buffers[i], None
        return buffer if buffer is not None and is_unshared(buffer) else None


@dataclass
class Step:
    """One operation of the list: the slots it reads, the slot of its result, and what these slots looked like."""

    operation: Any
    reads: list[int]
    result: int
    attributes: dict[str, Any]
    ctx: RecordedContext
    dtype: np.dtype           # of the result
    nbytes: list[int]         # of the inputs, and of the result

    @property
    def wanted(self) -> list[tuple[int, int]]:
        """The inputs that get a gradient, and their slots."""
        return [(i, slot) for i, slot in enumerate(self.reads) if self.ctx.needs_grad[i]]


@dataclass
class Listing:
    """All that the function is written from. A slot is an input, a Tensor from outside, a constant or the result of a step.

    inputs: their shapes and dtypes. modules: those that were called, and whether they were in training mode.
    results: their slots, the loss first. loss_shape: None where the loss wants no gradient. mended: what the first version
    noted, (step, input), or (step, -1) for its result; None before.
    """

    steps: list[Step]
    inputs: list[tuple[tuple[int, ...], np.dtype]]
    modules: list[tuple[Any, bool]]
    tensors: dict[int, Tensor]
    constants: dict[int, Any]
    results: list[int]
    loss_shape: tuple[int, ...] | None
    mended: set[tuple[int, int]] | None = None

    def note(self, k: int, i: int) -> str:
        """A line's end, in the first version."""
        return f"; note(({k}, {i}))" if self.mended is None else ""

    def looks(self, k: int, i: int) -> bool:
        return self.mended is None or (k, i) in self.mended


def write(listing: Listing, notes: set[tuple[int, int]]) -> tuple[str, Callable[..., tuple]]:
    """The source of run(v0, v1, ...) -> results, and the function. v is a slot's value, g its gradient, t its Tensor.

    It returns None where its inputs or the modules are not as they were recorded.
    """
    names: dict[str, Any] = {"ndarray": np.ndarray, "RowGrad": RowGrad, "as_result": as_result, "check_count": check_count,
                             "fitted": fitted, "add_grads": add_grads, "add_to_leaf": add_to_leaf, "note": notes.add}
    names |= {f"v{slot}": value for slot, value in listing.constants.items()}
    names |= {f"t{slot}": tensor for slot, tensor in listing.tensors.items()}
    lines = same_lines(listing, names)
    for slot, tensor in listing.tensors.items():
        lines += [f"v{slot} = t{slot}.value", f"if v{slot}.shape != {tensor.shape}: return None"]
    for k in range(len(listing.steps)):
        lines += forward_lines(listing, k, names)
    if listing.loss_shape is not None:
        lines += backward_lines(listing, names)
    lines += [f"c{k}.clear()" for k in range(len(listing.steps))]
    lines.append(f"return {', '.join(f'v{slot}' for slot in listing.results)},")
    arguments = ", ".join(f"v{i}" for i in range(len(listing.inputs)))
    source = f"def run({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    exec(compile(source, "<recorded>", "exec"), names)
    return source, names["run"]


def same_lines(listing: Listing, names: dict[str, Any]) -> list[str]:
    names |= {f"dtype_v{i}": dtype for i, (_, dtype) in enumerate(listing.inputs)}
    tests = [f"type(v{i}) is not ndarray or v{i}.shape != {shape} or v{i}.dtype is not dtype_v{i}"
             for i, (shape, _) in enumerate(listing.inputs)]
    for i, (module, training) in enumerate(listing.modules):
        names[f"m{i}"] = module
        tests.append(f"m{i}.training is not {training}")
    return [f"if {test}: return None" for test in tests]


def forward_lines(listing: Listing, k: int, names: dict[str, Any]) -> list[str]:
    step = listing.steps[k]
    operation, v, inputs = step.operation, f"v{step.result}", [f"v{slot}" for slot in step.reads]
    names |= {f"op{k}": operation, f"c{k}": step.ctx, f"dtype{k}": step.dtype, f"forward{k}": operation.forward}
    names |= {f"{name}_{k}": value for name, value in step.attributes.items()}  # _: an attribute may be called v or op
    keeps = hasattr(operation, "forward_into") and step.nbytes[-1] >= LARGE
    if keeps:
        names[f"forward{k}"] = operation.forward_into
        inputs.insert(0, f"c{k}.again(-1)")
    call = ", ".join([f"c{k}", *inputs, *(f"{name}={name}_{k}" for name in step.attributes)])
    lines = [f"{v} = forward{k}({call})  # {operation.__name__}"]
    if keeps:
        lines.append(f"c{k}.buffers[-1] = {v}")
    if listing.looks(k, -1):
        lines.append(f"if type({v}) is not ndarray or {v}.dtype is not dtype{k}: "
                     f"{v} = as_result({v}, dtype{k}){listing.note(k, -1)}")
    return lines


def backward_lines(listing: Listing, names: dict[str, Any]) -> list[str]:
    """g is a slot's gradient, None where nothing arrived; o whether its array may be written into."""
    steps, tensors, loss = listing.steps, listing.tensors, listing.results[0]
    arrivals = {loss: 0}
    for step in steps:
        for _, slot in step.wanted:
            arrivals[slot] = arrivals.get(slot, 0) + 1
    names["one"] = np.ones(listing.loss_shape, next(step.dtype for step in steps if step.result == loss))
    names["one"].flags.writeable = False
    lines = [" = ".join(f"g{slot}" for slot in arrivals) + " = None", f"g{loss}, o{loss} = one, False"]
    for k, step in reversed(list(enumerate(steps))):
        if not step.wanted or step.result not in arrivals:
            continue
        names[f"backward{k}"], new, owned = step.operation.backward, bool(step.operation.returns_new), f"o{step.result}"
        lines += [f"if g{step.result} is not None:  # {step.operation.__name__}",
                  f"    c{k}.owns_grad = {owned}",
                  f"    given = backward{k}(c{k}, g{step.result})"]
        if listing.mended is None:
            lines.append(f"    if type(given) is not list or len(given) != {len(step.reads)}: "
                         f"check_count(op{k}, given, c{k}.needs_grad)")
        for i, slot in step.wanted:
            v, several = f"v{slot}", arrivals[slot] > 1
            g, o = ("g", "o") if several else (f"g{slot}", f"o{slot}")
            lines.append(f"    {g}, {o} = given[{i}], {new}")
            if listing.looks(k, i):
                lines += [f"    if {g} is not None and "
                          f"(type({g}) is not ndarray or {g}.shape != {v}.shape or {g}.dtype is not {v}.dtype):",
                          f"        {g}, {o} = fitted({g}, {v}, op{k}, {i}, {new}, {owned}){listing.note(k, i)}"]
                if slot not in tensors:  # a lookup in a table that is itself computed
                    lines.append(f"        if type({g}) is RowGrad: {g}, {o} = {g}.dense(), True")
            if new and slot not in tensors and step.nbytes[i] >= LARGE:
                lines.append(f"    c{k}.buffers[{i}] = {g}")
            if several:
                lines.append(f"    if g is not None: g{slot}, o{slot} = "
                             f"(g, o) if g{slot} is None else (add_grads(g{slot}, g, o{slot}), True)")
    lines += [f"if g{slot} is not None: add_to_leaf(t{slot}, g{slot}, o{slot})" for slot in arrivals if slot in tensors]
    return lines


def as_result(value: Any, dtype: np.dtype | None) -> np.ndarray:
    """What an operation returned, as an array; float64 by accident beside float32 is brought back."""
    value = np.asarray(value)
    return value.astype(dtype, copy=False) if dtype is not None and value.dtype is FLOAT64 else value
