"""What the engine says to the author of an operation: every mistake names the operation, and changes no gradient."""

import re

import numpy as np
import pytest
from made import make_op

from nnkit import Operation, RowGrad, Tensor, ops, record, tensor_op


@pytest.mark.parametrize("give, said", [
    (lambda x: None, "strange.forward returned None: is a `return` missing?"),
    (lambda x: (x, x), "strange.forward returned a tuple; expected one array"),
    (lambda x: [x], "strange.forward returned a list; expected one array"),
    (lambda x: Tensor(x), "strange.forward returned a Tensor; expected one array")])
@pytest.mark.parametrize("recorded", [False, True])
def test_what_is_no_array_is_refused_by_the_name_of_the_operation(give, said, recorded):
    op = make_op(lambda ctx, g: [g], forward=staticmethod(lambda ctx, x: give(x)))
    run = (lambda x: op(x).sum()) if not recorded else record(lambda x: op(x).sum())
    with pytest.raises(TypeError, match=re.escape(said)):
        run(Tensor([1.0, 2.0]))


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_method_that_takes_self_is_refused_where_it_is_defined(method):
    def taking_self(self, ctx, x):
        return x

    with pytest.raises(TypeError, match=rf"strange\.{method} takes self; write @staticmethod"):
        tensor_op(type("strange", (Operation,), {method: taking_self}))


def test_an_array_in_place_of_a_list_of_gradients_is_told_from_one():
    with pytest.raises(ValueError, match=r"strange.backward returned an array of shape \(3, 2\) for 1 inputs; expected a list"):
        make_op(lambda ctx, g: g)(Tensor(np.ones((3, 2)))).sum().backward()


@pytest.mark.case("autograd", 15)
@pytest.mark.parametrize("given, count", [(lambda g: [g], 1), (lambda g: [g, g, g], 3), (lambda g: [], 0), (lambda g: None, 0),
                                          (lambda g: g.sum(), 0)])
def test_a_wrong_number_of_gradients_names_the_operation_and_both_counts(given, count):
    op = make_op(lambda ctx, g: given(g), name="two_in", inputs=2)
    with pytest.raises(ValueError, match=rf"two_in.backward returned {count} gradients for 2 inputs"):
        op(Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 2.0, 3.0])).sum().backward()


@pytest.mark.case("autograd", 15)
@pytest.mark.parametrize("shape", [(3,), (), (2, 2), (4, 3, 5)])
@pytest.mark.parametrize("kind", ["array", "rows"])
def test_a_misshapen_gradient_names_the_operation_the_input_and_both_shapes(shape, kind):
    if kind == "rows" and not shape:
        kind = "array"  # a table has rows
    wrong = np.ones(shape) if kind == "array" else RowGrad(np.array([0]), np.ones((1, *shape[1:])), shape)
    op = make_op(lambda ctx, g: [g, wrong], name="bent", inputs=2)
    x, y = Tensor(np.ones((2, 3))), Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError) as error:
        op(x, y).sum().backward()
    assert all(word in str(error.value) for word in ("bent.backward", "input 1", "(2, 3)", str(shape)))


@pytest.mark.case("autograd", 15)
def test_none_means_no_gradient():
    x, y = Tensor([1.0]), Tensor([1.0])
    make_op(lambda ctx, g: [None, g], inputs=2)(x, y).sum().backward()
    assert x.grad is None and y.grad == 1


def test_a_mistake_on_the_way_changes_no_gradient():
    x = Tensor([1.0, 2.0])
    bad = make_op(lambda ctx, g: [np.ones(7)], name="bad")
    with pytest.raises(ValueError):
        (x * 2 + bad(x * 3)).sum().backward()
    assert x.grad is None


def test_a_tensor_as_attribute_is_refused():
    with pytest.raises(TypeError, match="sum: axis= is an attribute"):
        ops.sum(Tensor([1.0]), axis=Tensor(0))


def test_an_operation_sees_which_inputs_want_a_gradient():
    seen = []

    @tensor_op
    class look(Operation):
        @staticmethod
        def forward(ctx, a, b, c):
            seen.append(ctx.needs_grad)
            return a + b + c

    look(Tensor([1.0]), np.ones(1), Tensor([1.0], requires_grad=False))
    assert seen == [(True, False, False)]


def test_a_decorated_operation_keeps_its_name_and_docstring():
    assert ops.tanh.__name__ == "tanh" and "tangent" in ops.tanh.__doc__ and ops.tanh.__module__ == "nnkit.ops.elementwise"
