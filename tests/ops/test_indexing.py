"""x[key] with Tensors in the key, and what joins boolean Tensors: dynamic, recorded with other numbers, differentiated twice."""

import numpy as np
import pytest

import nnkit
from nnkit import RecordingError, Tensor, check_gradients, ops

X = np.random.default_rng(0).standard_normal((4, 3, 4))
I, J = np.array([0, 3, 0]), np.array([1, 2, 1])
MASK = X > 0

KEYS = {
    "one": lambda i, j: i, "two": lambda i, j: (i, j), "slice": lambda i, j: (slice(None), j),
    "apart": lambda i, j: (i, slice(1), j), "new axis": lambda i, j: (Ellipsis, None, i), "number": lambda i, j: (i[0], -1),
    "array": lambda i, j: (i, J),
}


@pytest.mark.parametrize("make", KEYS.values(), ids=KEYS)
def test_tensors_in_a_key_are_numpys_arrays_in_it(make):
    x = Tensor(X)
    y = x[make(Tensor(I), Tensor(J))]
    np.testing.assert_array_equal(y.value, X[make(I, J)])
    check_gradients(lambda x: x[make(Tensor(I), Tensor(J))], X)
    check_gradients(lambda x: nnkit.grad(lambda x: ops.sum(x[make(Tensor(I), Tensor(J))] ** 3))(x), X)


@pytest.mark.parametrize("key", [(Tensor(MASK),), (Tensor(MASK[:, 0, 0]), Ellipsis), (slice(None), Tensor(MASK[0, :, 0]))])
def test_a_mask_may_be_a_tensor(key):
    plain = tuple(part.value if isinstance(part, Tensor) else part for part in key)
    np.testing.assert_array_equal(Tensor(X)[key].value, X[plain])
    check_gradients(lambda x: x[key], X)


@pytest.mark.parametrize("index", [
    lambda w, i, j: w[i, j], lambda w, i, j: w[i][:, 0], lambda w, i, j: np.take(w, i, axis=0)[:, j],
    lambda w, i, j: w[[0, 1], j], lambda w, i, j: w[:, np.array([2, 0])][i]], ids=["pair", "one", "take", "list", "array"])
def test_a_recording_reads_its_indices_anew(index):
    recorded, dynamic = Tensor(X[..., 0]), Tensor(X[..., 0])
    step = nnkit.record(lambda i, j: ops.sum(index(recorded, i, j) ** 2))
    for i, j in [([0, 1], [2, 2]), ([3, 3], [0, 1]), ([2, 0], [1, 1])]:
        loss = ops.sum(index(dynamic, np.array(i), np.array(j)) ** 2)
        loss.backward()
        assert float(step(np.array(i), np.array(j))) == pytest.approx(float(loss), rel=1e-14)
    np.testing.assert_allclose(recorded.grad, dynamic.grad, rtol=1e-14)


def test_a_recording_reads_an_index_that_is_a_tensor_from_outside_anew():
    w, order = Tensor(np.arange(4.0)), Tensor(np.array([0, 1]))
    step = nnkit.record(lambda x: ops.sum(w[order] * x))
    assert float(step(np.ones(2))) == 1
    order.value = np.array([3, 3])
    assert float(step(np.ones(2))) == 6


def test_a_recorded_mask_is_refused_for_how_many_it_takes_may_change():
    w = Tensor(np.ones(3))
    for take in (lambda i: w[i > 1], lambda i: w[w > 0] * i, lambda i: np.take(w, i > 1)):
        with pytest.raises(RecordingError, match=r"^getitem: .*mask.*where"):
            nnkit.record(lambda i, take=take: ops.sum(take(i)))(np.arange(3))


def test_booleans_and_integers_are_joined_as_in_numpy():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    x, y = Tensor(a), Tensor(b)
    for ours, numpys in [(x & y, a & b), (x | y, a | b), (x ^ y, a ^ b), (~x, ~a), (x & b, a & b), (a | y, a | b), (True ^ x, ~a),
                         (np.logical_and(x, y), a & b), (np.logical_not(x), ~a), (Tensor(I) & 1, I & 1), (6 | Tensor(I), 6 | I)]:
        assert type(ours) is Tensor and not ours.requires_grad and ours.is_leaf
        np.testing.assert_array_equal(ours.value, numpys, strict=True)


def test_floats_are_not_joined():
    with pytest.raises(TypeError, match="bitwise_and"):
        Tensor([1.0]) & Tensor([True])


def test_a_recording_joins_anew():
    w = Tensor(np.ones(4))
    step = nnkit.record(lambda x: ops.sum(w * ((x > 0) & ~(x > 2) | (x == 9))))
    assert float(step(np.array([-1.0, 1, 3, 9]))) == 2
    assert float(step(np.array([1.0, 1, 2, 9]))) == 4


def test_a_recording_compares_parameters_anew():
    # a comparison of two Tensors that are no inputs was a constant of the first run
    w = Tensor(np.array([1.0, -1.0]))
    step = nnkit.record(lambda x: ops.sum(ops.where(w > 0, w * x, 0.0)))
    assert float(step(np.ones(2))) == 1
    w.value = np.array([-1.0, 5.0])
    assert float(step(np.ones(2))) == 5
