"""Attention and convolution as one operation each: their composed forms, for any shapes, masks and options; what they refuse."""

import re

import numpy as np
import pytest
from drawn import weights_for
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit
from nnkit import Tensor, ops

SIZES = st.integers(1, 4)


def both_forms(operation, arrays, **options):
    """Value and gradients of the operation and of its composed form."""
    results = []
    for form in (operation, operation.operation.composed):
        leaves = [Tensor(a) if a.dtype.kind == "f" else a for a in arrays]
        y = form(*leaves, **options)
        y.backward(weights_for(y))
        results.append([y.value, *(leaf.grad for leaf in leaves if isinstance(leaf, Tensor))])
    return zip(*results, strict=True)


@st.composite
def attentions(draw):
    batch, heads, length, source, n, m = (draw(SIZES) for _ in range(6))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    arrays = [rng.standard_normal(shape) * draw(st.sampled_from([1, 20])) for shape in
              [(batch, length, heads * n), (batch, source, heads * n), (batch, source, heads * m)]]
    shapes = [(length, source), (batch, 1, 1, source), (batch, heads, length, source), (batch, 1, length, 1)]
    masks = [rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
             for shape in draw(st.lists(st.sampled_from(shapes), max_size=2))]
    return [*arrays, *masks], {"heads": heads, "causal": draw(st.booleans())}


@settings(deadline=None, max_examples=60)
@given(attentions())
def test_fused_and_composed_attention_are_one_function(problem):
    arrays, options = problem
    for fused, composed in both_forms(ops.dot_product_attention, arrays, **options):
        np.testing.assert_allclose(fused, composed, rtol=1e-12, atol=1e-12)


@st.composite
def convolutions(draw):
    n, channels, out, width, stride, dilation = draw(st.integers(0, 3)), *(draw(SIZES) for _ in range(5))
    padding = draw(st.sampled_from([0, 1, 3, "valid", *(["same"] if stride == 1 else [])]))
    reach = dilation * (width - 1) + 1
    time = draw(st.integers(0, 4)) + (1 if padding == "same" else reach if padding == "valid" else max(1, reach - 2 * padding))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    shapes = [(n, channels, time), (width, channels, out), (out,)][:draw(st.integers(2, 3))]
    return [rng.standard_normal(shape) for shape in shapes], {"stride": stride, "padding": padding, "dilation": dilation}


@settings(deadline=None, max_examples=60)
@given(convolutions())
def test_fused_and_composed_convolution_are_one_function(problem):
    arrays, options = problem
    for fused, composed in both_forms(ops.conv1d, arrays, **options):
        np.testing.assert_allclose(fused, composed, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [ops.dot_product_attention, ops.dot_product_attention.operation.composed])
def test_a_query_whose_every_key_is_masked_gives_zeros_and_no_gradient(form, dtype):
    rng = np.random.default_rng(0)
    leaves = [Tensor(rng.standard_normal((2, 3, 4)).astype(dtype)) for _ in range(3)]
    mask = np.zeros((2, 1, 3, 3), bool)
    mask[1, 0, 2] = True
    y = form(*leaves, mask, heads=2)
    y.backward(np.ones(y.shape, dtype))
    assert (y.value[1, 2] == 0).all() and (leaves[0].grad[1, 2] == 0).all()
    others = np.ones((2, 3), bool)
    others[1, 2] = False
    assert y.value[others].all() and leaves[0].grad[others].all()
    assert all(a.dtype == dtype and np.isfinite(a).all() for a in (y.value, *(leaf.grad for leaf in leaves)))


def test_scores_of_any_size_stay_finite():
    rng = np.random.default_rng(0)
    leaves = [Tensor((rng.standard_normal((2, 3, 4)) * 1e8).astype(np.float32)) for _ in range(3)]
    y = ops.dot_product_attention(*leaves, heads=2, causal=True)
    y.sum().backward()
    assert all(np.isfinite(a).all() for a in (y.value, *(leaf.grad for leaf in leaves)))


def test_what_is_masked_has_no_influence():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, 4)) for _ in range(3))
    hidden = np.arange(3) >= np.array([[1], [2]])
    y = ops.dot_product_attention(q, k, v, hidden[:, None, None], heads=2).value
    k[hidden], v[hidden] = 7, 1e6
    np.testing.assert_array_equal(ops.dot_product_attention(q, k, v, hidden[:, None, None], heads=2).value, y)


