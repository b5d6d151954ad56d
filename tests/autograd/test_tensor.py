"""What a Tensor is, and that its operators, methods and NumPy's own functions build the same graph."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit import Tensor, default_dtype, no_grad, ops

small_arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4), elements=st.floats(-4, 4))


def test_value_is_the_array_itself_in_its_own_dtype():
    for dtype in (np.float16, np.float32, np.float64, np.int8, np.uint64, np.bool_):
        array = np.ones(3, dtype)
        assert Tensor(array).value is array and Tensor(array).dtype == dtype


@pytest.mark.parametrize("value", [1.5, [1.0, 2.0], [[0.5], [1]], []])
def test_python_floats_take_the_default_dtype(value):
    assert Tensor(value).dtype == np.float32
    with default_dtype(np.float64):
        assert Tensor(value).dtype == np.float64


def test_numpy_numbers_keep_their_dtype():
    assert Tensor(np.float64(2)).dtype == np.float64 and Tensor(np.float16(2)).dtype == np.float16


def test_tensor_of_a_tensor_is_a_new_leaf_of_the_same_array():
    x = Tensor([1.0])
    y = Tensor(x * 1)
    assert y.is_leaf and y.parents == () and Tensor(x).value is x.value


@pytest.mark.parametrize("value", ["a", ["a"], None, object(), [1j], np.zeros(2, complex)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="expected numbers"):
        Tensor(value)


@pytest.mark.case("autograd", 16)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_never_want_a_gradient(dtype):
    with pytest.raises(TypeError, match=np.dtype(dtype).name):
        Tensor(np.array([1, 0], dtype), requires_grad=True)
    assert not Tensor(np.array([1, 0], dtype)).requires_grad and not Tensor([1, 2]).requires_grad


def test_a_float_leaf_wants_a_gradient_unless_told_otherwise():
    assert Tensor(1.0).requires_grad and not Tensor(1.0, requires_grad=False).requires_grad


def test_results_name_their_parents_and_constants_are_none():
    x, y = Tensor([1.0]), Tensor([2.0])
    assert (x * y).parents == (x, y) and (x * 2).parents == (x,) and not (x * y).is_leaf


def test_extra_attributes_and_names_are_welcome():
    x = Tensor([1.0], name="w")
    x.role = "weight"
    assert (x.name, x.role) == ("w", "weight")


def test_a_tensor_is_a_key_by_identity():
    x, y = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    assert {x: 1, y: 2}[x] == 1 and len({x, y, x}) == 2


@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2), (100, 100), (2, 2, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_repr_fits_a_line(shape, dtype):
    x = Tensor(np.full(shape, 1 / 3).astype(dtype), name="embedding.weight")
    for text in (repr(x), f"{x}", str(x + 1)):
        assert "\n" not in text and len(text) <= 130 and f"shape={shape}" in text


def test_repr_says_where_a_result_came_from():
    x = Tensor([1.0], name="w")
    assert "op=multiply" in repr(x * 2) and "name='w'" in repr(x) and "requires_grad" in repr(x)


@pytest.mark.case("autograd", 20)
def test_a_single_number_is_a_number():
    x = Tensor(2.5)
    assert float(x) == x.item() == 2.5 and int(x) == 2 and bool(x) and f"{x:.2f}" == "2.50"
    assert float(Tensor([[3.0]])) == 3.0
    with pytest.raises(ValueError):
        float(Tensor([1.0, 2.0]))


def test_truth_of_more_than_one_element_is_refused():
    for value in (np.zeros(2), np.zeros(0)):
        with pytest.raises(ValueError, match="ambiguous"):
            bool(Tensor(value))


def test_comparisons_are_elementwise_and_without_gradient():
    x = Tensor([1.0, 2.0])
    for y, expected in [(x == 1, [1, 0]), (x != 1, [0, 1]), (x < 2, [1, 0]), (x <= x, [1, 1]), (x > np.array([0, 5]), [1, 0]),
                        (np.array([1, 1]) >= x, [1, 0]), (1 == x, [1, 0]), (np.float64(2) > x, [1, 0])]:
        assert type(y) is Tensor and y.dtype == bool and not y.requires_grad
        np.testing.assert_array_equal(y.value, expected)


def test_length_and_iteration_are_those_of_the_first_axis():
    x = Tensor(np.arange(6.0).reshape(3, 2))
    assert len(x) == 3
    sum(row.sum() * i for i, row in enumerate(x)).backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, 1], [2, 2]])
    with pytest.raises(TypeError):
        iter(Tensor(1.0))


def test_detach_shares_the_value_and_cuts_the_graph():
    x = Tensor([1.0])
    y = (x * 2).detach()
    assert y.is_leaf and not y.requires_grad and x.detach().value is x.value


@pytest.mark.case("autograd", 12)
def test_item_assignment_is_refused_and_says_what_to_use():
    x = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"where.*\.value"):
        x[0] = 1
    np.testing.assert_array_equal(x.value, [1, 2])


@pytest.mark.case("autograd", 12)
def test_in_place_operators_rebind_and_leave_the_old_tensor_alone():
    x = y = Tensor([1.0, 2.0])
    y += 1
    y -= 2
    y *= 3
    y /= 2
    y **= 2
    assert y is not x
    np.testing.assert_array_equal(x.value, [1, 2])
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 4.5 * (x.value - 1))


@pytest.mark.case("autograd", 12)
def test_an_array_cannot_swallow_a_tensor_in_place():
    array, x = np.zeros(2), Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="out="):
        array += x
    with pytest.raises(TypeError, match="out="):
        np.multiply(x, 2, out=array)


@pytest.mark.case("autograd", 7)
@given(st.floats(0.5, 3), st.floats(0.5, 3))
def test_reflected_operators_have_the_right_sign_and_gradient(a, x):
    for f, value, slope in [(lambda t: a + t, a + x, 1), (lambda t: a - t, a - x, -1), (lambda t: a * t, a * x, a),
                            (lambda t: a / t, a / x, -a / x ** 2), (lambda t: a ** t, a ** x, a ** x * np.log(a)),
                            (lambda t: -t, -x, -1), (lambda t: abs(-t), x, 1), (lambda t: sum([t, t]), 2 * x, 2)]:
        leaf = Tensor(np.array(x))
        y = f(leaf)
        y.backward()
        np.testing.assert_allclose([y.value, leaf.grad], [value, slope], rtol=1e-12, atol=1e-12)


@pytest.mark.case("autograd", 7)
def test_a_number_is_no_matrix():
    for product in (lambda x: 3 @ x, lambda x: x @ 3):
        with pytest.raises(ValueError):
            product(Tensor(np.eye(2)))


@pytest.mark.case("autograd", 8)
@pytest.mark.parametrize("left", [np.float32(2), np.float64(2), np.int64(2), np.full(3, 2.0), np.full((2, 1), 2, np.int32),
                                  np.full(3, 2, np.float32), np.array(2.0)], ids=repr)
def test_numpy_on_the_left_gives_a_tensor(left):
    x = Tensor(np.array([1, 2, 3], np.float32))
    for y, slope in [(left * x, 2), (left + x, 1), (left - x, -1), (left / x, -2 / x.value ** 2)]:
        assert type(y) is Tensor and y.dtype == np.float32
        x.grad = None
        y.sum().backward()
        np.testing.assert_allclose(x.grad, np.full(3, slope) * (y.size // 3), rtol=1e-6)


@pytest.mark.case("autograd", 8)
def test_a_matrix_on_the_left_multiplies():
    x = Tensor(np.ones((3, 2)))
    y = np.arange(6.0).reshape(2, 3) @ x
    y.sum().backward()
    assert type(y) is Tensor
    np.testing.assert_array_equal(x.grad, [[3, 3], [5, 5], [7, 7]])


@pytest.mark.case("autograd", 18)
@pytest.mark.parametrize("f", [
    lambda x: 2 * x, lambda x: x / 3, lambda x: x * np.float64(2), lambda x: x * np.sqrt(0.5), lambda x: x * np.array(2),
    lambda x: x + np.arange(3), lambda x: x.mean(), lambda x: x ** 2, lambda x: x ** 0.5, lambda x: 2 ** x,
    lambda x: ops.where(x > 1, x, 0.0), lambda x: np.maximum(x, 0.5), lambda x: x * True])
def test_float32_stays_float32_beside_anything(f):
    x = Tensor(np.array([1, 2, 3], np.float32))
    y = f(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32


METHODS = [
    (lambda x: x.sum(), np.sum),
    (lambda x: x.sum(0), lambda a: np.sum(a, 0)),
    (lambda x: x.mean(axis=1, keepdims=True), lambda a: np.mean(a, axis=1, keepdims=True)),
    (lambda x: x.max(1), lambda a: np.max(a, 1)),
    (lambda x: x.min(axis=(0, 1)), lambda a: np.min(a, axis=(0, 1))),
    (lambda x: x.T, np.transpose),
    (lambda x: x.mT, lambda a: np.swapaxes(a, -1, -2)),
    (lambda x: x.reshape(3, -1), lambda a: np.reshape(a, (3, -1))),
    (lambda x: x.reshape((4, 3)), lambda a: np.reshape(a, (4, 3))),
    (lambda x: x.reshape(12), lambda a: np.reshape(a, 12)),
    (lambda x: x.transpose(1, 0), lambda a: np.transpose(a, (1, 0))),
    (lambda x: x.transpose((1, 0)), lambda a: np.transpose(a, axes=(1, 0))),
    (lambda x: x.transpose(), np.transpose),
    (lambda x: x.swapaxes(0, 1), lambda a: np.swapaxes(a, 0, 1)),
    (lambda x: x[1:, ::2], lambda a: a[1:, ::2]),
    (lambda x: x[np.array([0, 0])], lambda a: a[np.array([0, 0])]),
    (lambda x: x[Tensor(np.array([0, 0]))], lambda a: a[np.array([0, 0])]),
    (lambda x: abs(x), np.abs),
    (lambda x: ops.exp(x), np.exp),
    (lambda x: ops.tanh(x), np.tanh),
    (lambda x: ops.square(x), np.square),
    (lambda x: x / 2, lambda a: np.divide(a, 2)),
    (lambda x: x - 1, lambda a: np.subtract(a, 1)),
    (lambda x: x * 2, lambda a: np.multiply(2, a)),
    (lambda x: x @ x.T, lambda a: np.matmul(a, np.transpose(a))),
    (lambda x: ops.where(x > 0, x, 0), lambda a: np.where(a > 0, a, 0)),
    (lambda x: ops.maximum(x, 0), lambda a: np.maximum(a, 0)),
    (lambda x: ops.squeeze(x), np.squeeze),
    (lambda x: ops.expand_dims(x, axis=0), lambda a: np.expand_dims(a, 0)),
    (lambda x: ops.broadcast_to(x, shape=(2, 3, 4)), lambda a: np.broadcast_to(a, (2, 3, 4))),
    (lambda x: ops.concatenate(x, x), lambda a: np.concatenate((a, a))),
    (lambda x: ops.concatenate(x, x, axis=1), lambda a: np.concatenate([a, a], axis=1)),
]


@pytest.mark.parametrize("method, function", METHODS)
def test_methods_operators_and_numpys_functions_are_the_same_operation(method, function):
    array = np.random.default_rng(0).standard_normal((3, 4))
    x, other = Tensor(array), Tensor(array)
    y, z = method(x), function(other)
    assert type(z) is Tensor
    np.testing.assert_array_equal(y.value, function(array))
    np.testing.assert_array_equal(z.value, y.value)
    y.backward(np.ones(y.shape))
    z.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, other.grad)


@pytest.mark.parametrize("call", [lambda x: np.linalg.det(x), lambda x: np.kron(x, x), lambda x: np.arcsinh(x),
                                  lambda x: np.add.reduce(x), lambda x: np.median(x), lambda x: np.isnan(x)])
def test_a_numpy_function_without_an_operation_says_so_and_never_drops_the_gradient(call):
    with pytest.raises(TypeError, match=r"has no operation on Tensors.*\.value"):
        call(Tensor([1.0, 2.0]))


def test_questions_about_shape_are_answered():
    x = Tensor(np.ones((2, 3)))
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6) == (x.shape, x.ndim, x.size)


def test_asarray_gives_the_value():
    x = Tensor([1.0, 2.0])
    assert np.asarray(x) is x.value and np.asarray(x, np.float64).dtype == np.float64 and x.numpy() is x.value
    assert not np.shares_memory(np.array(x), x.value)


@given(small_arrays)
def test_any_array_survives_the_round_trip_through_a_tensor(array):
    y = (Tensor(array) * 1).reshape(array.size).reshape(array.shape)
    np.testing.assert_array_equal(y.value, array)
    y.backward(np.ones(array.shape))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_a_leaf_is_a_leaf_of_its_own(duplicate):
    x = Tensor([1.0, 2.0], name="w")
    x.role = "weight"
    y = duplicate(x)
    (x * y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 4])
    np.testing.assert_array_equal(y.grad, [2, 8])
    assert y is not x and (y.name, y.role, y.requires_grad) == ("w", "weight", True)


def test_a_deep_copy_of_a_graph_has_its_own_leaves_and_order():
    x = Tensor(3.0)
    y = copy.deepcopy(x * x + x)
    (y * 2).backward()
    assert x.grad is None
    leaf = next(t for t in y.parents if t.is_leaf)
    np.testing.assert_array_equal(leaf.grad, 14)


def test_a_graph_may_mix_copies_made_early_and_late():
    x = Tensor([1.0])
    late = copy.deepcopy(x)
    y = x * 2
    z = copy.copy(y)
    (y + z + late).sum().backward()
    np.testing.assert_array_equal([x.grad, late.grad], [[4], [1]])


def test_results_without_a_graph_are_leaves_that_want_nothing():
    x = Tensor([1.0])
    with no_grad():
        y = x * 2
    assert y.is_leaf and not y.requires_grad and not (Tensor([1.0], requires_grad=False) * 2).requires_grad
