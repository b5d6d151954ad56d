"""edugrad's Tensor, its gradients, its operations and those a program writes itself."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from edugrad_programs import leaf, operation

from nnkit.compat.edugrad import Tensor, nn, ops
from nnkit.compat.edugrad.tensor import tensor_op


@pytest.mark.parametrize("value", [np.ones((2, 3)), np.arange(3), np.float32([1, 2]), [1.0, 2.0], 2.0, np.array(["a"])],
                         ids=["float64", "integers", "float32", "list", "number", "words"])
def test_a_value_is_kept_as_it_is_and_its_gradient_is_float64_zeros(value):
    x = Tensor(value)
    assert x.value is value
    assert x.grad.dtype == np.float64
    assert x.grad.shape == np.shape(value)
    assert not x.grad.any()


def test_every_node_is_a_tensor_with_a_name_and_zeros_before_backward():
    x = leaf(2, 3)
    hidden = ops.relu(x)
    loss = ops.reduce_sum(hidden)
    assert (type(hidden), hidden.name, hidden.parents, loss.parents) == (Tensor, "relu", (x,), (hidden,))
    assert not hidden.grad.any()
    loss.backward()
    np.testing.assert_array_equal(hidden.grad, np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, x.value > 0)
    assert loss.grad == 1


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_gradients_are_float64_whatever_the_values_are(dtype):
    x = Tensor(np.array([1, 2, 3], dtype))
    y = x ** 2
    ops.reduce_mean(y).backward()
    assert y.value.dtype == dtype
    assert x.grad.dtype == y.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, 2.0 * x.value.astype(np.float64) * (1 / 3))


def test_gradients_add_up_over_paths_and_over_backwards():
    x = leaf(3)
    ops.reduce_sum(x + x - x ** 2).backward()
    np.testing.assert_allclose(x.grad, 2 - 2 * x.value, rtol=1e-15)
    ops.reduce_sum(x + x).backward()
    np.testing.assert_allclose(x.grad, 4 - 2 * x.value, rtol=1e-15)


def test_a_second_backward_passes_on_what_a_node_already_has():
    # recorded from edugrad: 1 from the first, 1 + 1 from the second
    x = leaf(3)
    hidden = ops.relu(x ** 2)
    loss = ops.reduce_sum(hidden)
    for expected in (1, 2):
        loss.backward()
        np.testing.assert_array_equal(hidden.grad, np.full(3, expected))
    np.testing.assert_allclose(x.grad, 2 * x.value * (1 + (1 + 2)), rtol=1e-15)


def test_backward_needs_a_single_number():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        leaf(3).backward()


def test_tensors_are_equal_by_identity_and_true_and_take_attributes():
    x, y = leaf(3), leaf(3)
    assert x == x and x != y and x in [y, x] and bool(Tensor(np.zeros(2)))
    x._grad_hist = 1
    assert x._grad_hist == 1


def test_what_is_no_tensor_is_refused_by_name():
    with pytest.raises(TypeError, match="add: input 1 is a int"):
        leaf(3) + 1
    with pytest.raises(TypeError, match="unsupported operand"):
        leaf(3) * leaf(3)


def test_the_graph_above_is_listed_depth_first():
    a, b = leaf(2), leaf(2)
    h = a + b
    loss = ops.reduce_sum(h - a)
    (difference,) = loss.parents
    assert loss.get_graph_above() == [(difference, loss), (h, difference), (a, h), (b, h), (a, difference)]


def test_a_graph_of_many_thousand_operations_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(5000):
        y = y + x
    ops.reduce_sum(y).backward()
    assert x.grad == [5001]
    assert len(y.get_graph_above()) == 10000


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        loss = ops.reduce_sum(leaf(3) ** 2)
        loss.backward()
        node = weakref.ref(loss.parents[0])
        del loss
        assert node() is None
    finally:
        gc.enable()


def test_a_model_can_be_copied_and_pickled():
    model = nn.Linear(2, 3)
    ops.reduce_sum(model(leaf(4, 2))).backward()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.weight.grad, model.weight.grad)
        other.zero_grad()
        ops.reduce_sum(other(leaf(4, 2))).backward()
        np.testing.assert_array_equal(other.weight.grad, model.weight.grad)


# Operations of one's own


@pytest.mark.parametrize("give", [
    lambda g: [g[:2], g[2:]], lambda g: (g[:2], g[2:]), lambda g: np.split(g, [2]), lambda g: iter([g[:2], g[2:]]),
    lambda g: [1.0, np.ones(3)], lambda g: [g[:2].tolist(), g[2:]], lambda g: [g[:2], g[2:], g],
], ids=["list", "tuple", "split", "iterator", "broadcast", "nested lists", "one too many"])
def test_backward_may_return_anything_with_an_order(give):
    concat = operation(lambda ctx, *xs: np.concatenate(xs), lambda ctx, grad_output: give(grad_output))
    x, y = leaf(2, 3), leaf(4, 3)
    ops.reduce_sum(concat(x, y)).backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    np.testing.assert_array_equal(y.grad[:3], np.ones((3, 3)))


@pytest.mark.parametrize("given", [None, [1.0]])
def test_too_few_gradients_are_refused_by_the_name_of_the_operation(given):
    mine = operation(lambda ctx, a, b: a + b, lambda ctx, grad_output: given)
    with pytest.raises(ValueError, match=r"mine\.backward returned . gradients for 2 inputs"):
        ops.reduce_sum(mine(leaf(2), leaf(2))).backward()


def test_a_gradient_of_a_wrong_shape_is_refused_by_the_name_of_the_operation():
    mine = operation(lambda ctx, a: a, lambda ctx, grad_output: [np.ones(5)])
    with pytest.raises(ValueError, match=r"mine\.backward: input 0 has shape \(2,\), its gradient \(5,\)"):
        ops.reduce_sum(mine(leaf(2))).backward()


def test_options_reach_forward_and_ctx_is_a_list():
    seen = {}

    def forward(ctx, x, by, shift=0):
        seen.update(ctx=isinstance(ctx, list), by=by, shift=shift)
        return x

    result = operation(forward, lambda ctx, grad_output: [grad_output])(leaf(2), by=3)
    assert seen == {"ctx": True, "by": 3, "shift": 0}
    assert result.name == "mine"


def test_a_class_that_is_no_operation_serves_as_one_and_values_stay_what_forward_returned():
    class total:
        def forward(ctx, x):
            return float(x.sum())

        def backward(ctx, grad_output):
            return [grad_output]

    x = leaf(3)
    loss = tensor_op(total)(x) ** 2
    loss.backward()
    assert type(loss.value) is float
    np.testing.assert_allclose(x.grad, np.full(3, 2 * x.value.sum()), rtol=1e-15)


def test_a_backward_that_writes_into_its_gradient_changes_no_other():
    def backward(ctx, grad_output):
        grad_output *= 0
        return [grad_output]

    x = leaf(3)
    a, b = operation(lambda ctx, x: x + 1, backward)(x), ops.relu(x)
    ops.reduce_sum(b + a).backward()
    np.testing.assert_array_equal(b.grad, np.ones(3))
    np.testing.assert_array_equal(x.grad, x.value > 0)


def test_a_lookup_of_repeated_rows_gives_a_dense_gradient():
    def forward(ctx, table, rows):
        ctx.extend([table, rows])
        return table[rows]

    def backward(ctx, grad_output):
        table, rows = ctx
        grad = np.zeros_like(table)
        np.add.at(grad, rows, grad_output)
        return [grad, None]

    table, rows = leaf(4, 2), Tensor(np.array([1, 3, 1]))
    ops.reduce_sum(operation(forward, backward)(table, rows)).backward()
    assert type(table.grad) is np.ndarray
    np.testing.assert_array_equal(table.grad, [[0, 0], [2, 2], [0, 0], [1, 1]])
    np.testing.assert_array_equal(rows.grad, np.zeros(3))


# edugrad's own operations


@pytest.mark.parametrize("function, inputs, expected", [
    (ops.add, [(2, 3), (2, 3)], lambda a, b: a + b),
    (ops.minus, [(2, 3), (2, 3)], lambda a, b: a - b),
    (ops.matmul, [(2, 3), (3, 4)], lambda a, b: a @ b),
    (ops.power, [(2, 3)], lambda a: a),
    (lambda x: ops.power(x, exponent=3), [(2, 3)], lambda a: a * a * a),
    (ops.relu, [(2, 3)], lambda a: np.where(a > 0, a, 0)),
    (ops.reduce_sum, [(2, 3)], np.sum),
    (ops.reduce_mean, [(2, 3)], np.mean),
    (ops.copy_rows, [(3,)], lambda a: a[None]),
    (lambda x: ops.copy_rows(x, num=4), [(3,)], lambda a: np.stack([a, a, a, a])),
    (ops.mse_loss, [(2, 3), (2, 3)], lambda a, b: np.mean((a - b) * (a - b))),
], ids="add minus matmul power cube relu reduce_sum reduce_mean copy_row copy_rows mse_loss".split())
def test_an_operation_has_its_value_and_the_gradient_of_the_difference_quotient(function, inputs, expected):
    xs = [leaf(*shape, seed=i) for i, shape in enumerate(inputs)]
    result = function(*xs)
    np.testing.assert_allclose(result.value, expected(*(x.value for x in xs)), rtol=1e-14)
    weights = np.random.default_rng(9).normal(size=result.value.shape)
    weighted = operation(lambda ctx, y: (y * weights).sum(), lambda ctx, grad_output: [grad_output * weights])
    weighted(result).backward()
    for i, x in enumerate(xs):
        for place in np.ndindex(x.value.shape):
            step = np.zeros_like(x.value)
            step[place] = 1e-5
            up, down = ((expected(*(y.value + (sign * step if y is x else 0) for y in xs)) * weights).sum() for sign in (1, -1))
            assert x.grad[place] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-8), (i, place)
