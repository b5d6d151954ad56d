"""Every operation, on every row of the table in cases.py, keeps what DESIGN.md promises of all operations."""

import math
import tracemalloc

import numpy as np
import pytest
from cases import BINARY, CASES, Case, normal

from nnkit import Operation, RowGrad, Tensor, check_gradients, default_dtype, ops, tensor_op

every_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def as_inputs(arrays):
    """Leaves of the floating arrays, the others as they are."""
    return [Tensor(x) if x.dtype.kind == "f" else x for x in arrays]


def dense(grad):
    return grad.dense() if isinstance(grad, RowGrad) else grad


def weights_for(y, seed=7):
    """An incoming gradient that is another number at every place."""
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)


def value_and_grads(case, inputs):
    y = case(*inputs)
    y.backward(weights_for(y))
    return y.value, [None if x.grad is None else dense(x.grad) for x in inputs if isinstance(x, Tensor)]


def assert_same(a, b, **tolerance):
    (y, grads), (other_y, other_grads) = a, b
    np.testing.assert_allclose(y, other_y, **tolerance)
    for one, other in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def arrays_in(thing):
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, RowGrad):
        return [thing.values]
    return [a for part in thing for a in arrays_in(part)] if isinstance(thing, (list, tuple)) else []


def read_only(things):
    for array in arrays_in(things):
        array.flags.writeable = False
    return things


def test_every_operation_has_a_row():
    missing = set(ops.all_operations()) - {case.name for case in CASES}
    assert not missing, f"no row in tests/ops/cases.py for {sorted(missing)}"


def test_every_operation_is_public_under_its_name():
    assert set(ops.all_operations()) | {"all_operations", "split"} == set(ops.__all__)  # split is several getitems
    assert all(getattr(ops, name) is operation for name, operation in ops.all_operations().items())


def test_every_operation_says_in_a_sentence_what_it_is():
    assert [name for name, f in ops.all_operations().items() if not (f.__doc__ or "").strip()] == []


@every_case
def test_backward_is_the_derivative_of_forward(case):
    arrays = case.arrays()
    compared = check_gradients(case, *arrays)
    assert compared >= sum(x.size for x in arrays if x.dtype.kind == "f")


STABLE = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "logsumexp": lambda x, axis=-1, keepdims=False: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
    "softmax": lambda x, axis=-1: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    "log_softmax": lambda x, axis=-1: np.log(np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)),
    "concatenate": lambda *x, axis=0: np.concatenate(x, axis=axis),
    "getitem": lambda x, key: x[key],
    "linear": lambda x, w, b=0: np.einsum("...i,ij->...j", x, w) + b,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "leaky_relu": lambda x, negative_slope: np.maximum(x, 0) + negative_slope * np.minimum(x, 0),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "gelu": lambda x, approximate: 0.5 * x * (1 + (
        np.vectorize(math.erf, otypes=[float])(x / 2 ** 0.5) if approximate == "none" else
        np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x ** 3)))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x, beta: np.log(1 + np.exp(beta * x)) / beta,
    "log_sigmoid": lambda x: np.log(1 / (1 + np.exp(-x))),
    "clip": lambda x, min=-np.inf, max=np.inf: np.minimum(np.maximum(x, -np.inf if min is None else min), max),
    "norm": np.linalg.norm,
    "stack": lambda *x, axis=0: np.stack(x, axis=axis),
    "scatter": lambda x, key, shape: np.add.at(y := np.zeros(shape), key, x) or y,
    "einsum": lambda *x, subscripts: np.einsum(subscripts, *x),
    "embedding_bag": lambda table, ids, w=None, mode="sum", sparse=True, **where: np.reshape([
        np.sum([table[i] * w for i, w in bag], axis=0) / (max(1, len(bag)) if mode == "mean" else 1) if bag else 0 * table[0]
        for bag in bags(ids, np.ones(ids.shape) if w is None else w, **where)], (-1, table.shape[1])),
    "embedding": lambda table, ids, **_: table[ids],
    "dropout": lambda x, p, rng: np.where(rng.random(x.shape, np.float32) >= p, x / (1 - p), 0),
    "binary_cross_entropy_with_logits": lambda x, t, w=1, reduction="none": reduced(
        -w * (t * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 - 1 / (1 + np.exp(-x)))), reduction),
    "cross_entropy": lambda x, c, reduction="none": reduced(
        -np.log(np.exp(x) / np.exp(x).sum(1, keepdims=True))[np.arange(len(c)), c], reduction),
}


