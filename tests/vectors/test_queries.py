"""Neighbours, analogies and odd ones out; zeros never make a NaN or a warning (warnings are errors here)."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnkit.errors import UserError
from nnkit.vectors import UnknownWord, WordVectors, word_vectors
from tests.vectors.conftest import drawn
from tests.vectors.conftest import word_vectors as any_vectors

MODERATE = st.floats(-2.0 ** 50, 2.0 ** 50, width=32) | st.just(0.0)


def test_the_nearest_come_first_and_the_word_itself_never(animals):
    assert [word for word, _ in animals.most_similar("cat", 2)] == ["dog", "cow"]
    assert [word for word, _ in animals.most_similar("cat", n=9)] == ["dog", "cow", "bus", "car", "nothing"]
    assert animals.most_similar("cat", 0) == []


def test_neighbours_are_a_list_of_pairs_that_a_notebook_shows_as_a_table():
    vectors = WordVectors(["a", "<script>", "b"], np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    found = vectors.most_similar("a")
    assert found == [("<script>", 1.0), ("b", 0.0)] and repr(found) == repr(list(found))
    assert all("&lt;script&gt;</td><td>1.0000<" in other._repr_html_()
               for other in (found, vectors.analogy("a", "a", "a"), *vectors.most_similar_many(["a"])))
    assert "<script>" not in found._repr_html_()


def test_likeness_is_the_cosine(animals):
    a, b = animals["cat"].astype(np.float64), animals["car"].astype(np.float64)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert animals.similarity("cat", "car") == pytest.approx(expected, abs=1e-6)
    assert dict(animals.most_similar("cat"))["car"] == pytest.approx(expected, abs=1e-6)
    assert animals.similarities("cat", ["car", "cat"]) == pytest.approx([expected, 1], abs=1e-6)
    assert animals.similarities("cat")[[3, 0]] == pytest.approx([expected, 1], abs=1e-6)


@pytest.mark.case("wordvectors", 29)
@given(vectors=any_vectors(numbers=MODERATE))
@example(vectors=WordVectors(["too short for its digits"], np.full((1, 2), 1e-45, np.float32)))  # a cosine of 2
def test_every_cosine_is_a_number_from_minus_one_to_one(vectors):
    zero = "a word of zeros"
    vectors = WordVectors([*vectors.words, zero], np.concatenate([vectors.matrix, np.zeros_like(vectors.matrix[:1])]))
    cosines = np.array([[vectors.similarity(a, b) for a in vectors.words] for b in vectors.words])
    rows = np.array([vectors.similarities(word) for word in vectors.words])
    for values in (cosines, rows):
        assert np.isfinite(values).all() and (np.abs(values) < 1 + 1e-5).all()
        assert not values[-1].any() and not values[:, -1].any()
    for word in vectors.words:
        assert len(vectors.most_similar(word)) == len(vectors) - 1
        for found in (vectors.most_similar(word), vectors.most_similar([word], [zero]), *vectors.most_similar_many([word]),
                      vectors.analogy(word, zero, word, method="3cosmul")):
            assert np.isfinite([score for _, score in found]).all()
    assert vectors.doesnt_match(vectors.words) in vectors


@pytest.mark.case("wordvectors", 29)
def test_a_query_holds_no_second_matrix(monkeypatch):
    import tracemalloc

    vectors = drawn(20_000, 100)
    tracemalloc.start()
    try:
        vectors.most_similar("w0")
        vectors.analogy("w0", "w1", "w2", method="3cosmul")
        assert tracemalloc.get_traced_memory()[1] < vectors.matrix.nbytes
        assert tracemalloc.get_traced_memory()[0] < vectors.matrix.nbytes / 20
    finally:
        tracemalloc.stop()


def test_equal_scores_come_in_the_order_of_the_words():
    vectors = WordVectors(list("qabcdef"), np.tile(np.array([[1, 2]], np.float32), (7, 1)))
    assert [word for word, _ in vectors.most_similar("q", 4)] == list("abcd")


def test_many_words_at_once_give_what_one_gives(monkeypatch):
    vectors = drawn(60, 7)
    monkeypatch.setattr(word_vectors, "LARGE", 200)  # several products
    for word, found in zip(vectors.words, vectors.most_similar_many(vectors.words, 5)):
        one = vectors.most_similar(word, 5)
        assert [w for w, _ in found] == [w for w, _ in one] and np.allclose([s for _, s in found], [s for _, s in one], atol=1e-6)
    assert vectors.most_similar_many([]) == []


def test_words_vectors_and_lists_of_them_can_be_asked_for(animals):
    by_word = animals.most_similar(["cat", "dog"], n=1)
    assert by_word[0][0] == "cow"
    vector = animals["cat"] * 7
    assert animals.most_similar(vector, n=1)[0][0] == "cat"             # a vector is no word, so none is left out
    assert animals.most_similar([vector], ["cow"], n=3) == animals.most_similar(vector, "cow", n=3)
    with pytest.raises(ValueError, match="no words"):
        animals.most_similar([])


def test_an_analogy_answers_with_neither_of_its_words():
    matrix = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [-1, -1, 0]], np.float32)
    vectors = WordVectors(["man", "king", "woman", "queen", "stone"], matrix)
    for method in ("3cosadd", "3cosmul"):
        found = vectors.analogy("man", "king", "woman", method=method)
        assert found[0][0] == "queen" and {word for word, _ in found} == {"queen", "stone"}
    with pytest.raises(ValueError, match="method"):
        vectors.analogy("man", "king", "woman", method="3cosdiv")


def test_the_odd_one_out_is_found_wherever_it_stands(animals):
    for words in itertools.permutations(["cat", "dog", "cow", "bus"]):
        assert animals.doesnt_match(list(words)) == "bus"


def test_an_unknown_word_is_a_key_error_of_one_line_with_near_spellings(animals):
    with pytest.raises(UnknownWord) as caught:
        animals["cta"]
    assert isinstance(caught.value, KeyError) and isinstance(caught.value, UserError)
    assert str(caught.value) == "the word 'cta' is not among the 6 known; did you mean 'cat', 'car'?"
    for query in (lambda: animals.most_similar("Cat"), lambda: animals.most_similar("cat", ["Cat"]),
                  lambda: animals.similarity("cat", "Cat"), lambda: animals.most_similar_many(["cat", "Cat"]),
                  lambda: animals.analogy("cat", "dog", "Cat"), lambda: animals.doesnt_match(["cat", "Cat"])):
        with pytest.raises(UnknownWord, match="'Cat' is not among the 6 known; did you mean 'cat'"):
            query()
    assert str(UnknownWord("zzzzz", animals.words)) == "the word 'zzzzz' is not among the 6 known"


def test_words_and_rows_must_fit():
    with pytest.raises(ValueError, match="2 words"):
        WordVectors(["a", "b"], np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match="'a' is in the list twice"):
        WordVectors(["a", "b", "a"], np.ones((3, 2), np.float32))
