"""RowGrad: the gradient of a lookup is as large as the lookup, and means exactly the dense one."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit import RowGrad, Tensor, ops, optim, scatter_add_rows
from nnkit.autograd import rows as rows_module


@st.composite
def row_grads(draw, dtype=np.float64):
    width = draw(st.sampled_from([(), (1,), (2,), (3,), (2, 3), (4,)]))
    v, n = draw(st.integers(1, 6)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32)))
    rows = rng.integers(0, v, n)
    if not draw(st.booleans()):
        return RowGrad(rows, rng.standard_normal((n, *width)).astype(dtype), (v, *width))
    m = draw(st.integers(1, 3))
    return RowGrad(rows, rng.standard_normal((m, *width)).astype(dtype), (v, *width), rng.integers(0, m, n))


def slowly(grad):
    """The dense gradient, one row after the other."""
    table = np.zeros(grad.shape, grad.dtype)
    for i, row in enumerate(grad.rows):
        table[row] += grad.values[i if grad.index is None else grad.index[i]]
    return table


@given(row_grads())
def test_dense_adds_every_row_where_it_belongs(grad):
    np.testing.assert_allclose(grad.dense(), slowly(grad), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(np.asarray(grad), grad.dense())


@given(row_grads())
def test_coalesce_names_every_row_once_in_order_and_means_the_same(grad):
    once = grad.coalesce()
    assert (np.diff(once.rows) > 0).all() and set(once.rows) == set(grad.rows) and once.index is None
    np.testing.assert_allclose(once.dense(), slowly(grad), rtol=1e-12, atol=1e-14)


@given(row_grads())
def test_a_copy_shares_nothing(grad):
    other = grad.copy()
    before = grad.dense()
    other.values[...] = 7
    other.rows[...] = 0
    np.testing.assert_array_equal(grad.dense(), before)


@given(row_grads(np.float32))
def test_astype_changes_the_dtype_alone(grad):
    wide = grad.astype(np.float64)
    assert wide.dtype == np.float64 and grad.dtype == np.float32
    np.testing.assert_allclose(wide.dense(), grad.dense(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows, values, shape, index", [(2, (3, 4), (5, 4), None), (2, (2, 3), (5, 4), None),
                                                        (2, (1, 4), (5, 4), 3)])
def test_parts_that_do_not_fit_are_refused(rows, values, shape, index):
    with pytest.raises(ValueError, match="do not fit"):
        RowGrad(np.zeros(rows, int), np.ones(values), shape, None if index is None else np.zeros(index, int))


def test_repr_fits_a_line():
    assert repr(RowGrad(np.array([1, 2]), np.ones((2, 3)), (9, 3))) == "RowGrad(2 rows of (9, 3), dtype=float64)"


@pytest.mark.case("autograd", 22)
@pytest.mark.case("autograd", 21)
@given(st.integers(1, 9), st.integers(0, 20), st.sampled_from([(), (1,), (2,), (3,), (4, 2), (0,)]),
       st.sampled_from(["f4", "f8", ">f4", ">f8", "f2", "i8"]), st.sampled_from(["i1", "u1", "i4", "i8", "u8"]),
       st.integers(0, 99))
def test_scatter_add_rows_is_add_at(v, n, width, dtype, rows_dtype, seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(-9, 9, (v, *width)).astype(dtype)
    rows, values = rng.integers(0, v, n).astype(rows_dtype), rng.integers(-9, 9, (n, *width)).astype(dtype)
    expected = table.copy()
    np.add.at(expected, rows.astype(int), values)
    scatter_add_rows(table, rows, values)
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize("layout", ["fortran", "strided", "offset"])
def test_scatter_add_rows_writes_into_tables_of_any_layout(layout):
    table = {"fortran": np.zeros((4, 2), order="F"), "strided": np.zeros((8, 4))[::2, ::2],
             "offset": np.zeros(9, np.float32)[1:].reshape(4, 2)}[layout]
    scatter_add_rows(table, np.array([3, 0, 3]), np.ones((2, 3)).T)
    np.testing.assert_array_equal(table, [[1, 1], [0, 0], [0, 0], [2, 2]])


def test_scatter_add_rows_of_a_wider_dtype_keeps_the_tables():
    table = np.zeros((2, 2), np.float32)
    scatter_add_rows(table, np.array([1]), np.ones((1, 2)))
    assert table.dtype == np.float32 and table[1, 0] == 1


def test_a_lookup_leaves_a_rowgrad_on_its_table():
    table = Tensor(np.ones((5, 2), np.float32))
    ops.embedding(table, [1, 1]).sum().backward()
    assert type(table.grad) is RowGrad and table.grad.dtype == np.float32 and table.grad.shape == (5, 2)


def test_two_lookups_stay_rows():
    table = Tensor(np.zeros((4, 1)))
    (ops.embedding(table, [0, 1]).sum() + 2 * ops.embedding(table, [1]).sum()).backward()
    assert type(table.grad) is RowGrad
    np.testing.assert_array_equal(table.grad.dense(), [[1], [3], [0], [0]])


@pytest.mark.case("autograd", 33)
@pytest.mark.parametrize("lookup_first", [True, False])
def test_a_table_that_is_looked_up_and_multiplied_gets_the_sum(lookup_first):
    rng = np.random.default_rng(0)
    table = Tensor(rng.standard_normal((4, 3)))
    if lookup_first:
        y = (ops.embedding(table, [2, 2]) @ table.T).sum()
    else:
        product = np.ones((2, 3)) @ table.T
        y = (product @ np.ones((4, 1))).sum() + (ops.embedding(table, [2, 2]) * 3).sum()
    y.backward()
    dense = Tensor(table.value)
    if lookup_first:
        (ops.embedding(dense, [2, 2], sparse=False) @ dense.T).sum().backward()
    else:
        ((np.ones((2, 3)) @ dense.T @ np.ones((4, 1))).sum() + (ops.embedding(dense, [2, 2], sparse=False) * 3).sum()).backward()
    assert type(table.grad) is np.ndarray
    np.testing.assert_allclose(table.grad, dense.grad, rtol=1e-12)


def test_gradients_of_several_backwards_add_up_in_any_mixture():
    table = Tensor(np.zeros((3, 1)))
    for _ in range(2):
        ops.embedding(table, [0]).sum().backward()
        (table * 1).sum().backward()
    np.testing.assert_array_equal(table.grad, [[4], [2], [2]])


def test_rows_that_join_a_dense_gradient_leave_the_array_alone_that_a_user_holds():
    table = Tensor(np.zeros((3, 1)))
    (table * 1).sum().backward()
    held = table.grad
    ops.embedding(table, [0]).sum().backward()
    np.testing.assert_array_equal(held, [[1], [1], [1]])
    np.testing.assert_array_equal(table.grad, [[2], [1], [1]])


def test_a_table_that_is_itself_computed_gets_the_dense_gradient():
    x = Tensor(np.ones((3, 2)))
    ops.embedding(x * 2, [1, 1]).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [4, 4], [0, 0]])


@pytest.mark.case("autograd", 13)
def test_rows_of_two_tables_share_no_values():
    a, b = Tensor(np.zeros((3, 2))), Tensor(np.zeros((3, 2)))
    (ops.embedding(a, [0, 1]) + ops.embedding(b, [0, 1])).sum().backward()
    assert not np.shares_memory(a.grad.values, b.grad.values)


@pytest.mark.case("autograd", 26)
@pytest.mark.parametrize("sparse", [True, False])
def test_the_padding_row_gets_no_gradient(sparse):
    table = Tensor(np.ones((3, 2)))
    ops.embedding(table, np.array([[0, 2], [2, 2]]), padding=2, sparse=sparse).sum().backward()
    np.testing.assert_array_equal(np.asarray(table.grad), [[1, 1], [0, 0], [0, 0]])
    table.grad = None
    ops.embedding(table, [2, 2], padding=2, sparse=sparse).sum().backward()
    assert not np.asarray(table.grad).any()


@pytest.mark.case("autograd", 23)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_allocates_by_the_size_of_the_batch_and_not_of_the_table(momentum):
    def peak(v):
        table = Tensor(np.zeros((v, 20), np.float32))
        optimizer = optim.SGD([table], lr=0.1, momentum=momentum)
        ids = np.random.default_rng(0).integers(0, v, 100)

        def step():
            optimizer.zero_grad()
            ops.embedding(table, ids).sum().backward()
            optimizer.step()

        step()
        tracemalloc.start()
        step()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(1_000), peak(200_000)
    assert large < 1.5 * small and large < 200_000 * 20 * 4 / 50


@pytest.mark.parametrize("with_factors", [False, True])
@pytest.mark.parametrize("with_index", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [100, 7])
def test_compiled_rows_have_the_bits_of_numpys(monkeypatch, dtype, width, with_index, with_factors):
    pytest.importorskip("numba", reason="nnkit[fast] is not installed")
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 30, 1000)
    index = rng.integers(0, 50, 1000) if with_index else None
    values = rng.normal(size=(50 if with_index else 1000, width)).astype(dtype)
    factors = rng.normal(size=1000).astype(dtype) if with_factors else None
    tables = [np.ones((30, width), dtype) for _ in range(2)]
    assert rows_module.compiled_rows() is not None
    scatter_add_rows(tables[0], rows, values, index=index, scale=-0.3, factors=factors)
    monkeypatch.setattr(rows_module, "compiled_rows", lambda: None)
    scatter_add_rows(tables[1], rows, values, index=index, scale=-0.3, factors=factors)
    np.testing.assert_array_equal(tables[0], tables[1])
    exact = np.ones((30, width))
    for i, row in enumerate(rows):
        factor = 0.3 if factors is None else 0.3 * float(factors[i])
        exact[row] -= factor * values[i if index is None else index[i]].astype(np.float64)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(tables[0], exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("index", [None, np.zeros(100, int)])
@pytest.mark.parametrize("factors", [None, np.ones(100, np.float32)])
def test_a_row_behind_the_table_is_an_error_compiled_or_not(index, factors):
    """Compiled code wrote behind the table."""
    table, rows = np.zeros((3, 100), np.float32), np.full(100, 3)
    with pytest.raises(IndexError):
        scatter_add_rows(table, rows, np.ones((100, 100), np.float32), index=index, factors=factors)
    assert not table.any()


def test_compiling_is_foretold_until_it_is_done(tmp_path):
    pytest.importorskip("numba", reason="nnkit[fast] is not installed")
    program = ("import numpy as np; from nnkit.autograd.rows import is_compiled, scatter_add_rows; print(is_compiled()); "
               "scatter_add_rows(np.zeros((3, 4096)), np.array([1]), np.ones((1, 4096))); print(is_compiled())")
    said = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                           env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}).stdout.split() for _ in range(2)]
    assert said == [["False", "True"], ["True", "True"]]


@pytest.mark.parametrize("index, n", [(None, 2), (np.zeros(2, int), 3)])
def test_factors_that_do_not_fit_are_refused(index, n):
    with pytest.raises(ValueError, match="RowGrad: factors need an index, and one for each of the 2 rows"):
        RowGrad(np.zeros(2, int), np.ones((2, 3)), (4, 3), index, np.ones(n))
