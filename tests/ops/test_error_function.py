"""erf, erfc and the exact GELU against the C library's, to the last bits of float64 and of float32."""

import math

import numpy as np
import pytest

from nnkit import Tensor, ops

EDGES = [0.0, -0.0, 0.46875, np.nextafter(0.46875, 1), 4.0, np.nextafter(4.0, 5), -0.46875, -4.0, 5e-324, 1e-300, 27.2, -27.2]
X = np.concatenate([np.linspace(-27, 27, 20_001), np.logspace(-300, 1.4, 2_000), EDGES])


@pytest.mark.parametrize("operation, exact", [(ops.erf, math.erf), (ops.erfc, math.erfc)], ids=["erf", "erfc"])
def test_relative_error_is_a_few_units_in_the_last_place(operation, exact):
    expected = np.array([exact(x) for x in X])
    normal_numbers = (expected == 0) | (np.abs(expected) > 1e-300)
    np.testing.assert_allclose(operation(X).value[normal_numbers], expected[normal_numbers], rtol=2e-15)


def gelu(x):
    return x * math.erfc(-x / 2 ** 0.5) / 2


@pytest.mark.parametrize("operation, exact", [(ops.erf, math.erf), (ops.erfc, math.erfc), (ops.gelu, gelu)],
                         ids=["erf", "erfc", "gelu"])
def test_float32_stays_float32_and_is_right_to_its_last_bits(operation, exact):
    x = np.concatenate([np.linspace(-9, 9, 2001), np.logspace(-30, 0, 300), [0.46875]]).astype(np.float32)
    y = operation(x).value
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [exact(float(v)) for v in x], rtol=5e-7)


@pytest.mark.parametrize("operation, exact", [(ops.erf, math.erf), (ops.erfc, math.erfc), (ops.gelu, gelu)],
                         ids=["erf", "erfc", "gelu"])
@pytest.mark.parametrize("dtype, rtol", [(np.int64, 5e-7), (np.float16, 2e-3), (">f8", 2e-15), (">f4", 5e-7)])
def test_numbers_of_every_kind_and_arrays_longer_than_a_block_and_of_any_layout(operation, exact, dtype, rtol):
    x = np.resize(np.arange(-2, 3), (150, 400)).astype(dtype)[::-1, ::2].T
    expected = np.array([exact(float(v)) for v in range(-2, 3)])[x.astype(int) + 2]
    np.testing.assert_allclose(operation(Tensor(x)).value, expected, rtol=rtol)
    assert float(operation(1.0)) == pytest.approx(exact(1.0), rel=5e-7)


def test_limits():
    x = np.array([np.inf, -np.inf, 1e300, -1e300, np.nan])
    np.testing.assert_array_equal(ops.erf(x).value, [1, -1, 1, -1, np.nan])
    np.testing.assert_array_equal(ops.erfc(x).value, [0, 2, 0, 2, np.nan])


def test_exact_gelu_keeps_its_small_values_far_to_the_left():
    np.testing.assert_allclose(ops.gelu(np.array([-10.0, -20.0])).value,
                               [gelu(x) for x in (-10.0, -20.0)], rtol=1e-13)


def test_gelu_refuses_another_approximation():
    with pytest.raises(ValueError, match="'none' or 'tanh', got 'sigmoid'"):
        ops.gelu(np.ones(2), approximate="sigmoid")
