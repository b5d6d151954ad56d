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


def reduced(losses, reduction, weights=None):
    """The losses, or their sum or mean; weighted where there are weights (the mean is over their number all the same)."""
    if reduction == "none":
        return losses if weights is None else losses * weights
    total = np.add.reduce(losses, axis=None) if weights is None else np.vdot(losses, weights)  # no array for the products
    return total / max(1, losses.size) if reduction == "mean" else total


def composed_reduced(losses, reduction, weights=None):
    """The same in plain operations."""
    losses = losses if weights is None else losses * weights
    if reduction == "none":
        return losses
    return np.sum(losses) / max(1, losses.size) if reduction == "mean" else np.sum(losses)


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
    """-log softmax(x)[class], one number a row, reduced. x: (n, classes), classes: (n,) integers, or IndexError."""

    returns_new = True

    @staticmethod
    def forward(ctx, x, classes, *, reduction="none"):
        try:
            right = np.ravel_multi_index((np.arange(len(classes)), classes), x.shape)
        except ValueError:
            raise IndexError(f"cross_entropy: classes from {classes.min()} to {classes.max()} with logits for "
                             f"0..{x.shape[1] - 1}") from None
        e = np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), order="C")
        flat = e.reshape(-1)                     # the same memory: one index finds an element sooner than two
        losses = -flat[right]
        np.exp(e, out=e)
        total = np.add.reduce(e, axis=1, keepdims=True)
        e /= total
        flat[right] -= 1                         # now e is d loss / d x, one row for each loss
        losses += np.log(total)[:, 0]
        ctx.extend([e, reduction])
        return reduced(losses, reduction)

    @staticmethod
    def backward(ctx, grad_output):
        by_logits, reduction = ctx
        if reduction == "none":
            grad_output = grad_output[:, None]
        elif reduction == "mean":
            grad_output = grad_output / max(1, len(by_logits))
        return [by_logits * grad_output, None]

    @staticmethod
    def composed(x, classes, *, reduction="none"):
        classes = numbers(classes)
        return composed_reduced(-nested(log_softmax, x, axis=1)[np.arange(len(classes)), classes], reduction)
