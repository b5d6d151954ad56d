"""Is it what PyTorch says? Every operation, module, loss and optimizer on random inputs, float64 to 1e-10.

NNKIT_EXAMPLES: how many random inputs each test tries (5; long checks take 100).
"""

import inspect
import warnings

import numpy as np
import pytest
from comparing import examples, same
from drawing import integers, loss_options, numbers, seeds, shapes
from hypothesis import given
from hypothesis import strategies as st

from nnkit import RowGrad, Tensor, default_dtype, grad, losses, nn, ops, optim

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
import torch_network  # noqa: E402, F401  # the table's second part
from torch_layers import LAYERS  # noqa: E402
from torch_operations import NO_EQUAL, TABLE  # noqa: E402


def both(inputs):
    """The inputs for nnkit and for PyTorch: Tensors where floating arrays are, which want a gradient."""
    floating = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in inputs]
    ours = [Tensor(x.copy()) if f else x for x, f in zip(inputs, floating)]
    theirs = [torch.tensor(x, requires_grad=f) if isinstance(x, np.ndarray) else x for x, f in zip(inputs, floating)]
    return ours, theirs


def dense(gradient, like):
    if gradient is None:
        return np.zeros_like(like.value)
    return gradient.dense() if isinstance(gradient, RowGrad) else gradient


def weights_like(y, seed=0):
    return np.random.default_rng(seed).standard_normal(y.shape)


def test_every_operation_is_in_the_table_or_has_no_equal():
    assert set(TABLE) | set(NO_EQUAL) == set(ops.all_operations())
    assert not set(TABLE) & set(NO_EQUAL)


@pytest.mark.parametrize("name", TABLE)
@examples
@given(st.data())
def test_value_and_gradients_of_an_operation(name, data):
    row = TABLE[name]
    inputs, attributes = row.sample(data.draw)
    ours, theirs = both(inputs)
    y, z = getattr(ops, name)(*ours, **attributes), row.torch(*theirs, **attributes)
    same(y, z, "values")
    w = weights_like(z)
    y.backward(w)
    z.backward(torch.tensor(w))
    for x, t in zip(ours, theirs):
        if isinstance(x, Tensor):
            same(dense(x.grad, x), t.grad, "gradients")


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.second])
@examples
@given(st.data())
def test_second_derivatives_of_an_operation(name, data):
    row = TABLE[name]
    inputs, attributes = row.second(data.draw)
    ours, theirs = both(inputs)
    y, z = getattr(ops, name)(*ours, **attributes), row.torch(*theirs, **attributes)
    (w,), (v,) = both([weights_like(z)])  # by what comes in, too
    leaves, others = [w, *(x for x in ours if isinstance(x, Tensor))], [v, *(t for t in theirs if getattr(t, "requires_grad", 0))]
    (y * w).sum().backward(create_graph=True)
    first = [x.grad for x in leaves]
    expected = torch.autograd.grad((z * v).sum(), others, create_graph=True, materialize_grads=True)
    total = sum(((g * weights_like(g, 1)).sum() for g in first if isinstance(g, Tensor)), Tensor(0.0) * 0.0)
    wanted = sum((g * torch.tensor(weights_like(g, 1))).sum() for g in expected)
    for x in leaves:
        x.grad = None
    total.backward(create_graph=True)
    second = torch.autograd.grad(wanted, others, materialize_grads=True)
    for x, g, e, s in zip(leaves, first, expected, second, strict=True):
        same(dense(g, x), e, "gradients with a graph")
        same(dense(x.grad, x), s, "second derivatives")


@pytest.mark.parametrize("ours, theirs", [
    (ops.exp, torch.exp), (ops.sin, torch.sin), (ops.tanh, torch.tanh), (ops.sigmoid, torch.sigmoid), (ops.erf, torch.erf),
    (ops.gelu, F.gelu), (ops.silu, F.silu), (ops.softplus, F.softplus), (ops.log_sigmoid, F.logsigmoid)],
    ids=lambda f: f.__name__)
@examples
@given(st.floats(-3, 3))
def test_derivatives_by_nesting_grad(ours, theirs, x):
    f, g, t = ours, theirs, torch.tensor(x, dtype=torch.float64, requires_grad=True)
    z = g(t)
    for _ in range(3):
        f, z = grad(f), torch.autograd.grad(z, t, create_graph=True)[0]
        same(f(np.array(x)), z, "derivatives of order 1 to 3")


# Modules

def linear(draw):
    n, m, bias = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.booleans())
    ours, theirs = nn.Linear(n, m, bias, rng=draw(seeds)), torch.nn.Linear(n, m, bias, dtype=torch.float64)
    return ours, theirs, numbers(draw, (*shapes(draw, max_dims=2), n))


