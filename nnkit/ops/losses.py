"""The fused losses: value and gradient of a whole loss at once, finite for logits of any size.

Each takes logits, not probabilities: the logarithm of a softmax or of a sigmoid is exact where its parts would overflow.
`reduction` is "none" (one loss an element or a row), "sum" or "mean". What both directions need is computed once.
"""

import numpy as np

from nnkit.autograd import Operation, tensor_op
from nnkit.autograd.tensor import Later
from nnkit.ops.activations import softplus
from nnkit.ops.common import nested, numbers
from nnkit.ops.reductions import log_softmax


def reduced(losses, reduction, weights=None, count=None):
    """The losses, or their sum or mean; weighted where there are weights (the mean is over their number all the same).

    count: what the mean divides by, where that is not the number of losses.
    """
    if reduction == "none":
        return losses if weights is None else losses * weights
    total = np.add.reduce(losses, axis=None) if weights is None else np.vdot(losses, weights)  # no array for the products
    return total / (count or max(1, losses.size)) if reduction == "mean" else total


def composed_reduced(losses, reduction, weights=None, count=None):
    """The same in plain operations."""
    losses = losses if weights is None else losses * weights
    if reduction == "none":
        return losses
    return np.sum(losses) / (count or max(1, losses.size)) if reduction == "mean" else np.sum(losses)


@tensor_op
class binary_cross_entropy_with_logits(Operation):
    """weight * (-label log σ(x) - (1 - label) log(1 - σ(x))), reduced.

    x, labels, weights: one shape. Computed as log(1 + exp(-|x|)) + max(x, 0) - x label; d/dx = weight (σ(x) - label).
    deferred: the sum or mean is computed when it is first read, and nobody may write into the arrays before.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, labels, weights=None, *, reduction="none", deferred=False):
        ctx.extend([x, labels, weights, reduction])

        def losses():
            return reduced(binary_losses(x, labels), reduction, weights)

        return Later(losses, x.dtype) if deferred and reduction != "none" else losses()

    @staticmethod
    def backward(ctx, grad_output):
        x, labels, weights, reduction = ctx
        if reduction == "mean":
            grad_output = grad_output / max(1, x.size)
        grad_weights = grad_output * binary_losses(x, labels) if len(ctx.needs_grad) == 3 and ctx.needs_grad[2] else None
        grad_labels = None
        if ctx.needs_grad[1]:
            grad_labels = -x * grad_output if weights is None else -x * (grad_output * weights)
        grad_x = np.negative(x, out=np.empty_like(x))
        with np.errstate(over="ignore"):         # exp(-x) is inf for x < -88, and σ(x) then rightly 0
            np.exp(grad_x, out=grad_x)
        grad_x += 1
        np.reciprocal(grad_x, out=grad_x)        # σ(x)
        grad_x -= labels
        if weights is not None:
            grad_x *= weights
        grad_x *= grad_output
        return [grad_x, grad_labels, grad_weights][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, labels, weights=None, *, reduction="none", deferred=False):
        return composed_reduced(nested(softplus, x) - x * labels, reduction, weights)


def binary_losses(x, labels):
    """log(1 + exp(-|x|)) + max(x, 0) - x label, one an element."""
    losses = np.exp(-np.abs(x))
    losses += 1
    losses = np.log(losses, out=losses if losses.ndim else None)  # 1 + e is in 1..2: as good as log1p, and five times as fast
    losses += np.maximum(x, 0)
    losses -= x * labels
    return losses


@tensor_op
class cross_entropy(Operation):
    """-log softmax(x)[class], one number a row, reduced. x: (n, classes), classes: (n,) integers, or IndexError.

    weight, label_smoothing, ignore_index: as in `RowWeights`, with which the loss of a row is -Σ share · log softmax(x).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, classes, *, weight=None, label_smoothing=0.0, ignore_index=None, reduction="none"):
        if weight is not None or label_smoothing or ignore_index is not None:
            losses, by_logits, count = weighted_cross_entropy(
                x, RowWeights("cross_entropy", x, classes, weight, label_smoothing, ignore_index, reduction))
        else:
            right = places(x, classes, "cross_entropy")
            e = np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), order="C")
            flat = e.reshape(-1)                 # the same memory: one index finds an element sooner than two
            losses = -flat[right]
            np.exp(e, out=e)
            total = np.add.reduce(e, axis=1, keepdims=True)
            e /= total
            flat[right] -= 1                     # now e is d loss / d x, one row for each loss
            losses += np.log(total)[:, 0]
            by_logits, count = e, len(e) or 1
        ctx.extend([by_logits, count, reduction])
        return reduced(losses, reduction, count=count)

    @staticmethod
    def backward(ctx, grad_output):
        by_logits, count, reduction = ctx
        if reduction == "none":
            grad_output = grad_output[:, None]
        elif reduction == "mean":
            grad_output = grad_output / count
        return [by_logits * grad_output, None]

    @staticmethod
    def composed(x, classes, *, weight=None, label_smoothing=0.0, ignore_index=None, reduction="none"):
        rows = RowWeights("cross_entropy", x, numbers(classes), weight, label_smoothing, ignore_index, reduction)
        log_p = nested(log_softmax, rows.counted_alone(x), axis=1)
        return composed_reduced(rows.losses(log_p), reduction, count=rows.count)


