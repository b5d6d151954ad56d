"""backward: right sums on every shape of graph, no array shared, no recursion, no cycle, and errors that name the operation."""

import gc
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_op

from nnkit import Tensor, backward, ops


def tensors():
    return sum(type(thing) is Tensor for thing in gc.get_objects())


# Sums over paths

@pytest.mark.case("autograd", 3)
def test_a_node_used_twice_gets_both_gradients():
    a = Tensor(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4
    x = Tensor(3.0)
    (x * x).backward()
    assert x.grad == 6


@pytest.mark.case("autograd", 3)
def test_every_edge_is_walked_once_though_paths_double_at_every_step():
    calls = []

    def count(ctx, grad_output):
        calls.append(1)
        return [grad_output, grad_output]

    double = make_op(count, inputs=2)
    x = y = Tensor(1.0)
    for _ in range(14):
        y = double(y, y)
    y.backward()
    assert x.grad == 2 ** 14 and len(calls) == 14


@pytest.mark.case("autograd", 3)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25),
       st.lists(st.floats(0.5, 1.5), min_size=2, max_size=2))
def test_any_graph_has_the_gradient_that_forward_mode_finds(steps, values):
    """The oracle carries value and both derivatives along, from the leaves up."""
    leaves = [Tensor(np.array(v)) for v in values]
    nodes = list(leaves)
    duals = [(values[0], np.array([1.0, 0.0])), (values[1], np.array([0.0, 1.0]))]
    for kind, i, j in steps:
        (a, da), (b, db) = duals[i % len(duals)], duals[j % len(duals)]
        x, y = nodes[i % len(nodes)], nodes[j % len(nodes)]
        if kind == 0:
            node, dual = (x + y) * 0.5, ((a + b) * 0.5, (da + db) * 0.5)
        elif kind == 1:
            node, dual = ops.tanh(x * y), (np.tanh(a * b), (1 - np.tanh(a * b) ** 2) * (a * db + b * da))
        elif kind == 2:
            node, dual = x - y, (a - b, da - db)
        else:
            node, dual = ops.sigmoid(x), ((s := 1 / (1 + np.exp(-a))), s * (1 - s) * da)
        nodes.append(node)
        duals.append(dual)
    nodes[-1].backward()
    grads = [0.0 if leaf.grad is None else leaf.grad for leaf in leaves]
    np.testing.assert_allclose(grads, duals[-1][1], rtol=1e-9, atol=1e-12)


@pytest.mark.case("autograd", 1)
@pytest.mark.parametrize("a, b", [((1,), (5, 4)), ((4, 1), (1, 4)), ((3,), (2, 3)), ((), (2,))])
def test_a_broadcast_gradient_has_the_shape_of_its_input(a, b):
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.standard_normal(a)), Tensor(rng.standard_normal(b))
    (x * y).sum().backward()
    assert x.grad.shape == a and y.grad.shape == b
    np.testing.assert_allclose(x.grad.sum(), np.broadcast_to(y.value, np.broadcast_shapes(a, b)).sum())
    np.testing.assert_allclose(y.grad.sum(), np.broadcast_to(x.value, np.broadcast_shapes(a, b)).sum())


@pytest.mark.case("autograd", 4)
def test_backward_twice_gives_exactly_twice_the_gradient():
    x = Tensor(np.array([1.0, 2.0, 3.0]))
    s = ops.sum(x * x)
    z = s * s
    z.backward()
    once = x.grad.copy()
    z.backward()
    np.testing.assert_array_equal(once, 4 * 14 * x.value)
    np.testing.assert_array_equal(x.grad, 2 * once)


@pytest.mark.case("autograd", 4)
def test_accumulating_leaves_the_array_alone_that_a_user_holds():
    x = Tensor([1.0, 2.0])
    (x * 2).sum().backward()
    held = x.grad
    (x * 3).sum().backward()
    np.testing.assert_array_equal(held, [2, 2])
    np.testing.assert_array_equal(x.grad, [5, 5])


@pytest.mark.case("autograd", 4)
def test_an_operation_that_frees_its_ctx_says_so_at_the_second_backward():
    once = make_op(lambda ctx, g: [g], name="spend", frees_ctx=True)
    x = Tensor([1.0])
    y = once(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="spend: a second backward"):
        y.backward()
    np.testing.assert_array_equal(x.grad, [1])


# Whose array it is

@pytest.mark.case("autograd", 13)
@pytest.mark.parametrize("f", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: ops.concatenate(a, b),
                               lambda a, b: a.reshape(2) + b, lambda a, b: a.T + b.T, lambda a, b: (a + b) + (a + b),
                               lambda a, b: a * 1 + b])
def test_two_leaves_never_share_a_gradient_array(f):
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    f(a, b).sum().backward()
    before = b.grad.copy()
    assert not np.shares_memory(a.grad, b.grad)
    a.grad *= 0
    np.testing.assert_array_equal(b.grad, before)


def test_the_seed_is_never_a_leafs_gradient():
    x, seed = Tensor([1.0, 2.0]), np.array([1, 1], np.float32)
    (x + 0).backward(seed)
    x.backward(seed)
    x.grad += 1
    np.testing.assert_array_equal(seed, [1, 1])


