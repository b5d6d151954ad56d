"""Losses against their plain formulas in float64, finite at any size, and strict about shapes."""

import inspect

import numpy as np
import pytest

import nnkit
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


SHARES = np.abs(LABELS.round(1)) * (LABELS > 0.3)  # zeros among them
VECTORS, SIGNS = RNG.standard_normal((2, 6, 4)), np.array([1, -1, 1, -1, -1, 1])


def plain_nll(x, classes):
    return -np.take_along_axis(x, classes[..., None], -1)[..., 0]


def plain_hinge(x, classes):
    rows = [[max(0, 1 - row[k] + other) for other in np.delete(row, k)]
            for row, k in zip(x.reshape(-1, x.shape[-1]), classes.reshape(-1))]
    return np.sum(rows, axis=1).reshape(classes.shape) / x.shape[-1]


def plain_huber(x, y):
    return np.where(np.abs(x - y) <= 1, (x - y) ** 2 / 2, np.abs(x - y) - 0.5)


def plain_divergence(x, y):
    return y * (np.log(np.where(y == 0, 1, y)) - x)


def plain_cosine(a, b, labels):
    cosines = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.where(labels == 1, 1 - cosines, np.maximum(cosines, 0))


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
    "likelihood": (losses.nll_loss, plain_nll, (LOGITS, CLASSES)),
    "likelihood of a sequence": (losses.nll_loss, plain_nll, (LOGITS.reshape(2, 3, 4), CLASSES.reshape(2, 3))),
    "hinge": (losses.multi_margin_loss, plain_hinge, (LOGITS, CLASSES)),
    "hinge of a sequence": (losses.multi_margin_loss, plain_hinge, (LOGITS.reshape(2, 3, 4), CLASSES.reshape(2, 3))),
    "hinge of one": (losses.multi_margin_loss, plain_hinge, (LOGITS[0], np.array(2))),
    "absolute": (losses.l1_loss, lambda x, y: np.abs(x - y), (LOGITS, LABELS)),
    "huber": (losses.huber_loss, plain_huber, (LOGITS, LABELS)),
    "huber of a number": (losses.huber_loss, plain_huber, (LOGITS[0, 0], LABELS[0, 0])),
    "smooth absolute": (losses.smooth_l1_loss, plain_huber, (LOGITS, LABELS)),
    "divergence": (losses.kl_div, plain_divergence, (LOGITS, SHARES)),
    "cosine": (losses.cosine_embedding_loss, plain_cosine, (*VECTORS, SIGNS)),
    "cosine of one pair": (losses.cosine_embedding_loss, plain_cosine, (*VECTORS[:, 0], np.array(-1.0))),
}
every_loss = pytest.mark.parametrize("loss, plain, inputs", LOSSES.values(), ids=LOSSES)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def test_every_public_loss_is_in_the_table():
    public = {f for f in vars(losses).values() if inspect.isfunction(f)
              and getattr(inspect.signature(f).parameters.get("reduction"), "default", None) == "mean"}
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
@pytest.mark.parametrize("name", ["cross_entropy", "binary", "binary, weighted", "squared", "likelihood", "hinge", "huber",
                                  "divergence", "cosine"])
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
@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.binary_cross_entropy_with_logits, losses.l1_loss,
                                  losses.huber_loss, losses.smooth_l1_loss, losses.kl_div])
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


OPTIONS = [{"weight": weight, "label_smoothing": smoothing, "ignore_index": ignored}
           for weight in (None, [0.5, 2, 0, 1]) for smoothing in (0.0, 0.1, 1.0) for ignored in (None, 3, -100)]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def weighted_losses(x, classes, weight, label_smoothing, ignore_index):
    """One loss an element, and what each counts in the mean: PyTorch's formula."""
    weight = np.ones(x.shape[-1]) if weight is None else np.array(weight)
    log_p = np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True))
    right = -weight[classes] * np.take_along_axis(log_p, classes[..., None], -1)[..., 0]
    counted = classes != ignore_index
    values = (1 - label_smoothing) * right - label_smoothing / x.shape[-1] * (weight * log_p).sum(-1)
    return values * counted, weight[classes] * counted


@each_reduction
@each_option
@pytest.mark.parametrize("shape", [(6,), (2, 3)], ids=str)
def test_weights_smoothing_and_ignored_classes_are_those_of_pytorch(options, reduction, shape):
    x, classes = LOGITS.reshape(*shape, 4), np.array([0, 1, 3, 0, 2, 3]).reshape(shape)
    values, counts = weighted_losses(x, classes, **options)
    expected = values.sum() / counts.sum() if reduction == "mean" else REDUCTIONS[reduction](values)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        y = losses.cross_entropy(Tensor(x.astype(dtype)), classes, reduction=reduction, **options)
        assert y.dtype == dtype
        np.testing.assert_allclose(y.value, expected, rtol=tolerance, atol=tolerance)
    assert check_gradients(lambda x: losses.cross_entropy(x, classes, reduction=reduction, **options), x) > 1