@tensor_op
class nll_loss(Operation):
    """-x[class], one number a row, reduced: cross_entropy of what is logarithms of probabilities already

    x: (n, classes), classes: (n,) integers, or IndexError. weight, ignore_index: as in `RowWeights`.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, classes, *, weight=None, ignore_index=None, reduction="none"):
        rows = RowWeights("nll_loss", x, classes, weight, 0.0, ignore_index, reduction)
        ctx.extend([x.shape, rows, reduction])
        return reduced(rows.losses(rows.counted_alone(x)), reduction, count=rows.count)

    @staticmethod
    def backward(ctx, grad_output):
        shape, rows, reduction = ctx
        by_right = -rows.own * grad_output
        if reduction == "mean":
            by_right = by_right / (rows.count or 1)
        grad_x = np.zeros(shape, by_right.dtype)
        grad_x.reshape(-1)[rows.right] = by_right
        return [grad_x, None]

    @staticmethod
    def composed(x, classes, *, weight=None, ignore_index=None, reduction="none"):
        rows = RowWeights("nll_loss", x, numbers(classes), weight, 0.0, ignore_index, reduction)
        return composed_reduced(rows.losses(rows.counted_alone(x)), reduction, count=rows.count)


class RowWeights:
    """What the classes count in the loss of each row: share[class] of the right one, and what smoothing gives to every class.

    The target of a row is 1 - label_smoothing at its right class and label_smoothing / classes everywhere (Szegedy et al., 2016);
    each class's part counts weight[class] times, (classes,), None: once. The rows whose class is ignore_index count nothing. A
    mean is over the sum of the weights of the right classes. ValueError for a mean where these are all 0.
    """

    def __init__(self, loss, x, classes, weight, label_smoothing, ignore_index, reduction):
        self.counted = None if ignore_index is None else classes != ignore_index
        if self.counted is not None:
            classes = np.where(self.counted, classes, 0)
        self.right = places(x, classes, loss)
        weight = np.ones(x.shape[1]) if weight is None else weight
        own = weight[classes] if self.counted is None else weight[classes] * self.counted
        self.count = float(own.sum())
        if reduction == "mean" and len(own) and not self.count:
            ignored = "" if ignore_index is None else f"of ignore_index {ignore_index}, or "
            raise ValueError(f"{loss}: a mean over nothing: each of the {len(own)} rows is {ignored}of a class of weight "
                             "0; leave such a batch out, or take reduction=\"sum\"")
        self.own = ((1 - label_smoothing) * own).astype(x.dtype)
        self.every = (label_smoothing / x.shape[1] * weight).astype(x.dtype) if label_smoothing else None

    def counted_alone(self, x):
        """x with zeros in the rows that count nothing, which may hold anything: NaN times 0 would be NaN."""
        return x if self.counted is None else np.where(self.counted[:, None], x, 0)

    def losses(self, log_p):
        """(n,): -Σ share · log_p. log_p: (n, classes), an array or a Tensor."""
        losses = -np.reshape(log_p, -1)[self.right] * self.own  # nothing of the other classes: 0 times -inf would be NaN
        if self.every is None:
            return losses
        smooth = np.matmul(log_p, self.every)
        return losses - (smooth if self.counted is None else smooth * self.counted)


def weighted_cross_entropy(x, rows):
    """The losses (n,), d loss / d x (n, classes), and what a mean divides by."""
    log_p = nested(log_softmax, rows.counted_alone(x), axis=1)
    by_logits = np.exp(log_p, order="C")
    every = 0 if rows.every is None else rows.every if rows.counted is None else np.outer(rows.counted, rows.every)
    by_logits *= (rows.own + np.sum(every, axis=-1))[:, None]  # softmax times the sum of the shares, less the shares
    by_logits.reshape(-1)[rows.right] -= rows.own
    by_logits -= every
    return rows.losses(log_p), by_logits, rows.count or 1


def places(x, classes, loss):
    """Where the right logits are in x.reshape(-1). IndexError names the loss for a class that x has no column for."""
    try:
        return np.ravel_multi_index((np.arange(len(classes)), classes), x.shape)
    except ValueError:
        raise IndexError(f"{loss}: classes from {classes.min()} to {classes.max()} with logits for "
                         f"0..{x.shape[1] - 1}") from None
