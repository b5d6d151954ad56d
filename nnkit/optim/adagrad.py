"""Adagrad: a learning rate for each weight, which falls with the gradients it has seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """Rarely used weights take longer steps than often used ones (Duchi, Hazan & Singer, 2011).

        total ← total + g²          value ← value - lr / (1 + (step - 1) · lr_decay) · g / (√total + eps)

    where g = grad + weight_decay · value, step counts from 1 and total begins at initial_accumulator_value, as in PyTorch.
    A RowGrad gives the dense result to rounding, for a row without gradient stays as it is; but weight_decay touches only
    this step's rows. ValueError for negative values.
    """

    limits = {name: (0, math.inf) for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")}

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: float = 1e-10):
        super().__init__(params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
                         initial_accumulator_value=initial_accumulator_value, eps=eps)

    def init_state(self, value, initial_accumulator_value):
        return {"step": 0, "total": np.full_like(value, initial_accumulator_value)}

    def update(self, value, grad, state, lr, lr_decay, weight_decay, eps):
        state["step"] += 1
        if weight_decay:
            grad = grad + weight_decay * value
        total, change = state["total"], np.multiply(grad, grad, out=np.empty_like(grad))
        total += change
        np.sqrt(total, out=change)  # in place: more arrays than these would not stay in the cache
        change += eps
        np.divide(grad, change, out=change)
        change *= lr / (1 + (state["step"] - 1) * lr_decay)
        value -= change
