"""Products of matrices and einsum: its subscripts in each of NumPy's forms, and what a product may cost."""

import tracemalloc

import numpy as np
import pytest

from nnkit import Tensor, ops


def test_einsum_takes_its_subscripts_first_as_numpy_does():
    a, b = Tensor(np.ones((2, 3))), Tensor(np.ones((3, 2)))
    np.testing.assert_array_equal(ops.einsum("ij,jk->ik", a, b).value, a.value @ b.value)
    np.testing.assert_array_equal(ops.einsum(a, b, subscripts="ij,jk").value, a.value @ b.value)


A, B = np.random.default_rng(0).standard_normal((2, 3)), np.random.default_rng(1).standard_normal((3, 2))


@pytest.mark.parametrize("operands", [
    (A, [0, 1], B, [1, 2], [0, 2]), (A, [0, 1], B, [1, 2]), (A, [1, 0]), (A, [30, 2]), (A, [2, 30], B, [30, 51]), (A, [0, 1], []),
    (A, (Ellipsis, 1), [1, Ellipsis]), (A, [np.int64(0), 1], B, (1, 0), (0,)), (A @ B, [3, 3], [3])],
    ids=lambda x: str([list(part) for part in x if not isinstance(part, np.ndarray)]).replace(" ", ""))
def test_einsum_takes_lists_of_axes_as_numpy_does(operands):
    tensors = [Tensor(x) if isinstance(x, np.ndarray) else x for x in operands]
    for einsum in (np.einsum, ops.einsum):
        y = einsum(*tensors)
        np.testing.assert_allclose(y.value, np.einsum(*operands), rtol=1e-12)
        y.sum().backward()
        assert tensors[0].grad.shape == tensors[0].shape


@pytest.mark.parametrize("operands, said", [
    ((A, [0, "i"]), "got 'i'"), ((A, [0, 52]), "got 52"), ((A, [0, -1]), "got -1"), ((A, B), "as a string, first"),
    ((A, [0, 1], B), "as a string, first"), ((), "as a string, first")])
def test_einsum_refuses_what_are_no_subscripts(operands, said):
    with pytest.raises(TypeError, match=f"^einsum: .*{said}"):
        ops.einsum(*(Tensor(x) if isinstance(x, np.ndarray) else x for x in operands))


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


@pytest.mark.parametrize("a, b, said", [
    ((32, 8), (7, 8), "matmul: shapes (32, 8) and (7, 8) do not fit: the last axis of the first is 8 long, so the second must "
                      "have 8 rows, not 7"),
    ((2, 3, 4), (3,), "so the second must have 4 rows, not 3"),
    ((3,), (2, 4, 5), "so the second must have 3 rows, not 4"),
    ((2, 3, 4), (5, 4, 6), "could not be broadcast"),  # the leading axes: NumPy's own words
    ((), (3,), "matmul: got shapes () and (3,), and a number is no matrix; multiply with *")])
def test_matrices_that_do_not_fit_are_named_by_their_shapes(a, b, said):
    with pytest.raises(ValueError) as error:
        Tensor(np.ones(a)) @ Tensor(np.ones(b))
    assert said in str(error.value)
