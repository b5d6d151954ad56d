"""edugrad's Optimizer, which a course program subclasses, and its SGD."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnkit.compat.edugrad.tensor import Tensor

__all__ = ["SGD", "Iterable", "Optimizer", "Tensor", "np"]


class Optimizer:
    """Base class: a subclass writes step, going through self.params as they were given (a generator serves one step)."""

    def __init__(self, params: Iterable[Tensor]):
        self._cur_step = 0
        self.params = params

    def step(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def zero_grad(self) -> None:
        for param in self.params:
            param.grad = np.zeros(np.shape(param.value))


class SGD(Optimizer):
    """value ← value - lr · grad, in place."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-4):
        super().__init__(params)
        self.lr = lr

    def step(self) -> None:
        for param in self.params:
            param.value -= self.lr * param.grad
        self._cur_step += 1
