"""What stands beside a Tensor, a number, an array, a list, takes the Tensor's dtype; float32 stays float32."""

import numpy as np
import pytest
from cases import BINARY, Case
from drawn import each_dtype

from nnkit import Operation, Tensor, default_dtype, ops, tensor_op

numbers = pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.array(2)],
                                  ids=lambda n: f"{type(n).__name__}-{getattr(n, 'dtype', '')}")


@pytest.mark.case("autograd", 18)
@numbers
@each_dtype
@pytest.mark.parametrize("operation, a, b", BINARY, ids=[Case(o, ()).name + str(i) for i, (o, _, _) in enumerate(BINARY)])
def test_numbers_on_either_side_take_the_dtype_of_the_tensor(operation, a, b, dtype, number):
    rng = np.random.default_rng(0)
    for left in (False, True):
        x = Tensor(np.abs(rng.standard_normal((3, 2))).astype(dtype) + 0.1)
        y = operation(number, x) if left else operation(x, number)
        n = dtype(number)
        expected = getattr(np, Case(operation, ()).name)(*((n, x.value) if left else (x.value, n)))
        assert y.dtype == dtype
        np.testing.assert_allclose(y.value, expected, rtol=1e-6)
        y.sum().backward()
        leaf, other = Tensor(x.value), Tensor(np.full((3, 2), n))
        (operation(other, leaf) if left else operation(leaf, other)).sum().backward()
        assert x.grad.dtype == dtype
        np.testing.assert_allclose(x.grad, leaf.grad, rtol=2e-6)


@each_dtype
@pytest.mark.parametrize("constant", [np.float64, np.float32, np.int64, np.int8, list], ids=lambda c: c.__name__)
@pytest.mark.parametrize("operation, a, b", BINARY, ids=[Case(o, ()).name + str(i) for i, (o, _, _) in enumerate(BINARY)])
def test_arrays_on_either_side_are_constants_of_the_tensors_dtype(operation, a, b, dtype, constant):
    array = [1, 2, 3] if constant is list else np.array([1, 2, 3], constant)
    for left in (False, True):
        x = Tensor(np.array([[0.5, 1.5, 2.5]] * 2, dtype))
        y = operation(array, x) if left else operation(x, array)
        y.sum().backward()
        assert y.dtype == dtype and y.shape == (2, 3) and x.grad.dtype == dtype and y.parents == (x,)


@each_dtype
def test_a_list_of_tensors_is_refused_for_its_gradient_would_be_lost(dtype):
    a = Tensor(np.ones(2, dtype))
    for wrong in ([a, a], (a, 1.0)):
        with pytest.raises(TypeError, match="pass each by position"):
            ops.concatenate(wrong)


def test_forward_sees_numbers_as_pythons_own_and_arrays_in_the_tensors_dtype():
    seen = []

    @tensor_op
    class spy(Operation):
        """Notes what arrives."""

        @staticmethod
        def forward(ctx, *inputs):
            seen.extend(inputs)
            return inputs[0]

    x = Tensor(np.ones(2, np.float32))
    spy(x, np.float64(0.5), np.int8(3), 2, None, np.ones(2), np.array(0.5), np.arange(2, dtype=np.int8))
    assert [type(x) for x in seen[1:5]] == [float, int, int, type(None)]
    assert [x.dtype for x in seen[5:]] == [np.float32, np.float32, np.int8]


def test_two_tensors_follow_numpys_promotion():
    a, b = Tensor(np.ones(2, np.float32)), Tensor(np.ones(2, np.float64))
    y = a * b
    y.sum().backward()
    assert y.dtype == np.float64 and a.grad.dtype == np.float32 and b.grad.dtype == np.float64


def test_operations_on_plain_numbers_have_the_default_dtype():
    assert ops.exp(1.0).dtype == np.float32
    with default_dtype(np.float64):
        assert ops.exp(1.0).dtype == np.float64


def test_a_number_as_exponent_keeps_the_whole_gradient_in_float32():
    seen = []

    @tensor_op
    class spy(Operation):
        """Notes the dtype of what arrives."""

        @staticmethod
        def forward(ctx, x):
            return x + 0

        @staticmethod
        def backward(ctx, grad_output):
            seen.append(grad_output.dtype)
            return [grad_output]

    x = Tensor(np.ones(3, np.float32))
    y = x ** 2
    assert y.operation.backward(y.ctx, np.ones(3, np.float32))[0].dtype == np.float32
    (spy(x) ** 2).sum().backward()
    assert seen == [np.float32]
