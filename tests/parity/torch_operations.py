"""The table: every operation, how its inputs are drawn, and the same in PyTorch; here those of arrays, in torch_network.py
those of networks.

Where nnkit deviates on purpose the row says so. A new operation needs a row here, or one in NO_EQUAL with the reason.
"""

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
