"""The table's second part: recurrent loops, losses, normalization, attention and convolution, and the same in PyTorch."""

import warnings

import drawing
import numpy as np
import torch
import torch.nn.functional as F
from drawing import integers, numbers
from hypothesis import strategies as st
from torch_operations import row


# Recurrent: PyTorch's layer with these weights, on sequences that are turned round beforehand where the loop runs backwards
def recurrences(gates, n_states, **attributes):
    def sample(draw):
        length, batch, size, hidden = (draw(st.integers(1, 4)) for _ in range(4))
        shapes = [(length, batch, size), *[(batch, hidden)] * n_states, (size, gates * hidden), (hidden, gates * hidden)]
        biases = [(gates * hidden,)] * 2 * draw(st.booleans())
        arrays = [numbers(draw, shape, "normal") for shape in (*shapes, *biases)]
        if draw(st.booleans()):
            arrays += [None] * (2 - len(biases)) + [integers(draw, batch, length + 1, 1)]
        return arrays, {"reverse": draw(st.booleans()), **{k: draw(st.sampled_from(v)) for k, v in attributes.items()}}
    return sample


def recurrence(layer, n_states):
    def run(x, *inputs, reverse, **options):
        states, (weight_ih, weight_hh, *biases) = inputs[:n_states], inputs[n_states:]
        lengths = biases.pop() if len(biases) == 3 else torch.full(x.shape[1:2], len(x))
        module = layer(x.shape[2], len(weight_hh), bias=bool(biases) and biases[0] is not None, dtype=torch.float64, **options)
        weights = dict(zip(dict(module.named_parameters()), [weight_ih.T, weight_hh.T, *biases]))
        t, k = torch.arange(len(x))[:, None], torch.arange(x.shape[1])
        turned = torch.where(reverse & (t < lengths), lengths - 1 - t, t)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x[turned, k], lengths, enforce_sorted=False)
        start = tuple(state[None] for state in states)
        y, last = torch.func.functional_call(module, weights, (packed, start if n_states == 2 else start[0]))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=len(x))
        return torch.cat([y[turned, k], *(last if n_states == 2 else [last])])
    return run


row("rnn", recurrences(1, 1, nonlinearity=["tanh", "relu"]), recurrence(torch.nn.RNN, 1))
row("lstm", recurrences(4, 2), recurrence(torch.nn.LSTM, 2))
row("gru", recurrences(3, 1), recurrence(torch.nn.GRU, 1))


# Losses. The mean over no element is 0 in nnkit and NaN in PyTorch: not drawn.
def binary(draw):
    reduction = draw(st.sampled_from(["none", "sum", "mean"]))
    shape = drawing.shapes(draw, min_side=1 if reduction == "mean" else 0)
    arrays = [numbers(draw, shape), np.asarray(np.random.default_rng(draw(drawing.seeds)).random(shape)),
              numbers(draw, shape, "positive")]
    return arrays[:draw(st.integers(2, 3))], {"reduction": reduction}


def binary_loss(x, labels, weights=None, *, reduction):
    losses = F.binary_cross_entropy_with_logits(x, labels, reduction="none")
    losses = losses if weights is None else losses * weights  # PyTorch's own weights take no gradient
    return losses if reduction == "none" else getattr(torch, reduction)(losses)


def classes(draw):
    reduction = draw(st.sampled_from(["none", "sum", "mean"]))
    n, n_classes = draw(st.integers(1 if reduction == "mean" else 0, 5)), draw(st.integers(1, 4))
    ids = integers(draw, n, n_classes)
    return [numbers(draw, (n, n_classes)), ids], {"reduction": reduction, **drawing.loss_options(draw, ids, n_classes)}


def class_loss(x, classes, *, weight, ignore_index, **options):
    weight = None if weight is None else torch.as_tensor(weight, dtype=x.dtype)
    return F.cross_entropy(x, classes, weight, ignore_index=-100 if ignore_index is None else ignore_index, **options)


def right_classes(draw):
    (x, ids), given = classes(draw)
    del given["label_smoothing"]
    return [x, ids], given


def nll(x, classes, *, weight, ignore_index, reduction):
    weight = None if weight is None else torch.as_tensor(weight, dtype=x.dtype)
    return F.nll_loss(x, classes, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction)


def margins(draw):
    n, n_classes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return [numbers(draw, (n, n_classes)), integers(draw, n, n_classes)], {
        "p": draw(st.sampled_from([1, 2])), "margin": draw(st.sampled_from([1.0, 0.5])),
        "weight": draw(st.sampled_from([None, numbers(draw, n_classes, "positive")])),
        "reduction": draw(st.sampled_from(["none", "sum", "mean"]))}


def margin_loss(x, classes, *, weight, **options):
    return F.multi_margin_loss(x, classes, weight=None if weight is None else torch.as_tensor(weight, dtype=x.dtype), **options)


def pairs(draw):
    n = draw(st.integers(1, 4))
    arrays = [numbers(draw, (n, 3), "nonzero") for _ in range(2)]
    return [*arrays, 1 - 2 * integers(draw, n, 2)], {"margin": draw(st.sampled_from([0.0, 0.3, -0.4])),
                                                     "reduction": draw(st.sampled_from(["none", "sum", "mean"]))}


