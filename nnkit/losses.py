"""Losses: how wrong a model is, as one number to take the gradient of. They take logits and stay finite at any size.

The names are those of torch.nn.functional, and so are the options, their defaults and what comes out; only that classes are
the last axis of logits here, so that a sequence's are (batch, time, classes) as a layer gives them. reduction: "mean" over all
elements, their "sum", or "none" for one loss an element.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor


def cross_entropy(logits: Tensor, classes: Any, *, weight: Any = None, label_smoothing: float = 0.0,
                  ignore_index: int | None = None, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[class], the negative log-likelihood of the right class; the options mean what they do in PyTorch.

    logits: (..., classes); classes: (...) integers. TypeError, IndexError or ValueError where classes do not fit.
    weight: (classes,) what each class counts, not below 0 (`nnkit.data.balanced_weights` makes rare ones count more).
    label_smoothing: the share of the target that all classes have alike (Szegedy et al., 2016), 0 to 1.
    ignore_index: elements of this class count nothing, whatever their logits; it need not be a class.
    The mean divides by the sum of the weights of the right classes: ValueError where there are some, and all of them count 0.
    """
    classes = checked_classes("cross_entropy", logits, classes)
    n_classes = logits.shape[-1]
    check_reduction(reduction)
    options: dict[str, Any] = {"reduction": reduction}
    if weight is not None or label_smoothing or ignore_index is not None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}")
        check_ignored("cross_entropy", ignore_index)
        options |= {"weight": None if weight is None else class_weights("cross_entropy", weight, n_classes),
                    "label_smoothing": label_smoothing, "ignore_index": ignore_index}
    return by_rows(ops.cross_entropy, logits, classes, options)


def nll_loss(log_probabilities: Tensor, classes: Any, *, weight: Any = None, ignore_index: int | None = None,
             reduction: str = "mean") -> Tensor:
    """-log_probabilities[class], the negative log-likelihood of the right class, of what LogSoftmax gives.

    log_probabilities: (..., classes); classes: (...) integers. TypeError, IndexError or ValueError where classes do not fit.
    weight, ignore_index and the mean: as in `cross_entropy`, which takes logits and is to be preferred.
    """
    classes = checked_classes("nll_loss", log_probabilities, classes)
    check_reduction(reduction)
    check_ignored("nll_loss", ignore_index)
    weight = None if weight is None else class_weights("nll_loss", weight, log_probabilities.shape[-1])
    return by_rows(ops.nll_loss, log_probabilities, classes,
                   {"weight": weight, "ignore_index": ignore_index, "reduction": reduction})


def multi_margin_loss(scores: Tensor, classes: Any, *, p: int = 1, margin: float = 1.0, weight: Any = None,
                      reduction: str = "mean") -> Tensor:
    """Σ over other classes of max(0, margin - scores[class] + scores[other]) ** p / classes: the hinge loss of many classes.

    scores: (..., classes); classes: (...) integers. TypeError, IndexError or ValueError where classes do not fit.
    p: 1 or 2. weight: (classes,) what each class counts; the mean divides by the number of elements all the same.
    """
    classes = checked_classes("multi_margin_loss", scores, classes)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, got {p!r}")
    weight = None if weight is None else class_weights("multi_margin_loss", weight, scores.shape[-1])
    return by_rows(ops.multi_margin_loss, scores, classes, {"p": p, "margin": margin, "weight": weight, "reduction": reduction})


def checked_classes(loss: str, logits: Tensor, classes: Any) -> Any:
    """classes as an array or a Tensor. ValueError where their shape is not that of logits without the last axis, TypeError
    where they are no integers."""
    if not isinstance(logits, (Tensor, np.ndarray)):
        raise TypeError(f"{loss}: expected logits, a Tensor of shape (..., classes), got {type(logits).__name__}; what does the "
                        "model's forward return?")
    if not isinstance(classes, Tensor):
        classes = np.asarray(classes)
    if not logits.ndim or classes.shape != logits.shape[:-1]:
        raise ValueError(f"{loss}: logits of shape {logits.shape} need classes of shape {logits.shape[:-1]}, got {classes.shape}"
                         + ("" if logits.ndim else "; their last axis is the classes'"))
    if classes.dtype.kind not in "iu":
        raise TypeError(f"{loss}: classes must be integers, got {classes.dtype}")
    return classes


def check_ignored(loss: str, ignore_index: Any) -> None:
    if ignore_index is not None and not isinstance(ignore_index, (int, np.integer)):
        raise TypeError(f"{loss}: ignore_index must be an integer or None, got {ignore_index!r}")


def by_rows(operation: Callable[..., Tensor], logits: Tensor, classes: Any, options: dict[str, Any]) -> Tensor:
    """An operation on (n, classes) and (n,), for logits with any axes before the last."""
    if logits.ndim == 2:
        return operation(logits, classes, **options)
    flat = operation(ops.reshape(logits, shape=(classes.size, logits.shape[-1])), classes.reshape(-1), **options)
    return ops.reshape(flat, shape=classes.shape) if options["reduction"] == "none" else flat