def embedding(draw):
    n, d = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    padding = draw(st.none() | st.integers(-n, n - 1))
    ours = nn.Embedding(n, d, padding, draw(st.booleans()), rng=draw(seeds))
    return ours, torch.nn.Embedding(n, d, padding, dtype=torch.float64), integers(draw, shapes(draw), n)


def plain(ours, theirs):
    return lambda draw: (ours(), theirs(), numbers(draw, shapes(draw)))


def dropout(draw):
    ours, theirs = nn.Dropout(0.4), torch.nn.Dropout(0.4)
    return ours.eval(), theirs.eval(), numbers(draw, shapes(draw))


def sequential(draw):
    n, m = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    ours = nn.Sequential(nn.Linear(n, m, rng=draw(seeds)), nn.Tanh(), nn.Linear(m, 3, rng=draw(seeds)), nn.ReLU())
    theirs = torch.nn.Sequential(torch.nn.Linear(n, m), torch.nn.Tanh(), torch.nn.Linear(m, 3), torch.nn.ReLU()).double()
    return ours, theirs, numbers(draw, (draw(st.integers(0, 4)), n))


MODULES = {"Linear": linear, "Embedding": embedding, "Sequential": sequential, "Dropout": dropout,
           "ReLU": plain(nn.ReLU, torch.nn.ReLU), "Tanh": plain(nn.Tanh, torch.nn.Tanh),
           "Sigmoid": plain(nn.Sigmoid, torch.nn.Sigmoid), **LAYERS}


def test_every_module_is_in_the_table():
    found = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    # what test_recurrent_layers.py and test_attention_layers.py have
    assert set(MODULES) == found - {"Module", "RNN", "LSTM", "GRU", "MultiHeadAttention", "TransformerEncoderLayer",
                                    "TransformerDecoderLayer"}


def turned(module, value):
    """A weight as PyTorch's layer has it: the axes of Linear's and Conv1d's are the other way round there."""
    return value.T if isinstance(module, (torch.nn.Linear, torch.nn.Conv1d)) else value


@pytest.mark.parametrize("name", MODULES)
@examples
@given(st.data())
def test_a_module_with_the_same_weights(name, data):
    with default_dtype(np.float64):
        ours, theirs, x = MODULES[name](data.draw)
    owners = [module for module in theirs.modules() for _ in module.parameters(recurse=False)]
    pairs = list(zip(ours.parameters(), theirs.parameters(), owners, strict=True))
    for p, t, owner in pairs:
        t.data = torch.tensor(turned(owner, p.value).copy())
    (x,), (u,) = both([x])
    y, z = ours(x), theirs(u)
    same(y, z, "values of modules")
    if z.requires_grad:
        y.backward(weights_like(z))
        z.backward(torch.tensor(weights_like(z)))
    if isinstance(x, Tensor):
        same(dense(x.grad, x), u.grad, "gradients of modules")
    for p, t, owner in pairs:
        same(turned(owner, dense(p.grad, p)), t.grad, "gradients of modules")


# Losses

def logits(draw):
    shape = shapes(draw, min_side=1)
    scores = np.asarray(numbers(draw, shape) * draw(st.sampled_from([1, 30])))
    return [scores, numbers(draw, shape), numbers(draw, shape, "positive")]


def classes(draw):
    rows, n = shapes(draw, max_dims=2, min_side=1), draw(st.integers(1, 5))
    return [numbers(draw, (*rows, n)) * draw(st.sampled_from([1, 30])), integers(draw, rows, n)]


def by_rows(loss):
    def function(x, y, reduction, **options):
        flat = loss(x.reshape(-1, x.shape[-1]), y.reshape(-1), reduction=reduction, **options)  # PyTorch has classes second
        return flat.reshape(y.shape) if reduction == "none" else flat
    return function


def pairs(draw):
    n = draw(st.integers(1, 4))
    return [numbers(draw, (n, 3), "nonzero"), numbers(draw, (n, 3), "nonzero"), 1 - 2 * integers(draw, n, 2)]


def distributions(draw):
    """Logarithms, and what they are compared with, which is 0 here and there."""
    shape = shapes(draw, min_dims=1, min_side=1)
    return [numbers(draw, shape), np.abs(numbers(draw, shape, "halves"))]


