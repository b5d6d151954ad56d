"""The table: every operation, how its inputs are drawn, and the same in PyTorch.

Where nnkit deviates on purpose the row says so. A new operation needs a row here, or one in NO_EQUAL with the reason.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import drawing
import numpy as np
import torch
import torch.nn.functional as F
from drawing import integers, numbers, one, reduction, two
from hypothesis import strategies as st


@dataclass(frozen=True)
class Row:
    sample: Callable            # draw → (inputs, attributes)
    torch: Callable             # (*inputs, **attributes) → a torch.Tensor
    second: Callable | None     # the same draw for second derivatives, None where PyTorch has none


NO_EQUAL = {"dropout": "it draws from NumPy's generator; tests/ops compares it with its own mask"}
TABLE: dict[str, Row] = {}
SAME = object()


def row(name, sample, function, second=SAME):
    TABLE[name] = Row(sample, function, sample if second is SAME else second)


def dims(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def key_of(key):
    """A key with torch's arrays of indices."""
    if isinstance(key, tuple):
        return tuple(key_of(part) for part in key)
    return torch.as_tensor(key) if isinstance(key, np.ndarray) else key


# Elementwise. Zeros and ties are drawn too: what happens at a kink is PyTorch's choice everywhere.
row("add", two(), torch.add)
row("subtract", two(), torch.subtract)
row("multiply", two(), torch.multiply)
row("divide", two(second="nonzero"), torch.divide)
row("negative", one(), torch.negative)
row("absolute", one(), torch.abs)
row("sign", one(), torch.sign)
row("exp", one(), torch.exp)
row("expm1", one(), torch.expm1)
row("log", one("positive"), torch.log)
row("log1p", one("positive"), torch.log1p)
row("sqrt", one("positive"), torch.sqrt)
row("square", one(), torch.square)
row("sin", one(), torch.sin)
row("cos", one(), torch.cos)
row("tanh", one(), torch.tanh)
row("erf", one(), torch.erf)
row("erfc", one(), torch.erfc)
row("sigmoid", one(), torch.sigmoid)
row("relu", one(), torch.relu)
row("leaky_relu", one(negative_slope=[0.01, 0.3]), F.leaky_relu)
# elu has no second derivative at 0: nnkit takes half of the left one, PyTorch 0
row("elu", one(alpha=[1.0, 0.5]), F.elu, second=one("nonzero", alpha=[1.0, 0.5]))
row("gelu", one(approximate=["none", "tanh"]), F.gelu)
row("silu", one(), F.silu)
row("log_sigmoid", one(), F.logsigmoid)
# PyTorch cuts softplus to x where beta x > 20, nnkit never does: without a threshold they are the same
row("softplus", one(beta=[1.0, 2.5]), lambda x, beta: F.softplus(x, beta=beta, threshold=500))
row("maximum", two(), lambda a, b: torch.maximum(*tensors(a, b)))     # equal ones get half each, on both sides
row("minimum", two(), lambda a, b: torch.minimum(*tensors(a, b)))


def tensors(*inputs):
    return [torch.as_tensor(x, dtype=torch.float64) for x in inputs]


def powers(draw):
    if draw(st.booleans()):  # a number as exponent: the base may have any sign, and be 0 where that has a derivative
        exponent = draw(st.sampled_from([0, 1, 2, 3, 2.0, -1, -2]))
        return [numbers(draw, drawing.shapes(draw), "any" if exponent >= 0 else "nonzero"), exponent], {}
    return two("positive", "any")(draw)


# d²(a ** b) / da db at b = 0 is 1 / a in nnkit, as it should be; PyTorch has 0 there
row("power", powers, lambda a, b: torch.pow(a, b), second=two("positive", "nonzero"))


def clips(draw):
    x, low, high = numbers(draw, drawing.shapes(draw)), draw(st.sampled_from([None, -1.0])), draw(st.sampled_from([0.5, 1.0]))
    if draw(st.booleans()) and x.ndim:
        high = numbers(draw, x.shape[-1:], "positive")
    return [x], {"min": low, "max": high}


# With an array as one bound, PyTorch wants arrays as both
row("clip", clips, lambda x, min, max: torch.clamp(x, *(None if bound is None else torch.as_tensor(bound, dtype=torch.float64)
                                                        for bound in (min, max))))


