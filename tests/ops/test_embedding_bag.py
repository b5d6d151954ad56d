"""embedding_bag: what the table of cases cannot say about bags."""

import numpy as np
import pytest

from nnkit import RowGrad, Tensor, ops, optim
from nnkit.autograd import rows
from nnkit.ops import lookup

TABLE = np.arange(12.0).reshape(4, 3)


@pytest.mark.case("autograd", 26)
def test_an_empty_bag_is_zero_and_its_gradient_finite():
    table, weights = Tensor(TABLE), Tensor(np.ones((2, 3)))
    y = ops.embedding_bag(table, np.full((2, 3), 1), weights, lengths=np.array([0, 2]), mode="mean")
    np.testing.assert_array_equal(y.value, [[0, 0, 0], TABLE[1]])
    y.sum().backward()
    np.testing.assert_array_equal(table.grad.dense(), [[0] * 3, [1] * 3, [0] * 3, [0] * 3])
    np.testing.assert_allclose(weights.grad, [[0, 0, 0], [6, 6, 0]])


@pytest.mark.case("autograd", 21)
def test_repeated_ids_add_up():
    table = Tensor(TABLE)
    ops.embedding_bag(table, [[0, 0, 1]], mode="mean").sum().backward()
    np.testing.assert_allclose(table.grad.dense()[:, 0], [2 / 3, 1 / 3, 0, 0])


def test_gradient_of_the_table_keeps_one_value_a_bag():
    table = Tensor(TABLE)
    ops.embedding_bag(table, [3, 0, 2, 2, 1], offsets=[0, 2, 2]).sum().backward()
    assert isinstance(table.grad, RowGrad)
    assert table.grad.values.shape == (3, 3)
    np.testing.assert_array_equal(table.grad.rows, [3, 0, 2, 2, 1])
    np.testing.assert_array_equal(table.grad.index, [0, 0, 2, 2, 2])


def test_padding_beyond_the_lengths_may_hold_anything():
    y = ops.embedding_bag(Tensor(TABLE), [[1, -1], [2, 99]], lengths=[1, 1])
    np.testing.assert_array_equal(y.value, TABLE[1:3])


def test_flat_ids_and_padded_ones_agree():
    rng = np.random.default_rng(0)
    ids, lengths = rng.integers(0, 4, (5, 6)), np.array([6, 0, 3, 1, 3])
    kept = np.arange(6) < lengths[:, None]
    padded = ops.embedding_bag(TABLE, ids, lengths=lengths).value
    flat = ops.embedding_bag(TABLE, ids[kept], offsets=np.cumsum(lengths) - lengths).value
    np.testing.assert_array_equal(padded, flat)


def test_a_long_bag_is_summed_piece_by_piece(monkeypatch):
    rng = np.random.default_rng(1)
    ids, weights = rng.integers(0, 4, 40), rng.normal(size=40)
    options = {"offsets": np.array([0, 3, 3, 20]), "mode": "mean"}
    whole = [ops.embedding_bag(TABLE, ids, *w, **options).value for w in ([], [weights])]
    monkeypatch.setattr(lookup, "LONGEST", 4)
    pieces = [ops.embedding_bag(TABLE, ids, *w, **options).value for w in ([], [weights])]
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)


@pytest.mark.case("autograd", 25)
@pytest.mark.parametrize("ids, options, error, said", [
    ([0, 1], {}, ValueError, r"expected ids \(n,\) with offsets"),
    ([[0, 1]], {"offsets": [0]}, ValueError, "expected ids"),
    ([0, 1], {"offsets": [1]}, ValueError, "ascending integers from 0"),
    ([0, 1], {"offsets": [0, 2, 1]}, ValueError, "ascending"),
    ([0, 1], {"offsets": [0, 3]}, ValueError, "to the 2 ids"),
    ([0, 1], {"offsets": []}, ValueError, "offsets"),
    ([0, 1], {"offsets": [0.0]}, ValueError, "integers"),
    ([[0, 1]], {"lengths": [3]}, ValueError, "1 lengths from 0 to 2"),
    ([[0, 1]], {"lengths": [-1]}, ValueError, "lengths"),
    ([[0, 1]], {"lengths": [1, 1]}, ValueError, "lengths"),
    ([[0, 1]], {"lengths": [1.5]}, ValueError, "lengths"),
    ([[0, 1]], {"mode": "max"}, ValueError, "'sum' or 'mean', got 'max'"),
    ([[0, 4]], {}, IndexError, "0 to 4 do not fit a table of 4 rows"),
    ([[-1, 0]], {}, IndexError, "-1 to 0"),
    ([[0.5]], {}, TypeError, "integers"),
])
def test_bags_that_do_not_fit_are_refused(ids, options, error, said):
    with pytest.raises(error, match=said):
        ops.embedding_bag(Tensor(TABLE), ids, **options)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"weights of shape \(2,\) for ids of shape \(1, 2\)"):
        ops.embedding_bag(Tensor(TABLE), [[0, 1]], np.ones(2))


