"""What all optimizers keep, found by introspection, and what the base class does for them."""

import inspect

import numpy as np
import pytest

from nnkit import RowGrad, Tensor, optim
from nnkit.optim import SGD, Optimizer

EVERY = [c for c in vars(optim).values() if inspect.isclass(c) and issubclass(c, Optimizer) and c is not Optimizer]
OPTIONS = {SGD: [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
                 {"momentum": 0.5, "weight_decay": 0.1}]}


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


def test_there_is_an_optimizer():
    assert SGD in EVERY


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
    for _ in range(300):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    assert np.abs(x.value).max() < 0.5


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
def test_state_that_is_saved_and_put_back_continues_to_the_bit(make):
    a, b = parameters(), parameters()
    one, other = make(a), make(b)

    def step(optimizer, params, seed):
        for p, g in zip(params, grads_for(params, seed)):
            p.grad = g
        optimizer.step()

    for seed in range(3):
        step(one, a, seed)
    other.load_state_arrays({k: v.copy() for k, v in one.state_arrays().items()})
    for p, q in zip(a, b):
        q.value[...] = p.value
    for seed in range(3, 6):
        step(one, a, seed)
        step(other, b, seed)
    for p, q in zip(a, b):
        np.testing.assert_array_equal(p.value, q.value)


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


def test_the_learning_rate_is_read_and_set_as_one():
    optimizer = Counting([{"params": [Tensor([1.0])], "lr": 0.5}, {"params": [Tensor([1.0])]}])
    assert optimizer.lr == 0.5
    optimizer.lr = 0.125
    assert [group["lr"] for group in optimizer.groups] == [0.125, 0.125]


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


def test_state_arrays_name_group_parameter_and_key():
    assert set(Counting([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])]}]).state_arrays()) == {
        "0.0.step", "0.0.total", "1.0.step", "1.0.total"}
