"""record: the same numbers as the dynamic graph, anew for new shapes and modes, and nothing replayed stale."""

import gc
import tracemalloc

import numpy as np
import pytest

import nnkit
from nnkit import RecordingError, Tensor, losses, nn, ops, optim


def network(rng=0, dropout=0.0):
    rng = np.random.default_rng(rng)
    return nn.Sequential(nn.Linear(5, 8, rng=rng), nn.ReLU(), nn.Dropout(dropout, rng=rng), nn.Linear(8, 3, rng=rng))


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 5), dtype=np.float32), rng.integers(0, 3, n)


def train(step, model, steps=10):
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    values = []
    for i in range(steps):
        optimizer.zero_grad()
        values.append(float(step(*data(4 + i % 2, seed=i))))
        optimizer.step()
    return values


def test_a_recorded_training_gives_the_bits_of_the_dynamic_one():
    dynamic, recorded = network(), network()

    def by_hand(x, y):
        loss = losses.cross_entropy(dynamic(x), y)
        loss.backward()
        return loss

    step = nnkit.record(lambda x, y: losses.cross_entropy(recorded(x), y))
    assert train(by_hand, dynamic) == train(step, recorded)
    for a, b in zip(dynamic.parameters(), recorded.parameters()):
        np.testing.assert_array_equal(a.value, b.value)


def test_gradients_add_up_as_in_backward():
    model = network()
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    step(*data(4))
    once = model.layers[0].weight.grad.copy()
    step(*data(4))
    np.testing.assert_allclose(model.layers[0].weight.grad, 2 * once, rtol=1e-6)


def test_the_function_runs_only_while_it_is_recorded():
    calls = []
    model = network()

    def f(x, y):
        calls.append(len(y))
        return losses.cross_entropy(model(x), y)

    step = nnkit.record(f)
    for n in (4, 7):
        step(*data(n))
    recorded = len(calls)
    assert set(calls) == {4, 7}
    for n in (4, 7, 4, 4, 7):
        step(*data(n))
    assert len(calls) == recorded


def test_several_results_come_back_the_first_being_the_loss():
    model = network()
    step = nnkit.record(lambda x, y: (losses.cross_entropy(logits := model(x), y), logits))
    x, y = data(4)
    loss, logits = step(x, y)
    np.testing.assert_array_equal(logits.value, model(x).value)
    assert loss.shape == () and not loss.requires_grad


def test_comparisons_on_inputs_are_operations():
    w = Tensor(np.ones(3))
    step = nnkit.record(lambda x, ids: ops.sum(w * x * (ids > 1)))
    assert float(step(np.ones(3), np.array([0, 1, 2]))) == 1
    assert float(step(np.ones(3), np.array([2, 2, 2]))) == 3
    np.testing.assert_array_equal(w.grad, [1, 1, 2])


@pytest.mark.parametrize("read", [lambda x: x.value, float, bool, lambda x: x.item(), np.asarray])
def test_reading_the_numbers_of_an_input_is_refused(read):
    w = Tensor(np.ones(1))
    with pytest.raises(RecordingError, match="numbers cannot be read"):
        nnkit.record(lambda x: ops.sum(w * x) * read(x))(np.ones(1))


def test_a_constant_drawn_outside_of_operations_is_refused_by_the_operations_name():
    w, rng = Tensor(np.ones(3)), np.random.default_rng(0)
    with pytest.raises(RecordingError, match=r"multiply: .*constant.*stale"):
        nnkit.record(lambda x: ops.sum(w * x * rng.random(3)))(np.ones(3))


def test_control_flow_that_depends_on_numbers_is_refused():
    w, coin = Tensor(np.ones(3)), iter([True, False, True, False])
    with pytest.raises(RecordingError, match="on other numbers"):
        nnkit.record(lambda x: ops.sum(w * x if next(coin) else w / x))(np.ones(3))


