"""Losses: how wrong a model is, as one number to take the gradient of. They take logits and stay finite at any size.

reduction: "mean" over all elements, their "sum", or "none" for one loss an element.
"""

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor


def cross_entropy(logits: Tensor, classes: Any, *, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[class], the negative log-likelihood of the right class.

    logits: (..., classes); classes: (...) integers. TypeError, IndexError or ValueError where classes do not fit.
    """
    if not isinstance(classes, Tensor):
        classes = np.asarray(classes)
    n_classes = logits.shape[-1]
    if classes.shape != logits.shape[:-1]:
        raise ValueError(f"cross_entropy: logits of shape {logits.shape} need classes of shape {logits.shape[:-1]}, "
                         f"got {classes.shape}")
    if classes.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: classes must be integers, got {classes.dtype}")
    check_reduction(reduction)
    if logits.ndim == 2:
        return ops.cross_entropy(logits, classes, reduction=reduction)
    flat = ops.cross_entropy(ops.reshape(logits, shape=(classes.size, n_classes)), classes.reshape(-1), reduction=reduction)
    return ops.reshape(flat, shape=classes.shape) if reduction == "none" else flat


def binary_cross_entropy_with_logits(logits: Tensor, labels: Any, weights: Any = None, *, reduction: str = "mean",
                                     deferred: bool = False) -> Tensor:
    """weight * -(label log σ(logit) + (1 - label) log(1 - σ(logit))).

    logits, labels, weights: one shape (ValueError otherwise). The mean divides by the number of elements, not by the weights.
    deferred: the sum or mean is computed when its value is first read, if ever; the arrays must not be written into before.
    """
    same_shape("binary_cross_entropy_with_logits", logits=logits, labels=labels, weights=weights)
    check_reduction(reduction)
    return ops.binary_cross_entropy_with_logits(logits, labels, weights, reduction=reduction, deferred=deferred)


def mean_squared_error(predicted: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """(predicted - target) ** 2. predicted, target: one shape (ValueError otherwise)."""
    same_shape("mean_squared_error", predicted=predicted, target=target)
    check_reduction(reduction)
    squares = ops.square(ops.subtract(predicted, target))
    return squares if reduction == "none" else ops.mean(squares) if reduction == "mean" else ops.sum(squares)


def check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def same_shape(loss: str, **arrays: Any) -> None:
    """Refuse shapes that differ: (n, 1) against (n,) would broadcast to (n, n) and train something else."""
    shapes = {name: getattr(x, "shape", None) or np.shape(x) for name, x in arrays.items() if x is not None}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{loss}: shapes differ: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
