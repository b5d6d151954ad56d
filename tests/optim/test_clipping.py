"""Gradients made shorter by their norm and by their size; rows looked up again and again, given no more than so much in all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnkit import RowGrad, Tensor
from nnkit.optim import clip_grad_norm, clip_grad_value, grad_norm, repeated_rows

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
        looked_up = [row for row in often if row in step]
        parts = np.split(here.places, here.firsts[1:]) if looked_up else []
        assert [set(step[part]) for part in parts] == [{row} for row in looked_up]
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


seeds = st.integers(0, 1000)


def with_gradients(seed, dtype=np.float64):
    """Parameters: a matrix, a number, a table whose gradient is of rows, with repeats, and one without a gradient."""
    rng = np.random.default_rng(seed)
    params = [Tensor(np.zeros(shape, dtype)) for shape in [(3, 2), (), (4, 2), (5,)]]
    params[0].grad, params[1].grad = rng.standard_normal((3, 2)).astype(dtype), np.asarray(rng.standard_normal(), dtype)
    index = rng.integers(0, 3, 6) if seed % 2 else None
    values = rng.standard_normal((6 if index is None else 3, 2)).astype(dtype)
    params[2].grad = RowGrad(rng.integers(0, 4, 6), values, (4, 2), index)
    return params


def dense(params):
    return np.concatenate([np.asarray(p.grad).reshape(-1) for p in params if p.grad is not None])


@given(seeds, st.floats(0.01, 100))
def test_all_gradients_are_scaled_alike_to_the_largest_norm(seed, max_norm):
    params = with_gradients(seed)
    before, values = dense(params), params[2].grad.values.copy()
    given_rows = params[2].grad
    norm = clip_grad_norm(iter(params), max_norm)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    np.testing.assert_allclose(dense(params), before * min(1, max_norm / (norm + 1e-6)), rtol=1e-12)
    assert grad_norm(params) <= max_norm * (1 + 1e-12)
    np.testing.assert_array_equal(given_rows.values, values)  # others may have it
    assert params[3].grad is None


@given(seeds, st.floats(0.01, 3))
def test_every_number_of_the_dense_gradient_is_brought_within_the_limit(seed, limit):
    params = with_gradients(seed)
    before, values = dense(params), params[2].grad.values.copy()
    given_rows = params[2].grad
    clip_grad_value(iter(params), limit)
    np.testing.assert_allclose(dense(params), np.clip(before, -limit, limit), rtol=1e-12)
    np.testing.assert_array_equal(given_rows.values, values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_gradients_are_clipped_in_place_and_keep_their_dtype(clip, dtype):
    params = with_gradients(0, dtype)
    arrays = [p.grad for p in params[:2]]
    clip(params, np.float64(0.25))
    assert params[0].grad is arrays[0] and params[1].grad is arrays[1]
    assert all(p.grad.dtype == dtype for p in params[:3]) and np.abs(dense(params)).max() <= 0.25


def test_norms_are_summed_in_float64():
    p, q = Tensor(np.zeros(200_001, np.float32)), Tensor(np.zeros(3, np.float32))
    p.grad, q.grad = np.full(200_001, 1e-4, np.float32), np.full(3, 1e25, np.float32)  # whose square is no float32
    assert grad_norm([p]) == pytest.approx(float(np.float32(1e-4)) * 200_001 ** 0.5, rel=1e-12)
    assert grad_norm([q]) == pytest.approx(1e25 * 3 ** 0.5, rel=1e-6)
    assert grad_norm([]) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_not_finite_is_returned_and_nothing_is_scaled(bad):
    params = with_gradients(0)
    params[0].grad[1, 1] = bad
    before = dense(params)
    assert not np.isfinite(clip_grad_norm(params, 0.1))
    np.testing.assert_array_equal(dense(params), before)
    clip_grad_value(params, 0.1)
    assert params[0].grad[1, 1] == pytest.approx(np.clip(bad, -0.1, 0.1), nan_ok=True)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("limit", [0, -1, np.nan])
def test_a_senseless_limit_is_refused(clip, limit):
    with pytest.raises(ValueError, match=f"{clip.__name__}: expected a (max_norm|limit) above 0, got"):
        clip(with_gradients(0), limit)


def test_a_gradient_that_is_itself_a_graph_is_refused_in_words():
    x = Tensor(np.ones(3))
    (x * x).sum().backward(create_graph=True)
    for clip in (lambda: clip_grad_norm([x], 1.0), lambda: clip_grad_value([x], 1.0), lambda: grad_norm([x])):
        with pytest.raises(TypeError, match="create_graph"):
            clip()
