"""Rows that one step looks up again and again: found, and given no more than so much in all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnkit.optim import repeated_rows

IDS = arrays(np.int32, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.integers(0, 5))


@given(IDS, st.floats(0, 8))
def test_the_rows_found_are_those_looked_up_more_often_than_that_on_average(ids, many):
    often = [row for row in range(6) if (ids == row).sum() > many * len(ids)]
    found = repeated_rows(ids, many, 6)
    if not often:
        assert found is None
        return
    assert len(found) == len(ids)
    for step, here in zip(ids, found):
        assert here.rows.tolist() == often
        assert step[here.places].tolist() == here.rows[here.which].tolist()
        assert sorted(here.places) == np.flatnonzero(np.isin(step, often)).tolist()


@given(IDS, st.floats(0.1, 3.0), st.randoms(use_true_random=False))
def test_no_repeated_row_gets_more_than_the_longest_and_all_else_stays(ids, longest, random):
    gradient = np.random.default_rng(random.randrange(1000)).standard_normal((*ids[0].shape, 3))
    found = repeated_rows(ids, 2, 6)
    before = gradient.copy()
    if found is None:
        return
    found[0].clip(gradient, longest)
    for row in range(6):
        total, was = gradient[ids[0] == row].sum(0), before[ids[0] == row].sum(0)
        length = np.linalg.norm(was)
        scale = min(1.0, longest / length) if row in found[0].rows and length else 1.0
        np.testing.assert_allclose(gradient[ids[0] == row], scale * before[ids[0] == row], rtol=1e-12)
        np.testing.assert_allclose(total, scale * was, rtol=1e-9, atol=1e-12)


def test_blocks_of_ids_are_one_step_and_float32_stays():
    ids = np.zeros((2, 4, 5), np.int32)
    gradient = np.ones((4, 5, 2), np.float32)
    repeated_rows(ids.reshape(2, -1), 1, 3)[1].clip(gradient, 1.0)
    assert gradient.dtype == np.float32 and gradient.sum(axis=(0, 1)) == pytest.approx(2 * [0.5 ** 0.5], rel=1e-6)


def test_what_is_not_a_number_is_not_hidden():
    gradient = np.full((4, 2), np.nan)
    repeated_rows(np.zeros((1, 4), np.int32), 1, 2)[0].clip(gradient, 1.0)
    assert np.isnan(gradient).all()
