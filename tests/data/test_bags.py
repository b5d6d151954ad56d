"""Bags of words: their numbers against the formula written out, the hash, and what a run keeps of them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.bags import BagInputs, BagRule, HashedWords, SparseBags
from nnkit.data.encoded import count_and_encode
from nnkit.data.labelled import Layout
from nnkit.data.text_inputs import TextInputs
from nnkit.data.tokenizers import Tokenizer
from nnkit.errors import DataError

WORDS = st.lists(st.sampled_from("a b c d e".split()), max_size=8).map(" ".join)


def learnt(texts, rule):
    """BagInputs of the training texts, and these encoded."""
    if rule.hashed is None:
        vocabulary, encoded = count_and_encode(texts, Tokenizer(), 1, None, "texts")
        return BagInputs.learn(TextInputs(Tokenizer(), vocabulary, Layout()), encoded, rule), encoded
    inputs = TextInputs(Tokenizer(), HashedWords(rule.hashed), Layout())
    encoded = inputs.encode(texts)
    return BagInputs.learn(inputs, encoded, rule), encoded


def dense(inputs, encoded):
    return inputs.bags(encoded)(np.arange(len(encoded))).dense(inputs.n_features)


@given(st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=6), st.booleans(),
       st.sampled_from(["counts", "binary", "tfidf"]), st.sampled_from([None, 3, 50]))
def test_the_numbers_are_those_of_the_formula(train, others, unit_length, values, hashed):
    train = ["a b", *train]
    inputs, _ = learnt(train, BagRule(values, hashed, unit_length))
    column = {w: inputs.vocabulary.index.get(w) for w in "abcde"}
    rows = np.zeros((len(others), inputs.n_features))
    for row, text in zip(rows, others):
        for word in text.split():
            if column[word] is not None:
                row[column[word]] += 1
    if values == "binary":
        rows = (rows > 0) * 1.0
    if values == "tfidf":
        have = np.array([sum(any(column[w] == j for w in text.split()) for text in train) for j in range(inputs.n_features)])
        rows *= np.log((1 + len(train)) / (1 + have)) + 1
    if unit_length:
        rows /= np.maximum(np.sqrt((rows ** 2).sum(1, keepdims=True)), 1e-9)
    found = dense(inputs, inputs.encode(others))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    np.testing.assert_allclose(found, rows, rtol=1e-5, atol=1e-7)


def test_tfidf_is_that_of_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    train, others = ["a a b", "b c", "c c c d", "e"], ["a b c", "d d e zzz", ""]
    inputs, _ = learnt(train, BagRule("tfidf"))
    theirs = text.TfidfVectorizer(token_pattern=r"\S+").fit(train)
    order = [theirs.vocabulary_[word] for word in inputs.vocabulary.words]
    np.testing.assert_allclose(dense(inputs, inputs.encode(others)), theirs.transform(others).toarray()[:, order], rtol=1e-6)


@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_chosen_texts_are_the_rows_of_all_in_the_order_asked_for(texts, data):
    inputs, encoded = learnt(["a b c", *texts], BagRule("counts"))
    chosen = data.draw(st.lists(st.integers(0, len(encoded) - 1), max_size=7))
    rows = dense(inputs, encoded)
    np.testing.assert_array_equal(inputs.bags(encoded)(np.array(chosen, int)).dense(inputs.n_features), rows[chosen])
    for i in chosen:
        words = ["a b c", *texts][i].split()
        np.testing.assert_array_equal(inputs.bag(words).dense(inputs.n_features)[0], rows[i])


def test_a_hash_is_the_same_on_every_machine_and_spreads_words_evenly():
    """0xcbf43926 is the value that the standards of CRC-32 give to check it by."""
    assert HashedWords(1 << 32).get("123456789") == 0xcbf43926 and HashedWords(1000).get("123456789") == 0xcbf43926 % 1000
    letters = np.random.default_rng(0).integers(97, 123, (4096, 7)).astype(np.uint8)
    columns = np.array([HashedWords(4096).get(bytes(word).decode()) for word in letters])
    assert abs(len(set(columns.tolist())) / 4096 - (1 - np.exp(-1))) < 0.02
    assert HashedWords(8).get("\ud800") < 8  # half of a character is still a word


def test_a_bag_of_a_million_words_is_as_small_as_its_vocabulary():
    inputs, _ = learnt(["a b c", "d e"], BagRule("counts", unit_length=False))
    bag = inputs.bag(["a", "b", "c", "zzz"] * 250_000)
    assert bag.ids.size == 3 and bag.values.tolist() == [250_000] * 3
    assert isinstance(bag, SparseBags) and bag.offsets.tolist() == [0]


@pytest.mark.parametrize("rule", [BagRule("tfidf"), BagRule("tfidf", 16), BagRule("binary", None, False), BagRule("counts", 5)])
def test_a_saved_rule_gives_the_same_bags(rule, tmp_path):
    inputs, encoded = learnt(["a a b", "b c", "c c c d"], rule)
    inputs.save(tmp_path.joinpath)
    again = BagInputs.load(tmp_path.joinpath)
    assert again.rule == rule and (tmp_path / "vocab.txt").exists() == (rule.hashed is None)
    assert dense(again, encoded).tobytes() == dense(inputs, encoded).tobytes()
    kept = json.loads((tmp_path / "bags.json").read_text(encoding="utf-8"))
    for damaged in ({}, {**kept, "texts_that_have": [1]} if rule.values == "tfidf" else {**kept, "more": 1}, []):
        (tmp_path / "bags.json").write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(DataError, match=r"bags\.json: is damaged"):
            BagInputs.load(tmp_path.joinpath)
