"""check_gradients finds every kind of wrong backward, says what is wrong, and passes what is right."""

import numpy as np
import pytest

from nnkit import Operation, Tensor, check_gradients, ops, tensor_op
from nnkit.autograd.check import GradientError


def product(backward_of):
    """a * b with another backward."""
    @tensor_op
    class product(Operation):
        @staticmethod
        def forward(ctx, a, b):
            ctx.extend([a, b])
            return a * b

        @staticmethod
        def backward(ctx, grad_output):
            a, b = ctx
            return backward_of(a, b, grad_output)

    return product


A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [1.5, 2.0]])


def test_what_is_right_passes_and_is_counted():
    assert check_gradients(product(lambda a, b, g: [g * b, g * a]), A, B) >= 8


@pytest.mark.case("autograd", 19)
@pytest.mark.parametrize("wrong, cause", [
    (lambda a, b, g: [-g * b, g * a], "the sign is wrong"),
    (lambda a, b, g: [g * b, g * a * 0.5], "0.5 times what it should be"),
    (lambda a, b, g: [2 * g * b, g * a], "2 times what it should be"),
    (lambda a, b, g: [None, g * a], "backward gives nothing"),
    (lambda a, b, g: [(g * b).T, g * a], "transposed"),
    (lambda a, b, g: [g * b + (a > 2), g * a], "a term that is added without being multiplied by grad_output"),
    (lambda a, b, g: [g * b * (1 + a * a), g * a], "a missing term"),
])
def test_a_wrong_backward_fails_and_its_likeliest_cause_is_named(wrong, cause):
    with pytest.raises(GradientError, match=cause):
        check_gradients(product(wrong), A, B)


@pytest.mark.case("autograd", 19)
def test_a_gradient_that_was_not_summed_over_what_was_broadcast_fails():
    with pytest.raises((GradientError, ValueError)):
        check_gradients(product(lambda a, b, g: [(g * b)[:1], g * a]), A[:1, :1], B)


@pytest.mark.case("autograd", 19)
def test_the_message_names_operation_input_place_and_both_numbers():
    def wrong(a, b, g):
        by_b = g * a
        by_b[1, 0] += 100
        return [g * b, by_b]

    with pytest.raises(GradientError) as error:
        check_gradients(product(wrong), A, B)
    text = str(error.value)
    assert "product: input 1 at [1, 0]" in text and "1 of 4 elements differ" in text
    analytic, numeric = (float(text.split(before)[1].split()[0].strip(";,"))
                         for before in ("backward gives", "difference quotient"))
    assert abs(analytic - numeric - 100) < 1e-3


@pytest.mark.case("autograd", 19)
def test_float32_inputs_are_checked_in_float64():
    assert check_gradients(lambda x: ops.exp(x) * 1e3, A.astype(np.float32)) > 4
    x = Tensor(A.astype(np.float32))
    check_gradients(ops.tanh, x)
    assert x.grad is None and x.dtype == np.float32


def test_a_large_input_costs_a_few_forward_passes_and_is_still_found_wrong():
    calls = []

    def counted(x):
        calls.append(1)
        return ops.tanh(x).sum()

    check_gradients(counted, np.zeros(10_000), directions=3)
    assert len(calls) <= 16

    one_in_a_thousand = product(lambda a, b, g: [g * b * (np.arange(1000) != 500), g * a])
    with pytest.raises(GradientError, match=r"input 0 at \[500\]"):
        check_gradients(one_in_a_thousand, np.ones(1000), np.full(1000, 5.0))


def test_integers_and_none_are_passed_on():
    assert check_gradients(ops.embedding, A, np.array([0, 1, 1])) > 4
    assert check_gradients(ops.linear, A, B, None) > 8


def test_inputs_are_left_as_they_were():
    a, b = A.copy(), B.copy()
    check_gradients(product(lambda a, b, g: [g * b, g * a]), a, b)
    assert (a == A).all() and (b == B).all()


def test_a_function_that_draws_anew_each_time_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="different results for the same input"):
        check_gradients(lambda x: ops.dropout(x, p=0.5, rng=rng), np.ones(50))


def test_without_a_floating_input_there_is_nothing_to_pass():
    with pytest.raises(ValueError, match="none of the inputs is floating"):
        check_gradients(ops.sum, np.arange(3))


def test_a_nan_is_a_failure():
    with pytest.raises(GradientError):
        check_gradients(product(lambda a, b, g: [g * b * np.nan, g * a]), A, B)


def test_numbers_and_functions_of_many_operations_are_checked_as_a_whole():
    assert check_gradients(lambda x, y: ops.tanh(x * y).sum() / (1 + ops.square(x)), 0.7, A) > 5
