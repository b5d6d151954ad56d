"""Derivatives of derivatives: against hand-written ones, through operations that know nothing of them."""

import numpy as np
import pytest

import nnkit
from nnkit import Operation, Tensor, losses, nn, ops, tensor_op
from nnkit.autograd import gradients

X = np.array([0.5, -1.2, 2.0])


def test_the_first_derivative_of_a_function():
    np.testing.assert_allclose(nnkit.grad(lambda x: ops.sum(x ** 3))(X).value, 3 * X ** 2)


def test_derivatives_of_any_order_by_nesting():
    f = lambda x: ops.sum(x ** 4)  # noqa: E731
    second = nnkit.grad(lambda x: ops.sum(nnkit.grad(f)(x)))
    third = nnkit.grad(lambda x: ops.sum(second(x)))
    np.testing.assert_allclose(second(X).value, 12 * X ** 2)
    np.testing.assert_allclose(third(X).value, 24 * X)


def test_the_jacobian_has_a_row_for_each_number_of_the_result():
    A = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(nnkit.jacobian(lambda x: ops.matmul(Tensor(A, requires_grad=False), x))(X).value, A)


def test_the_hessian_of_a_quadratic_form_is_its_symmetric_part():
    A = np.arange(9.0).reshape(3, 3)
    hessian = nnkit.hessian(lambda x: ops.sum(x * (A @ x)))(X)
    np.testing.assert_allclose(hessian.value, A + A.T)


def test_create_graph_leaves_gradients_that_can_be_differentiated():
    x = Tensor(X.copy())
    ops.sum(x ** 3).backward(create_graph=True)
    assert isinstance(x.grad, Tensor)
    first = x.grad
    x.grad = None
    ops.sum(first ** 2).backward()
    np.testing.assert_allclose(x.grad, 2 * 3 * X ** 2 * 6 * X)


def test_a_gradient_penalty_through_a_network_of_fused_operations():
    rng = np.random.default_rng(0)
    with nnkit.default_dtype(np.float64):
        model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng))
    x, classes = rng.normal(size=(5, 3)), rng.integers(0, 2, 5)

    def penalty(weight):
        model.layers[0].weight = weight if isinstance(weight, Tensor) else Tensor(weight)
        inputs = Tensor(x)
        loss = losses.cross_entropy(model(inputs), classes)
        return ops.sum(ops.square(gradients(loss, [inputs])[inputs]))

    nnkit.check_gradients(penalty, model.layers[0].weight.value.copy())


def test_an_operation_in_plain_numpy_needs_no_further_line():
    @tensor_op
    class cube(Operation):
        @staticmethod
        def forward(ctx, x):
            ctx.append(x)
            return np.multiply(x, x) * x

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx
            return [3 * np.square(x) * grad_output]

    np.testing.assert_allclose(nnkit.hessian(lambda x: ops.sum(cube(x)))(X).value, np.diag(6 * X))


@pytest.mark.parametrize("body, said", [
    (lambda x: np.add(x, 1, out=np.empty(3)), "writing in place"),
    (lambda x: x * float(np.sum(x)), "float"),
    (lambda x: x if np.max(x) > 0 else -x, None),
    (lambda x: x * np.asarray(x), "np.asarray"),
])
def test_what_would_become_a_constant_names_the_operation(body, said):
    @tensor_op
    class odd(Operation):
        @staticmethod
        def forward(ctx, x):
            ctx.append(x)
            return body(x)

        @staticmethod
        def backward(ctx, grad_output):
            return [grad_output]

    x = Tensor(X.copy())
    with pytest.raises(TypeError, match=f"odd: .*{said or 'bool'}.*while odd is differentiated a second time"):
        ops.sum(odd(x)).backward(create_graph=True)


def test_item_assignment_in_backward_names_the_operation():
    @tensor_op
    class assigning(Operation):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad_output):
            grad_output[0] = 0
            return [grad_output]

    with pytest.raises(TypeError, match="assigning: item assignment"):
        ops.sum(assigning(Tensor(X.copy()))).backward(create_graph=True)


def test_dropout_keeps_its_mask_at_second_order():
    def f(x):
        return ops.sum(ops.dropout(x, p=0.5, rng=np.random.default_rng(3)) ** 2)

    mask = ops.dropout(Tensor(np.ones(3)), p=0.5, rng=np.random.default_rng(3)).value
    np.testing.assert_allclose(nnkit.hessian(f)(X).value, np.diag(2 * mask ** 2))


def test_grad_of_a_result_with_a_shape_says_what_to_use():
    with pytest.raises(ValueError, match=r"nnkit\.jacobian"):
        nnkit.grad(lambda x: x * 2)(X)


def test_a_function_that_does_not_depend_on_its_argument_has_a_gradient_of_zeros():
    other = Tensor(np.ones(2))
    np.testing.assert_array_equal(nnkit.grad(lambda x: ops.sum(other * 2))(X).value, np.zeros(3))


def test_first_derivatives_with_a_graph_equal_those_without():
    rng = np.random.default_rng(1)
    a, b = Tensor(rng.normal(size=(4, 1))), Tensor(rng.normal(size=(3,)))
    f = lambda: ops.sum(ops.tanh(a * b) / (1 + ops.exp(b)))  # noqa: E731
    f().backward()
    plain = a.grad.copy(), b.grad.copy()
    a.grad = b.grad = None
    f().backward(create_graph=True)
    np.testing.assert_allclose(a.grad.value, plain[0])
    np.testing.assert_allclose(b.grad.value, plain[1])


def test_a_tensor_that_a_fused_operation_gets_twice_is_counted_once_for_each_place():
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]))
    ops.sum(ops.linear(x, x)).backward()
    plain, x.grad = x.grad, None
    ops.sum(ops.linear(x, x)).backward(create_graph=True)
    np.testing.assert_allclose(x.grad.value, plain)
