"""embedding_bag: what the table of cases cannot say about bags."""

import numpy as np
import pytest

from nnkit import RowGrad, Tensor, ops

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