row("nll_loss", right_classes, nll)
row("multi_margin_loss", margins, margin_loss, second=None)
row("cosine_embedding_loss", pairs, F.cosine_embedding_loss)
row("binary_cross_entropy_with_logits", binary, binary_loss)
row("cross_entropy", classes, class_loss)


# Normalization
def features(inputs):
    """An input and as many parameters of the shape of its last axes as there may be."""
    def sample(draw):
        axes = draw(st.integers(1, 2))
        shape = tuple(draw(st.integers(2, 4)) for _ in range(axes))
        arrays = [numbers(draw, (*drawing.shapes(draw, max_dims=2), *shape), "normal"),
                  *(numbers(draw, shape, "normal") for _ in range(draw(st.integers(0, inputs - 1))))]
        return arrays, {"axes": axes, "eps": draw(st.sampled_from([1e-5, 0.1]))}
    return sample


def channels(draw):
    n = draw(st.integers(1, 4))
    x = numbers(draw, (draw(st.integers(2, 4)), n, *draw(st.sampled_from([(), (3,)]))), "normal")
    return [x, *(numbers(draw, n, "normal") for _ in range(draw(st.integers(0, 2))))], {"eps": draw(st.sampled_from([1e-5, 0.1]))}


row("layer_norm", features(3), lambda x, *parameters, axes, eps: F.layer_norm(x, x.shape[x.ndim - axes:], *parameters, eps=eps))
row("rms_norm", features(2), lambda x, *parameters, axes, eps: F.rms_norm(x, x.shape[x.ndim - axes:], *parameters, eps=eps))
row("batch_norm", channels, lambda x, *parameters, eps: F.batch_norm(x, None, None, *parameters, training=True, eps=eps))


# Attention and convolution
def masked(draw, shape):
    """Up to two masks for scores of this shape, (batch, heads, length, source); some rows may be masked altogether."""
    batch, _, length, source = shape
    rng = np.random.default_rng(draw(drawing.seeds))
    wanted = draw(st.lists(st.sampled_from([(length, source), (batch, 1, 1, source), shape]), max_size=2))
    return [rng.random(one) < draw(st.sampled_from([0.2, 0.6])) for one in wanted]


def attentions(draw):
    batch, heads, length, source, n, m = (draw(st.integers(1, 4)) for _ in range(6))
    arrays = [numbers(draw, (batch, length, heads * n)), *(numbers(draw, (batch, source, heads * k)) for k in (n, m))]
    return [*arrays, *masked(draw, (batch, heads, length, source))], {"heads": heads, "causal": draw(st.booleans())}


def scores(draw):
    shape = tuple(draw(st.integers(1, 4)) for _ in range(4))
    return [numbers(draw, shape), *masked(draw, shape)], {"causal": draw(st.booleans())}


def softmax_of_seen(x, *masks, causal):
    """What PyTorch's layers do, but for rows that see nothing: PyTorch gives NaN there, nnkit zeros."""
    hidden = torch.ones(x.shape[-2:], dtype=torch.bool).triu(1) if causal else torch.zeros(x.shape[-2:], dtype=torch.bool)
    for mask in masks:
        hidden = hidden | torch.as_tensor(mask)
    dead = hidden.all(-1, keepdim=True)
    return torch.softmax(x.masked_fill(hidden & ~dead, -torch.inf), -1).masked_fill(dead, 0)


def attention(q, k, v, *masks, heads, causal):
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    y = softmax_of_seen(q @ k.mT / q.shape[3] ** 0.5, *masks, causal=causal) @ v  # its own function has no second derivatives
    return y.transpose(1, 2).flatten(2)


def convolutions(draw):
    channels, out, width, stride, dilation = (draw(st.integers(1, 3)) for _ in range(5))
    padding = draw(st.sampled_from([0, 2, "valid", *(["same"] if stride == 1 else [])]))
    time = draw(st.integers(0, 4)) + dilation * (width - 1) + 1
    parameters = [numbers(draw, (width, channels, out)), numbers(draw, out)][:draw(st.integers(1, 2))]
    return [numbers(draw, (draw(st.integers(1, 3)), channels, time)), *parameters], {
        "stride": stride, "padding": padding, "dilation": dilation}


def convolution(x, weight, bias=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an uneven padding costs PyTorch a copy
        return F.conv1d(x, weight.permute(2, 1, 0), bias, **options)


def in_time(draw):
    n, time = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    x = numbers(draw, (n, draw(st.integers(1, 3)), time))
    return [x, *([integers(draw, n, time + 1, 1)] if draw(st.booleans()) else [])], {}


def windows(draw):
    kernel_size, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    x = numbers(draw, (*(draw(st.integers(1, 3)) for _ in range(2)), dilation * (kernel_size - 1) + draw(st.integers(1, 4))))
    return [x], {"kernel_size": kernel_size, "stride": draw(st.none() | st.integers(1, 3)), "dilation": dilation,
                 "padding": draw(st.integers(0, kernel_size // 2))}


def largest(x, lengths=None):
    if lengths is not None:
        x = x.masked_fill(torch.arange(x.shape[2]) >= torch.as_tensor(lengths)[:, None, None], -torch.inf)
    return torch.max(x, 2).values


row("dot_product_attention", attentions, attention)
row("masked_softmax", scores, softmax_of_seen)
row("conv1d", convolutions, convolution)
row("max_over_time", in_time, largest)
row("max_pool1d", windows, F.max_pool1d)