def test_a_recording_takes_other_masks_and_lengths_at_every_run():
    rng = np.random.default_rng(0)
    q, x = Tensor(rng.standard_normal((2, 3, 4))), Tensor(rng.standard_normal((2, 3, 4)))

    def loss(mask, lengths):
        weights = ops.masked_softmax(ops.matmul(q, x.mT), mask)
        return ((ops.dot_product_attention(q, x, x, mask, heads=1) ** 2).sum() + (weights ** 2).sum()
                + (ops.max_over_time(x, lengths) ** 2).sum())

    step = nnkit.record(loss)
    for share, lengths in ((0.2, [1, 4]), (0.5, [2, 2]), (0.8, [4, 1])):
        mask = rng.random((3, 3)) < share
        q.grad = x.grad = None
        expected = loss(mask, np.array(lengths))
        expected.backward()
        grads, q.grad, x.grad = (q.grad, x.grad), None, None
        assert float(step(mask, np.array(lengths))) == float(expected)
        for leaf, grad in zip((q, x), grads):
            np.testing.assert_array_equal(leaf.grad, grad)


@pytest.mark.parametrize("operation", [ops.dot_product_attention, ops.masked_softmax])
@pytest.mark.parametrize("mask, error, said", [
    (np.zeros((3, 3)), TypeError, "expected a boolean mask, True where a place must not be looked at, got float64"),
    (np.zeros((3, 3), int), TypeError, "got int64"),
    (np.zeros((3, 2), bool), ValueError, "expected a mask that broadcasts to the scores, (2, 1, 3, 3), got (3, 2)"),
    (np.zeros((2, 2, 1, 3, 3), bool), ValueError, "(2, 1, 3, 3), got (2, 2, 1, 3, 3)"),
    (np.zeros((2, 2, 3, 3), bool), ValueError, "got (2, 2, 3, 3)")])
def test_masks_that_do_not_fit_are_refused(operation, mask, error, said):
    arrays = [np.ones((2, 3, 4))] * 3 if operation is ops.dot_product_attention else [np.ones((2, 1, 3, 3))]
    with pytest.raises(error, match=f"^{operation.__name__}: .*{re.escape(said)}"):
        operation(*arrays, mask)


@pytest.mark.parametrize("q, k, v, heads", [
    ((2, 3, 4), (2, 3, 6), (2, 3, 4), 2), ((2, 3, 4), (1, 3, 4), (1, 3, 4), 2), ((2, 3, 4), (2, 5, 4), (2, 3, 4), 2),
    ((2, 3, 4), (2, 3, 4), (2, 3, 4), 3), ((2, 3, 4), (2, 3, 4), (2, 3, 5), 2), ((3, 4), (3, 4), (3, 4), 2),
    ((2, 3, 4), (2, 3, 4), (2, 3, 4), 0), ((2, 3, 0), (2, 3, 0), (2, 3, 2), 1)])
def test_arrays_that_do_not_belong_together_are_refused(q, k, v, heads):
    with pytest.raises(ValueError, match=re.escape(f"multiples of {heads} heads, got {q}, {k} and {v}")):
        ops.dot_product_attention(np.ones(q), np.ones(k), np.ones(v), heads=heads)


@pytest.mark.parametrize("x, weight, options, said", [
    ((2, 3, 5), (2, 4, 1), {}, "expected x (n, 4, time) for a kernel of shape (2, 4, 1), got (2, 3, 5)"),
    ((2, 3, 4), (3, 3, 1), {"dilation": 2}, "a kernel over 5 steps does not fit 4 steps and 0 of padding"),
    ((2, 3, 4), (3, 3, 1), {"padding": -1}, "a number of at least 0, 'same' or 'valid', got -1"),
    ((2, 3, 4), (3, 3, 1), {"padding": "full"}, "got 'full'"),
    ((2, 3, 4), (3, 3, 1), {"padding": "same", "stride": 2}, "needs a stride of 1, got 2")])
def test_a_kernel_that_does_not_fit_is_refused(x, weight, options, said):
    with pytest.raises(ValueError, match=f"^conv1d: .*{re.escape(said)}"):
        ops.conv1d(np.ones(x), np.ones(weight), **options)


def test_what_lies_behind_the_end_is_no_maximum():
    x = np.full((2, 1, 4), np.nan, np.float32)
    x[0, 0, :2], x[1, 0, :1] = [-3, -2], -5
    leaf = Tensor(x)
    y = ops.max_over_time(leaf, np.array([2, 1]))
    y.sum().backward()
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.value, [[-2], [-5]])
    np.testing.assert_array_equal(leaf.grad[:, 0], [[0, 1, 0, 0], [1, 0, 0, 0]])
