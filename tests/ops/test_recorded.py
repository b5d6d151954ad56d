"""Every operation of the table, recorded: the first run, which looks, and the second, which does not, are the dynamic graph."""

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, ops
from tests.ops.cases import CASES, Fresh

DRAWS = {case.name for case in CASES if any(isinstance(v, Fresh) for v in case.attributes.values())}


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in DRAWS], ids=str)
def test_recorded_is_dynamic(case):
    arrays = case.arrays()
    leaves = [Tensor(x) for x in arrays if x.dtype.kind == "f"]
    weights = np.random.default_rng(1).normal(size=case(*arrays).shape)

    def function(weights, *whole):
        floating, integers = iter(leaves), iter(whole)
        result = case(*(next(floating) if x.dtype.kind == "f" else next(integers) for x in arrays))
        return ops.sum(result * weights), result

    whole = [x for x in arrays if x.dtype.kind != "f"]
    expected_loss, expected = function(weights, *whole)
    expected_loss.backward()
    grads = [leaf.grad for leaf in leaves]
    step = nnkit.record(function)
    for _ in range(2):
        for leaf in leaves:
            leaf.grad = None
        loss, result = step(weights, *whole)
        np.testing.assert_array_equal(result.value, expected.value)
        assert loss.dtype == expected_loss.dtype and result.dtype == expected.dtype and result.shape == expected.shape
        for leaf, grad in zip(leaves, grads):
            assert type(leaf.grad) is type(grad)
            np.testing.assert_array_equal(np.asarray(leaf.grad), np.asarray(grad))


@pytest.mark.parametrize("case", [c for c in CASES if hasattr(c.operation.operation, "forward_into")], ids=str)
def test_forward_into_is_forward(case):
    operation, arrays = case.operation.operation, case.arrays()
    plain = operation.forward(ctx := [], *arrays, **case.plain())
    out = np.full_like(plain, np.nan)
    written = operation.forward_into(ctx_into := [], out if np.ndim(plain) else None, *arrays, **case.plain())
    assert written is out or not np.ndim(plain)
    np.testing.assert_array_equal(written, plain)
    assert len(ctx) == len(ctx_into)
