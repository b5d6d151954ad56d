"""Module: something with parameters that maps Tensors to Tensors.

There is nothing to declare. Parameters, buffers and modules are found by looking: in attributes, and in lists, tuples
and dicts among them. Their names are the path of the look, `layers.0.weight`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnkit.autograd import Tensor
from nnkit.autograd.modes import mode
from nnkit.nn.where import NAMED, locate


class Module:
    """Base class of layers and models: write `forward`, call the module.

    A float Tensor that requires a gradient, set on a Module, is a parameter; one with requires_grad=False is a buffer,
    saved and not trained. What is reached on two paths (tied weights) is listed once, under the first.
    An error that leaves a layer begins with the layer's path (see where.py).
    """

    training = True  # eval() and train() set it on the instance

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        observer = mode.get().observer
        try:
            if observer is None:
                return self.forward(*inputs, **options)
            observer.entered(self)
            result = self.forward(*inputs, **options)
            observer.left(self, inputs, options, result)
            return result
        except NAMED as error:
            locate(error, self, inputs)
            raise

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module under the name "", then all modules below it."""
        yield "", self
        yield from _find(self, Module)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, t) for name, t in _find(self, Tensor) if t.requires_grad and t.is_leaf)

    def parameters(self) -> Iterator[Tensor]:
        return (t for _, t in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, t) for name, t in _find(self, Tensor) if not t.requires_grad)

    def named_results(self) -> Iterator[tuple[str, Tensor]]:
        """What forward left on a module: Tensors that hold the graph of a step, and are neither trained nor saved."""
        return ((name, t) for name, t in _find(self, Tensor) if not t.is_leaf)

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """The random generators that layers hold (Dropout), which a checkpoint keeps."""
        return _find(self, np.random.Generator)

    def train(self, mode: bool = True) -> Module:
        """Training mode for this module and all below it: Dropout drops."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Evaluation mode: Dropout passes everything on."""
        return self.train(False)

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Parameters and buffers by name: the arrays themselves, not copies."""
        return {name: t.value for name, t in _find(self, Tensor) if t.is_leaf}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Write `state` into parameters and buffers, in place, so that tied ones stay tied.

        ValueError lists every missing, unexpected and misshapen name; then nothing was changed.
        """
        own = self.state_dict()
        wrong = [f"missing {name}" for name in own if name not in state]
        wrong += [f"unexpected {name}" for name in state if name not in own]
        wrong += [f"{name} has shape {np.shape(state[name])}, the model's {own[name].shape}"
                  for name in own if name in state and np.shape(state[name]) != own[name].shape]
        if wrong:
            raise ValueError(f"{type(self).__name__}: the state does not fit: {'; '.join(wrong)}")
        for name, value in own.items():
            value[...] = state[name]
        for _, tensor in _find(self, Tensor):
            tensor.mark_written()

    def __repr__(self) -> str:
        children = [f"{name}={child!r}" for name, child in vars(self).items() if isinstance(child, Module)]
        return f"{type(self).__name__}({', '.join(children)})"


def _find(root: Module, kind: type) -> Iterator[tuple[str, Any]]:
    """Everything of a kind below root, in the order it was set, each thing once."""
    seen = {id(root)}  # all of it is alive while we look, so an id names one thing
    for name, value in vars(root).items():
        yield from _look(value, name, kind, seen)


def _look(thing: Any, path: str, kind: type, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, (kind, Module, list, tuple, dict)):
        if id(thing) in seen:
            return
        seen.add(id(thing))
    if isinstance(thing, kind):
        yield path, thing
    if isinstance(thing, Module):
        items: Any = vars(thing).items()
    elif isinstance(thing, dict):
        items = thing.items()
    elif isinstance(thing, (list, tuple)):
        items = enumerate(thing)
    else:
        return
    for name, value in items:
        yield from _look(value, f"{path}.{name}", kind, seen)
