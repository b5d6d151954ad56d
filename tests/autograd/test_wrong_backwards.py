"""A backward that is wrong in one of the usual ways is caught, and the likeliest cause that is named is the right one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit import Operation, check_gradients, ops, tensor_op
from nnkit.autograd.check import GradientError

RNG = np.random.default_rng(0)
X, Y, Z = RNG.standard_normal((3, 3, 4))
SQUARE, OTHER = RNG.standard_normal((2, 3, 3))
ROW = RNG.standard_normal(4)


def operation(forward, backward, name="op"):
    """An operation of two functions: forward(ctx, *arrays), backward(ctx, grad_output)."""
    return tensor_op(type(name, (Operation,), {"forward": staticmethod(forward), "backward": staticmethod(backward),
                                               "__module__": __name__}))


def saving(result, *, saved=None):
    """forward(ctx, *arrays) -> result(*arrays), which saves its inputs, or what `saved` makes of (result, *inputs)."""
    def forward(ctx, *arrays):
        y = result(*arrays)
        ctx.extend(arrays if saved is None else saved(y, *arrays))
        return y
    return forward


def product(backward, **options):
    return operation(saving(lambda a, b: a * b, **options), backward)


def tanh(backward, saved=lambda y, x: [y]):
    return operation(saving(np.tanh, saved=saved), backward)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def written_over(ctx, x):
    y = np.exp(x)
    ctx.append(y)
    y += 1
    return y


class kept_on_the_class(Operation):
    """What a backward must find is where the next forward writes."""

    @staticmethod
    def forward(ctx, x):
        kept_on_the_class.x = x.copy()
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        return [2 * kept_on_the_class.x * grad_output]


WRONG = {  # the operation, its inputs, what is said
    "wrong sign": (tanh(lambda ctx, g: [-g * (1 - ctx[0] ** 2)]), [X], "the sign is wrong"),
    "transposed": (product(lambda ctx, g: [(g * ctx[1]).T, g * ctx[0]]), [SQUARE, OTHER], "the gradient is transposed"),
    "transposed, not square": (
        product(lambda ctx, g: [(g * ctx[1]).T, g * ctx[0]]), [X, Y],
        "input 0 has shape (3, 4), its gradient (4, 3); the gradient is transposed"),
    "a factor not transposed": (
        operation(saving(np.matmul), lambda ctx, g: [g @ ctx[1], ctx[0].T @ g]), [SQUARE, OTHER],
        "with input 1 transposed in place of input 1 in ctx[1] backward is right"),
    "missing sum": (operation(saving(np.add), lambda ctx, g: [g, g[0]]), [X, ROW], "a missing sum over a broadcast axis"),
    "missing sum, wrong shape": (
        operation(saving(lambda a, b: a + b.mean()), lambda ctx, g: [g, g[:, :2]]), [X, ROW[:3]],
        "input 1 has shape (3,), its gradient (3, 2); a missing sum over a broadcast axis"),
    "summed too far": (
        operation(saving(np.add), lambda ctx, g: [g, g.sum()]), [X, ROW],
        "input 1 has shape (4,), its gradient (); it is summed too far"),
    "mean for a sum": (operation(saving(np.add), lambda ctx, g: [g, g.mean(axis=0)]), [X, ROW], "a mean over 3 for a sum"),
    "mean for a sum of all": (
        operation(saving(np.sum), lambda ctx, g: [np.full((3, 4), g / 12)]), [X], "a mean over 12 for a sum"),
    "missing constant": (
        operation(saving(np.square), lambda ctx, g: [3 * g * ctx[0]]), [X], "1.5 times what it should be: a missing factor"),
    "missing input": (
        operation(saving(lambda a, b, c: a * b * c),
                  lambda ctx, g: [g * ctx[1], g * ctx[0] * ctx[2], g * ctx[0] * ctx[1]]), [X, Y, Z],
        "a missing factor: input 2"),
    "wrong one saved": (
        tanh(lambda ctx, g: [g * (1 - ctx[0] ** 2)], saved=lambda y, x: [x]), [X],
        "with the result in place of input 0 in ctx[0] backward is right: is the wrong array saved"),
    "one saved twice": (
        product(lambda ctx, g: [g * ctx[1], g * ctx[0]], saved=lambda y, a, b: [a, a]), [X, Y],
        "with input 1 in place of input 0 in ctx[1] backward is right: is the wrong array saved"),
    "changed after saving": (
        operation(written_over, lambda ctx, g: [g * ctx[0]]), [X], "changes in place what it had saved in ctx[0]"),
    "stale": (tensor_op(kept_on_the_class), [X], "is kept outside of ctx, and the next forward writes over it"),
    "None": (product(lambda ctx, g: [g * ctx[1], None]), [X, Y], "backward gives nothing: a None or a zero"),
    "zero": (product(lambda ctx, g: [0 * g, g * ctx[0]]), [X, Y], "backward gives nothing: a None or a zero"),
    "swapped": (
        product(lambda ctx, g: [g * ctx[0], g * ctx[1]]), [X, Y], "the gradients of input 0 and input 1 are swapped"),
    "dropped activation": (
        tanh(lambda ctx, g: [g]), [X], "grad_output is passed on as it is: the function's own derivative is missing"),
    "grad_output left out": (
        tanh(lambda ctx, g: [1 - ctx[0] ** 2]), [X], "a term that is added without being multiplied by grad_output"),
    "added constant": (
        tanh(lambda ctx, g: [g * (1 - ctx[0] ** 2) + 0.01]), [X],
        "a term that is added without being multiplied by grad_output"),
    "leak below 0": (
        operation(saving(lambda x: np.maximum(x, 0)), lambda ctx, g: [g * np.where(ctx[0] > 0, 1, 0.01)]), [X],
        "it is wrong only where the input is at most -"),
    "clip leaks above": (
        operation(saving(lambda x: np.clip(x, -0.5, 0.5)), lambda ctx, g: [g * (ctx[0] > -0.5)]), [X],
        "it is wrong only where the input is at least 0."),
    "wrong axis": (
        operation(saving(softmax, saved=lambda y, x: [y]),
                  lambda ctx, g: [ctx[0] * (g - (g * ctx[0]).sum(axis=0, keepdims=True))]), [X],
        "wrong axis: backward mixes along axis 0, forward along axis 1"),
    "wrong axis of a sum": (
        operation(saving(lambda x: x.sum(axis=1)), lambda ctx, g: [np.tile(g, (3, 1))]), [SQUARE],
        "the gradient goes along the wrong axis"),
    "twice": (tanh(lambda ctx, g: [g * (1 - ctx[0] ** 2) + g * (1 - ctx[0] ** 2)]), [X], "is it added twice"),
    "something else": (tanh(lambda ctx, g: [g * (1 - ctx[0] ** 2) * (1 + 0.1 * ctx[0])]), [X], "a missing term"),
}


@pytest.mark.case("autograd", 19)
@pytest.mark.parametrize("wrong, inputs, said", WRONG.values(), ids=WRONG)
def test_a_wrong_backward_is_caught_and_its_cause_named(wrong, inputs, said):
    with pytest.raises(GradientError) as error:
        check_gradients(wrong, *inputs)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_of_a_large_wrong_array_the_cause_is_named_without_jacobians():
    x = RNG.standard_normal((40, 40))
    for backward, said in [(lambda ctx, g: [-g * (1 - ctx[0] ** 2)], "the sign is wrong"),
                           (lambda ctx, g: [g * (1 - ctx[0] ** 2) * (ctx[0] > -0.9)], "wrong only where the input is at most")]:
        with pytest.raises(GradientError, match=said):
            check_gradients(tanh(backward), x)


def test_a_wrong_operation_among_right_ones_is_caught():
    wrong = tanh(lambda ctx, g: [g])
    with pytest.raises(GradientError, match="input 0 at"):
        check_gradients(lambda x: ops.sum(ops.square(wrong(ops.exp(x)))), X)


# What is right is never called wrong, at a kink either

on_a_grid = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=4),
                       elements=st.sampled_from([-1.0, -0.5, 0.0, 3e-5, -1e-7, 0.5, 1.0]))


KINKED = [ops.relu, ops.absolute, lambda x: ops.max(x, axis=0), ops.min, lambda x: ops.clip(x, min=-0.5, max=0.5),
          lambda x: ops.maximum(x, -x), lambda x: ops.leaky_relu(x, negative_slope=0.1), lambda x: ops.relu(x) + ops.relu(-x)]


@settings(max_examples=30)
@given(on_a_grid, st.integers(0, 1000), st.sampled_from(KINKED))
def test_no_false_alarm_where_functions_have_kinks(x, seed, function):
    check_gradients(function, x, rng=seed)


def test_at_a_kink_a_gradient_outside_of_both_slopes_is_wrong():
    leak = operation(saving(lambda x: np.maximum(x, 0)), lambda ctx, g: [g * np.where(ctx[0] == 0, 1.5, ctx[0] > 0)])
    with pytest.raises(GradientError, match="backward gives"):
        check_gradients(leak, np.array([0.0, 1.0, -1.0]))
    half = operation(saving(lambda x: np.maximum(x, 0)), lambda ctx, g: [g * np.where(ctx[0] == 0, 0.5, ctx[0] > 0)])
    check_gradients(half, np.array([0.0, 1.0, -1.0]))