def test_owns_grad_is_said_only_of_an_array_that_nobody_else_sees():
    seen = {}

    def note(name):
        def backward_of(ctx, grad_output):
            seen[name] = ctx.owns_grad, grad_output
            return [grad_output * 1]
        return make_op(backward_of, name=name, returns_new=True)

    x = Tensor([1.0, 2.0])
    first, left, right = note("first"), note("left"), note("right")
    shared = first(x)
    (left(shared) + right(shared)).sum().backward()
    assert seen["left"][1] is seen["right"][1] and not seen["left"][0] and not seen["right"][0]  # add hands out one array
    assert seen["first"][0]  # the sum of two paths is new


def test_writing_into_an_owned_gradient_changes_no_other_gradient():
    def halve(ctx, grad_output):
        if not ctx.owns_grad:
            return [grad_output * 0.5]
        grad_output *= 0.5
        return [grad_output]

    op = make_op(halve, returns_new=True)
    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    z = op(op(x) + op(y)) + op(x)
    z.sum().backward()
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, [1.5, 1.5])
    np.testing.assert_array_equal(y.grad, [0.5, 0.5])


def test_a_gradient_that_is_kept_is_not_written_into():
    def double(ctx, grad_output):
        if not ctx.owns_grad:
            return [grad_output * 2]
        grad_output *= 2
        return [grad_output]

    x = Tensor([1.0, 2.0])
    y = make_op(double, returns_new=True)(x)
    y.backward([1, 1], keep_grads=True)
    np.testing.assert_array_equal(y.grad, [1, 1])
    np.testing.assert_array_equal(x.grad, [2, 2])


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize("f", [lambda x: x * 1, lambda x: x * x, lambda x: x + x + x, lambda x: x],
                         ids=["one", "two", "three", "itself"])
def test_grad_is_an_array_of_the_leafs_shape_and_dtype(f, shape):
    for dtype in (np.float32, np.float64):
        x = Tensor(np.ones(shape, dtype))
        for _ in range(2):
            f(x).sum().backward()
            assert type(x.grad) is np.ndarray and x.grad.shape == shape and x.grad.dtype == dtype


def test_grad_is_on_leaves_only_unless_asked():
    x = Tensor([1.0, 2.0])
    y = x * 2
    z = y.sum()
    z.backward()
    assert y.grad is None and z.grad is None
    z.backward(keep_grads=True)
    np.testing.assert_array_equal(y.grad, [1, 1])
    assert z.grad == 1 and not np.shares_memory(x.grad, y.grad)


def test_a_leaf_that_wants_nothing_gets_nothing():
    x, frozen = Tensor([1.0]), Tensor([2.0], requires_grad=False)
    (x * frozen).sum().backward()
    assert frozen.grad is None and x.grad == 2


def test_gradients_are_cast_to_the_leafs_dtype():
    x = Tensor(np.ones(2, np.float32))
    make_op(lambda ctx, g: [g.astype(np.float64)])(x).sum().backward()
    assert x.grad.dtype == np.float32


# Where it starts

@pytest.mark.case("autograd", 20)
def test_sums_and_means_are_single_numbers_of_shape_none():
    x = Tensor(np.ones((2, 3)))
    assert x.sum().shape == x.mean().shape == ()


@pytest.mark.case("autograd", 20)
def test_a_result_of_many_numbers_needs_a_gradient_to_start_from():
    x = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) needs grad="):
        (x * 2).backward()
    (x * 2).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2, 20])
    backward(x * 2, Tensor([1.0, 1.0]))
    np.testing.assert_array_equal(x.grad, [4, 22])


@pytest.mark.parametrize("grad", [np.ones(3), 1.0, np.ones((1, 2))])
def test_a_starting_gradient_of_another_shape_is_refused(grad):
    with pytest.raises(ValueError, match=r"grad has shape .*the result \(2,\)"):
        (Tensor([1.0, 2.0]) * 2).backward(grad)


def test_backward_without_a_graph_is_refused():
    for root in (Tensor(1.0, requires_grad=False), Tensor(3), Tensor(1.0, requires_grad=False) * 2):
        with pytest.raises(RuntimeError, match="does not depend on anything"):
            root.backward()


# Depth, and what is left behind

@pytest.mark.case("autograd", 5)
def test_depth_is_limited_by_memory_alone():
    x = y = Tensor(0.0)
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad == 1 and y.value == 100_000 and sys.getrecursionlimit() < 100_000
    del y


@pytest.mark.case("autograd", 38)
@pytest.mark.parametrize("with_backward", [False, True])
def test_a_graph_is_freed_by_reference_counting(no_collector, with_backward):
    x = Tensor(np.ones((2, 3)))
    table = Tensor(np.ones((4, 3)))
    y = ops.tanh(x @ np.ones((3, 2))).sum() + ops.embedding(table, [0, 0]).mean() + ops.softmax(x).max()
    y = y * y
    inner, result = weakref.ref(y.parents[0]), weakref.ref(y)
    if with_backward:
        y.backward(keep_grads=True)
    del y
    assert result() is None and inner() is None


@pytest.mark.case("autograd", 38)
def test_a_mistake_in_backward_leaves_no_cycle(no_collector):
    y = make_op(lambda ctx, g: [None, None])(Tensor([1.0])).sum()
    result = weakref.ref(y)
    try:
        y.backward()
    except ValueError:
        pass
    del y
    assert result() is None


@pytest.mark.case("autograd", 37)
def test_a_thousand_steps_leave_no_tensor_behind(no_collector):
    w = Tensor(np.ones((3, 3)))
    history = []

    def step():
        loss = ops.tanh(np.ones((2, 3)) @ w).sum()
        w.grad = None
        loss.backward()
        history.append(float(loss))

    step()
    before = tensors()
    for _ in range(1000):
        step()
    assert tensors() == before and len(history) == 1001