def branches(draw):
    (a, b), _ = two()(draw)
    condition = np.asarray(np.random.default_rng(draw(drawing.seeds)).random(np.broadcast_shapes(np.shape(a), np.shape(b))) < 0.5)
    return [condition, a, b], {}


row("where", branches, lambda condition, a, b: torch.where(condition, *tensors(a, b)))

# Reductions. axis=() reduces nothing, as in NumPy; in PyTorch it reduces all: it is not drawn.
row("sum", reduction(empty=True), lambda x, axis, keepdims: torch.sum(x, dims(x, axis), keepdim=keepdims))
row("mean", reduction(), lambda x, axis, keepdims: torch.mean(x, dims(x, axis), keepdim=keepdims))
row("var", reduction(at_least=2, correction=[0, 1]),
    lambda x, axis, keepdims, correction: torch.var(x, dims(x, axis), keepdim=keepdims, correction=correction))
row("norm", reduction("normal", empty=True),
    lambda x, axis, keepdims: torch.linalg.vector_norm(x, dim=dims(x, axis), keepdim=keepdims))
# equal extremes share the gradient equally: PyTorch's amax and amin, not its max and min, which choose one
row("max", reduction(), lambda x, axis, keepdims: torch.amax(x, dims(x, axis), keepdim=keepdims))
row("min", reduction(), lambda x, axis, keepdims: torch.amin(x, dims(x, axis), keepdim=keepdims))
row("logsumexp", reduction(), lambda x, axis, keepdims: torch.logsumexp(x, dims(x, axis), keepdim=keepdims))


def over_axis(function):
    """PyTorch's function of one axis; None is all of them."""
    def over(x, axis):
        return function(x.reshape(-1), 0).reshape(x.shape) if axis is None else function(x, axis)
    return over


def prod(x, axis, keepdims):
    for a in range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis:  # PyTorch's takes one
        x = torch.prod(x, a, keepdim=True)
    return x if keepdims else x.reshape([n for a, n in enumerate(x.shape) if axis is not None and a not in
                                         [b % x.ndim for b in np.atleast_1d(axis)]])


row("softmax", reduction(keepdims=False, tuples=False), over_axis(torch.softmax))
row("log_softmax", reduction(keepdims=False, tuples=False), over_axis(torch.log_softmax))
row("prod", reduction(empty=True), prod)


def cumsum(x, axis):
    return torch.cumsum(x.reshape(-1), 0) if axis is None else torch.cumsum(x, axis)


row("cumsum", reduction(keepdims=False, tuples=False, empty=True), cumsum)

# Shaping
row("reshape", drawing.reshapes, lambda x, shape: torch.reshape(x, shape))
row("transpose", drawing.transposes, lambda x, axes: torch.permute(x, tuple(range(x.ndim))[::-1] if axes is None else axes))
row("swapaxes", drawing.swaps, lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2))
row("expand_dims", drawing.expands, lambda x, axis: torch.unsqueeze(x, axis))
row("squeeze", drawing.squeezes, lambda x, axis: torch.squeeze(x) if axis is None else torch.squeeze(x, axis))
row("broadcast_to", drawing.broadcasts, lambda x, shape: torch.broadcast_to(x, shape))
row("concatenate", drawing.joined(0), lambda *arrays, axis: torch.cat(arrays, axis))
row("stack", drawing.joined(1), lambda *arrays, axis: torch.stack(arrays, axis))
row("pad", drawing.pads, lambda x, pad_width, constant_values:
    F.pad(x, [n for pair in pad_width[::-1] for n in pair], value=constant_values))
row("flip", drawing.flips, lambda x, axis: torch.flip(x, [axis] if isinstance(axis, int) else dims(x, axis)))


def lookups(draw):
    shape = drawing.shapes(draw)
    return [numbers(draw, shape)], {"key": drawing.keys(draw, shape)}


def scatters(draw):
    shape = drawing.shapes(draw, min_dims=1, min_side=1)
    key = integers(draw, draw(st.integers(0, 5)), shape[0], -shape[0])
    return [numbers(draw, (*key.shape, *shape[1:]))], {"key": key, "shape": shape}


