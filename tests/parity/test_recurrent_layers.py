"""Are RNN, LSTM and GRU what PyTorch's are? All options, packed sequences against `lengths`, float64 to 1e-10."""

import numpy as np
import pytest
from comparing import examples, same
from drawing import integers, numbers, seeds
from hypothesis import given
from hypothesis import strategies as st

from nnkit import Tensor, default_dtype, nn

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402


def pair(draw, kind):
    """The same layer twice, with the same weights: PyTorch's are ours transposed, under our names in our order."""
    options = {"num_layers": draw(st.integers(1, 3)), "bias": draw(st.booleans()), "batch_first": draw(st.booleans()),
               "bidirectional": draw(st.booleans())}
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    sizes = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    with default_dtype(np.float64):
        ours = getattr(nn, kind)(*sizes, **options, rng=draw(seeds))
    theirs = getattr(torch.nn, kind)(*sizes, **options, dtype=torch.float64)
    for (name, p), (other, t) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        t.data = torch.tensor(p.value.T.copy())
    return ours, theirs


def in_a_tuple(last):
    return last if isinstance(last, tuple) else (last,)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@examples
@given(st.data())
def test_outputs_last_states_and_gradients(kind, data):
    draw = data.draw
    ours, theirs = pair(draw, kind)
    length, batch = draw(st.integers(1, 5)), draw(st.sampled_from([None, 1, 2, 4]))
    shape = (length,) if batch is None else (batch, length) if ours.batch_first else (length, batch)
    arrays = [numbers(draw, (*shape, ours.input_size), "normal")]
    if draw(st.booleans()):
        count = ours.num_layers * (1 + ours.bidirectional)
        state = (count, ours.hidden_size) if batch is None else (count, batch, ours.hidden_size)
        arrays += [numbers(draw, state, "normal") for _ in range(2 if kind == "LSTM" else 1)]
    lengths = integers(draw, batch, length + 1, 1) if batch and draw(st.booleans()) else None
    xs, us = [Tensor(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    hx, theirs_hx = (None if len(part) == 1 else part[1] if len(part) == 2 else tuple(part[1:]) for part in (xs, us))
    y, last = ours(xs[0], hx, lengths)
    if lengths is None:
        z, other = theirs(us[0], theirs_hx)
    else:
        packed = pack_padded_sequence(us[0], torch.tensor(lengths), ours.batch_first, enforce_sorted=False)
        z, other = theirs(packed, theirs_hx)
        z, _ = pad_packed_sequence(z, ours.batch_first, total_length=length)
    results = list(zip((y, *in_a_tuple(last)), (z, *in_a_tuple(other)), strict=True))
    total = wanted = 0
    for i, (a, b) in enumerate(results):
        same(a, b, "values of recurrent layers")
        weights = np.random.default_rng(i).standard_normal(a.shape)
        total, wanted = total + (a * weights).sum(), wanted + (b * torch.tensor(weights)).sum()
    total.backward()
    wanted.backward()
    for x, u in zip(xs, us):
        same(x.grad, u.grad, "gradients of recurrent layers")
    for p, t in zip(ours.parameters(), theirs.parameters()):
        same(p.grad.T, t.grad, "gradients of recurrent layers")
