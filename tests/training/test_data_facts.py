"""What a recipe's check says of its data: shares that add up, and notes exactly where something is odd."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.training.data_facts import class_facts, length_facts, overlap_facts, unknown_facts


def notes(lines):
    return [line for line in lines if line.startswith("note: ")]


def test_classes_have_their_share_and_those_without_examples_are_named():
    lines = class_facts(["neg", "pos", "new", "rare"], np.array([0, 1, 1, 1, 3]), np.array([1, 0, 2]))
    assert lines == ["classes 4: pos 60%, neg 20%, rare 20%, new 0%",
                     "note: class new has no example to train on, and 1 held out",
                     "note: 1 of 4 classes have no held-out example: rare"]
    assert not notes(class_facts(["a", "b"], np.array([0, 1]), np.array([1, 0])))
    assert not notes(class_facts(["a", "b"], np.array([0, 1]), np.array([], int)))  # nothing is held out at all


def test_lengths_have_a_range_and_a_median_and_empty_examples_are_counted():
    assert length_facts([3, 0, 9, 4, 5]) == ["lengths 0 to 9 words, half of them up to 4", "note: 1 of 5 examples are empty"]
    assert length_facts([3, 1], "tokens") == ["lengths 1 to 3 tokens, half of them up to 2"] and length_facts([]) == []


@pytest.mark.parametrize("unknown, odd", [(0, False), (20, False), (21, True), (100, True)])
def test_many_unknown_words_are_odd(unknown, odd):
    lines = unknown_facts(unknown, 100)
    assert lines[0] == f"unknown {unknown}.0% of the 100 held-out words" and bool(notes(lines)) == odd
    assert unknown_facts(0, 0) == []


@given(st.lists(st.text("ab", max_size=2)), st.lists(st.text("ab", max_size=2)))
def test_examples_on_both_sides_are_counted_as_often_as_they_are_held_out(train, dev):
    both = sum(train.count(example) > 0 for example in dev)
    expected = [f"note: {both} of {len(dev)} held-out examples stand in the training data, too"]
    assert overlap_facts(train, dev) == (expected if both else [])
