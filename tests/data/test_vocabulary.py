from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnkit.data import Vocabulary
from nnkit.errors import DataError

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12), max_size=12)


def test_words_stand_by_count_then_by_first_appearance():
    words = Vocabulary.count([["d", "b", "a"], ["a", "c", "b", "a"]], min_count=1)
    assert words.words == ["a", "b", "d", "c"]
    assert words.counts.tolist() == [3, 2, 1, 1] and words.counts.dtype == np.int64
    assert [words.index[w] for w in words.words] == [0, 1, 2, 3]


@pytest.mark.parametrize("min_count", [0, 1])
def test_min_count_of_zero_or_one_keeps_every_word(min_count):
    assert Vocabulary.count([["a", "b", "b"]], min_count=min_count).words == ["b", "a"]


def test_length_and_membership():
    words = Vocabulary.count([["a", "a", "b", "b", "c"]], min_count=2)
    assert len(words) == 2 and "a" in words and "c" not in words


@pytest.mark.case("wordvectors", 25)
@pytest.mark.parametrize("size", [2, 900])
def test_max_size_keeps_exactly_the_most_frequent(size):
    sentences = [[f"w{i}"] * (1 + i % 7) for i in range(1000)]
    words = Vocabulary.count(sentences, min_count=1, max_size=size)
    assert len(words) == size
    assert words.counts.tolist() == sorted((1 + i % 7 for i in range(1000)), reverse=True)[:size]


@pytest.mark.case("wordvectors", 3)
def test_no_word_frequent_enough_says_what_was_found_and_the_way_out():
    with pytest.raises(DataError) as error:
        Vocabulary.count([[f"w{i % 1500}"] for i in range(6000)], min_count=5, source="corpus.txt")
    assert str(error.value) == (
        "corpus.txt: 6,000 tokens, 1,500 distinct, the most frequent seen 4 times: "
        "none reaches data.min_count = 5; lower it"
    )


@pytest.mark.case("wordvectors", 4)
@pytest.mark.parametrize("sentences, max_size", [([["word", "word"]], None), ([["a", "b"]], 1)])
def test_vocabulary_of_one_word_is_refused(sentences, max_size):
    with pytest.raises(DataError, match="needs at least 2 words"):
        Vocabulary.count(sentences, min_count=1, max_size=max_size)


@pytest.mark.case("wordvectors", 5)
@pytest.mark.parametrize("once", [lambda s: iter(s), lambda s: (w for w in s)])
def test_one_shot_iterator_is_refused_before_it_is_used_up(once):
    words = Vocabulary.count([["a", "b"]], min_count=1)
    for walk in (lambda s: Vocabulary.count(s, min_count=1), words.encode):
        with pytest.raises(TypeError, match=r"one-shot iterator.*list\(sentences\)"):
            walk(once([["a", "b"]]))


@pytest.mark.case("wordvectors", 6)
def test_sentence_that_is_a_generator_is_named():
    with pytest.raises(TypeError, match=r"sentence 1 is a one-shot iterator"):
        Vocabulary.count([["a"], (w for w in "ab")], min_count=1)


@pytest.mark.case("wordvectors", 7)
@pytest.mark.parametrize("sentences", ["the cat sat", ["the cat sat", "a dog ran"], [["a"], b"bytes"]])
def test_strings_are_not_taken_for_lists_of_letters(sentences):
    with pytest.raises(TypeError, match="split"):
        Vocabulary.count(sentences, min_count=1)


@pytest.mark.case("wordvectors", 9)
@pytest.mark.parametrize("row", [float("nan"), None])
def test_row_that_is_no_sentence_is_named_by_number_and_type(row):
    with pytest.raises(TypeError, match=f"sentence 1 .*{type(row).__name__}"):
        Vocabulary.count([["a", "b"], row], min_count=1)


def test_word_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match="7, a int"):
        Vocabulary.count([["a", 7]], min_count=1)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), unique=True))