def quiet_kl_div(p, q, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the mean PyTorch says each time that it is not what one wants
        return F.kl_div(p, q, **options)


LOSSES = {
    "cross_entropy": (classes, by_rows(F.cross_entropy)),
    "mean_squared_error": (lambda draw: logits(draw)[:2], lambda x, y, reduction: F.mse_loss(x, y, reduction=reduction)),
    "binary_cross_entropy_with_logits": (lambda draw: logits(draw)[:draw(st.integers(2, 3))], lambda x, y, w=None, *, reduction:
                                         F.binary_cross_entropy_with_logits(x, y, None if w is None else w.detach(),
                                                                            reduction=reduction)),
    "nll_loss": (classes, by_rows(F.nll_loss)),
    "multi_margin_loss": (classes, by_rows(F.multi_margin_loss)),
    "l1_loss": (lambda draw: logits(draw)[:2], F.l1_loss),
    "huber_loss": (lambda draw: logits(draw)[:2], F.huber_loss),
    "smooth_l1_loss": (lambda draw: logits(draw)[:2], F.smooth_l1_loss),
    "kl_div": (distributions, quiet_kl_div),
    "cosine_embedding_loss": (pairs, F.cosine_embedding_loss),
}
OPTIONS = {"multi_margin_loss": [{"p": 2}, {"margin": 0.5}, {"p": 2, "margin": 3.0}],
           "huber_loss": [{"delta": 0.5}, {"delta": 3.0}], "smooth_l1_loss": [{"beta": 0.5}, {"beta": 0.0}, {"beta": 3.0}],
           "cosine_embedding_loss": [{"margin": 0.3}], "kl_div": [{"log_target": True}, {"log_target": False}]}


def test_every_loss_is_in_the_table():
    public = {name for name, f in vars(losses).items()
              if inspect.isfunction(f) and getattr(inspect.signature(f).parameters.get("reduction"), "default", None) == "mean"}
    assert set(LOSSES) == public


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name, options", [(name, options) for name, given in OPTIONS.items() for options in given], ids=str)
@examples
@given(st.data())
def test_options_of_a_loss(name, options, reduction, data):
    sample, theirs = LOSSES[name]
    inputs, others = both(sample(data.draw))
    y, z = getattr(losses, name)(*inputs, reduction=reduction, **options), theirs(*others, reduction=reduction, **options)
    same(y, z, "values of losses")
    y.backward(weights_like(z))
    z.backward(torch.tensor(weights_like(z)))
    same(dense(inputs[0].grad, inputs[0]), others[0].grad, "gradients of losses")


@examples
@given(st.data())
def test_a_divergence_by_batch(data):
    (p, q), (t, u) = both(distributions(data.draw))
    same(losses.kl_div(p, q, reduction="batchmean"), F.kl_div(t, u, reduction="batchmean"), "values of losses")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
@examples
@given(st.data())
def test_a_loss_with_every_reduction_and_weights(name, reduction, data):
    sample, theirs = LOSSES[name]
    inputs, others = both(sample(data.draw))
    y, z = getattr(losses, name)(*inputs, reduction=reduction), theirs(*others, reduction=reduction)
    same(y, z, "values of losses")
    y.backward(weights_like(z))
    z.backward(torch.tensor(weights_like(z)))
    # PyTorch gives weights no gradient, and the target of kl_div NaN where it is 0
    for x, t in list(zip(inputs, others))[:1 if name == "kl_div" else 2]:
        if isinstance(x, Tensor):
            same(dense(x.grad, x), t.grad, "gradients of losses")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@examples
@given(st.data())
def test_cross_entropy_with_weights_smoothing_and_ignored_classes(reduction, data):
    x, ids = classes(data.draw)
    options = loss_options(data.draw, ids, x.shape[-1])
    (ours,), (theirs,) = both([x])
    y = losses.cross_entropy(ours, ids, reduction=reduction, **options)
    weight = None if options["weight"] is None else torch.tensor(options["weight"])
    ignored = -100 if options["ignore_index"] is None else options["ignore_index"]
    z = F.cross_entropy(theirs.reshape(-1, x.shape[-1]), torch.tensor(ids).reshape(-1), weight, ignore_index=ignored,
                        label_smoothing=options["label_smoothing"], reduction=reduction)
    z = z.reshape(ids.shape) if reduction == "none" else z
    same(y, z, "values of losses")
    y.backward(weights_like(z))
    z.backward(torch.tensor(weights_like(z)))
    same(ours.grad, theirs.grad, "gradients of losses")


# Optimizers

@pytest.mark.parametrize("sparse", [True, False])
@examples
@given(st.data())
def test_ten_steps_on_the_rows_of_a_table(sparse, data):
    draw = data.draw
    n, d = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    (table,), (theirs,) = both([numbers(draw, (n, d), "normal")])
    one, other = optim.SGD([table], lr=0.1), torch.optim.SGD([theirs], lr=0.1)
    for _ in range(10):
        ids = integers(draw, (5,), n)
        one.zero_grad()
        other.zero_grad()
        ops.sum(ops.square(ops.embedding(table, ids, sparse=sparse))).backward()
        torch.sum(torch.square(F.embedding(torch.tensor(ids), theirs))).backward()
        one.step()
        other.step()
        same(table.value, theirs, "steps of optimizers")
