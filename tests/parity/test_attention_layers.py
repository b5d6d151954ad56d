"""Are MultiHeadAttention and the Transformer's layers what PyTorch's are? All options and masks, float64 to 1e-10."""

import inspect

import numpy as np
import pytest
from comparing import examples, same
from drawing import numbers, seeds
from hypothesis import given
from hypothesis import strategies as st

from nnkit import Tensor, default_dtype, nn

torch = pytest.importorskip("torch")

NAMES = {"MultiHeadAttention": "MultiheadAttention", "TransformerEncoderLayer": "TransformerEncoderLayer",
         "TransformerDecoderLayer": "TransformerDecoderLayer"}  # ours: PyTorch's
LEFT_OUT = {"rng", "device", "dtype", "add_bias_kv", "add_zero_attn", "kdim", "vdim"}
OTHER_DEFAULTS = {("TransformerEncoderLayer", "activation"), ("TransformerDecoderLayer", "activation")}  # a function there


@pytest.mark.parametrize("name", NAMES)
def test_options_and_their_defaults_are_pytorchs(name):
    ours, theirs = ({n: p.default for n, p in inspect.signature(c).parameters.items() if n not in LEFT_OUT}
                    for c in (getattr(nn, name), getattr(torch.nn, NAMES[name])))
    assert list(ours) == list(theirs)
    assert {n for n in ours if ours[n] != theirs[n]} == {n for layer, n in OTHER_DEFAULTS if layer == name}


@pytest.mark.parametrize("name", NAMES)
def test_inputs_have_pytorchs_names_in_its_order(name):
    ours, theirs = (list(inspect.signature(c.forward).parameters) for c in (getattr(nn, name), getattr(torch.nn, NAMES[name])))
    assert ours == theirs


def pair(draw, name, heads):
    """The same layer twice, with the same weights: PyTorch's are ours transposed, under our names in our order."""
    size = heads * draw(st.integers(1, 3))
    options = {"dropout": 0.0, "bias": draw(st.booleans()), "batch_first": draw(st.booleans())}
    sizes = size, heads
    if name != "MultiHeadAttention":
        options |= {"norm_first": draw(st.booleans()), "activation": draw(st.sampled_from(["relu", "gelu"])),
                    "layer_norm_eps": draw(st.sampled_from([1e-5, 0.1]))}
        sizes += (draw(st.integers(1, 5)),)
    with default_dtype(np.float64):
        ours = getattr(nn, name)(*sizes, **options, rng=draw(seeds))
    theirs = getattr(torch.nn, NAMES[name])(*sizes, **options, dtype=torch.float64)
    for (one, p), (other, t) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert one == other
        p.value[...] = np.random.default_rng(draw(seeds)).standard_normal(p.shape)  # biases and norms start at 0 and 1
        t.data = torch.tensor(p.value.T.copy())
    return ours, theirs, size, options["batch_first"]


def mask(draw, *shape):
    """Some places hidden, but the first never: PyTorch gives NaN where nothing is seen."""
    hidden = np.random.default_rng(draw(seeds)).random(shape) < 0.5
    hidden[..., 0] = False
    return hidden


def compare(ours, theirs, results, leaves):
    total = wanted = 0
    for i, (a, b) in enumerate(results):
        same(a, b, "values of attention layers")
        weights = np.random.default_rng(i).standard_normal(a.shape)
        total, wanted = total + (a * weights).sum(), wanted + (b * torch.tensor(weights)).sum()
    total.backward()
    wanted.backward()
    for x, u in leaves:
        same(x.grad, u.grad, "gradients of attention layers")
    for p, t in zip(ours.parameters(), theirs.parameters()):
        same(p.grad.T, t.grad, "gradients of attention layers")


def sequences(draw, batch, batch_first, size, *lengths):
    arrays = [numbers(draw, (n, size) if batch is None else (batch, n, size) if batch_first else (n, batch, size), "normal")
              for n in lengths]
    return [Tensor(a.copy()) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]


def given_masks(draw, kinds):
    """Those of the masks that are drawn, for nnkit and for PyTorch: name → shape."""
    found = {name: mask(draw, *shape) for name, shape in kinds.items() if draw(st.booleans())}
    return found, {name: torch.tensor(m) for name, m in found.items()}


@examples
@given(st.data())
def test_attention(data):
    draw = data.draw
    heads, batch = draw(st.integers(1, 3)), draw(st.sampled_from([None, 1, 2, 3]))
    ours, theirs, size, batch_first = pair(draw, "MultiHeadAttention", heads)
    length, source = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    xs, us = sequences(draw, batch, batch_first, size, length, source, source)
    per_head = draw(st.booleans())
    masks, others = given_masks(draw, {
        "attn_mask": (heads * (batch or 1), length, source) if per_head else (length, source),
        "key_padding_mask": (source,) if batch is None else (batch, source)})
    need, mean = draw(st.booleans()), draw(st.booleans())
    y, z = (layer(*inputs, need_weights=need, average_attn_weights=mean, **options)
            for layer, inputs, options in ((ours, xs, masks), (theirs, us, others)))
    assert (y[1] is None) == (z[1] is None) == (not need)
    compare(ours, theirs, [(a, b) for a, b in zip(y, z) if a is not None], zip(xs, us))


@pytest.mark.parametrize("name", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
@examples
@given(st.data())
def test_layers_of_a_transformer(name, data):
    draw = data.draw
    batch, length, source = draw(st.sampled_from([None, 1, 3])), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    ours, theirs, size, batch_first = pair(draw, name, draw(st.integers(1, 3)))
    front = () if batch is None else (batch,)
    if name == "TransformerEncoderLayer":
        xs, us = sequences(draw, batch, batch_first, size, length)
        masks, others = given_masks(draw, {"src_mask": (length, length), "src_key_padding_mask": (*front, length)})
    else:
        xs, us = sequences(draw, batch, batch_first, size, length, source)
        masks, others = given_masks(draw, {"tgt_mask": (length, length), "memory_mask": (length, source),
                                           "tgt_key_padding_mask": (*front, length),
                                           "memory_key_padding_mask": (*front, source)})
    compare(ours, theirs, [(ours(*xs, **masks), theirs(*us, **others))], zip(xs, us))


@examples
@given(st.data())
def test_causal_attention(data):
    draw = data.draw
    ours, theirs, size, batch_first = pair(draw, "TransformerDecoderLayer", 2)
    length = draw(st.integers(1, 5))
    xs, us = sequences(draw, 2, batch_first, size, length, 3)
    above = torch.nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)
    y, z = ours(*xs, tgt_is_causal=True), theirs(*us, tgt_mask=above, tgt_is_causal=True)
    compare(ours, theirs, [(y, z)], zip(xs, us))
    with torch.no_grad():
        same(ours(*xs, tgt_mask=above.numpy() != 0), z, "values of attention layers")
