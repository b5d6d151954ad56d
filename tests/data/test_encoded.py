"""Texts as numbers: one pass gives what two would, and a batch is the texts that were asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data import Vocabulary
from nnkit.data.encoded import EncodedTexts, count_and_encode
from nnkit.errors import DataError

texts = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6).map(" ".join), min_size=1, max_size=12)


def back(encoded, vocabulary):
    return [[vocabulary.words[i] for i in encoded.ids[a:b]] for a, b in zip(encoded.offsets, encoded.offsets[1:])]


@given(texts, st.integers(0, 3), st.none() | st.integers(2, 4))
def test_one_pass_gives_the_vocabulary_and_the_texts(lines, min_count, max_size):
    try:
        vocabulary, encoded = count_and_encode(lines, str.split, min_count, max_size, "texts")
    except DataError:
        with pytest.raises(DataError):
            Vocabulary.count([line.split() for line in lines], min_count, max_size)
        return
    other = Vocabulary.count([line.split() for line in lines], min_count, max_size)
    assert vocabulary.words == other.words and vocabulary.counts.tolist() == other.counts.tolist()
    assert back(encoded, vocabulary) == [[word for word in line.split() if word in vocabulary] for line in lines]
    assert encoded.words.tolist() == [len(line.split()) for line in lines]
    again = EncodedTexts.of(lines, str.split, vocabulary)
    for name in ("ids", "offsets", "words"):
        one, other = getattr(again, name), getattr(encoded, name)
        assert np.array_equal(one, other) and one.dtype == other.dtype
    assert encoded.unknown == sum(word not in vocabulary for line in lines for word in line.split())


@given(texts, st.data())
def test_a_batch_is_the_chosen_texts_in_their_order(lines, data):
    vocabulary = Vocabulary(list("abcd"), [4, 3, 2, 1])
    encoded = EncodedTexts.of(lines, str.split, vocabulary)
    assert len(encoded) == len(lines)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(encoded) - 1), max_size=8)), np.int64)
    ids, offsets = encoded.bags(chosen)
    found = [[vocabulary.words[i] for i in bag] for bag in np.split(ids, offsets[1:])] if len(chosen) else []
    assert found == [[word for word in lines[i].split() if word in vocabulary] for i in chosen]
