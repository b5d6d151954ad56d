"""Losses against their plain formulas in float64, finite at any size, and strict about shapes."""

import numpy as np
import pytest

from nnkit import Tensor, check_gradients, losses

REDUCTIONS = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}
RNG = np.random.default_rng(0)
LOGITS, LABELS, WEIGHTS = RNG.standard_normal((6, 4)) * 3, RNG.random((6, 4)), RNG.random((6, 4)) * 2
CLASSES = RNG.integers(0, 4, 6)


def plain_cross_entropy(x, classes):
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return -np.log(np.take_along_axis(p, classes[..., None], -1))[..., 0]


def plain_binary(x, labels, weights=1.0):
    p = 1 / (1 + np.exp(-x))
    return -weights * (labels * np.log(p) + (1 - labels) * np.log(1 - p))


LOSSES = {
    "cross_entropy": (losses.cross_entropy, plain_cross_entropy, (LOGITS, CLASSES)),
    "cross_entropy of a sequence": (losses.cross_entropy, plain_cross_entropy, (LOGITS.reshape(2, 3, 4), CLASSES.reshape(2, 3))),
    "cross_entropy of one": (losses.cross_entropy, plain_cross_entropy, (LOGITS[0], np.array(2))),
    "binary": (losses.binary_cross_entropy_with_logits, plain_binary, (LOGITS, LABELS)),
    "binary of booleans": (losses.binary_cross_entropy_with_logits, plain_binary, (LOGITS, LABELS > 0.5)),
    "binary of integers": (losses.binary_cross_entropy_with_logits, plain_binary, (LOGITS, (LABELS > 0.5).astype(int))),
    "binary, weighted": (losses.binary_cross_entropy_with_logits, plain_binary, (LOGITS, LABELS, WEIGHTS)),
    "binary of a number": (losses.binary_cross_entropy_with_logits, plain_binary, (LOGITS[0, 0], LABELS[0, 0])),
    "squared": (losses.mean_squared_error, lambda x, y: (x - y) ** 2, (LOGITS, LABELS)),
    "squared of a number": (losses.mean_squared_error, lambda x, y: (x - y) ** 2, (LOGITS[0, 0], LABELS[0, 0])),
}
every_loss = pytest.mark.parametrize("loss, plain, inputs", LOSSES.values(), ids=LOSSES)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def test_every_public_loss_is_in_the_table():
    public = {f for name, f in vars(losses).items() if callable(f) and getattr(f, "__module__", "") == losses.__name__
              and name not in ("check_reduction", "same_shape")}
    assert public == {loss for loss, _, _ in LOSSES.values()}


@pytest.mark.case("autograd", 17)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@each_reduction
@every_loss
def test_value_is_that_of_the_formula_in_the_dtype_of_the_logits(loss, plain, inputs, reduction, dtype, tolerance):
    x = Tensor(np.asarray(inputs[0], dtype))
    y = loss(x, *inputs[1:], reduction=reduction)
    expected = REDUCTIONS[reduction](plain(*(np.asarray(i) for i in inputs)))
    assert y.shape == np.shape(expected) and y.dtype == dtype
    np.testing.assert_allclose(y.value, expected, rtol=tolerance, atol=tolerance)
    y.sum().backward()
    assert x.grad.dtype == dtype and x.grad.shape == x.shape


@each_reduction
@every_loss
def test_gradient_is_the_derivative(loss, plain, inputs, reduction):
    constants = [np.asarray(c) for c in inputs[1:]]
    assert check_gradients(lambda x: loss(x, *constants, reduction=reduction), np.asarray(inputs[0])) > 1


@pytest.mark.case("autograd", 20)
@every_loss
def test_mean_is_the_default_and_a_single_number(loss, plain, inputs):
    y = loss(Tensor(np.asarray(inputs[0])), *inputs[1:])
    assert y.shape == () and isinstance(float(y), float)
    assert float(y) == float(loss(Tensor(np.asarray(inputs[0])), *inputs[1:], reduction="mean"))


@pytest.mark.case("autograd", 31)
@pytest.mark.parametrize("name", ["cross_entropy", "binary", "binary, weighted", "squared"])
def test_a_batch_repeated_leaves_the_mean_gradient_and_doubles_that_of_the_sum(name):
    loss, _, inputs = LOSSES[name]
    w = Tensor(np.ones(4))
    grads = {}
    for reduction in ("mean", "sum"):
        for times in (1, 2):
            w.grad = None
            x, *rest = (np.concatenate([i] * times) for i in inputs)
            loss(x * w, *rest, reduction=reduction).backward()
            grads[reduction, times] = w.grad
    np.testing.assert_allclose(grads["mean", 2], grads["mean", 1], rtol=1e-12)
    np.testing.assert_allclose(grads["sum", 2], 2 * grads["sum", 1], rtol=1e-12)


@pytest.mark.parametrize("reduction", ["average", "", None, "SUM"])
@every_loss
def test_another_reduction_is_refused_by_name(loss, plain, inputs, reduction):
    with pytest.raises(ValueError, match="reduction must be 'mean', 'sum' or 'none'"):
        loss(Tensor(np.asarray(inputs[0])), *inputs[1:], reduction=reduction)