@example(["a\u0085b", "\u2028", "\ufeffbom", "\r"])
@example([""])
def test_stored_vocabulary_is_the_one_that_was_stored_and_makes_its_words_late(words):
    plain = Vocabulary(words, np.arange(len(words)))
    stored = Vocabulary.stored(np.frombuffer("\n".join(words).encode(), np.uint8), plain.counts)
    assert len(stored) == len(words) and repr(stored) == repr(plain)
    assert not {"words", "index"} & set(vars(stored))  # 71,000 words are 13 MB, which no worker needs
    assert all(word in stored for word in words) and stored.words == plain.words and stored.index == plain.index
    assert stored.encode([words])[0].tolist() == plain.encode([words])[0].tolist()


def test_encoding_drops_unknown_words_and_says_where_sentences_start():
    words = Vocabulary(["a", "b"], [9, 8])
    ids, starts = words.encode([["a", "x", "b"], ["x"], [], ["b"]])
    assert ids.tolist() == [0, 1, 1] and starts.tolist() == [0, 2, 3]
    assert ids.dtype == np.int32 and starts.dtype == np.int64


def test_encoding_nothing_gives_no_sentence():
    ids, starts = Vocabulary(["a", "b"], [2, 1]).encode([])
    assert ids.shape == (0,) and ids.dtype == np.int32 and starts.tolist() == [0] and starts.dtype == np.int64


@pytest.mark.case("wordvectors", 8)
@pytest.mark.parametrize("length", [999, 1000, 1001, 25_000])
def test_long_sentence_is_cut_and_no_word_lost(length):
    ids, starts = Vocabulary(["a", "b"], [2, 1]).encode([["a", "unknown"] * length, ["b"]])
    assert len(ids) == length + 1
    sizes = np.diff(starts)
    assert sizes.max() <= 1000 and len(sizes) == -(-length // 1000) + 1 and sizes[-1] == 1


@given(SENTENCES)
def test_counts_are_those_of_a_plain_counter(sentences):
    counter = Counter(word for words in sentences for word in words)
    if len(counter) >= 2:
        words = Vocabulary.count(sentences, min_count=1)
        assert dict(zip(words.words, words.counts.tolist(), strict=True)) == dict(counter)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), unique=True, max_size=8))
@example(["a\u00a0b", "\u0085", "\u2028", "\ufeffbom", "\r", "new york", "", "7"])
def test_saved_vocabulary_comes_back_whatever_its_words(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    saved = Vocabulary(words, [n + 1 for n in range(len(words))])
    saved.save(path)
    loaded = Vocabulary.load(path)
    assert loaded.words == saved.words and loaded.counts.tolist() == saved.counts.tolist()


def test_word_with_a_line_end_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="line end"):
        Vocabulary(["a\nb", "c"], [2, 1]).save(tmp_path / "vocab.txt")
    assert not (tmp_path / "vocab.txt").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a 3\nb\n", r"vocab\.txt:2: expected a word"),
        (b"a 3\nb x\n", r"vocab\.txt:2: expected a word"),
        (b"a 3\nb 2\na 1\n", r"vocab\.txt:3: the word 'a' was there before"),
        (b"a\xff 3\n", "not UTF-8"),
    ],
)
def test_damaged_vocabulary_file_is_named(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Vocabulary.load(path)


def test_missing_vocabulary_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Vocabulary.load(tmp_path / "vocab.txt")


@pytest.mark.parametrize("words, counts", [(["a", "a"], [1, 1]), (["a", "b"], [1])])
def test_words_and_counts_must_fit(words, counts):
    with pytest.raises(ValueError):
        Vocabulary(words, counts)


def test_a_count_that_no_integer_holds_is_named(tmp_path):
    (tmp_path / "v.txt").write_text("a 5\nb 99999999999999999999999\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"v\.txt:2: the count 99999999999999999999999 is too large"):
        Vocabulary.load(tmp_path / "v.txt")
