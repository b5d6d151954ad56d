"""What the options of the losses do, on formulas written as in a textbook; and what each refuses."""

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, check_gradients, losses

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 6, 4)) * 3
CLASSES = np.array([0, 1, 3, 0, 2, 3])
WEIGHT = np.array([0.5, 2, 0, 1])
each_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def reduced(values, reduction, count=None):
    return values if reduction == "none" else values.sum() / ((count or values.size) if reduction == "mean" else 1)


@each_reduction
@pytest.mark.parametrize("ignored", [None, 3, -100])
def test_likelihood_weights_and_ignores_as_cross_entropy_does(reduction, ignored):
    log_p = X - np.log(np.exp(X).sum(axis=1, keepdims=True))
    for classes in (CLASSES, CLASSES.reshape(2, 3)):
        x, u = log_p.reshape(*classes.shape, 4), X.reshape(*classes.shape, 4)
        y = losses.nll_loss(Tensor(x), classes, weight=WEIGHT, ignore_index=ignored, reduction=reduction)
        z = losses.cross_entropy(Tensor(u), classes, weight=WEIGHT, ignore_index=ignored, reduction=reduction)
        np.testing.assert_allclose(y.value, z.value, rtol=1e-12, atol=1e-15)
    assert check_gradients(lambda x: losses.nll_loss(x, CLASSES, weight=WEIGHT, ignore_index=ignored, reduction=reduction), X) > 1


def test_an_ignored_element_counts_nothing_whatever_stands_there():
    x = Tensor(np.concatenate([X, np.full((1, 4), np.nan)]))
    y = losses.nll_loss(x, [*CLASSES, -1], ignore_index=-1)
    y.backward()
    assert float(y) == pytest.approx(float(losses.nll_loss(Tensor(X), CLASSES)), rel=1e-12)
    np.testing.assert_array_equal(x.grad[6], 0)


def test_a_log_probability_of_minus_infinity_of_another_class_is_no_nan():
    x = Tensor(np.array([[0.0, -np.inf]]))
    y = losses.nll_loss(x, [0])
    y.backward()
    assert float(y) == 0 and np.isfinite(x.grad).all()


@each_reduction
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [1.0, 0.25])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_hinge_with_its_options(p, margin, weight, reduction):
    own = 1 if weight is None else weight[CLASSES]
    gaps = np.maximum(0, margin - X[np.arange(6), CLASSES][:, None] + X) * (np.arange(4) != CLASSES[:, None])
    expected = reduced(own * (gaps ** p).sum(axis=1) / 4, reduction)  # the mean is over the number, whatever the weights
    options = {"p": p, "margin": margin, "weight": weight, "reduction": reduction}
    np.testing.assert_allclose(losses.multi_margin_loss(Tensor(X), CLASSES, **options).value, expected, rtol=1e-12)
    assert check_gradients(lambda x: losses.multi_margin_loss(x, CLASSES, **options), X) > 1


def test_what_is_right_by_the_margin_costs_nothing():
    x = Tensor(np.array([[3.0, 1.9, 0.0]]))
    y = losses.multi_margin_loss(x, [0])
    y.backward()
    assert float(y) == 0 and not x.grad.any()


@each_reduction
@pytest.mark.parametrize("delta", [0.5, 1.0, 4.0])
def test_huber_and_smooth_absolute_are_squares_near_zero_and_lines_far_away(delta, reduction):
    d = np.abs(X - Y)
    expected = np.where(d <= delta, d ** 2 / 2, delta * (d - delta / 2))
    for loss, values in ((lambda x: losses.huber_loss(x, Y, delta=delta, reduction=reduction), expected),
                         (lambda x: losses.smooth_l1_loss(x, Y, beta=delta, reduction=reduction), expected / delta)):
        np.testing.assert_allclose(loss(Tensor(X)).value, reduced(values, reduction), rtol=1e-12)
        assert check_gradients(loss, X) > 1


def test_smooth_absolute_with_a_beta_of_zero_is_absolute():
    np.testing.assert_array_equal(losses.smooth_l1_loss(Tensor(X), Y, beta=0.0).value, losses.l1_loss(Tensor(X), Y).value)


