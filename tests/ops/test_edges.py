"""Where a function has a kink, equal extremes, a zero, logits of any size, or nothing at all along an axis."""

import re

import numpy as np
import pytest

from nnkit import Tensor, ops


@pytest.mark.case("autograd", 10)
@pytest.mark.parametrize("extreme", [ops.max, ops.min])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_equal_extremes_share_the_gradient_equally(extreme, axis):
    x = Tensor(np.ones((3, 2)))
    extreme(x, axis=axis).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((3, 2), 1 / 3 if axis == 0 else 1 / 6))
    assert "equal" in extreme.__doc__


@pytest.mark.case("autograd", 10)
@pytest.mark.parametrize("operation", [ops.maximum, ops.minimum])
def test_equal_partners_get_half_each(operation):
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    operation(a, b).sum().backward()
    np.testing.assert_array_equal([a.grad, b.grad], np.full((2, 2), 0.5))


@pytest.mark.parametrize("operation", [ops.absolute, ops.relu])
def test_gradient_at_the_kink_is_zero(operation):
    x = Tensor([0.0, -0.0])
    operation(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


def test_clip_passes_the_gradient_inside_and_on_the_bounds():
    x = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan])
    ops.clip(x, min=-1, max=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 1, 1, 0, 0])


@pytest.mark.parametrize("operation, slope", [(ops.leaky_relu, 0.01), (ops.elu, 1), (ops.sign, 0)])
def test_gradient_at_the_kink_is_that_of_the_left_side(operation, slope):
    x = Tensor(np.array([0.0, -0.0]))
    operation(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [slope, slope])


def test_norm_of_zeros_has_gradient_zero_and_nan_stays_nan():
    x = Tensor(np.array([[0.0, 0.0], [3.0, 4.0], [np.nan, 1.0]]))
    y = ops.norm(x, axis=1)
    y.sum().backward()
    np.testing.assert_array_equal(y.value, [0, 5, np.nan])
    np.testing.assert_allclose(x.grad, [[0, 0], [0.6, 0.8], [np.nan, np.nan]])


def test_product_with_zeros_gives_each_the_product_of_the_others():
    x = Tensor(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.0, 2.0, 4.0]]))
    ops.prod(x, axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 6, 0], [0, 0, 0], [8, 4, 2]])


def test_power_zero_has_gradient_zero_at_zero():
    for exponent in (0, 0.0, np.zeros(1)):
        x = Tensor([0.0])
        (x ** exponent).sum().backward()
        np.testing.assert_array_equal(x.grad, [0])


def test_power_with_a_whole_number_takes_negative_bases():
    x = Tensor([-2.0, 3.0])
    (x ** 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [12, 27])


@pytest.mark.case("autograd", 27)
@pytest.mark.case("autograd", 28)
@pytest.mark.parametrize("operation, expected", [
    (ops.sigmoid, [0, 0, 0.5, 1, 1]), (ops.softplus, [0, 0, np.log(2), 1e3, 1e4]), (ops.silu, [0, 0, 0, 1e3, 1e4]),
    (ops.log_sigmoid, [-1e4, -1e3, -np.log(2), 0, 0]), (ops.elu, [-1, -1, 0, 1e3, 1e4]), (ops.gelu, [0, 0, 0, 1e3, 1e4]),
    (ops.tanh, [-1, -1, 0, 1, 1]), (ops.softmax, [0, 0, 0, 0, 1]),
    (ops.log_softmax, [-2e4, -1e4 - 1e3, -1e4, -9e3, 0]), (ops.logsumexp, 1e4)], ids=lambda o: getattr(o, "__name__", ""))
def test_logits_of_any_size_stay_finite(operation, expected):
    x = Tensor(np.array([-1e4, -1e3, 0, 1e3, 1e4], np.float32))
    y = operation(x)
    y.sum().backward()
    np.testing.assert_allclose(y.value, expected, atol=1e-30)
    assert np.isfinite(x.grad).all()


def test_softmax_of_one_row_sums_to_one_whatever_the_others_hold():
    y = ops.softmax(Tensor(np.array([[0, 1e4], [3, 3], [-1e4, 1e4]], np.float32)))
    np.testing.assert_allclose(y.value.sum(axis=-1), 1, rtol=1e-6)


def test_where_keeps_the_branch_that_was_not_taken_out_of_the_gradient():
    x = Tensor([0.0, 1.0])
    ops.where(np.array([False, True]), x, 5.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1])


def test_dropout_draws_from_its_generator_alone():
    x = Tensor(np.ones(1000))
    first = ops.dropout(x, p=0.5, rng=np.random.default_rng(1)).value
    again = ops.dropout(x, p=0.5, rng=np.random.default_rng(1)).value
    other = ops.dropout(x, p=0.5, rng=np.random.default_rng(2)).value
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("shape, axis", [((3, 0), 1), ((0,), -1), ((0,), None), ((2, 0, 3), (1, 2)), ((0, 0), 0)])
def test_logsumexp_of_nothing_is_the_logarithm_of_zero(shape, axis):
    x = Tensor(np.zeros(shape))
    y = ops.logsumexp(x, axis=axis)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(y.value, np.logaddexp.reduce(np.zeros((*y.shape, 0)), axis=-1))
    assert x.grad.shape == shape


def test_logsumexp_of_minus_infinities_is_one_and_gives_no_gradient():
    x = Tensor(np.array([[-np.inf, -np.inf], [0, -np.inf]]))
    y = ops.logsumexp(x)
    y.backward(np.ones(2))
    np.testing.assert_array_equal(y.value, [-np.inf, 0])
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, 0]])


@pytest.mark.parametrize("extreme, name", [(ops.max, "max"), (ops.min, "min")])
@pytest.mark.parametrize("shape, axis, where", [
    ((3, 0), 1, "no elements along axis 1"), ((3, 0), None, "no elements"), ((0, 0), -1, "no elements along axis -1"),
    ((2, 0, 3), (1, 2), r"no elements along axis \(1, 2\)")])
def test_an_extreme_of_nothing_is_refused_by_name_and_axis(extreme, name, shape, axis, where):
    with pytest.raises(ValueError, match=rf"^{name}: an array of shape {re.escape(str(shape))} has {where}, and so no {name}$"):
        extreme(Tensor(np.zeros(shape)), axis=axis)


def test_an_axis_that_is_not_there_is_numpys_own_error():
    for x in (np.zeros((0, 2)), np.zeros((1, 2))):
        with pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds"):
            ops.max(Tensor(x), axis=5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape, axis, correction", [((3, 0), 1, 0), ((0,), None, 0), ((0,), None, 1), ((3, 1), 1, 1)])
def test_mean_and_variance_of_too_few_are_numpys_nan(shape, axis, correction):
    x = Tensor(np.zeros(shape))
    y = ops.var(x, axis=axis, correction=correction)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(y.value, np.var(x.value, axis=axis, ddof=correction))
    assert np.isnan(y.value).all() and np.isnan(x.grad).all() and x.grad.shape == shape
    np.testing.assert_array_equal(ops.mean(x, axis=axis).value, np.mean(x.value, axis=axis))


@pytest.mark.parametrize("operation", [ops.mean, ops.var])
def test_numpys_warning_of_an_empty_mean_reaches_the_user(operation):
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"), np.errstate(all="ignore"):
        operation(Tensor(np.zeros((3, 0))), axis=1)