row("getitem", lookups, lambda x, key: x[key_of(key)])
row("scatter", scatters, lambda x, key, shape:
    torch.zeros(shape, dtype=x.dtype).index_put((key_of(key),), x, accumulate=True))


# Products
def dots(draw):
    arrays, _ = drawing.products(draw)
    if draw(st.integers(0, 4)) == 0:
        arrays[draw(st.integers(0, 1))] = numbers(draw, ())
    return arrays, {}


EINSUMS = ["ij,jk->ik", "ij,jk", "i,i", "i,j->ij", "ij->ji", "ji", "ij->", "ij->j", "ii->i", "ii", "iij->j", "ii,i->i",
           "ij,ij->", "ij,k->i", "bij,bjk->bik", "bi,ij,bj->b", "ij,jk,kl->il", "...ij,...jk->...ik", "...i->...", "i...->...i"]


def einsums(draw):
    subscripts = draw(st.sampled_from(EINSUMS))
    lengths = {letter: draw(st.integers(0, 3)) for letter in "bijkl"}
    before = draw(drawing.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    operands = []
    for i, part in enumerate(subscripts.split("->")[0].split(",")):
        sides = [lengths[c] for c in part if c != "."]
        at = part.find("...")
        operands.append(numbers(draw, tuple(sides) if at < 0 else (*sides[:at], *before[i], *sides[at:])))
    return operands, {"subscripts": subscripts}


def affine(draw):
    n, m = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    arrays = [numbers(draw, (*drawing.shapes(draw, max_dims=2), n)), numbers(draw, (n, m)), numbers(draw, (m,))]
    return arrays[:draw(st.integers(2, 3))], {}


def dot(a, b):
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return torch.tensordot(a, b, dims=([-1], [max(0, b.ndim - 2)]))


row("matmul", drawing.products, torch.matmul)
row("dot", dots, dot)
row("outer", lambda draw: ([numbers(draw, drawing.shapes(draw, max_dims=2)) for _ in range(2)], {}),
    lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)))
row("einsum", einsums, lambda *operands, subscripts: torch.einsum(subscripts, *operands))
row("linear", affine, lambda x, weight, bias=None: F.linear(x, weight.T, bias))


# Lookup
def tables(draw):
    n_rows = draw(st.integers(1, 6))
    ids = integers(draw, drawing.shapes(draw), n_rows)
    padding = draw(st.none() | st.integers(0, n_rows - 1))
    return [numbers(draw, (n_rows, draw(st.integers(1, 4)))), ids], {"padding": padding, "sparse": draw(st.booleans())}


def bags(draw):
    n_rows, n_bags = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    mode = draw(st.sampled_from(["sum", "mean"]))
    given = {"mode": mode, "sparse": draw(st.booleans())}
    if draw(st.booleans()):
        offsets = np.sort(np.append(integers(draw, n_bags - 1, 7), 0))
        shape, given = (7,), {**given, "offsets": offsets}
    else:
        shape = (n_bags, draw(st.integers(0, 4)))
        given |= {"lengths": integers(draw, n_bags, shape[1] + 1)} if draw(st.booleans()) else {}
    arrays = [numbers(draw, (n_rows, draw(st.integers(1, 4)))), integers(draw, shape, n_rows)]
    if mode == "sum" and draw(st.booleans()):  # PyTorch has no weights for the mean
        arrays.append(numbers(draw, shape))
    return arrays, given


def bag(table, ids, weights=None, *, offsets=None, lengths=None, mode, sparse):
    if offsets is None:  # PyTorch has no lengths: it takes what counts, flat
        lengths = np.full(len(ids), ids.shape[1]) if lengths is None else lengths
        counts = torch.arange(ids.shape[1]) < torch.as_tensor(lengths)[:, None]
        ids, weights = ids[counts], None if weights is None else weights[counts]
        offsets = np.cumsum(lengths) - lengths
    return F.embedding_bag(ids, table, torch.as_tensor(offsets), mode=mode, per_sample_weights=weights)


row("embedding", tables, lambda table, ids, padding, sparse:
    F.embedding(ids, table, padding_idx=padding) if ids.numel() else table[ids])  # PyTorch's second derivative needs an id
row("embedding_bag", bags, bag, second=None)


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