@pytest.mark.parametrize("loss", [losses.huber_loss, losses.smooth_l1_loss, losses.l1_loss])
def test_their_gradients_are_bounded_for_errors_of_any_size(loss):
    x = Tensor(np.array([1e30, -1e30, 0.0], np.float32))
    loss(x, np.zeros(3), reduction="sum").backward()
    np.testing.assert_array_equal(x.grad, [1, -1, 0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
def test_divergence_of_logarithms_and_by_batch(reduction):
    p, q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (X / 6, Y / 6))
    values = q * np.log(q / p)
    expected = values.sum(axis=1).mean() if reduction == "batchmean" else reduced(values, reduction)
    for target, log_target in ((q, False), (np.log(q), True)):
        y = losses.kl_div(Tensor(np.log(p)), target, log_target=log_target, reduction=reduction)
        np.testing.assert_allclose(y.value, expected, rtol=1e-10)
        assert check_gradients(lambda x, t: losses.kl_div(x, t, log_target=log_target, reduction=reduction),  # noqa: B023
                               np.log(p), target) >= 48
    assert losses.kl_div(Tensor(np.log(q)), q, reduction=reduction).value == pytest.approx(0, abs=1e-12)


def test_a_plain_target_takes_the_dtype_of_the_probabilities():
    x = Tensor(X.astype(np.float32))
    for target in (np.abs(Y), np.abs(Y).tolist(), np.ones((6, 4), int)):
        assert losses.kl_div(x, target).dtype == np.float32


@each_reduction
@pytest.mark.parametrize("margin", [0.0, 0.3, -0.5])
def test_cosine_with_a_margin(margin, reduction):
    labels = np.array([1, -1, 1, -1, -1, 1])
    cosines = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    expected = reduced(np.where(labels == 1, 1 - cosines, np.maximum(0, cosines - margin)), reduction)

    def loss(x, y):
        return losses.cosine_embedding_loss(x, y, labels, margin=margin, reduction=reduction)

    np.testing.assert_allclose(loss(Tensor(X), Tensor(Y)).value, expected, rtol=1e-10)
    assert check_gradients(loss, X, Y) > 2


def test_the_angle_of_a_vector_of_zeros_is_finite():
    x = Tensor(np.zeros((1, 4)))
    y = losses.cosine_embedding_loss(x, np.ones((1, 4)), [1])
    y.backward()
    assert float(y) == 1 and np.isfinite(x.grad).all()


@pytest.mark.parametrize("call, error, said", [
    (lambda x: losses.nll_loss(x, [0]), ValueError, r"nll_loss: logits of shape \(6, 4\) need classes of .*\(6,\), got \(1,\)"),
    (lambda x: losses.nll_loss(x, CLASSES * 1.0), TypeError, "nll_loss: classes must be integers, got float64"),
    (lambda x: losses.nll_loss(x, CLASSES + 1), IndexError, r"nll_loss: classes from 1 to 4 with logits for 0\.\.3"),
    (lambda x: losses.nll_loss(x, CLASSES - 1), IndexError, "nll_loss: classes from -1 to 2"),
    (lambda x: losses.nll_loss(x, CLASSES, weight=[1, 2]), ValueError, r"nll_loss: weight must be of shape \(4,\)"),
    (lambda x: losses.nll_loss(x, CLASSES * 0, ignore_index=0), ValueError, "nll_loss: a mean over nothing: each of the 6 rows"),
    (lambda x: losses.nll_loss(x, CLASSES, ignore_index=0.5), TypeError, "nll_loss: ignore_index must be an integer"),
    (lambda x: losses.nll_loss(x.sum(), 0), ValueError, "nll_loss: logits of shape .*their last axis is the classes'"),
    (lambda x: losses.multi_margin_loss(x, CLASSES + 1), IndexError, "multi_margin_loss: classes from 1 to 4"),
    (lambda x: losses.multi_margin_loss(x, CLASSES[:2]), ValueError, r"multi_margin_loss: .*\(6,\), got \(2,\)"),
    (lambda x: losses.multi_margin_loss(x, CLASSES, p=3), ValueError, "multi_margin_loss: p must be 1 or 2, got 3"),
    (lambda x: losses.multi_margin_loss(x, CLASSES, weight=-WEIGHT), ValueError, "multi_margin_loss: the weight of a class"),
    (lambda x: losses.huber_loss(x, Y, delta=0.0), ValueError, "huber_loss: delta must be above 0, got 0.0"),
    (lambda x: losses.huber_loss(x, Y, delta=np.nan), ValueError, "huber_loss: delta must be above 0, got nan"),
    (lambda x: losses.smooth_l1_loss(x, Y, beta=-1.0), ValueError, "smooth_l1_loss: beta must not be below 0, got -1.0"),
    (lambda x: losses.kl_div(x, Y, reduction="batch"), ValueError, "reduction must be"),
    (lambda x: losses.l1_loss(x, Y, reduction="batchmean"), ValueError, "reduction must be"),
    (lambda x: losses.cosine_embedding_loss(x, Y[:5], CLASSES), ValueError, r"shapes differ: a \(6, 4\), b \(5, 4\)"),
    (lambda x: losses.cosine_embedding_loss(x, Y, np.ones((6, 1))), ValueError, r"need labels of shape \(6,\), got \(6, 1\)"),
    (lambda x: losses.cosine_embedding_loss(x, Y, [1, 0, 1, 1, 1, 1]), ValueError, r"labels must be 1 \(alike\) or -1 .*got 0$")])
def test_what_does_not_fit_is_refused_in_a_line_that_names_the_loss(call, error, said):
    with pytest.raises(error, match=said) as raised:
        call(Tensor(X))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("loss, targets", [
    (losses.nll_loss, (CLASSES,)), (losses.multi_margin_loss, (CLASSES,)), (losses.l1_loss, (Y,)), (losses.huber_loss, (Y,)),
    (losses.smooth_l1_loss, (Y,)), (losses.kl_div, (np.abs(Y).round(),)),
    (losses.cosine_embedding_loss, (Y, np.array([1, -1, 1, -1, -1, 1])))], ids=lambda f: getattr(f, "__name__", ""))
def test_a_recorded_step_is_the_dynamic_one_on_each_batch(loss, targets):
    w = Tensor(X.copy())
    step = nnkit.record(lambda x, *t: loss(x + w, *t))
    for order in (slice(None), slice(None, None, -1)):
        x, given = Y * 0.5, [np.ascontiguousarray(t[order]) for t in targets]
        alone = Tensor(X.copy())
        expected = loss(x + alone, *given)
        expected.backward()
        w.grad = None
        assert float(step(x, *given)) == pytest.approx(float(expected), rel=1e-12)
        np.testing.assert_allclose(w.grad, alone.grad, rtol=1e-10, atol=1e-14)
