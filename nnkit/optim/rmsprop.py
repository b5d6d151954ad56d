"""RMSProp: every weight's gradient divided by its size of late."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.optim.optimizer import Optimizer


class RMSProp(Optimizer):
    """The gradient over a running root mean square of itself (Hinton, Srivastava & Swersky, 2012, lecture 6e).

        square ← alpha · square + (1 - alpha) · g²          d = g / (√square + eps)          value ← value - lr · d

    where g = grad + weight_decay · value. Centered, √(square - mean²) takes the place of √square, with a running mean of g
    like that of g². With momentum, velocity ← momentum · velocity + d, and value ← value - lr · velocity. As
    in PyTorch. Of a RowGrad, only this step's rows move, decay and remember. ValueError for a value outside of its limits.
    """

    limits = {"lr": (0, math.inf), "alpha": (0, 1), "eps": (0, math.inf), "weight_decay": (0, math.inf),
              "momentum": (0, math.inf)}

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered)

    def init_state(self, value):
        return {"square": np.zeros_like(value), "mean": None, "velocity": None}

    def update(self, value, grad, state, lr, alpha, eps, weight_decay, momentum, centered):
        if weight_decay:
            grad = grad + weight_decay * value
        square = state["square"]
        square *= alpha
        square += (1 - alpha) * grad * grad
        if centered:
            if state["mean"] is None:
                state["mean"] = np.zeros_like(value)
            mean = state["mean"]
            mean += (1 - alpha) * (grad - mean)
            square = np.maximum(square - mean * mean, 0)  # the variance of a constant gradient may round to below 0
        if not momentum:
            value -= lr * grad / (np.sqrt(square) + eps)
            return
        if state["velocity"] is None:
            state["velocity"] = np.zeros_like(value)
        velocity = state["velocity"]
        velocity *= momentum
        velocity += grad / (np.sqrt(square) + eps)
        value -= lr * velocity