def class_weights(loss: str, weight: Any, n_classes: int) -> np.ndarray:
    """`weight` as (n_classes,) float64. ValueError where it is not that, or has a number below 0, NaN or infinity."""
    weight = np.asarray(weight.value if isinstance(weight, Tensor) else weight, np.float64)
    if weight.shape != (n_classes,):
        raise ValueError(f"{loss}: weight must be of shape ({n_classes},), a number for each class, got {weight.shape}")
    if not ((weight >= 0) & np.isfinite(weight)).all():
        wrong = int(np.argmin((weight >= 0) & np.isfinite(weight)))
        raise ValueError(f"{loss}: the weight of a class must be finite and not below 0, got {weight[wrong]:g} for class {wrong}")
    return weight


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
    return reduced(ops.square(ops.subtract(predicted, target)), reduction)


def l1_loss(predicted: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """|predicted - target|; the gradient where they are equal is 0. predicted, target: one shape (ValueError otherwise)."""
    same_shape("l1_loss", predicted=predicted, target=target)
    check_reduction(reduction)
    return reduced(ops.absolute(ops.subtract(predicted, target)), reduction)


def huber_loss(predicted: Tensor, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d² / 2 where |d| ≤ delta, else delta (|d| - delta / 2), d being predicted - target (Huber, 1964).

    predicted, target: one shape. ValueError otherwise, and for a delta that is not above 0.
    """
    same_shape("huber_loss", predicted=predicted, target=target)
    check_reduction(reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    return reduced(huber(ops.subtract(predicted, target), delta), reduction)


def smooth_l1_loss(predicted: Tensor, target: Any, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2, d being predicted - target: huber_loss over beta (Girshick, 2015).

    predicted, target: one shape. beta: 0 is l1_loss. ValueError for other shapes, and for a beta below 0.
    """
    same_shape("smooth_l1_loss", predicted=predicted, target=target)
    check_reduction(reduction)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be below 0, got {beta}")
    d = ops.subtract(predicted, target)
    return reduced(ops.absolute(d) if beta == 0 else ops.divide(huber(d, beta), beta), reduction)


def huber(d: Tensor, delta: float) -> Tensor:
    """With c = d cut to ±delta both branches are c (d - c / 2), and the gradient of both is c."""
    c = ops.clip(d, min=-delta, max=delta)
    return ops.multiply(c, ops.subtract(d, ops.multiply(c, 0.5)))


def kl_div(log_probabilities: Tensor, target: Any, *, log_target: bool = False, reduction: str = "mean") -> Tensor:
    """target (log target - log_probabilities), the divergence of the probabilities from target, element by element.

    log_probabilities, target: one shape (ValueError otherwise). target: probabilities, 0 among them, or with log_target=True
    their logarithms. reduction: also "batchmean", the sum over the length of the first axis, which is the mean divergence of
    distributions in the last axis; "mean" divides by the number of all elements.
    """
    same_shape("kl_div", log_probabilities=log_probabilities, target=target)
    if reduction != "batchmean":
        check_reduction(reduction)
    if not isinstance(target, Tensor):
        target = np.asarray(target, log_probabilities.dtype)
    if log_target:
        losses = ops.multiply(ops.exp(target), ops.subtract(target, log_probabilities))
    else:
        none = target == 0  # 0 log 0 is 0
        logarithms = ops.log(ops.where(none, 1, target))
        losses = ops.multiply(target, ops.subtract(logarithms, log_probabilities))
    if reduction == "batchmean":
        return ops.divide(ops.sum(losses), max(1, losses.shape[0]) if losses.ndim else 1)
    return reduced(losses, reduction)


def cosine_embedding_loss(a: Tensor, b: Any, labels: Any, *, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    """1 - cos(a, b) where the label is 1, max(0, cos(a, b) - margin) where it is -1: alike together, others apart.

    a, b: (..., d), one shape; labels: (...) of 1 and -1. ValueError otherwise.
    """
    same_shape("cosine_embedding_loss", a=a, b=b)
    check_reduction(reduction)
    labels = labels if isinstance(labels, Tensor) else np.asarray(labels)
    if not np.shape(a) or labels.shape != np.shape(a)[:-1]:
        raise ValueError(f"cosine_embedding_loss: vectors of shape {np.shape(a)} need labels of shape {np.shape(a)[:-1]}, got "
                         f"{labels.shape}")
    return ops.cosine_embedding_loss(a, b, labels, margin=margin, reduction=reduction)


def reduced(losses: Tensor, reduction: str) -> Tensor:
    return losses if reduction == "none" else ops.mean(losses) if reduction == "mean" else ops.sum(losses)


def check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def same_shape(loss: str, **arrays: Any) -> None:
    """Refuse shapes that differ: (n, 1) against (n,) would broadcast to (n, n) and train something else."""
    shapes = {name: getattr(x, "shape", None) or np.shape(x) for name, x in arrays.items() if x is not None}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{loss}: shapes differ: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
