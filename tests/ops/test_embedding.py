"""Rows of a table by number: what ids may be, and how the gradient of one that repeats adds up."""

import numpy as np
import pytest
from drawn import dense

from nnkit import Tensor, ops


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
