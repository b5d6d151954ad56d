"""edugrad's Module and Linear. Parameters are what was set as an attribute; edugrad looks into no list and no dict."""

from __future__ import annotations

from typing import Any, List  # noqa: UP035  (programs take List from here)

import numpy as np

from nnkit.compat.edugrad import ops
from nnkit.compat.edugrad.tensor import Tensor

__all__ = ["Linear", "List", "Module", "Tensor", "np", "ops", "uniform_initializer"]


class Module:
    """Base class of layers and models: call super().__init__() first, write forward, call the module."""

    def __init__(self) -> None:
        self._params: dict[str, Tensor] = {}
        self._modules: dict[str, Module] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            self._params[name] = value
        elif isinstance(value, Module):
            self._modules[name] = value
        super().__setattr__(name, value)

    def parameters(self) -> list[Tensor]:
        """This module's own Tensors, then those of the modules in it, in the order they were first set.

        One that was set under two names is there twice, and an optimizer updates it twice: so it is in edugrad.
        """
        return [*self._params.values(), *(p for module in self._modules.values() for p in module.parameters())]

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.grad = np.zeros(np.shape(parameter.value))

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)


def uniform_initializer(shape: tuple[int, ...], scale: float) -> np.ndarray:
    """float64 values, uniform in ±scale, from NumPy's global generator: the one that a program's np.random.seed sets."""
    return scale * np.random.uniform(-1, 1, size=shape)  # noqa: NPY002


class Linear(Module):
    """x W + b. x: (n, input_size), W: (input_size, output_size), b: (output_size,), both uniform in ±1/sqrt(input_size)."""

    def __init__(self, input_size: int, output_size: int, bias: bool = True):
        super().__init__()
        scale = 1 / np.sqrt(input_size)
        self.weight = Tensor(uniform_initializer((input_size, output_size), scale), name="W")
        self.has_bias = bias
        if bias:
            self.bias = Tensor(uniform_initializer((output_size,), scale), name="b")

    def forward(self, inputs: Tensor) -> Tensor:
        y = ops.matmul(inputs, self.weight)
        if self.has_bias:
            y = y + ops.copy_rows(self.bias, num=len(inputs.value))  # type: ignore[call-arg]
        return y
