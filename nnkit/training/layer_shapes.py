"""The shapes that go in and out of every layer in one step, as `nnkit check` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.autograd import Tensor
from nnkit.nn import Module
from nnkit.nn.where import label


@dataclass
class Call:
    """A module's forward: its place in the model, what went in and what came out; `times` where that was repeated."""

    depth: int
    label: str
    given: str
    result: str = "?"  # where it failed
    times: int = 0


@contextmanager
def traced(model: Module, calls: list[Call]) -> Iterator[None]:
    """In the block, a Call is added for every call of a module of the model, the outer before the inner."""
    known: dict[tuple[str, str], Call] = {}
    before = [(module, vars(module).get("forward")) for module in model.modules()]
    depth = 0

    def watched(name: str, module: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*inputs: Any, **options: Any) -> Any:
            nonlocal depth
            key = name, shapes((*inputs, *options.values()))
            if key not in known:
                known[key] = Call(depth, f"{name} {label(module)}".strip(), key[1])
                calls.append(known[key])
            depth += 1
            result = forward(*inputs, **options)
            depth -= 1
            known[key].result = shapes((result,))
            known[key].times += 1
            return result
        return watching

    try:
        for name, module in list(model.named_modules()):
            vars(module)["forward"] = watched(name, module, module.forward)
        yield
    finally:
        for module, forward in before:
            del vars(module)["forward"]
            if forward is not None:
                vars(module)["forward"] = forward


class Names(dict[Any, str]):
    """What the modules and the parameters of a model are called; anything else by what it looks like."""

    def __init__(self, model: Module):
        super().__init__({module: f"{name} {label(module)}".strip() for name, module in model.named_modules()})
        self.update({p: name for name, p in [*model.named_parameters(), *model.named_buffers()]})

    def __missing__(self, thing: Any) -> str:
        return label(thing) if isinstance(thing, Module) else repr(thing)


def shapes(values: Sequence[Any]) -> str:
    """(32, 50), and of several (32, 50), (32,); what has no shape by its type."""
    return ", ".join(str(x.shape) if isinstance(x, (Tensor, np.ndarray)) else f"[{shapes(x)}]" if isinstance(x, (list, tuple))
                     else str(x) if isinstance(x, (int, float, str, bool)) else type(x).__name__ for x in values if x is not None)


def shape_lines(calls: list[Call]) -> list[str]:
    labels = ["  " * call.depth + call.label for call in calls]
    width = max(map(len, labels), default=0)
    return [f"{text:{width}}  {call.given} -> {call.result}{f'  {call.times} times' if call.times > 1 else ''}"
            for text, call in zip(labels, calls)]