def bags(ids, weights, offsets=None, lengths=None):
    """A list of (id, weight) for each bag."""
    pairs = [list(zip(i, w)) for i, w in zip(np.atleast_2d(ids), np.atleast_2d(weights))]
    if offsets is not None:
        return [pairs[0][start:stop] for start, stop in zip(offsets, [*offsets[1:], len(ids)])]
    return pairs if lengths is None else [pair[:n] for pair, n in zip(pairs, lengths)]


def reduced(losses, reduction):
    return losses if reduction == "none" else np.sum(losses) / (max(1, np.size(losses)) if reduction == "mean" else 1)


@every_case
def test_value_is_that_of_numpy_or_of_the_formula(case):
    arrays = case.arrays()
    expected = (STABLE.get(case.name) or getattr(np, case.name))(*arrays, **case.plain())
    got = case(*as_inputs(arrays)).value
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.case("autograd", 17)
@each_dtype
@every_case
def test_result_and_gradients_keep_the_dtype(case, dtype):
    inputs = as_inputs(case.arrays(dtype))
    y = case(*inputs)
    assert type(y) is Tensor and type(y.value) is np.ndarray and y.dtype == dtype
    y.backward(weights_for(y))
    for x in inputs:
        if isinstance(x, Tensor):
            assert type(x.grad) in (np.ndarray, RowGrad) and x.grad.dtype == dtype and x.grad.shape == x.shape


@every_case
def test_float32_agrees_with_float64(case):
    exact = [np.asarray(x, np.float64) if x.dtype.kind == "f" else x for x in case.arrays(np.float32)]
    y = case(*as_inputs(exact))
    y32 = case(*(inputs := as_inputs(case.arrays(np.float32))))
    weights = weights_for(y).astype(np.float32)
    y.backward(weights)
    y32.backward(weights)
    np.testing.assert_allclose(y32.value, y.value, rtol=1e-5, atol=1e-5)
    leaves = as_inputs(exact)
    case(*leaves).backward(weights)
    for x, leaf in zip(inputs, leaves):
        if isinstance(x, Tensor):
            np.testing.assert_allclose(dense(x.grad), dense(leaf.grad), rtol=1e-4, atol=1e-5)


def fortran(x):
    return np.array(x, order="F")


