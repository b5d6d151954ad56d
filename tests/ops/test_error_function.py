"""erf and erfc against the C library's, to the last bits of float64."""

import math

import numpy as np
import pytest

from nnkit import ops

EDGES = [0.0, -0.0, 0.46875, np.nextafter(0.46875, 1), 4.0, np.nextafter(4.0, 5), -0.46875, -4.0, 5e-324, 1e-300, 27.2, -27.2]
X = np.concatenate([np.linspace(-27, 27, 20_001), np.logspace(-300, 1.4, 2_000), EDGES])


@pytest.mark.parametrize("operation, exact", [(ops.erf, math.erf), (ops.erfc, math.erfc)], ids=["erf", "erfc"])
def test_relative_error_is_a_few_units_in_the_last_place(operation, exact):
    expected = np.array([exact(x) for x in X])
    normal_numbers = (expected == 0) | (np.abs(expected) > 1e-300)
    np.testing.assert_allclose(operation(X).value[normal_numbers], expected[normal_numbers], rtol=2e-15)


def test_float32_stays_float32_and_is_right_to_its_last_bits():
    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    y = ops.erf(x).value
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [math.erf(v) for v in x], rtol=5e-7)


def test_limits():
    x = np.array([np.inf, -np.inf, 1e300, -1e300, np.nan])
    np.testing.assert_array_equal(ops.erf(x).value, [1, -1, 1, -1, np.nan])
    np.testing.assert_array_equal(ops.erfc(x).value, [0, 2, 0, 2, np.nan])


def test_exact_gelu_keeps_its_small_values_far_to_the_left():
    np.testing.assert_allclose(ops.gelu(np.array([-10.0, -20.0])).value,
                               [x * math.erfc(-x / 2 ** 0.5) / 2 for x in (-10.0, -20.0)], rtol=1e-13)


def test_gelu_refuses_another_approximation():
    with pytest.raises(ValueError, match="'none' or 'tanh', got 'sigmoid'"):
        ops.gelu(np.ones(2), approximate="sigmoid")