@each_option
def test_ignored_rows_count_nothing_whatever_their_logits_or_their_number(options):
    options = options | {"ignore_index": -1}
    filled = np.concatenate([LOGITS, np.full((2, 4), np.nan), np.full((1, 4), np.inf)])
    x, alone = Tensor(filled), Tensor(LOGITS)
    y = losses.cross_entropy(x, [*CLASSES, -1, -1, -1], **options)
    y.backward()
    one = losses.cross_entropy(alone, CLASSES, **options)
    one.backward()
    assert float(y) == pytest.approx(float(one), rel=1e-12)
    np.testing.assert_allclose(x.grad[:6], alone.grad, rtol=1e-12)
    np.testing.assert_array_equal(x.grad[6:], 0)


def test_a_class_that_can_never_be_is_no_nan_where_others_are_weighted():
    x = Tensor(np.array([[0.0, -np.inf, 1.0]]))
    y = losses.cross_entropy(x, [2], weight=[1, 0, 2])
    y.backward()
    assert float(y) == pytest.approx(np.log(1 + np.exp(-1))) and np.isfinite(x.grad).all()


def test_weighted_losses_are_finite_for_logits_of_any_size():
    x = Tensor(np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32))
    y = losses.cross_entropy(x, [0, 0], weight=[1, 3], label_smoothing=0.5, reduction="none")
    y.sum().backward()
    np.testing.assert_allclose(y.value, [0.25 * 3 * 2e4, 0.75 * 2e4])
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("options, said", [
    ({"weight": [1, 1]}, r"weight must be of shape \(4,\), a number for each class, got \(2,\)"),
    ({"weight": 2.0}, r"weight must be of shape \(4,\)"),
    ({"weight": [1, -1, 1, 1]}, "not below 0, got -1 for class 1"),
    ({"weight": [1, 1, np.nan, 1]}, "finite and not below 0, got nan for class 2"),
    ({"weight": [1, 1, 1, np.inf]}, "finite and not below 0, got inf for class 3"),
    ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1, got -0.1"),
    ({"label_smoothing": 1.1}, "label_smoothing must be from 0 to 1, got 1.1"),
    ({"label_smoothing": np.nan}, "label_smoothing must be from 0 to 1, got nan"),
    ({"weight": [0, 1, 1, 1]}, "a mean over nothing: each of the 2 rows is of a class of weight 0"),
    ({"ignore_index": 0}, "a mean over nothing: each of the 2 rows is of ignore_index 0"),
    ({"ignore_index": 3, "weight": [0, 1, 1, 1]}, "a mean over nothing"),
])
def test_options_that_mean_nothing_are_refused(options, said):
    with pytest.raises(ValueError, match=f"cross_entropy: .*{said}"):
        losses.cross_entropy(Tensor(LOGITS[:2]), [0, 0], **options)


def test_an_ignored_class_is_a_whole_number_and_the_others_must_be_classes():
    with pytest.raises(TypeError, match="ignore_index must be an integer"):
        losses.cross_entropy(Tensor(LOGITS[:2]), [0, 0], ignore_index=0.5)
    with pytest.raises(IndexError, match="cross_entropy: classes"):
        losses.cross_entropy(Tensor(LOGITS[:2]), [-1, -2], ignore_index=-1)


@each_reduction
def test_a_sum_over_nothing_and_an_empty_batch_are_zero(reduction):
    if reduction != "mean":
        y = losses.cross_entropy(Tensor(LOGITS), CLASSES * 0, ignore_index=0, label_smoothing=0.1, reduction=reduction)
        np.testing.assert_array_equal(y.value, 0)
    assert losses.cross_entropy(Tensor(LOGITS[:0]), CLASSES[:0], weight=np.ones(4), reduction=reduction).value.sum() == 0


def test_a_recorded_step_weights_the_classes_of_each_batch():
    w = Tensor(LOGITS.copy())
    step = nnkit.record(lambda x, y: losses.cross_entropy(x + w, y, weight=[1, 2, 3, 4], label_smoothing=0.1, ignore_index=3))
    for classes in (CLASSES, CLASSES[::-1].copy(), np.array([3, 3, 0, 1, 2, 3])):
        expected = losses.cross_entropy(Tensor(2 * LOGITS), classes, weight=[1, 2, 3, 4], label_smoothing=0.1, ignore_index=3)
        assert float(step(LOGITS, classes)) == pytest.approx(float(expected), rel=1e-12)


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