@pytest.mark.case("autograd", 27)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_reduction
def test_cross_entropy_is_finite_for_logits_of_any_size(dtype, reduction):
    x = Tensor(np.array([[1000, 0], [-1e4, 1e4], [1e4, -1e4], [1e4, 1e4], [-1e4, -1e4]], dtype))
    y = losses.cross_entropy(x, [0, 0, 0, 1, 1], reduction=reduction)
    y.sum().backward()
    expected = np.array([0, 2e4, 0, np.log(2), np.log(2)])
    np.testing.assert_allclose(y.value, REDUCTIONS[reduction](expected), rtol=1e-6)
    scale = 1 / 5 if reduction == "mean" else 1
    np.testing.assert_allclose(x.grad, np.array([[0, 0], [-1, 1], [0, 0], [0.5, -0.5], [0.5, -0.5]]) * scale, atol=1e-7)


@pytest.mark.case("autograd", 27)
@pytest.mark.parametrize("v", [0.0, 1.0, -1e4, 1e10, 1e20])
def test_cross_entropy_of_two_equal_logits_is_the_logarithm_of_two(v):
    assert float(losses.cross_entropy(Tensor(np.full((1, 2), v)), [0])) == pytest.approx(np.log(2), rel=1e-12)


@pytest.mark.case("autograd", 28)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [50, 1000, 1e4])
def test_binary_cross_entropy_is_finite_and_its_gradient_is_sigmoid_minus_label(dtype, size):
    x = Tensor(np.array([size, size, -size, -size], dtype))
    t = np.array([1, 0, 1, 0])
    y = losses.binary_cross_entropy_with_logits(x, t, reduction="none")
    y.sum().backward()
    expected = np.maximum(x.value, 0) - x.value * t + np.log1p(np.exp(-np.abs(x.value)))
    np.testing.assert_allclose(y.value, expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(x.grad, [0, 1, -1, 0], atol=1e-20)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_squared_error_is_finite(size):
    x = Tensor(np.array([size], np.float32))
    losses.mean_squared_error(x, [0.0]).backward()
    np.testing.assert_array_equal(x.grad, [2 * size])


@pytest.mark.case("autograd", 30)
@pytest.mark.parametrize("a, b", [((3, 1), (3,)), ((3,), (3, 1)), ((3,), ()), ((1, 3), (3,)), ((2, 3), (3, 2)), ((), (1,))])
@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.binary_cross_entropy_with_logits])
def test_unequal_shapes_are_refused_with_both(loss, a, b):
    for target in (np.ones(b), Tensor(np.ones(b))):
        with pytest.raises(ValueError) as error:
            loss(Tensor(np.ones(a)), target)
        assert loss.__name__ in str(error.value) and str(a) in str(error.value) and str(b) in str(error.value)


@pytest.mark.case("autograd", 30)
def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"weights \(3, 1\)"):
        losses.binary_cross_entropy_with_logits(Tensor(np.ones(3)), np.ones(3), np.ones((3, 1)))


@pytest.mark.case("autograd", 30)
@pytest.mark.parametrize("classes, error", [
    (np.zeros((3, 1), int), ValueError), (np.zeros(4, int), ValueError), (0, ValueError), (np.zeros(3), TypeError),
    (np.zeros(3, bool), TypeError), ([0, 1, 2], IndexError), ([0, -1, 0], IndexError)])
def test_classes_that_do_not_fit_are_refused(classes, error):
    with pytest.raises(error, match="cross_entropy"):
        losses.cross_entropy(Tensor(np.ones((3, 2))), classes)


@pytest.mark.parametrize("kind", [list, np.int8, np.uint64, Tensor])
def test_classes_may_be_a_list_any_integers_or_a_tensor(kind):
    classes = [0, 1] if kind is list else Tensor([0, 1]) if kind is Tensor else np.array([0, 1], kind)
    assert float(losses.cross_entropy(Tensor(np.zeros((2, 4))), classes)) == pytest.approx(np.log(4))


def test_labels_and_weights_that_want_a_gradient_get_one():
    assert check_gradients(losses.binary_cross_entropy_with_logits, LOGITS, LABELS, WEIGHTS) >= 3 * LOGITS.size
    assert check_gradients(losses.mean_squared_error, LOGITS, LABELS) >= 2 * LOGITS.size


def test_a_weight_of_zero_silences_an_element_whatever_its_logit():
    x = Tensor(np.array([1e4, 0.5]))
    losses.binary_cross_entropy_with_logits(x, [0.0, 1.0], [0.0, 1.0], reduction="sum").backward()
    assert x.grad[0] == 0 and x.grad[1] != 0


def test_logits_and_labels_are_left_as_they_were():
    for loss, _, inputs in LOSSES.values():
        copies = [np.array(i) for i in inputs]
        for c in copies:
            c.flags.writeable = False
        loss(Tensor(copies[0]), *copies[1:]).backward()


def test_losses_of_plain_arrays_are_numbers_without_a_graph():
    y = losses.cross_entropy(LOGITS, CLASSES)
    assert not y.requires_grad and float(y) == pytest.approx(plain_cross_entropy(LOGITS, CLASSES).mean())
