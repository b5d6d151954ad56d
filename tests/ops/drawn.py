"""What the tests of operations share: a case's arrays as leaves, an incoming gradient, the gradients as arrays."""

import numpy as np
import pytest
from cases import CASES

from nnkit import RowGrad, Tensor

every_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def as_inputs(arrays):
    """Leaves of the floating arrays, the others as they are."""
    return [Tensor(x) if x.dtype.kind == "f" else x for x in arrays]


def dense(grad):
    return grad.dense() if isinstance(grad, RowGrad) else grad


def weights_for(y, seed=7):
    """An incoming gradient that is another number at every place."""
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
