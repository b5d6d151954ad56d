"""The n-gram model of scripts/kneser_ney.py: the numbers of a small example by hand, and probabilities that sum to 1."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.symbols import Contexts

PATH = Path(__file__).resolve().parent.parent / "scripts" / "kneser_ney.py"
spec = importlib.util.spec_from_file_location("kneser_ney", PATH)
kneser_ney = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kneser_ney)


def model_of(classes, order, n_classes, start=None):
    contexts, following = Contexts(np.array(classes, np.int32), order - 1, start).of(slice(None))
    return kneser_ney.KneserNey(contexts.astype(np.int64), following.astype(np.int64), n_classes, start)


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(1, 4), max_size=6), min_size=1, max_size=8), st.integers(1, 4), st.booleans(),
       st.integers(0, 5))
def test_the_probabilities_after_any_context_sum_to_1(lines, order, running, seed):
    classes = [symbol for line in lines for symbol in (*line, 0)]
    model = model_of(classes, order, 6, None if running else 6)
    contexts = np.random.default_rng(seed).integers(0, 7, (20, order - 1))             # most of them were never seen
    for context in contexts:
        p = model.probabilities(np.tile(context, (6, 1)), np.arange(6))
        assert p.sum() == pytest.approx(1, abs=1e-12) and (p > 0).all()


def test_a_small_example_has_the_probabilities_that_are_computed_by_hand():
    """Bigrams of `1 2 1 2 1 0`, running: the pairs 01, 12, 21, 12, 21, 10; too few for estimated discounts: 0.5, 1, 1.5."""
    model = model_of([1, 2, 1, 2, 1, 0], 2, 4)
    # what stands before a symbol: 1 after 0 and 2, 2 after 1, 0 after 1; discounts take 1, 0.5 and 0.5 of 4
    one = {0: 0.5 / 4 + 2 / 4 / 4, 1: 1 / 4 + 2 / 4 / 4, 2: 0.5 / 4 + 2 / 4 / 4, 3: 2 / 4 / 4}
    after_1 = {0: 0.5 / 3 + 1.5 / 3 * one[0], 1: 1.5 / 3 * one[1], 2: 1 / 3 + 1.5 / 3 * one[2], 3: 1.5 / 3 * one[3]}
    assert sum(one.values()) == pytest.approx(1) and sum(after_1.values()) == pytest.approx(1)
    np.testing.assert_allclose(model.probabilities(np.full((4, 1), 1), np.arange(4)), [after_1[i] for i in range(4)], rtol=1e-14)
    np.testing.assert_allclose(model.probabilities(np.full((4, 1), 3), np.arange(4)), [one[i] for i in range(4)], rtol=1e-14)


def test_what_follows_a_start_is_counted_as_it_is_seen_and_not_by_what_stands_before():
    """Trigrams of the lines 1, 1, 1, 2: nothing but the start stands before a first symbol, however often that was seen."""
    model = model_of([1, 0, 1, 0, 1, 0, 2, 0], 3, 3, start=3)
    one, two = model.probabilities(np.full((2, 2), 3), np.array([1, 2]))
    assert one > 2 * two


@pytest.mark.parametrize("counts, expected", [
    ([1, 1, 1, 1, 2, 2, 3, 4], [0, 1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 1 / 2, 3 - 4 * 0.5 * 1 / 1]),  # Y = 4 / (4 + 2 · 2)
    ([1, 2], [0, 0.5, 1.0, 1.5]),
])
def test_discounts_are_those_of_chen_and_goodman(counts, expected):
    np.testing.assert_allclose(kneser_ney.discounts(np.array(counts)), expected)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=1, max_size=20))
def test_the_best_share_is_no_worse_than_any_other(pairs):
    p, q = np.array(pairs).T

    def nats(share):
        return -np.log(share * p + (1 - share) * q).mean()

    assert nats(kneser_ney.best_share(p, q)) <= min(nats(share) for share in np.linspace(0, 1, 21)) + 1e-9
    assert kneser_ney.perplexity(np.full(3, 0.25)) == pytest.approx(4) and math.isfinite(nats(0.5))