def test_a_tensor_computed_outside_is_refused():
    w = Tensor(np.ones(3))
    outside = w * 2
    with pytest.raises(RecordingError, match="computed outside of the recorded function"):
        nnkit.record(lambda x: ops.sum(outside * x))(np.ones(3))


def test_dropout_draws_anew_at_every_run():
    model = network(dropout=0.5)
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    assert len({float(step(*data(4))) for _ in range(6)}) > 1


def test_evaluation_mode_is_recorded_anew():
    model = network(dropout=0.5)
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    step(*data(4))
    model.eval()
    expected = float(losses.cross_entropy(model(data(4)[0]), data(4)[1]))
    assert {float(step(*data(4))) for _ in range(3)} == {expected}


def test_parameters_are_read_through_their_tensor():
    w = Tensor(np.ones(3))
    step = nnkit.record(lambda x: ops.sum(w * x))
    step(np.ones(3))
    w.value = np.full(3, 5.0)
    assert float(step(np.ones(3))) == 15


def test_row_gradients_of_an_embedding_come_through():
    table = nn.Embedding(6, 2, rng=0)
    step = nnkit.record(lambda ids: ops.sum(ops.square(table(ids))))
    step(np.array([1, 1]))
    table.weight.grad = None
    step(np.array([3, 4]))
    assert sorted(table.weight.grad.rows.tolist()) == [3, 4]


def test_a_gradient_that_is_kept_is_not_written_by_the_next_run():
    model = network()
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    step(*data(4))
    held = model.layers[0].weight.grad
    before = held.copy()
    model.zero_grad()
    step(*data(4, seed=1))
    np.testing.assert_array_equal(held, before)


