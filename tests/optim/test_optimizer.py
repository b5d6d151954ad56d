"""What all optimizers keep, found by introspection, and what the base class does for them."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit import RowGrad, Tensor, optim
from nnkit.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp
from nnkit.optim import optimizer as optimizer_module

EVERY = [c for c in vars(optim).values() if inspect.isclass(c) and issubclass(c, Optimizer) and c is not Optimizer]
OPTIONS = {SGD: [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
                 {"momentum": 0.5, "weight_decay": 0.1}],
           Adagrad: [{}, {"lr_decay": 0.1, "weight_decay": 0.1}, {"initial_accumulator_value": 0.5}],
           Adam: [{}, {"amsgrad": True}, {"betas": (0.5, 0.75), "weight_decay": 0.1}],
           AdamW: [{}, {"amsgrad": True, "weight_decay": 0.1}],
           RMSProp: [{}, {"centered": True}, {"momentum": 0.5}, {"centered": True, "momentum": 0.5, "weight_decay": 0.1}]}
SWITCHED_ON = {SGD: {"momentum": 0.9}, Adam: {"amsgrad": True}, AdamW: {"amsgrad": True},  # what brings new state with it
               RMSProp: {"momentum": 0.9, "centered": True}, Adagrad: {}}


def maker(kind, options):
    return pytest.param(lambda params, **more: kind(params, **{"lr": 0.05, **options, **more}), id=f"{kind.__name__}-{options}")


each_optimizer = pytest.mark.parametrize("make", [maker(kind, options) for kind in EVERY for options in OPTIONS.get(kind, [{}])])


class Counting(Optimizer):
    """Notes what it is called with."""

    def __init__(self, params, lr=0.1, eps=1e-8):
        super().__init__(params, lr=lr, eps=eps)
        self.calls = []

    def init_state(self, value):
        return {"step": 0, "total": np.zeros_like(value)}

    def update(self, value, grad, state, lr, eps):
        self.calls.append((value.shape, lr, eps))
        state["step"] += 1
        state["total"] += grad
        value -= lr * grad


def parameters(dtype=np.float32):
    rng = np.random.default_rng(0)
    return [Tensor(rng.standard_normal(shape).astype(dtype)) for shape in [(5, 3), (3,), ()]]


def grads_for(params, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(p.shape).astype(p.dtype) for p in params]


def train(optimizer, params, seeds):
    for seed in seeds:
        for p, g in zip(params, grads_for(params, seed)):
            p.grad = g
        optimizer.step()


def test_every_optimizer_is_found_and_has_its_rows_here():
    assert set(EVERY) == set(OPTIONS) == set(SWITCHED_ON) == {SGD, Adagrad, Adam, AdamW, RMSProp}


@pytest.mark.case("autograd", 18)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("lr", [0.05, np.float64(0.05)], ids=["python", "float64"])
@each_optimizer
def test_parameters_and_state_keep_their_dtype(make, dtype, lr):
    params = parameters(dtype)
    optimizer = make(params, lr=lr)
    arrays = [p.value for p in params]
    for step in range(3):
        for p, g in zip(params, grads_for(params, step)):
            p.grad = g
        params[0].grad = RowGrad(np.array([0, 2, 0]), np.ones((3, 3), dtype), (5, 3))
        optimizer.step()
    assert all(p.value is a and p.dtype == dtype for p, a in zip(params, arrays))
    assert all(s.dtype == dtype for s in optimizer.state_arrays().values() if s.ndim)


@each_optimizer
def test_a_step_walks_downhill(make):
    x = Tensor(np.array([3.0, -2.0]))
    optimizer = make([x])
    before = x.value.copy()
    for _ in range(300):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    assert (np.abs(x.value) < 0.9 * np.abs(before)).all()


@each_optimizer
def test_gradients_are_read_and_not_written(make):
    params = parameters()
    for p, g in zip(params, grads_for(params, 0)):
        g.flags.writeable = False
        p.grad = g
    optimizer = make(params)
    optimizer.step()
    optimizer.step()
    params[0].grad = RowGrad(np.array([1, 1]), np.ones((2, 3), np.float32), (5, 3))
    for array in (params[0].grad.rows, params[0].grad.values):
        array.flags.writeable = False
    optimizer.step()


@each_optimizer
def test_rows_that_are_not_named_do_not_move(make):
    table = Tensor(np.ones((5, 3)))
    optimizer = make([table])
    for _ in range(3):
        table.grad = RowGrad(np.array([1, 3, 1]), np.ones((3, 3)), (5, 3))
        optimizer.step()
    np.testing.assert_array_equal((table.value != 1).all(axis=1), [False, True, False, True, False])
    np.testing.assert_array_equal((table.value == 1).all(axis=1), [True, False, True, False, True])


@each_optimizer
def test_when_every_row_is_named_rows_and_the_dense_gradient_give_the_same(make):
    rng = np.random.default_rng(0)
    sparse, dense = (Tensor(np.ones((4, 3))) for _ in range(2))
    optimizers = make([sparse]), make([dense])
    for _ in range(10):
        grad = RowGrad(np.array([0, 1, 2, 3, 1, 1]), rng.standard_normal((6, 3)), (4, 3))
        sparse.grad, dense.grad = grad, grad.dense()
        for optimizer in optimizers:
            optimizer.step()
        np.testing.assert_allclose(sparse.value, dense.value, rtol=1e-12, atol=1e-12)


@each_optimizer
def test_many_rows_in_pieces_are_the_bits_of_all_at_once(make, monkeypatch):
    rng = np.random.default_rng(0)
    whole, pieces = (Tensor(np.ones((40, 3))) for _ in range(2))
    optimizers = {1 << 18: make([whole]), 200: make([pieces])}
    for n in (100, 0, 100):
        grad = RowGrad(rng.integers(0, 40, n), rng.standard_normal((n, 3)), (40, 3))
        for piece, optimizer in optimizers.items():
            monkeypatch.setattr(optimizer_module, "PIECE", piece)
            (p,) = optimizer.groups[0]["params"]
            p.grad = grad
            optimizer.step()
    np.testing.assert_array_equal(whole.value, pieces.value)
    one, other = (optimizer.state_arrays() for optimizer in optimizers.values())
    assert one.keys() == other.keys() and (whole.value != 1).any()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


@each_optimizer
def test_what_is_forgotten_of_other_rows_is_nothing(make):
    table, alone = Tensor(np.ones((3, 2))), Tensor(np.ones((1, 2)))
    optimizer, other = make([table]), make([alone])
    rng = np.random.default_rng(0)
    for grad in rng.standard_normal((5, 1, 2)):
        table.grad, alone.grad = RowGrad(np.array([1]), grad, (3, 2)), grad
        optimizer.step()
        other.step()
    np.testing.assert_array_equal(table.value, [[1, 1], alone.value[0], [1, 1]])
    for name, array in optimizer.state_arrays().items():
        np.testing.assert_array_equal(array[1:2] if array.ndim else array, other.state_arrays()[name])


@each_optimizer
@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([np.float32, np.float64]))
def test_state_that_is_saved_and_put_back_continues_to_the_bit(make, before, after, dtype):
    a, b = parameters(dtype), parameters(dtype)
    one, other = make(a), make(b)
    train(one, a, range(before))
    train(other, b, range(10, 12))  # what is put back stands in the place of what was there
    saved = {k: v.copy() for k, v in one.state_arrays().items()}
    other.load_state_arrays(saved)
    again = other.state_arrays()
    assert again.keys() == saved.keys()
    for name, array in saved.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
    for p, q in zip(a, b):
        q.value[...] = p.value
    train(one, a, range(before, before + after))
    train(other, b, range(before, before + after))
    for p, q in zip(a, b):
        np.testing.assert_array_equal(p.value, q.value)
    for name, array in saved.items():
        assert not np.shares_memory(array, other.state_arrays()[name])


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("kind", EVERY)
def test_what_is_switched_on_later_begins_from_zeros_and_is_saved_from_then_on(kind, rows):
    """A schedule on momentum that began at 0 was a KeyError."""
    a, b = Tensor(np.ones((5, 3))), Tensor(np.ones((5, 3)))
    one, other = kind([a], lr=0.0), kind([b], lr=0.0, **SWITCHED_ON[kind])
    assert all(name.split(".")[2] in ("step", "total", "square", "mean") for name in one.state_arrays())

    def step(grad):
        for p, optimizer in ((a, one), (b, other)):
            p.grad = RowGrad(np.array([1, 3]), grad[[1, 3]], (5, 3)) if rows else grad
            optimizer.step()

    step(np.zeros((5, 3)))  # leaves all state but step as it is
    one.set(lr=0.1, **SWITCHED_ON[kind])
    other.set(lr=0.1)
    for grad in np.random.default_rng(0).standard_normal((4, 5, 3)):
        step(grad)
    np.testing.assert_array_equal(a.value, b.value)
    assert one.state_arrays().keys() == other.state_arrays().keys()
    fresh = kind([Tensor(np.ones((5, 3)))], lr=0.1)
    saved = one.state_arrays()
    fresh.load_state_arrays(saved)
    assert fresh.state_arrays().keys() == saved.keys()
    for name, array in fresh.state_arrays().items():
        np.testing.assert_array_equal(array, saved[name])
        assert not np.shares_memory(array, saved[name])


@pytest.mark.parametrize("layout", ["C", "F"])
@each_optimizer
def test_a_large_array_takes_the_steps_that_its_rows_would_take_alone(make, layout):
    rng = np.random.default_rng(0)
    shape = (2, 50_000)  # some pieces, whose ends are within the rows
    start, grads = rng.standard_normal(shape).astype(np.float32), rng.standard_normal((3, *shape)).astype(np.float32)
    large, small = Tensor(np.asarray(start.copy(), order=layout)), [Tensor(part.copy()) for part in start.reshape(20, -1)]
    array = large.value
    one, other = make([large]), make(small)
    for grad in grads:
        large.grad = grad
        one.step()
        for p, part in zip(small, grad.reshape(20, -1)):
            p.grad = part
        other.step()
    assert large.value is array
    np.testing.assert_allclose(array, np.stack([p.value for p in small]).reshape(shape), rtol=1e-6, atol=1e-7)
    for k, s in one.state[0][0].items():
        if isinstance(s, np.ndarray):
            parts = [state[k] for state in other.state[0]]
            np.testing.assert_allclose(s, np.stack(parts).reshape(shape), rtol=1e-6, atol=1e-7)
        else:
            assert s == other.state[0][0][k]


@pytest.mark.case("autograd", 34)
@each_optimizer
def test_a_generator_of_parameters_is_trained(make):
    params = parameters()
    before = [p.value.copy() for p in params]
    optimizer = make(p for p in params)
    for _ in range(2):
        for p, g in zip(params, grads_for(params, 0)):
            p.grad = g
        optimizer.step()
    assert all((p.value != b).all() for p, b in zip(params, before))


@pytest.mark.case("autograd", 34)
@pytest.mark.parametrize("empty", [[], (), iter(()), [{"params": []}]])
@each_optimizer
def test_no_parameters_is_refused(make, empty):
    with pytest.raises(ValueError, match="no parameters"):
        make(empty)


@pytest.mark.case("autograd", 34)
@each_optimizer
def test_a_parameter_without_a_gradient_is_skipped(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad = np.ones(1, np.float32)
    optimizer.step()
    assert a.value != 1 and b.value == 1


def test_zero_grad_clears_all():
    a = Tensor([1.0])
    a.grad = np.ones(1, np.float32)
    Counting([a]).zero_grad()
    assert a.grad is None


def test_groups_have_their_own_hyper_parameters():
    a, b, c = Tensor([1.0]), Tensor([1.0, 1.0]), Tensor([[1.0]])
    for p in (a, b, c):
        p.grad = np.ones(p.shape, np.float32)
    optimizer = Counting([{"params": [a, c], "lr": 0.5}, {"params": b, "eps": 1.0}], lr=0.25)
    optimizer.step()
    assert optimizer.calls == [((1,), 0.5, 1e-8), ((1, 1), 0.5, 1e-8), ((2,), 0.25, 1.0)]


@pytest.mark.parametrize("params, error, text", [
    (lambda: [{"params": [Tensor([1.0])], "lrr": 1}], ValueError, "unknown lrr; known: lr, eps"),
    (lambda: [{"lr": 1}], ValueError, "a group has no params"),
    (lambda: [p := Tensor([1.0]), p], ValueError, "given twice"),
    (lambda: [{"params": [p := Tensor([1.0])]}, {"params": [p]}], ValueError, "given twice"),
    (lambda: [np.ones(3)], TypeError, "expected leaf Tensors"),
    (lambda: [Tensor([1.0], requires_grad=False)], TypeError, "require a gradient"),
    (lambda: [Tensor([1.0]) * 2], TypeError, "leaf"),
    (lambda: [Tensor(np.arange(3))], TypeError, "require a gradient")])
def test_mistakes_are_told_at_once(params, error, text):
    with pytest.raises(error, match=text):
        Counting(params())


def test_numbers_in_the_state_count_steps_of_rows_too():
    table = Tensor(np.zeros((4, 2)))
    optimizer = Counting([table], lr=1)
    for _ in range(2):
        table.grad = RowGrad(np.array([3, 3]), np.ones((2, 2)), (4, 2))
        optimizer.step()
    assert optimizer.state[0][0]["step"] == 2
    np.testing.assert_array_equal(optimizer.state[0][0]["total"][3], [4, 4])
    np.testing.assert_array_equal(table.value, [[0, 0], [0, 0], [0, 0], [-4, -4]])


def test_state_of_other_parameters_is_refused():
    optimizer = Counting([Tensor([1.0])])
    for arrays in ({}, Counting([Tensor([1.0, 2.0])]).state_arrays(), {**optimizer.state_arrays(), "0.1.step": np.array(1)}):
        with pytest.raises(ValueError, match="does not fit"):
            optimizer.load_state_arrays(arrays)


def test_state_that_is_refused_leaves_the_optimizer_as_it_was():
    optimizer = Counting([Tensor([1.0]), Tensor([1.0])])
    saved = {name: array + 1 for name, array in optimizer.state_arrays().items()}
    with pytest.raises(ValueError, match="does not fit"):
        optimizer.load_state_arrays({**saved, "0.1.total": np.ones(2)})
    assert not any(array.any() for array in optimizer.state_arrays().values())


def test_state_arrays_name_group_parameter_and_key():
    assert set(Counting([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])]}]).state_arrays()) == {
        "0.0.step", "0.0.total", "1.0.step", "1.0.total"}
