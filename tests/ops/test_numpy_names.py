"""NumPy's functions on Tensors: NumPy's own arguments, the same values, and a graph."""

import numpy as np
import pytest

from nnkit import Tensor, ops
from nnkit.ops.numpy_names import NUMPY_FUNCTIONS

X = np.random.default_rng(0).standard_normal((2, 3, 4))
V = X[0, 0]
M = X[0]

CALLS = {
    np.sum: [lambda x: np.sum(x), lambda x: np.sum(x, 0), lambda x: np.sum(x, axis=(0, 1), keepdims=True)],
    np.mean: [lambda x: np.mean(x, -1), lambda x: np.mean(x, axis=None, keepdims=True)],
    np.max: [lambda x: np.max(x, 1)], np.min: [lambda x: np.min(x, axis=0, keepdims=True)],
    np.amax: [lambda x: np.amax(x)], np.amin: [lambda x: np.amin(x, 1)],
    np.prod: [lambda x: np.prod(x, 0)], np.cumsum: [lambda x: np.cumsum(x), lambda x: np.cumsum(x, 1)],
    np.flip: [lambda x: np.flip(x), lambda x: np.flip(x, (0, 1))],
    np.expand_dims: [lambda x: np.expand_dims(x, 0)], np.squeeze: [lambda x: np.squeeze(x[:1]), lambda x: np.squeeze(x[:1], 0)],
    np.reshape: [lambda x: np.reshape(x, -1), lambda x: np.reshape(x, (4, -1))], np.ravel: [lambda x: np.ravel(x)],
    np.broadcast_to: [lambda x: np.broadcast_to(x, (2, 2, 3, 4))],
    np.transpose: [lambda x: np.transpose(x), lambda x: np.transpose(x, (1, 0, 2))],
    np.swapaxes: [lambda x: np.swapaxes(x, 0, -1)],
    np.concatenate: [lambda x: np.concatenate([x, X, x]), lambda x: np.concatenate((X, x), 1)],
    np.stack: [lambda x: np.stack([x, X]), lambda x: np.stack((X, x), axis=-1)],
    np.split: [lambda x: np.split(x, 2)[1], lambda x: np.split(x, [1, 2], axis=1)[1], lambda x: np.split(x, 3, 1)[0]],
    np.outer: [lambda x: np.outer(x[0], V), lambda x: np.outer(V, x)],
    np.dot: [lambda x: np.dot(x, V), lambda x: np.dot(M, x[0].T), lambda x: np.dot(2.0, x)],
    np.where: [lambda x: np.where(X > 0, x, 0), lambda x: np.where(X > 0, X, x)],
    np.clip: [lambda x: np.clip(x, -0.5, 0.5), lambda x: np.clip(x, None, 0.5), lambda x: np.clip(x, a_min=0, a_max=None)],
    np.var: [lambda x: np.var(x), lambda x: np.var(x, 0, ddof=1), lambda x: np.var(x, axis=(0, 2), correction=1, keepdims=True)],
    np.pad: [lambda x: np.pad(x, 1), lambda x: np.pad(x, ((1, 0), (0, 0), (2, 1)), "constant", constant_values=3)],
    np.einsum: [lambda x: np.einsum("ijk->j", x), lambda x: np.einsum("ijk,k->ij", x, V, optimize=True),
                lambda x: np.einsum(x, [0, 1, 2], V, [2], [1, 0])],
    np.linalg.norm: [lambda x: np.linalg.norm(x), lambda x: np.linalg.norm(x, axis=-1, keepdims=True),
                     lambda x: np.linalg.norm(x, None, (0, 2)), lambda x: np.linalg.norm(x[0, 0], 2),
                     lambda x: np.linalg.norm(x[0], "fro")],
    np.take: [lambda x: np.take(x, [0, 5, 5]), lambda x: np.take(x, np.array([[2, 0]]), axis=1),
              lambda x: np.take(x, Tensor(np.array([1, 0])) if isinstance(x, Tensor) else [1, 0], -1)],
    np.zeros_like: [lambda x: x + np.zeros_like(x)], np.ones_like: [lambda x: x * np.ones_like(x, dtype=np.float32)],
    np.full_like: [lambda x: x * np.full_like(x, 2)],
}


def test_every_function_has_a_call_here():
    assert set(CALLS) == set(NUMPY_FUNCTIONS)


@pytest.mark.parametrize("function, call", [(f, call) for f, calls in CALLS.items() for call in calls],
                         ids=[f"{f.__name__}{i}" for f, calls in CALLS.items() for i in range(len(calls))])
def test_value_is_numpys_and_the_graph_reaches_the_tensor(function, call):
    x = Tensor(X)
    y = call(x)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.value, call(X), rtol=1e-12)
    y.sum().backward()
    assert x.grad.shape == X.shape


@pytest.mark.parametrize("call, said", [
    (lambda x: np.sum(x, out=np.zeros(())), "out"), (lambda x: np.mean(x, dtype=np.float32), "dtype"),
    (lambda x: np.sum(x, 0, None), "2 arguments"), (lambda x: np.where(x), "both branches"),
    (lambda x: np.pad(x, 1, "edge"), "'edge'"), (lambda x: np.linalg.norm(x, 1, 0), "ord=1"),
    (lambda x: np.linalg.norm(x[0], 2), "ord=2"), (lambda x: np.einsum(x, x), "string")])
def test_what_the_operation_cannot_do_is_refused(call, said):
    with pytest.raises(TypeError, match=said):
        call(Tensor(X))


def test_split_gives_tensors_whose_gradients_meet_again():
    x = Tensor(np.arange(6.0))
    first, middle, last = ops.split(x, [1, 4])
    assert [y.shape for y in (first, middle, last)] == [(1,), (3,), (2,)]
    (first.sum() + 2 * middle.sum() + 3 * last.sum()).backward()
    np.testing.assert_array_equal(x.grad, [1, 2, 2, 2, 3, 3])


@pytest.mark.parametrize("cut, axis", [(1, 0), (2, -1), ([], 0), ([0, 2, 2, 9], 1), ([3, 1], 1), ([-1], 1), (4, 2)])
def test_split_cuts_where_numpy_does(cut, axis):
    for one, other in zip(ops.split(X, cut, axis), np.split(X, cut, axis), strict=True):
        np.testing.assert_array_equal(one.value, other)


@pytest.mark.parametrize("sections", [2, 0, -3])
def test_split_refuses_what_are_no_equal_sections(sections):
    with pytest.raises(ValueError, match=f"an axis of 3 has no {sections} equal sections"):
        ops.split(Tensor(X), sections, axis=1)
