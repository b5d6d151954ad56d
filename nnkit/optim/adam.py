"""Adam and AdamW: momentum, divided by how large a weight's gradients have been of late."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Each weight moves by about lr in the direction of its mean gradient, whatever the gradient's scale (Kingma & Ba, 2015).

        mean ← beta1 · mean + (1 - beta1) · g       square ← beta2 · square + (1 - beta2) · g²
        value ← value - lr · mean / (1 - beta1^step) / (√(square / (1 - beta2^step)) + eps)

    where g = grad + weight_decay · value and step counts a parameter's updates from 1, as in PyTorch. With amsgrad, the
    largest square so far stands in the place of square (Reddi, Kale & Kumar, 2018). betas are two hyper-parameters, beta1
    and beta2, so that each can have a schedule; a group may give either of them, or betas. Of a RowGrad, only this step's
    rows move, decay and remember; step counts for all rows alike. ValueError for a value outside of its limits.
    """

    limits = {"lr": (0, math.inf), "beta1": (0, 1), "beta2": (0, 1), "eps": (0, math.inf), "weight_decay": (0, math.inf)}

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0, amsgrad: bool = False):
        beta1, beta2 = betas
        groups = [one_by_one(p) if isinstance(p, dict) else p for p in params]
        super().__init__(groups, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)

    def init_state(self, value):
        return {"step": 0, "mean": np.zeros_like(value), "square": np.zeros_like(value), "largest": None}

    def update(self, value, grad, state, lr, beta1, beta2, eps, weight_decay, amsgrad):
        if weight_decay:
            grad = grad + weight_decay * value
        state["step"] += 1
        mean, square = state["mean"], state["square"]
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * grad * grad
        if amsgrad:
            if state["largest"] is None:
                state["largest"] = np.zeros_like(value)
            square = np.maximum(state["largest"], square, out=state["largest"])
        # both fractions times √(1 - beta2^step), a number: one division of arrays, as section 2 of the paper has it
        correction = math.sqrt(1 - beta2 ** state["step"])
        value -= lr * correction / (1 - beta1 ** state["step"]) * mean / (np.sqrt(square) + eps * correction)


class AdamW(Adam):
    """Adam whose decay does not go through the moments (Loshchilov & Hutter, 2019): before each of Adam's updates

        value ← value - lr · weight_decay · value

    so that weights with large gradients decay as much as others. Of a RowGrad, only this step's rows decay and move.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)

    def update(self, value, grad, state, lr, beta1, beta2, eps, weight_decay, amsgrad):
        value *= 1 - lr * weight_decay
        super().update(value, grad, state, lr, beta1, beta2, eps, 0.0, amsgrad)


def one_by_one(group: dict[str, Any]) -> dict[str, Any]:
    """A group with beta1 and beta2 in place of betas."""
    if "betas" not in group:
        return group
    beta1, beta2 = group["betas"]
    return {**{name: value for name, value in group.items() if name != "betas"}, "beta1": beta1, "beta2": beta2}
