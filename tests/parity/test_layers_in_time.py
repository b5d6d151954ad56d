"""What one input does not show of layers and initial values: running averages, offsets of bags, defaults, distributions."""

import inspect

import numpy as np
import pytest
from comparing import examples, same
from drawing import integers, numbers, seeds
from hypothesis import given
from hypothesis import strategies as st

from nnkit import Tensor, default_dtype, nn, ops

torch = pytest.importorskip("torch")

from torch_layers import DEFAULTS  # noqa: E402


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@examples
@given(st.data())
def test_running_averages_over_batches_and_evaluation_by_them(momentum, data):
    draw = data.draw
    n, length = draw(st.integers(1, 3)), draw(st.sampled_from([(), (2,)]))
    with default_dtype(np.float64):
        ours = nn.BatchNorm1d(n, momentum=momentum)
    theirs = torch.nn.BatchNorm1d(n, momentum=momentum, dtype=torch.float64)
    for _ in range(4):
        x = numbers(draw, (draw(st.integers(2, 4)), n, *length), "normal")
        for _ in range(2):
            same(ours(Tensor(x)), theirs(torch.tensor(x)), "values of modules")
        for name, t in theirs.named_buffers():
            same(ours.state_dict()[name], t, "running averages")
        same(ours.eval()(Tensor(x)), theirs.eval()(torch.tensor(x)), "values of modules")
        ours.train()
        theirs.train()


@examples
@given(st.data())
def test_gradients_in_evaluation(data):
    x = numbers(data.draw, (3, 2), "normal")
    with default_dtype(np.float64):
        ours = nn.BatchNorm1d(2).eval()
    theirs = torch.nn.BatchNorm1d(2, dtype=torch.float64).eval()
    ours.running_var.value[...] = [0.5, 3]
    theirs.running_var[...] = torch.tensor([0.5, 3])
    u, t = Tensor(x), torch.tensor(x, requires_grad=True)
    ops.sum(ops.square(ours(u))).backward()
    torch.sum(theirs(t) ** 2).backward()
    same(u.grad, t.grad, "gradients of modules")
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(p.grad, q.grad, "gradients of modules")


@examples
@given(st.data())
def test_bags_by_offsets_with_weights_and_padding(data):
    draw = data.draw
    n, count = draw(st.integers(2, 5)), draw(st.integers(1, 6))
    mode, last = draw(st.sampled_from(["sum", "mean"])), draw(st.booleans())
    padding = draw(st.none() | st.integers(0, n - 1))
    offsets = np.array([0, *np.sort(integers(draw, draw(st.integers(0, 3)), count)), *[count] * last])
    with default_dtype(np.float64):
        ours = nn.EmbeddingBag(n, 3, mode, include_last_offset=last, padding_idx=padding, rng=draw(seeds))
    theirs = torch.nn.EmbeddingBag(n, 3, mode=mode, include_last_offset=last, padding_idx=padding, dtype=torch.float64)
    theirs.weight.data = torch.tensor(ours.weight.value.copy())
    ids, weights = integers(draw, count, n), numbers(draw, count, "normal") if mode == "sum" else None
    w, v = (None, None) if weights is None else (Tensor(weights), torch.tensor(weights, requires_grad=True))
    y, z = ours(ids, offsets, w), theirs(torch.tensor(ids), torch.tensor(offsets), v)
    same(y, z, "values of modules")
    ops.sum(ops.square(y)).backward()
    torch.sum(z ** 2).backward()
    same(ours.weight.grad.dense(), theirs.weight.grad, "gradients of modules")
    if w is not None:
        # PyTorch gives the weight of a padding row the gradient it would have if the row counted; it does not count
        counted = ids != padding
        np.testing.assert_allclose(w.grad[counted], v.grad.numpy()[counted], rtol=1e-10, atol=1e-12)
        assert not w.grad[~counted].any()


OTHER_DEFAULTS = {("Softmax", "dim"): "PyTorch's None is an axis that depends on the shape, with a warning",
                  ("LogSoftmax", "dim"): "as of Softmax",
                  ("EmbeddingBag", "sparse"): "as of Embedding: a RowGrad unless told otherwise"}
LEFT_OUT = {"inplace", "device", "dtype", "threshold", "args", "kwargs", "max_norm", "norm_type", "scale_grad_by_freq", "_weight",
            "_freeze", "groups", "padding_mode", "return_indices",
            "ceil_mode"}


@pytest.mark.parametrize("name", DEFAULTS)
def test_options_and_their_defaults_are_pytorchs(name):
    theirs = {n: p.default for n, p in inspect.signature(DEFAULTS[name]).parameters.items() if n not in LEFT_OUT}
    ours = {n: p.default for n, p in inspect.signature(getattr(nn, name)).parameters.items() if n not in {"rng", *LEFT_OUT}}
    assert set(ours) == set(theirs)
    assert {n for n in ours if ours[n] != theirs[n]} == {n for layer, n in OTHER_DEFAULTS if layer == name}


def ours_and_theirs():
    init = torch.nn.init
    yield nn.init.xavier_uniform, init.xavier_uniform_, {"gain": 1.5}
    yield nn.init.xavier_normal, init.xavier_normal_, {"gain": 1.5}
    for mode in ("fan_in", "fan_out"):
        yield nn.init.kaiming_uniform, init.kaiming_uniform_, {"a": 0.5, "mode": mode}
        yield nn.init.kaiming_normal, init.kaiming_normal_, {"mode": mode, "nonlinearity": "relu"}
    yield nn.init.orthogonal, init.orthogonal_, {"gain": 2.0}


@pytest.mark.parametrize("ours, theirs, options", list(ours_and_theirs()), ids=lambda f: getattr(f, "__name__", str(f)))
def test_initial_values_are_distributed_as_pytorchs(ours, theirs, options):
    one, other = ours((300, 100), rng=0, **options).value, torch.empty(100, 300)
    theirs(other, generator=torch.Generator().manual_seed(0), **options)
    assert one.std() == pytest.approx(float(other.std()), rel=0.02) and abs(one.mean()) < 0.002
    tails = [np.quantile(np.abs(x), [0.5, 0.9, 1.0]) for x in (one, other.numpy())]
    np.testing.assert_allclose(tails[0][:2], tails[1][:2], rtol=0.04)
    if "uniform" in ours.__name__:  # the bound is reached
        assert tails[0][2] == pytest.approx(tails[1][2], rel=0.001)


@pytest.mark.parametrize("name, param", [("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None),
                                         ("leaky_relu", None), ("leaky_relu", 0.3)])
def test_gains_are_pytorchs(name, param):
    assert nn.init.calculate_gain(name, param) == pytest.approx(torch.nn.init.calculate_gain(name, param), rel=1e-15)