def test_whole_numbers_as_weights_keep_float32():
    y = ops.embedding_bag(Tensor(TABLE.astype(np.float32)), [[0, 1]], np.array([[2, 1]]))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.value, [2 * TABLE[0] + TABLE[1]])


@pytest.mark.parametrize("few", [0, 1 << 30])                 # a product for each bag, or small bags in one go
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("counts", [[3, 0, 17, 1, 0, 9], [0, 0], [], [5], [0, 300, 2]])
def test_bags_are_summed_the_same_whichever_way(monkeypatch, few, compiled, weighted, dtype, counts):
    if compiled:
        pytest.importorskip("numba", reason="nnkit[fast] is not installed")
        monkeypatch.setattr(lookup, "WORTH_COMPILING", 0)
        monkeypatch.setattr(rows, "WORTH_COMPILING", 0)
    else:
        monkeypatch.setattr(lookup, "compiled_rows", lambda: None)
    monkeypatch.setattr(lookup, "FEW", few)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 8)).astype(dtype)
    ids, offsets = rng.integers(0, 50, sum(counts)), np.cumsum([0, *counts])[:-1]
    weights = rng.normal(size=len(ids)).astype(dtype) if weighted else None
    y = ops.embedding_bag(table, ids, *([weights] if weighted else []), offsets=offsets).value
    expected = np.zeros((len(counts), 8))
    for bag, (begin, count) in enumerate(zip(offsets, counts)):
        for i in range(begin, begin + count):
            expected[bag] += table[ids[i]].astype(np.float64) * (weights[i] if weighted else 1)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4 if dtype == np.float32 else 1e-12)


def test_a_million_ids_in_a_bag_are_as_exact_as_a_few():
    """Added up one after the other in float32 their mean is 1 % too large."""
    table = np.full((2, 3), 0.1, np.float32)
    y = ops.embedding_bag(table, np.zeros(1_000_001, int), offsets=[0, 1_000_000], mode="mean").value
    np.testing.assert_allclose(y, 0.1, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_weighted_bags_is_the_same_however_it_is_kept(dtype):
    """One value a bag with factors where the weights are constants, a value an id where they are trained."""
    rng = np.random.default_rng(0)
    ids, offsets, weights = rng.integers(0, 9, 30), [0, 4, 4, 11], rng.normal(size=30).astype(dtype)
    out = rng.normal(size=(4, 5)).astype(dtype)
    grads = []
    for given in (weights, Tensor(weights)):
        table = Tensor(rng.normal(size=(9, 5)).astype(dtype))
        ops.embedding_bag(table, ids, given, offsets=offsets).backward(out)
        grads.append(table.grad)
    short, long = grads
    assert (short.values.shape, short.factors.shape, long.factors) == ((4, 5), (30,), None)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    total = np.ones((9, 5), dtype)
    for one, other in [(short.dense(), long.dense()), (short.coalesce().values, long.coalesce().values),
                       (short.row_values(), long.row_values()), (short.copy().dense(), long.dense()),
                       (short.astype(np.float64).dense(), long.dense()), (rows.add_grads(short, short).dense(), 2 * long.dense()),
                       (rows.add_grads(short, total), long.dense() + total)]:
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(short.values, out)


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1), lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
                                  lambda p: optim.Adagrad(p, lr=0.1), lambda p: optim.Adam(p, lr=0.1)])
@pytest.mark.parametrize("clipped", [False, True])
def test_a_step_with_weighted_bags_is_that_of_values_written_out(make, clipped):
    rng = np.random.default_rng(0)
    ids, offsets, weights = rng.integers(0, 9, 30), [0, 4, 4, 11], rng.normal(size=30)
    tables = [Tensor(np.ones((9, 5))) for _ in range(2)]
    optimizers = [make([table]) for table in tables]
    for _ in range(3):
        for table, optimizer, given in zip(tables, optimizers, (weights, Tensor(weights))):
            optimizer.zero_grad()
            y = ops.embedding_bag(table, ids, given, offsets=offsets)
            (y * y).sum().backward()
            if clipped:
                optim.clip_grad_norm([table], 0.5)
            optimizer.step()
        np.testing.assert_allclose(tables[0].value, tables[1].value, rtol=1e-12, atol=1e-12)
