"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.autograd import RowGrad, scatter_add_rows
from nnkit.optim.optimizer import Optimizer


class SGD(Optimizer):
    """value ← value - lr · g, where g = grad + weight_decay · value, and with momentum

        velocity ← momentum · velocity + g        g ← velocity, or g + momentum · velocity (nesterov)

    as in PyTorch (the first velocity is g). A RowGrad without momentum and decay gives the dense result; with either,
    only this step's rows decay and keep moving. ValueError for negative values, or nesterov without momentum.
    """

    limits = {"lr": (0, math.inf), "momentum": (0, math.inf), "weight_decay": (0, math.inf)}

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.0, nesterov: bool = False,
                 weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        if any(group["nesterov"] and group["momentum"] == 0 for group in self.groups):
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self._scratch: np.ndarray | None = None

    def init_state(self, value, momentum):
        # not only when first used: whether `state_arrays` is empty says before the first step whether there is a state
        return {"velocity": np.zeros_like(value) if momentum else None}

    def update(self, value, grad, state, lr, momentum, nesterov, weight_decay):
        if weight_decay:
            grad = grad + weight_decay * value
        if momentum:
            if state["velocity"] is None:
                state["velocity"] = np.zeros_like(value)
            velocity = state["velocity"]
            velocity *= momentum
            velocity += grad
            grad = grad + momentum * velocity if nesterov else velocity
        value -= grad * lr

    def update_large(self, value, grad, state, lr, momentum, nesterov, weight_decay):
        if momentum or weight_decay:
            super().update_large(value, grad, state, lr, momentum, nesterov, weight_decay)
        else:  # so few numbers are made on the way that pieces would cost more than they save
            value -= np.multiply(grad, lr, out=self.scratch(value))

    def update_rows(self, value, grad: RowGrad, state, lr, momentum, nesterov, weight_decay):
        if momentum or weight_decay:
            super().update_rows(value, grad, state, lr, momentum, nesterov, weight_decay)
        else:  # the sum over repeats is linear in the gradient: no need to add them up first
            scatter_add_rows(value, grad.rows, grad.values, index=grad.index, scale=-lr, factors=grad.factors)

    def scratch(self, like: np.ndarray) -> np.ndarray:
        """An array like that, in memory all large parameters share."""
        if self._scratch is None or self._scratch.size < like.size or self._scratch.dtype != like.dtype:
            self._scratch = np.empty(like.size, like.dtype)
        return self._scratch[:like.size].reshape(like.shape)
