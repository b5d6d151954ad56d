"""The losses with a margin: what is right by enough of a distance costs nothing, so that training turns to the rest."""

import numpy as np

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.common import numbers
from nnkit.ops.losses import composed_reduced, places, reduced

NEARLY_ZERO = 1e-12  # added to a squared length, as PyTorch does: the angle of a vector of zeros is 0 to all others


@tensor_op
class multi_margin_loss(Operation):
    """Σ over the other classes of max(0, margin - x[class] + x[other]) ** p, over the number of classes, reduced

    x: (n, classes), classes: (n,) integers, or IndexError. p: 1 or 2. weight: (classes,) what each row counts by its class, or
    None; the mean is over the rows all the same (Crammer and Singer, 2001).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, classes, *, p=1, margin=1.0, weight=None, reduction="none"):
        right = places(x, classes, "multi_margin_loss")
        gaps = np.subtract(x, np.reshape(x, -1)[right][:, None] - margin, order="C")
        np.maximum(gaps, 0, out=gaps)
        gaps.reshape(-1)[right] = 0
        own = shares(x, classes, weight)
        losses = own * np.add.reduce(gaps ** p, axis=1)
        by_logits = (gaps > 0) * own[:, None] if p == 1 else 2 * own[:, None] * gaps
        by_logits.reshape(-1)[right] = -np.add.reduce(by_logits, axis=1)
        ctx.extend([by_logits, len(x) or 1, reduction])
        return reduced(losses, reduction)

    @staticmethod
    def backward(ctx, grad_output):
        by_logits, count, reduction = ctx
        if reduction == "none":
            grad_output = grad_output[:, None]
        elif reduction == "mean":
            grad_output = grad_output / count
        return [by_logits * grad_output, None]

    @staticmethod
    def composed(x, classes, *, p=1, margin=1.0, weight=None, reduction="none"):
        classes = numbers(classes)
        right = places(x, classes, "multi_margin_loss")
        others = np.arange(x.shape[1]) != classes[:, None]
        gaps = x - np.expand_dims(np.reshape(x, -1)[right], 1) + margin
        gaps = np.where(others & numbers(gaps > 0), gaps, 0)
        return composed_reduced(np.sum(gaps ** p, axis=1) * shares(x, classes, weight), reduction)


def shares(x, classes, weight):
    """(n,): what the sum over the classes of each row is multiplied by."""
    own = np.ones(len(classes)) if weight is None else weight[classes]
    return (own / x.shape[1]).astype(x.dtype)


@tensor_op
class cosine_embedding_loss(Operation):
    """1 - cos(a, b) where the label is 1, and max(0, cos(a, b) - margin) where it is -1, reduced

    a, b: (..., d), labels: (...) of 1 and -1, or ValueError.
    """

    @staticmethod
    def forward(ctx, a, b, labels, *, margin=0.0, reduction="none"):
        alike = positive(labels)
        by_lengths = 1 / np.sqrt((np.sum(a * a, axis=-1) + NEARLY_ZERO) * (np.sum(b * b, axis=-1) + NEARLY_ZERO))
        cosines = np.sum(a * b, axis=-1) * by_lengths
        ctx.extend([a, b, alike, cosines, by_lengths, margin, reduction])
        return composed_reduced(np.where(alike, 1 - cosines, np.maximum(cosines - margin, 0)), reduction)

    @staticmethod
    def backward(ctx, grad_output):
        a, b, alike, cosines, by_lengths, margin, reduction = ctx
        if reduction == "mean":
            grad_output = grad_output / max(1, alike.size)
        by_cosine = np.expand_dims(grad_output * np.where(alike, np.int8(-1), np.greater_equal(cosines, margin)), -1)
        by_lengths, cosines = np.expand_dims(by_lengths, -1), np.expand_dims(cosines, -1)

        def by(one, other):
            squared = np.sum(one * one, axis=-1, keepdims=True) + NEARLY_ZERO
            return by_cosine * (other * by_lengths - one * (cosines / squared))

        return [by(a, b) if ctx.needs_grad[0] else None, by(b, a) if ctx.needs_grad[1] else None, None]


def positive(labels):
    """Where labels are 1. ValueError for one that is neither 1 nor -1."""
    labels = numbers(labels)
    alike = np.equal(labels, 1)
    wrong = labels[~(alike | np.equal(labels, -1))]
    if wrong.size:
        raise ValueError(f"cosine_embedding_loss: labels must be 1 (alike) or -1 (not alike), got {wrong[0]:g}")
    return alike
