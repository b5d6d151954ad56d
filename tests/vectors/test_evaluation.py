"""Scores on human judgement: files as they are handed around, and what is counted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.errors import DataError
from nnkit.vectors import WordVectors, evaluate_analogies, evaluate_odd_one_out, evaluate_pairs, evaluation
from nnkit.vectors.evaluation_files import Pair, kind_of, read_pairs, read_sections
from tests.vectors.conftest import drawn

SIMLEX = "word1\tword2\tPOS\tSimLex999\tconc(w1)\tconc(w2)\tconcQ\tAssoc(USF)\tSimAssoc333\tSD(SimLex)\n" \
         "old\tnew\tA\t1.58\t2.72\t2.81\t2\t7.25\t1\t0.41\n"


def write(tmp_path, text, name="some.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", ["# by hand\nold\tnew\t1.58\n", "old new 1.58\r\n", "old   new  1.58",
                                  "\nold\tnew\t1.58\r\n\r\n", SIMLEX,
                                  "word1 word2 score\nold new 1.58\n", "old\tnew\tA\t1.58\tSYNONYMS\n"])
def test_pairs_are_read_in_all_their_forms(tmp_path, text):
    path = write(tmp_path, text)
    assert read_pairs(path) == [Pair("old", "new", 1.58)] and kind_of(path) == "pairs"


@pytest.mark.parametrize("text, part", [("old new 1\nold new\n", ":2: expected two words and a number"),
                                        ("# nothing\n", "no pairs"),
                                        ("a b 1\nc d e\n", ":2:"), ("a b\n", ":1:"), ("a b nan\nc d nan\n", ":2:")])
def test_a_line_that_is_no_pair_is_named(tmp_path, text, part):
    with pytest.raises(DataError, match=part):
        read_pairs(write(tmp_path, text))


def test_sections_are_read_and_a_line_of_another_length_is_named(tmp_path):
    path = write(tmp_path, "# by hand\n: first one\r\na b c d\r\n\n: second\ne f g h\n")
    lines = [(line.section, line.words) for line in read_sections(path, 4)]
    assert lines == [("first one", tuple("abcd")), ("second", tuple("efgh"))]
    assert kind_of(path) == "analogies"
    assert kind_of(write(tmp_path, ": s\na b c d e\n", "odd.txt")) == "odd-one-out"
    with pytest.raises(DataError, match=":3: expected 5 words, found 4"):
        read_sections(path, 5)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0]), min_size=1, max_size=20))
def test_ranks_of_equal_values_are_the_mean_of_theirs(values):
    expected = [sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2 for value in values]
    assert evaluation.ranks(np.array(values)).tolist() == expected


def test_spearman_sees_the_order_alone(animals):
    pairs = [("cat", "dog", 9.0), ("cat", "cow", 8.9), ("cat", "bus", 2.0), ("cat", "car", 1.0)]
    scores = evaluate_pairs(animals, pairs)
    assert scores.spearman == pytest.approx(1) and 0.9 < scores.pearson < 1 and (scores.used, scores.total) == (4, 4)
    assert evaluate_pairs(animals, [(a, b, -s) for a, b, s in pairs]).spearman == pytest.approx(-1)


def test_pairs_with_unknown_words_are_left_out_and_counted(animals):
    scores = evaluate_pairs(animals, [("CAT", "Dog", 9), ("cat", "bus", 2), ("cat", "unicorn", 5)])
    assert (scores.used, scores.total, scores.skipped) == (2, 3, [Pair("cat", "unicorn", 5)])
    assert "(2 of 3 pairs)" in str(scores)
    assert evaluate_pairs(animals, [("cat", "dog", 9), ("cat", "cow", 5), ("cat", "bus", 2)], restrict=3).used == 2
    with pytest.raises(DataError, match="none of the 1 pairs"):
        evaluate_pairs(animals, [("CAT", "dog", 9)], case_insensitive=False)


@pytest.mark.case("wordvectors", 29)
def test_pairs_without_a_difference_have_no_correlation_and_make_no_warning(animals):
    no_scores = [("cat", "dog", .1), ("cat", "cow", .1)] * 3
    for pairs in ([("nothing", "cat", 1), ("nothing", "dog", 2)], [("cat", "dog", 1)], no_scores):
        scores = evaluate_pairs(animals, pairs)
        assert math.isnan(scores.spearman) and math.isnan(scores.pearson)


def by_hand(vectors, questions, top):
    """Right answers, one question at a time, in float64."""
    known = {}
    for place, word in enumerate(vectors.words[:top]):
        known.setdefault(word.upper(), place)
    units = vectors.matrix[:top].astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    right = used = 0
    for words in ([word.upper() for word in question] for question in questions):
        if all(word in known for word in words):
            a, b, c, _ = (units[known[word]] for word in words)
            order = np.argsort(-(units @ (b - a + c)))
            right += next(vectors.words[i].upper() for i in order if vectors.words[i].upper() not in words[:3]) == words[3]
            used += 1
    return right, used


@pytest.mark.parametrize("top", [None, 25])
def test_analogies_in_blocks_are_those_by_hand(tmp_path, monkeypatch, top):
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(20)] + [f"W{i}" for i in range(10)]       # of some words a second spelling
    vectors = WordVectors(words, rng.standard_normal((30, 3)).astype(np.float32))
    questions = [[f"w{i}" for i in rng.choice(21, 4, replace=False)] for _ in range(400)]   # w20 is unknown
    text = "".join((f": s{i % 3}\n" if i % 100 == 0 else "") + " ".join(question) + "\n" for i, question in enumerate(questions))
    monkeypatch.setattr(evaluation, "LARGE", 500)
    result = evaluate_analogies(vectors, write(tmp_path, text), top)
    assert (result.right, result.used) == by_hand(vectors, questions, top)
    assert 0 < result.right < result.used < result.total == 400
    assert [section.name for section in result.sections] == ["s0", "s1", "s2"] and sum(s.total for s in result.sections) == 400
    assert sum(s.right for s in result.sections) == result.right and sum(s.used for s in result.sections) == result.used
    assert len(result.skipped) == result.total - result.used and all("w20" in words for words in result.skipped)


def test_a_word_of_the_question_is_no_answer(tmp_path):
    vectors = WordVectors(["a", "b", "c"], np.eye(3, dtype=np.float32))
    result = evaluate_analogies(vectors, write(tmp_path, ": s\na b c a\na b c b\na b c c\n"))
    assert (result.right, result.used) == (0, 3)


def test_a_section_without_a_known_question_has_no_accuracy(tmp_path):
    result = evaluate_analogies(drawn(5, 2), write(tmp_path, ": s\na b c d\n"))
    assert math.isnan(result.accuracy) and math.isnan(result.sections[0].accuracy) and result.used == 0


def test_odd_ones_out_are_right_where_the_last_is_least_central(tmp_path, animals):
    vectors = WordVectors([*animals.words, "pig"], np.concatenate([animals.matrix, [[1, 0, 0]]]).astype(np.float32))
    text = ": right\ncat dog cow pig bus\nCat dog cow pig CAR\n: wrong\ncat dog bus cow pig\n: unknown\ncat dog cow pig unicorn\n"
    result = evaluate_odd_one_out(vectors, write(tmp_path, text))
    assert (result.right, result.used, result.total) == (2, 3, 4) and result.accuracy == pytest.approx(2 / 3)
    assert result.skipped == [("cat", "dog", "cow", "pig", "unicorn")]
    assert result.chance == 0.2 and result.chance_error == pytest.approx(math.sqrt(0.16 / 3))
    assert "2 right of 3 used of 4 sets" in str(result)


@pytest.mark.case("wordvectors", 29)
def test_vectors_of_zeros_find_no_odd_one_out(tmp_path):
    vectors = WordVectors(list("abcde"), np.zeros((5, 3), np.float32))
    assert evaluate_odd_one_out(vectors, write(tmp_path, ": s\na b c d e\n")).right == 0


def test_random_vectors_find_the_odd_one_out_by_chance(tmp_path):
    rng = np.random.default_rng(5)
    text = "".join(" ".join(f"w{i}" for i in rng.choice(200, 5, replace=False)) + "\n" for _ in range(4000))
    result = evaluate_odd_one_out(drawn(200, 20), write(tmp_path, text))
    assert abs(result.accuracy - result.chance) < 4 * result.chance_error


@pytest.mark.parametrize("name, total", [("EN-WS-353-ALL.txt", 353), ("EN-SIMLEX-999.txt", 999), ("EN-SimVerb-3500.txt", 3500)])
def test_the_files_of_the_field_are_read_whole(shared_data, name, total):
    path = shared_data / "eval/word-sim" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    assert len(read_pairs(path)) == total and kind_of(path) == "pairs"


def test_the_questions_of_google_are_read_whole(shared_data):
    path = shared_data / "eval/analogy/questions-words.txt"
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = read_sections(path, 4)
    assert len(lines) == 19_544 and len({line.section for line in lines}) == 14 and kind_of(path) == "analogies"
