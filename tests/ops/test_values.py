"""Every operation's value, on every row of the table in cases.py: NumPy's, or a formula's that is written as in a textbook."""

import math

import by_hand
import numpy as np
from drawn import as_inputs, dense, every_case, weights_for

from nnkit import Tensor

STABLE = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "logsumexp": lambda x, axis=-1, keepdims=False: np.logaddexp.reduce(x, axis=axis, keepdims=keepdims),
    "softmax": lambda x, axis=-1: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    "log_softmax": lambda x, axis=-1: np.log(np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)),
    "concatenate": lambda *x, axis=0: np.concatenate(x, axis=axis),
    "getitem": lambda x, *indices, key, places=(): x[tuple(
        indices[places.index(i)] if i in places else part for i, part in enumerate(key)) if places else key],
    "linear": lambda x, w, b=0: np.einsum("...i,ij->...j", x, w) + b,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "leaky_relu": lambda x, negative_slope: np.maximum(x, 0) + negative_slope * np.minimum(x, 0),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "gelu": lambda x, approximate: 0.5 * x * (1 + (
        np.vectorize(math.erf, otypes=[float])(x / 2 ** 0.5) if approximate == "none" else
        np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x ** 3)))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x, beta: np.log(1 + np.exp(beta * x)) / beta,
    "log_sigmoid": lambda x: np.log(1 / (1 + np.exp(-x))),
    "clip": lambda x, min=-np.inf, max=np.inf: np.minimum(np.maximum(x, -np.inf if min is None else min), max),
    "norm": np.linalg.norm,
    "stack": lambda *x, axis=0: np.stack(x, axis=axis),
    "scatter": lambda x, key, shape: np.add.at(y := np.zeros(shape), key, x) or y,
    "einsum": lambda *x, subscripts: np.einsum(subscripts, *x),
    "embedding_bag": lambda table, ids, w=None, mode="sum", sparse=True, **where: np.reshape([
        np.sum([table[i] * w for i, w in bag], axis=0) / (max(1, len(bag)) if mode == "mean" else 1) if bag else 0 * table[0]
        for bag in bags(ids, np.ones(ids.shape) if w is None else w, **where)], (-1, table.shape[1])),
    "embedding": lambda table, ids, **_: table[ids],
    "dropout": lambda x, p, rng: np.where(rng.random(x.shape, np.float32) >= p, x / (1 - p), 0),
    "binary_cross_entropy_with_logits": lambda x, t, w=1, reduction="none": reduced(
        -w * (t * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 - 1 / (1 + np.exp(-x)))), reduction),
    "cross_entropy": lambda x, c, **how: class_losses(x, c, **how),
    "nll_loss": lambda x, c, **how: class_losses(x, c, log=lambda row: row, **how),
    "multi_margin_loss": lambda x, c, p=1, margin=1.0, weight=None, reduction="none": reduced(np.array([
        (1 if weight is None else weight[k]) * sum(max(0, margin - row[k] + other) ** p for other in np.delete(row, k)) / len(row)
        for row, k in zip(x, c)]), reduction),
    "cosine_embedding_loss": lambda a, b, labels, margin, reduction: reduced(np.array([
        1 - cosine(u, v) if label == 1 else max(0, cosine(u, v) - margin)
        for u, v, label in zip(a.reshape(-1, 3), b.reshape(-1, 3), labels.reshape(-1))]).reshape(labels.shape), reduction),
    "layer_norm": lambda x, w=1, b=0, axes=1, eps=1e-5: normal(x, tuple(range(x.ndim - axes, x.ndim)), eps) * w + b,
    "rnn": by_hand.rnn, "lstm": by_hand.lstm, "gru": by_hand.gru, "masked_softmax": by_hand.masked_softmax,
    "dot_product_attention": by_hand.attention, "conv1d": by_hand.convolution, "max_over_time": by_hand.max_over_time,
    "max_pool1d": by_hand.max_pool,
    "rms_norm": lambda x, w=1, axes=1, eps=None: w * x / np.sqrt(
        (x ** 2).mean(axis=tuple(range(x.ndim - axes, x.ndim)), keepdims=True) + (eps or 2.0 ** -52)),
    "batch_norm": lambda x, w=1, b=0, eps=1e-5: np.moveaxis(
        normal(np.moveaxis(x, 1, -1), tuple(range(x.ndim - 1)), eps) * w + b, -1, 1),
}


def normal(x, axis, eps):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


def cosine(u, v):
    return u @ v / np.sqrt((u @ u + 1e-12) * (v @ v + 1e-12))


def log_softmax(row):
    return np.log(np.exp(row) / np.exp(row).sum())


def class_losses(x, classes, reduction="none", weight=None, label_smoothing=0.0, ignore_index=None, log=log_softmax):
    """Row by row: -Σ weight · target · log p, and the mean over the weights of the right classes."""
    weight = np.ones(x.shape[1]) if weight is None else weight
    losses, counted = np.zeros(len(x)), 0.0
    for i, (row, k) in enumerate(zip(x, classes)):
        if k != ignore_index:
            target = (1 - label_smoothing) * (np.arange(len(row)) == k) + label_smoothing / len(row)
            losses[i] = -np.sum(weight * target * log(row))
            counted += weight[k]
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / (counted or 1)


def bags(ids, weights, offsets=None, lengths=None):
    """A list of (id, weight) for each bag."""
    pairs = [list(zip(i, w)) for i, w in zip(np.atleast_2d(ids), np.atleast_2d(weights))]
    if offsets is not None:
        return [pairs[0][start:stop] for start, stop in zip(offsets, [*offsets[1:], len(ids)])]
    return pairs if lengths is None else [pair[:n] for pair, n in zip(pairs, lengths)]


def reduced(losses, reduction):
    return losses if reduction == "none" else np.sum(losses) / (max(1, np.size(losses)) if reduction == "mean" else 1)


@every_case
def test_value_is_that_of_numpy_or_of_the_formula(case):
    arrays = case.arrays()
    expected = (STABLE.get(case.name) or getattr(np, case.name))(*arrays, **case.plain())
    got = case(*as_inputs(arrays)).value
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@every_case
def test_float32_agrees_with_float64(case):
    exact = [np.asarray(x, np.float64) if x.dtype.kind == "f" else x for x in case.arrays(np.float32)]
    y = case(*as_inputs(exact))
    y32 = case(*(inputs := as_inputs(case.arrays(np.float32))))
    weights = weights_for(y).astype(np.float32)
    y.backward(weights)
    y32.backward(weights)
    np.testing.assert_allclose(y32.value, y.value, rtol=1e-5, atol=1e-5)
    leaves = as_inputs(exact)
    case(*leaves).backward(weights)
    for x, leaf in zip(inputs, leaves):
        if isinstance(x, Tensor):
            np.testing.assert_allclose(dense(x.grad), dense(leaf.grad), rtol=1e-4, atol=1e-5)
