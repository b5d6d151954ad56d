"""What ranks make of a batch and of gradients: parts that have every item once, and sums that are the same on all of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from fake_ranks import run_ranks
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.autograd import RowGrad, Tensor
from nnkit.errors import ConfigError
from nnkit.training.exchange import Exchange
from nnkit.training.parts import check_parts, part_of


class Pair(NamedTuple):
    x: np.ndarray
    y: np.ndarray | None


@dataclass
class Plain:
    x: np.ndarray
    pair: object
    units: float = 0.0

    @property
    def count(self):
        return len(self.x)


class Own:
    """Divides itself: what it says is what counts."""

    def __init__(self, items):
        self.items, self.count, self.shape = items, len(items), "anything"

    def part(self, index, of):
        return Own(self.items[index::of])


@given(st.integers(0, 12), st.integers(1, 5), st.sampled_from(["tuple", "dataclass", "own", "attributes"]))
def test_parts_have_every_item_once(n, of, kind):
    items = np.arange(n)
    batch = {"tuple": lambda: Pair(items, None), "own": lambda: Own(items), "dataclass": lambda: Plain(items, Own(items), n),
             "attributes": lambda: type("Loose", (), {})()}[kind]()
    if kind == "attributes":
        batch.x, batch.count, batch.units = items.reshape(-1, 1), n, n
    parts = [part_of(batch, index, of) for index in range(of)]
    rows = [part.items if kind == "own" else part.x.reshape(-1) for part in parts]
    assert sorted(np.concatenate(rows).tolist()) == items.tolist()
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
    if kind != "tuple":
        assert [part.count for part in parts] == [len(row) for row in rows]
    assert all(type(part) is type(batch) for part in parts)


@pytest.mark.parametrize("batch, why", [
    (Plain(np.zeros(6), np.zeros(4)), "pair has 4 rows where others have 6"),
    (Plain(np.zeros(6), "text"), "pair is 'text'"),
    (Plain(np.zeros(6), None, 11.0), "units is 11.0, where its arrays have 6 rows"),
    (object(), "it has no arrays in its attributes")])
def test_a_batch_that_cannot_be_divided_is_refused_with_the_reason(batch, why):
    with pytest.raises(ConfigError, match=r"cannot be shared by 2 ranks of MPI .* method part\(index, of\)") as caught:
        part_of(batch, 1, 2)
    assert why in str(caught.value) and caught.value.exit_code == 2
    assert part_of(batch, 0, 1) is batch


def test_what_is_lost_or_too_little_is_found_at_the_first_batch():
    with pytest.raises(ConfigError, match="a step has 2 items, too few for 3 ranks of MPI"):
        check_parts(Own(np.arange(2)), 3)
    lossy = Own(np.arange(9))
    lossy.part = lambda index, of: Own(np.arange(2))
    with pytest.raises(ConfigError, match="its count is 9, those of its parts are 6 together"):
        check_parts(lossy, 3)


@st.composite
def gradients(draw):
    """For some parameters, of float32 or float64, what each of some ranks has: nothing, rows, or all of it."""
    size, rng = draw(st.integers(1, 4)), np.random.default_rng(draw(st.integers(0, 1000)))
    params, grads = [], []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.sampled_from([(), (3,), (4, 2), (5, 2)]))
        dtype = draw(st.sampled_from([np.float32, np.float64]))
        kinds = ["none", "dense", "rows", "shared"] if len(shape) == 2 else ["none", "dense"]
        of_ranks = []
        for _ in range(size):
            kind, n = draw(st.sampled_from(kinds)), draw(st.integers(0, 6))
            whole = rng.integers(-8, 8, shape).astype(dtype)  # whole numbers, so that sums are exact in any order
            if kind == "rows":
                whole = RowGrad(rng.integers(0, shape[0], n), rng.integers(-8, 8, (n, 2)).astype(dtype), shape)
            if kind == "shared":  # two values, for n rows
                factors = rng.integers(1, 3, n).astype(dtype) if draw(st.booleans()) else None
                whole = RowGrad(rng.integers(0, shape[0], n), rng.integers(-8, 8, (2, 2)).astype(dtype), shape,
                                rng.integers(0, 2, n), factors)
            of_ranks.append(None if kind == "none" else whole)
        params.append(np.zeros(shape, dtype))
        grads.append(of_ranks)
    return size, params, grads


@settings(max_examples=100, deadline=None)
@given(gradients())
def test_gradients_of_every_kind_are_added_up_alike_on_all_ranks(drawn):
    size, values, grads = drawn

    def add_up(ranks):
        params = [Tensor(value.copy()) for value in values]
        exchange = Exchange(params, ranks)
        for _ in range(2):  # a second step finds the buffers of the first
            for p, of_ranks in zip(params, grads):
                p.grad = None if of_ranks[ranks.rank] is None else of_ranks[ranks.rank].copy()
            exchange.add_up()
        return [p.grad for p in params]

    results = run_ranks(size, add_up)
    for i, (value, of_ranks) in enumerate(zip(values, grads)):
        for result in results:
            if all(grad is None for grad in of_ranks):
                assert result[i] is None
                continue
            expected = sum((np.asarray(grad) for grad in of_ranks if grad is not None), np.zeros_like(value))
            assert result[i].dtype == value.dtype
            np.testing.assert_array_equal(np.asarray(result[i]), expected)
            is_dense = any(isinstance(grad, np.ndarray) for grad in of_ranks)
            assert isinstance(result[i], np.ndarray if is_dense else RowGrad)
