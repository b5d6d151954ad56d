"""Stochastic gradient descent, plain and with momentum."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.autograd import RowGrad, scatter_add_rows
from nnkit.autograd.memory import LARGE
from nnkit.optim.optimizer import Optimizer


class SGD(Optimizer):
    """value ← value - lr · g, where g = grad + weight_decay · value, and with momentum

        velocity ← momentum · velocity + g        g ← velocity, or g + momentum · velocity (nesterov)

    as in PyTorch (the first velocity is g). A RowGrad without momentum and decay gives the dense result; with either,
    only this step's rows decay and keep moving. ValueError for negative values, or nesterov without momentum.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.0, nesterov: bool = False,
                 weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        for group in self.groups:
            lr, momentum, weight_decay = group["lr"], group["momentum"], group["weight_decay"]
            if lr < 0 or momentum < 0 or weight_decay < 0:
                raise ValueError(f"SGD: expected no negative value, got {lr=}, {momentum=}, {weight_decay=}")
            if group["nesterov"] and momentum == 0:
                raise ValueError("SGD: nesterov needs a momentum above 0")

    def init_state(self, value):
        return {"velocity": np.zeros_like(value)} if any(group["momentum"] for group in self.groups) else {}

    def update(self, value, grad, state, lr, momentum, nesterov, weight_decay):
        if weight_decay:
            grad = grad + weight_decay * value
        if momentum:
            velocity = state["velocity"]
            velocity *= momentum
            velocity += grad
            grad = grad + momentum * velocity if nesterov else velocity
        value -= grad * lr if value.nbytes < LARGE else np.multiply(grad, lr, out=self.scratch(value))

    def update_rows(self, value, grad: RowGrad, state, lr, momentum, nesterov, weight_decay):
        if momentum or weight_decay:
            super().update_rows(value, grad, state, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        else:  # the sum over repeats is linear in the gradient: no need to add them up first
            scatter_add_rows(value, grad.rows, grad.values, index=grad.index, scale=-lr)
