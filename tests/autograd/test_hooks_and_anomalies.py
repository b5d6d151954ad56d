"""Hooks on gradients, retain_graph, values changed behind backward's back, and the mode that finds the first NaN."""

from contextlib import nullcontext

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, losses, nn, ops, optim


def test_a_hook_on_a_leaf_sees_the_sum_over_all_paths():
    x, seen = Tensor([1.0, 2.0]), []
    x.register_hook(lambda grad: seen.append(grad.copy()))
    ops.sum(x * 2 + x * 3).backward()
    np.testing.assert_array_equal(seen, [[5, 5]])


def test_what_a_hook_returns_takes_the_gradients_place_on_the_way_too():
    x = Tensor([1.0, 2.0])
    y = x * 3
    y.register_hook(lambda grad: grad * 10)
    ops.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [30, 30])


def test_a_removed_hook_is_not_called():
    x = Tensor([1.0])
    x.register_hook(lambda grad: grad * 0).remove()
    ops.sum(x).backward()
    assert x.grad[0] == 1


def test_a_hook_sees_the_dense_gradient_of_a_table():
    table, seen = Tensor(np.ones((4, 2), np.float32)), []
    table.register_hook(lambda grad: seen.append(grad.shape))
    ops.sum(ops.embedding(table, np.array([1, 1]))).backward()
    assert seen == [(4, 2)]


def test_a_hook_that_returns_another_shape_is_an_error():
    x = Tensor([1.0, 2.0])
    x.register_hook(lambda grad: grad[:1])
    with pytest.raises(ValueError, match=r"hook .* shape \(1,\)"):
        ops.sum(x).backward()


def test_without_retain_graph_a_second_backward_is_an_error_that_names_the_operation():
    loss = ops.sum(Tensor([1.0]) * 2)
    loss.backward(retain_graph=False)
    with pytest.raises(RuntimeError, match="sum: a second backward"):
        loss.backward()


@pytest.mark.case("autograd", 12)
def test_a_step_between_forward_and_backward_is_found():
    layer = nn.Linear(2, 2, rng=0)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    x = np.ones((3, 2), np.float32)
    late = ops.sum(layer(x))
    ops.sum(layer(x)).backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"linear: the value of input 1.*was changed after it was used"):
        late.backward()


@pytest.mark.case("autograd", 12)
def test_loading_a_state_between_forward_and_backward_is_found():
    layer = nn.Linear(2, 2, rng=0)
    late = ops.sum(layer(np.ones((3, 2), np.float32)))
    layer.load_state_dict(nn.Linear(2, 2, rng=1).state_dict())
    with pytest.raises(RuntimeError, match="was changed after it was used"):
        late.backward()


@pytest.mark.case("autograd", 12)
def test_any_change_of_a_value_is_found_in_anomaly_mode():
    x = Tensor([1.0, 2.0])
    with nnkit.detect_anomaly():
        y = ops.sum(ops.square(x))
        x.value[0] = 5
        with pytest.raises(nnkit.AnomalyError, match="square: the value of input 0"):
            y.backward()


@pytest.mark.case("autograd", 12)
@pytest.mark.parametrize("write, said", [
    (lambda x, y, ids: y.value.__iadd__(1), r"(tanh: its result|sum in Last: the value of input 0), .*op=tanh"),
    (lambda x, y, ids: x.value.__imul__(2), "embedding in First: the value of input 0"),
    (lambda x, y, ids: ids.__iadd__(1), r"embedding in First: the value of input 1, an array of shape \(2,\)")],
    ids=["a result", "a parameter", "a constant"])
def test_what_is_written_into_after_it_was_used_is_named_with_its_operation_and_its_layer(write, said):
    class First(nn.Module):
        def __init__(self):
            self.table = Tensor(np.ones((4, 2), np.float32))

        def forward(self, ids):
            return ops.embedding(self.table, ids)

    class Last(nn.Module):
        def forward(self, y):
            return ops.sum(y)

    first, ids = First(), np.array([0, 1])
    for written in (False, True):
        with nnkit.detect_anomaly():
            y = ops.tanh(first(ids))
            loss = Last()(y)
            if not written:
                loss.backward()
                continue
            write(first.table, y, ids)
            with pytest.raises(nnkit.AnomalyError, match=said + ".* was changed in place between forward and backward"):
                loss.backward()


@pytest.mark.parametrize("use, is_read", [(lambda x, mean: x - mean, False), (lambda x, mean: x * mean, True)])
def test_a_buffer_may_be_written_into_after_an_operation_whose_backward_does_not_read_it(use, is_read):
    x, mean = Tensor([1.0, 2.0]), Tensor([3.0, 4.0], requires_grad=False)
    with nnkit.detect_anomaly():
        loss = use(x, mean).sum()
        mean.value *= 0.9
        with pytest.raises(nnkit.AnomalyError, match="the value of input 1") if is_read else nullcontext():
            loss.backward()


def test_anomaly_mode_names_the_operation_that_first_made_a_nan():
    x = Tensor([-1.0, 2.0])
    with np.errstate(invalid="ignore"), nnkit.detect_anomaly():
        with pytest.raises(nnkit.AnomalyError, match="log: forward made a NaN"):
            ops.exp(ops.log(x))


def test_anomaly_mode_names_the_operation_whose_backward_made_a_nan():
    x = Tensor([0.0])
    with np.errstate(all="ignore"), nnkit.detect_anomaly():
        y = ops.sum(ops.sqrt(x) * 0)
        with pytest.raises(nnkit.AnomalyError, match="sqrt: backward made a NaN"):
            y.backward()


def test_after_anomaly_mode_nothing_is_checked():
    with nnkit.detect_anomaly():
        pass
    with np.errstate(invalid="ignore"):
        assert np.isnan(ops.log(Tensor([-1.0])).value).all()


def test_gradient_memory_that_a_user_holds_is_never_written_again():
    layer = nn.Linear(50, 50, rng=0)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    x = np.random.default_rng(0).random((4, 50), dtype=np.float32)

    def step():
        loss = losses.mean_squared_error(layer(x), np.zeros((4, 50), np.float32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()
    held, view = layer.weight.grad, layer.bias.grad[:3]
    before = held.copy(), view.copy()
    step()
    step()
    np.testing.assert_array_equal(held, before[0])
    np.testing.assert_array_equal(view, before[1])


def test_gradient_memory_that_nobody_holds_is_used_again():
    layer = nn.Linear(50, 50, rng=0)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    places = set()
    for _ in range(5):
        loss = ops.sum(layer(np.ones((4, 50), np.float32)))
        optimizer.zero_grad()
        loss.backward()
        places.add(layer.weight.grad.ctypes.data)
    assert len(places) == 1