def test_memory_is_flat_over_a_thousand_runs_without_the_cycle_collector():
    model = network()
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = data(4)

    def run(n):
        for _ in range(n):
            optimizer.zero_grad()
            step(x, y)
            optimizer.step()

    gc.disable()
    try:
        tracemalloc.start()
        run(20)
        before = tracemalloc.get_traced_memory()[0]
        run(1000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 20_000


def test_a_parameters_value_read_by_the_function_is_found_though_no_operation_got_the_parameter():
    w, v = Tensor(np.ones(3)), Tensor(np.zeros(3))
    for stale in (lambda x: ops.sum(w * x * v.value), lambda x: ops.sum(w * x) * float(w.value[0])):
        with pytest.raises(RecordingError, match="constant"):
            nnkit.record(stale)(np.ones(3))
    np.testing.assert_array_equal(w.value, np.ones(3))  # it was moved for the trace, and is back
    np.testing.assert_array_equal(v.value, np.zeros(3))


@pytest.mark.parametrize("numbers", [np.array([3]), np.array(2), np.array([1, 1, 1]), np.array([True])])
def test_whole_numbers_that_have_no_other_order_are_found_too(numbers):
    w = Tensor(np.ones(5))
    with pytest.raises(RecordingError):
        nnkit.record(lambda ids: ops.sum(w * float(ids.array.sum())) + ops.sum(ids * 0.0))(numbers)


def test_an_only_class_can_be_recorded():
    w = Tensor(np.ones((2, 1)))
    step = nnkit.record(lambda x, y: losses.cross_entropy(x @ w, y))
    assert float(step(np.ones((1, 2)), np.array([0]))) == 0


def test_a_gradient_that_relu_passed_on_in_place_is_not_the_next_runs_memory():
    """It was: the second run wrote its gradient over the first, and the sum came out as twice the second."""
    rng = np.random.default_rng(0)
    w, x = Tensor(rng.normal(size=(200, 100))), rng.normal(size=(200, 200))
    step = nnkit.record(lambda x: ops.sum(x @ ops.relu(w)))
    step(x)
    step(2 * x)
    held, expected = w.grad, w.grad.copy()
    w.grad = None
    step(x)
    np.testing.assert_allclose(expected, 3 * w.grad)
    np.testing.assert_array_equal(held, expected)


def test_a_result_that_is_kept_is_not_the_next_runs_memory():
    model = nn.Linear(300, 300, rng=0)
    step = nnkit.record(lambda x: (ops.sum(y := model(x)), y))
    x = np.random.default_rng(0).normal(size=(100, 300)).astype(np.float32)
    step(x)  # the memory is kept from here on
    kept = step(x)[1]
    before = kept.value.copy()
    step(2 * x)
    np.testing.assert_array_equal(kept.value, before)


def test_an_error_in_a_run_leaves_nothing_behind():
    table = Tensor(np.ones((4, 2)))
    step = nnkit.record(lambda ids: ops.sum(ops.square(ops.embedding(table, ids))))
    step(np.array([0, 1]))
    with pytest.raises(IndexError):
        step(np.array([0, 9]))
    table.grad = None
    assert float(step(np.array([2, 3]))) == 4
    np.testing.assert_array_equal(table.grad.dense(), [[0, 0], [0, 0], [2, 2], [2, 2]])


def test_a_value_used_twice_and_a_broadcast_one_get_their_sums():
    w, b = Tensor(np.ones((3, 2))), Tensor(np.zeros(2))
    step = nnkit.record(lambda x: ops.sum(ops.square(h := x @ w + b) * h))
    x = np.arange(6.0).reshape(2, 3)
    step(x)
    step(x)
    recorded = [w.grad, b.grad]
    w.grad = b.grad = None
    h = x @ w + b
    loss = ops.sum(ops.square(h) * h)
    loss.backward()
    loss.backward()
    np.testing.assert_allclose(recorded[0], w.grad)
    np.testing.assert_allclose(recorded[1], b.grad)


def test_the_program_can_be_read():
    model = network()
    step = nnkit.record(lambda x, y: losses.cross_entropy(model(x), y))
    assert step.source == ""
    step(*data(4))
    names = [line.rsplit("# ")[1] for line in step.source.splitlines() if "# " in line]
    assert names == ["linear", "relu", "linear", "cross_entropy", "cross_entropy", "linear", "relu", "linear"]


def test_another_number_of_inputs_is_recorded_anew():
    w = Tensor(np.ones(2))
    step = nnkit.record(lambda x, y=None: ops.sum(w * x) if y is None else ops.sum(w * x * y))
    x = np.ones(2)
    assert [float(step(x)), float(step(x, 2 * x)), float(step(x))] == [2, 4, 2]


def test_a_buffer_of_another_shape_is_recorded_anew():
    w, ids = Tensor(np.ones(4)), Tensor(np.array([0, 1]))
    step = nnkit.record(lambda x: ops.sum(w[ids]) * ops.sum(x))
    assert [float(step(np.ones(1))), float(step(np.ones(1)))] == [2, 2]
    ids.value = np.array([0, 1, 2])
    assert [float(step(np.ones(1))), float(step(np.ones(1)))] == [3, 3]


def test_numpys_questions_about_a_shape_may_be_asked_while_recording():
    w = Tensor(np.ones((2, 3)))
    step = nnkit.record(lambda x: ops.sum(w * x) / (np.size(x) * np.ndim(x) * np.shape(x)[0]))
    assert float(step(np.ones((2, 3)))) == 6 / 24


def test_attributes_may_have_any_name():
    """One called v, t or dtype stood for something else in the program that was written."""
    @nnkit.tensor_op
    class scaled(nnkit.Operation):
        @staticmethod
        def forward(ctx, x, *, v, t, c, g, op, dtype, forward, backward):
            ctx.append(v)
            return x * v

        @staticmethod
        def backward(ctx, grad_output):
            return [grad_output * ctx[0]]

    names = {name: 3.0 for name in ("v", "t", "c", "g", "op", "dtype", "forward", "backward")}
    w = Tensor(np.ones(2))
    step = nnkit.record(lambda x: ops.sum(scaled(scaled(w * x, **names), **names)))
    assert [float(step(np.ones(2))) for _ in range(2)] == [18, 18]
    np.testing.assert_array_equal(w.grad, [18, 18])
