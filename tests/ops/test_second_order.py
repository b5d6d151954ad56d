"""Every operation's second derivatives, on every row of the table, and the plain form that some name for them."""

import numpy as np
import pytest
from cases import CASES, Fresh

from nnkit import RowGrad, Tensor, check_gradients, enable_grad, ops
from nnkit.autograd import gradients

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def weights_for(shape, seed=7):
    return np.random.default_rng(seed).standard_normal(shape)


def gradient_of(case):
    """A function of the incoming gradient and the case's inputs: a weighted sum of all that backward gives."""

    def function(grad_output, *inputs):
        with enable_grad():
            leaves = [Tensor(x.value) if not x.requires_grad else x for x in inputs if isinstance(x, Tensor)]
            y = case(*inputs)
            given = gradients(y, leaves, grad_output)
            return sum(((g * weights_for(g.shape, i)).sum() for i, g in enumerate(given[x] for x in leaves if x in given)),
                       (grad_output * 0).sum())

    return function


@every_case
def test_second_derivatives_are_those_of_the_first(case):
    arrays = case.arrays()
    shape = case(*arrays).shape
    compared = check_gradients(gradient_of(case), weights_for(shape), *arrays, step=1e-3)
    assert compared >= sum(x.size for x in arrays if x.dtype.kind == "f" and x.size <= 300)


@every_case
def test_gradient_with_a_graph_is_that_without(case):
    inputs = [Tensor(x) if x.dtype.kind == "f" else x for x in case.arrays()]
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    y = case(*inputs)
    weights = weights_for(y.shape)
    y.backward(weights)
    given = gradients(y, leaves, weights)
    for leaf in leaves:
        expected = leaf.grad.dense() if isinstance(leaf.grad, RowGrad) else leaf.grad
        assert given[leaf].dtype == leaf.dtype
        np.testing.assert_allclose(given[leaf].value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case.operation.operation.composed], ids=str)
def test_composed_form_equals_the_operation(case):
    inputs, others = ([Tensor(x) if x.dtype.kind == "f" else x for x in case.arrays()] for _ in range(2))
    y, z = case(*inputs), case.operation.operation.composed(*others, **case.plain())
    assert z.shape == y.shape and z.dtype == y.dtype
    np.testing.assert_allclose(z.value, y.value, rtol=1e-12, atol=1e-13)
    weights = weights_for(y.shape)
    y.backward(weights)
    z.backward(weights)
    for one, other in zip(inputs, others):
        if isinstance(one, Tensor):
            np.testing.assert_allclose(np.asarray(other.grad), np.asarray(one.grad), rtol=1e-10, atol=1e-12)


def test_operations_that_draw_or_write_say_what_serves_higher_order():
    told = {name for name, f in ops.all_operations().items() if f.operation.composed or f.operation.reuse_ctx}
    assert told == {"linear", "binary_cross_entropy_with_logits", "cross_entropy", "embedding", "embedding_bag", "prod",
                    "sigmoid", "dropout", "layer_norm", "rms_norm", "batch_norm", "multi_margin_loss", "nll_loss",
                    "rnn", "lstm", "gru", "dot_product_attention", "conv1d"}
    draws = {case.name for case in CASES if any(isinstance(v, Fresh) for v in case.attributes.values())}
    assert all(ops.all_operations()[name].operation.reuse_ctx for name in draws)


def second_derivative(operation, x, **attributes):
    leaf = Tensor(np.array(x, np.float64))
    first = gradients(operation(leaf, **attributes), [leaf], np.ones(leaf.shape))[leaf]
    return gradients(first, [leaf], np.ones(leaf.shape))[leaf].value


@pytest.mark.parametrize("operation, expected, attributes", [
    (ops.sigmoid, 0, {}), (ops.tanh, 0, {}), (ops.softplus, 0.25, {}), (ops.log_sigmoid, -0.25, {}), (ops.silu, 0.5, {}),
    (ops.gelu, (2 / np.pi) ** 0.5, {}), (ops.gelu, (2 / np.pi) ** 0.5, {"approximate": "tanh"}), (ops.erf, 0, {}),
    (ops.expm1, 1, {}), (ops.log1p, -1, {}), (ops.square, 2, {})], ids=lambda o: getattr(o, "__name__", None))
def test_second_derivative_at_zero_where_a_branch_meets_another(operation, expected, attributes):
    np.testing.assert_allclose(second_derivative(operation, [0.0, -0.0], **attributes), expected, atol=1e-15)


def test_third_derivative_of_sigmoid_at_zero():
    leaf = Tensor(np.zeros(1))
    y = ops.sigmoid(leaf)
    for expected in (0.25, 0, -0.125):
        y = gradients(y, [leaf], np.ones(1))[leaf]
        np.testing.assert_allclose(y.value, expected, atol=1e-15)


@pytest.mark.parametrize("operation", [
    ops.sigmoid, ops.tanh, ops.softplus, ops.log_sigmoid, ops.silu, ops.gelu, ops.elu, ops.relu, ops.leaky_relu, ops.logsumexp,
    ops.softmax, ops.log_softmax, ops.erf], ids=lambda o: o.__name__)
def test_second_derivatives_stay_finite_for_inputs_of_any_size(operation):
    leaf = Tensor(np.array([-1e4, -40.0, 0.0, 40.0, 1e4]))
    y = operation(leaf)
    first = gradients(y, [leaf], np.ones(y.shape))[leaf]
    first = first + leaf * 0.0
    second = gradients(first, [leaf], np.ones(5))[leaf]
    assert np.isfinite(first.value).all() and np.isfinite(second.value).all()


def test_power_has_its_mixed_second_derivative_where_the_exponent_is_zero():
    a, b = Tensor(np.array([2.0])), Tensor(np.array([0.0]))
    by_a = gradients(ops.power(a, b), [a], np.ones(1))[a]
    np.testing.assert_allclose(gradients(by_a, [b], np.ones(1))[b].value, 0.5)


def test_product_of_two_zeros_has_a_second_derivative():
    leaf = Tensor(np.array([0.0, 0.0, 3.0]))
    first = gradients(ops.prod(leaf), [leaf], None)[leaf]
    np.testing.assert_array_equal(first.value, [0, 0, 0])
    np.testing.assert_array_equal(gradients(first, [leaf], np.array([1.0, 0, 0]))[leaf].value, [0, 3, 0])


def test_norm_at_zero_has_finite_second_derivatives():
    leaf = Tensor(np.zeros((2, 3)))
    first = gradients(ops.norm(leaf, axis=1), [leaf], np.ones(2))[leaf]
    np.testing.assert_array_equal(first.value, 0)
    np.testing.assert_array_equal(gradients(first + leaf * 0.0, [leaf], np.ones((2, 3)))[leaf].value, 0)
