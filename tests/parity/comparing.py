"""What every parity test does: the same numbers for both sides, the comparison itself, and the count of comparisons."""

import os
from collections import Counter

import numpy as np
from hypothesis import HealthCheck, settings

TOLERANCE = 1e-10  # float64; relative, and absolute for numbers below 1
counted: Counter[str] = Counter()

examples = settings(max_examples=int(os.environ.get("NNKIT_EXAMPLES", "5")), deadline=None, print_blob=True,
                    suppress_health_check=list(HealthCheck))


def same(ours, theirs, kind):
    """Assert equal shapes and numbers, and count it. ours: an array or a Tensor; theirs: PyTorch's, or None for zeros."""
    ours = np.asarray(getattr(ours, "value", ours))
    theirs = np.zeros_like(ours) if theirs is None else theirs.detach().numpy()
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    counted[kind] += 1
