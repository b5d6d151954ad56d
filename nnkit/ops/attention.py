"""Attention: softmax(Q Kᵀ / √n + mask) V for all heads of a batch, as one operation with its own way back.

Written in plain operations (`composed`) the matrix of weights, length x source for each head, is made and walked a dozen times.
Here it is made once: e = exp(scores - largest) stays as it is, and what it would be divided by is divided from the narrow arrays
beside it. With g = grad / total and y the result, the gradient of the scores is e · (g Vᵀ - sum(g · y)).

Masks are boolean, and True is a place that must NOT be looked at, as in PyTorch's layers (its function
scaled_dot_product_attention has it the other way round). A query whose every key is masked attends to nothing and gives zeros,
with gradients of zero; PyTorch gives NaN there.
"""

import numpy as np

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.common import nested, numbers
from nnkit.ops.reductions import softmax


@tensor_op
class masked_softmax(Operation):
    """softmax along the last axis, over what is not masked: the rest is 0, and so is a row that is masked altogether

    x: (..., length, source). masks: any number of boolean arrays that broadcast to x's shape, True where a place is masked.
    causal: place j of row i is masked where j > i. TypeError for masks that are not boolean, ValueError for other shapes.
    """

    @staticmethod
    def forward(ctx, x, *masks, causal=False):
        hidden = blocked("masked_softmax", masks, x.shape, causal)
        if hidden is None:
            y = nested(softmax, x)
        else:  # a row of -inf alone has no softmax: it gets that of x, and then zeros
            dead = hidden.all(axis=-1, keepdims=True)
            y = np.where(hidden & ~dead, -np.inf, x)
            y = np.where(dead, 0, nested(softmax, y))
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        grad_x = y * (grad_output - np.sum(grad_output * y, axis=-1, keepdims=True))
        return [grad_x, *[None] * (len(ctx.needs_grad) - 1)]


@tensor_op
class dot_product_attention(Operation):
    """softmax(Q Kᵀ / √n + mask) V of each head, side by side (Vaswani et al., 2017); (batch, length, heads · m)

    q: (batch, length, heads · n), k: (batch, source, heads · n), v: (batch, source, heads · m). masks, causal and errors: as in
    masked_softmax, of scores (batch, heads, length, source). ValueError for arrays that do not belong together.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, q, k, v, *masks, heads=1, causal=False):
        check_shapes(q, k, v, heads)
        scale = (q.shape[2] // heads) ** -0.5
        queries, keys, values = apart(q * scale, heads), apart(k, heads), apart(v, heads)
        e = np.matmul(queries, turned(keys))
        hidden = blocked("dot_product_attention", masks, e.shape, causal)
        if hidden is not None:
            np.copyto(e, -np.inf, where=hidden)
        e -= np.max(e, axis=3, keepdims=True, initial=np.finfo(e.dtype).min)  # finite, where every key is masked, too
        np.exp(e, out=e)
        total = np.matmul(e, np.ones((e.shape[3], 1), e.dtype))
        total += total == 0
        result = np.empty((*q.shape[:2], v.shape[2]), e.dtype)
        y = apart(result, heads)
        np.matmul(e, values, out=y)
        y /= total
        ctx.extend([queries, keys, values, e, total, y, scale])
        return result

    @staticmethod
    def backward(ctx, grad_output):
        queries, keys, values, e, total, y, scale = ctx
        grad = apart(grad_output, e.shape[1]) / total
        d_q = d_k = d_v = None
        if ctx.needs_grad[0] or ctx.needs_grad[1]:
            d_scores = np.matmul(grad, turned(values))
            d_scores -= np.sum(grad * y, axis=3, keepdims=True)
            d_scores *= e
        if ctx.needs_grad[0]:
            d_q = side_by_side(d_scores, keys)
            d_q *= scale
        if ctx.needs_grad[1]:
            d_k = side_by_side(np.swapaxes(d_scores, 2, 3), queries)
        if ctx.needs_grad[2]:
            d_v = side_by_side(np.swapaxes(e, 2, 3), grad)
        return [d_q, d_k, d_v, *[None] * (len(ctx.needs_grad) - 3)]

    @staticmethod
    def composed(q, k, v, *masks, heads=1, causal=False):
        weights = attention_weights(q, k, *masks, heads=heads, causal=causal)
        return together(np.matmul(weights, apart(v, heads)))


def attention_weights(q, k, *masks, heads=1, causal=False):
    """What each query takes of each key, (batch, heads, length, source), in plain operations; the inputs of the operation."""
    scale = (q.shape[2] // heads) ** -0.5
    scores = np.matmul(apart(q, heads) * scale, np.swapaxes(apart(k, heads), 2, 3))
    return nested(masked_softmax, scores, *masks, causal=causal)


def apart(x, heads):
    """(batch, length, heads · n) as (batch, heads, length, n)."""
    return np.swapaxes(np.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), 1, 2)


def turned(x):
    """(..., n, length) of (..., length, n), in order in memory: as the right side of many small products it is then quicker."""
    return np.ascontiguousarray(np.swapaxes(x, 2, 3))


def together(x):
    """The way back of `apart`."""
    batch, heads, length, n = x.shape
    return np.reshape(np.swapaxes(x, 1, 2), (batch, length, heads * n))


def side_by_side(a, b):
    """The products of all heads, written where `together` would bring them."""
    batch, heads, length, _ = a.shape
    result = np.empty((batch, length, heads * b.shape[3]), np.result_type(a, b))
    np.matmul(a, b, out=apart(result, heads))
    return result


def blocked(name, masks, shape, causal):
    """One boolean array that broadcasts to shape, (..., length, source), True where any mask is; None where there is none."""
    hidden = np.triu(np.ones(shape[-2:], bool), 1) if causal else None
    for given in masks:
        mask = numbers(given)
        if mask.dtype != bool:
            raise TypeError(f"{name}: expected a boolean mask, True where a place must not be looked at, got {mask.dtype}")
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == tuple(shape)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name}: expected a mask that broadcasts to the scores, {tuple(shape)}, got {mask.shape}")
        hidden = mask if hidden is None else hidden | mask
    return hidden


def check_shapes(q, k, v, heads):
    if not (q.ndim == k.ndim == v.ndim == 3 and len(q) == len(k) == len(v) and k.shape[1] == v.shape[1]
            and 0 < q.shape[2] == k.shape[2] and heads > 0 and q.shape[2] % heads == v.shape[2] % heads == 0):
        raise ValueError("dot_product_attention: expected q (batch, length, n), k (batch, source, n) and v (batch, source, m), "
                         f"n and m multiples of {heads} heads, got {q.shape}, {k.shape} and {v.shape}")
