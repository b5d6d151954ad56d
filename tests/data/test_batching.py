import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data import minibatches


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 3))
def test_every_row_comes_once_and_arrays_stay_together(n, batch_size, seed):
    x, y = np.arange(n), np.arange(n)[:, None] * 10
    batches = list(minibatches(x, y, batch_size=batch_size, rng=np.random.default_rng(seed)))
    assert sorted(row for a, _ in batches for row in a) == list(range(n))
    assert all((a * 10 == b[:, 0]).all() for a, b in batches)
    assert [len(a) for a, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches) == -(-n // batch_size)


def test_without_rng_rows_keep_their_order():
    batches = [x.tolist() for (x,) in minibatches(np.arange(5), batch_size=2)]
    assert batches == [[0, 1], [2, 3], [4]]


def test_order_is_that_of_the_generator_and_new_each_time():
    def order(rng):
        return [row for (x,) in minibatches(np.arange(100), batch_size=7, rng=rng) for row in x]

    rng = np.random.default_rng(1)
    first, second = order(rng), order(rng)
    assert first == order(np.random.default_rng(1)) and first != second and first != sorted(first)


def test_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    list(minibatches(np.arange(9), batch_size=2, rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("arrays, batch_size", [([np.zeros(3), np.zeros(4)], 2), ([np.zeros(3)], 0), ([], 2)])
def test_mistakes_are_told_at_the_call(arrays, batch_size):
    with pytest.raises(ValueError):
        minibatches(*arrays, batch_size=batch_size)