def strided(x):
    """Every second element of a larger array."""
    large = np.full([2 * n for n in x.shape], 99, x.dtype)
    view = large[(..., *(slice(None, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def backwards(x):
    """Negative strides."""
    return np.ascontiguousarray(x[(slice(None, None, -1),) * x.ndim])[(slice(None, None, -1),) * x.ndim] if x.ndim else x


@every_case
def test_memory_layout_changes_nothing(case):
    expected = value_and_grads(case, as_inputs(case.arrays()))
    for layout in (fortran, strided, backwards):
        arrays = [layout(x) for x in case.arrays()]
        assert_same(value_and_grads(case, as_inputs(arrays)), expected, rtol=1e-12, atol=1e-14)


@every_case
def test_incoming_gradient_may_have_any_layout(case):
    y = case(*as_inputs(case.arrays()))
    y.ctx.owns_grad = False
    grad = weights_for(y)
    expected = [dense(g) for g in y.operation.backward(y.ctx, grad) if g is not None]
    for layout in (fortran, strided, backwards):
        given = [dense(g) for g in y.operation.backward(y.ctx, layout(grad)) if g is not None]
        for one, other in zip(given, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@every_case
def test_nothing_is_written_that_an_operation_may_only_read(case):
    expected = value_and_grads(case, as_inputs(case.arrays()))
    inputs = as_inputs(read_only(case.arrays()))
    y = case(*inputs)
    read_only(list(y.ctx))
    y.ctx.owns_grad = False
    y.operation.backward(y.ctx, read_only(weights_for(y)))
    y.backward(weights_for(y))  # and as the engine does it, with a gradient that it owns
    assert_same((y.value, [dense(x.grad) for x in inputs if isinstance(x, Tensor)]), expected, rtol=1e-14)


@pytest.mark.parametrize("case", [case for case in CASES if case.operation.operation.returns_new], ids=str)
def test_returns_new_is_true_where_it_is_said(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    y.ctx.owns_grad = False
    grad_output = weights_for(y)
    given = [g for g in y.operation.backward(y.ctx, grad_output) if g is not None]
    others = [grad_output, y.value, *arrays_in(list(y.ctx)), *(x.value if isinstance(x, Tensor) else x for x in inputs)]
    for i, grad in enumerate(given):
        for other in others + given[:i]:
            assert not np.shares_memory(grad, other)


@pytest.mark.case("autograd", 13)
@every_case
def test_leaves_share_memory_with_nothing(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    seed = weights_for(y)
    y.backward(seed)
    grads = [arrays_in(x.grad)[0] for x in inputs if isinstance(x, Tensor)]
    others = [seed, y.value, *arrays_in(list(y.ctx)), *(x.value if isinstance(x, Tensor) else x for x in inputs)]
    for i, grad in enumerate(grads):
        assert grad.flags.writeable
        assert not any(np.shares_memory(grad, other) for other in others + grads[:i])


@pytest.mark.case("autograd", 4)
@every_case
def test_second_backward_gives_exactly_twice_the_gradient(case):
    inputs = as_inputs(case.arrays())
    y = case(*inputs)
    y.backward(weights_for(y))
    once = [dense(x.grad).copy() for x in inputs if isinstance(x, Tensor)]
    y.backward(weights_for(y))
    for grad, x in zip(once, (x for x in inputs if isinstance(x, Tensor)), strict=True):
        # the rows of a RowGrad are listed twice, and summed in another order
        np.testing.assert_allclose(dense(x.grad), 2 * grad, rtol=1e-14 if isinstance(x.grad, RowGrad) else 0)


@every_case
def test_gradient_of_one_input_does_not_depend_on_who_else_wants_one(case):
    arrays = case.arrays()
    floating = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    everybody = as_inputs(arrays)
    value_and_grads(case, everybody)
    for i in floating:
        alone = [Tensor(x) if k == i else x for k, x in enumerate(arrays)]
        value_and_grads(case, alone)
        np.testing.assert_array_equal(dense(alone[i].grad), dense(everybody[i].grad))


@every_case
def test_without_a_tensor_that_wants_a_gradient_there_is_no_graph(case):
    y = case(*case.arrays())
    assert y.is_leaf and not y.requires_grad and y.ctx is None and y.parents == ()


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


def test_einsum_takes_its_subscripts_first_as_numpy_does():
    a, b = Tensor(np.ones((2, 3))), Tensor(np.ones((3, 2)))
    np.testing.assert_array_equal(ops.einsum("ij,jk->ik", a, b).value, a.value @ b.value)
    np.testing.assert_array_equal(ops.einsum(a, b, subscripts="ij,jk").value, a.value @ b.value)


@pytest.mark.parametrize("subscripts", ["ij,k->im", "ij->i", "ij,jk,kl->il", "ijk,jk", "ij,ik->jk"])
def test_einsum_refuses_subscripts_that_do_not_fit(subscripts):
    with pytest.raises(ValueError):
        ops.einsum(subscripts, Tensor(np.ones((2, 3))), Tensor(np.ones((3, 2))))


def test_gradient_of_a_matrix_shared_by_a_batch_is_made_without_a_copy_for_each():
    a, b = Tensor(np.ones((200, 2, 50), np.float32)), Tensor(np.ones((50, 40), np.float32))
    y = ops.matmul(a, b)
    y.ctx.owns_grad = False
    grad = np.ones(y.shape, np.float32)
    tracemalloc.start()
    try:
        y.operation.backward(y.ctx, grad)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 50 * 40 * 4 / 4  # (batch, k, m) would be 1.6 MB


def test_power_zero_has_gradient_zero_at_zero():
    for exponent in (0, 0.0, np.zeros(1)):
        x = Tensor([0.0])
        (x ** exponent).sum().backward()
        np.testing.assert_array_equal(x.grad, [0])


def test_power_with_a_whole_number_takes_negative_bases():
    x = Tensor([-2.0, 3.0])
    (x ** 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [12, 27])


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


@pytest.mark.case("autograd", 21)
def test_ids_that_repeat_add_up():
    for sparse in (True, False):
        table = Tensor(np.zeros((3, 2)))
        ops.embedding(table, np.array([0, 0, 1]), sparse=sparse).sum().backward()
        np.testing.assert_array_equal(dense(table.grad), [[2, 2], [1, 1], [0, 0]])


@pytest.mark.case("autograd", 21)
def test_a_mean_bag_gives_each_id_its_share():
    table = Tensor(np.zeros((3, 1)))
    ops.mean(ops.embedding(table, np.array([[0, 0, 1]])), axis=1).sum().backward()
    np.testing.assert_allclose(table.grad.dense(), [[2 / 3], [1 / 3], [0]])


@pytest.mark.case("autograd", 25)
@pytest.mark.parametrize("ids, found", [
    ([0, -1], "-1 to 0"), ([2, 3], "2 to 3"), (np.array([7], np.uint8), "7 to 7"), (-4, "-4 to -4"),
    (np.array([200, 0], np.int16)[::-1], "0 to 200"), ([2 ** 40], f"{2 ** 40} to {2 ** 40}")])
def test_ids_outside_the_table_are_refused_with_their_range(ids, found):
    with pytest.raises(IndexError, match=f"ids from {found} do not fit a table of 3 rows, 0..2"):
        ops.embedding(Tensor(np.zeros((3, 2))), ids)


@pytest.mark.case("autograd", 25)
@pytest.mark.parametrize("ids", [[0.0, 1.0], np.array([True]), 1.5, np.zeros(2, np.float32)])
def test_ids_that_are_no_integers_are_refused(ids):
    with pytest.raises(TypeError, match="ids must be integers"):
        ops.embedding(Tensor(np.zeros((3, 2))), ids)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint32, np.uint64])
def test_ids_may_be_of_any_integer_dtype(dtype):
    table = Tensor(np.arange(8.0).reshape(4, 2))
    y = ops.embedding(table, np.array([3, 3], dtype))
    y.sum().backward()
    np.testing.assert_array_equal(y.value, [[6, 7], [6, 7]])
    np.testing.assert_array_equal(table.grad.dense(), [[0, 0], [0, 0], [0, 0], [2, 2]])


def test_dropout_draws_from_its_generator_alone():
    x = Tensor(np.ones(1000))
    first = ops.dropout(x, p=0.5, rng=np.random.default_rng(1)).value
    again = ops.dropout(x, p=0.5, rng=np.random.default_rng(1)).value
    other = ops.dropout(x, p=0.5, rng=np.random.default_rng(2)).value
    assert (first == again).all() and (first != other).any()


def test_where_keeps_the_branch_that_was_not_taken_out_of_the_gradient():
    x = Tensor([0.0, 1.0])
    ops.where(np.array([False, True]), x, 5.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1])


def test_inputs_are_described_by_shape_so_that_any_test_may_vary_them():
    assert normal(2, 5).array(np.random.default_rng(0), np.float32).dtype == np.float32
