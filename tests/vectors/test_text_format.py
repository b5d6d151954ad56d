"""word2vec's and GloVe's text: what is there is read to the bit, what is damaged is named by its line."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import DataError
from nnkit.vectors import WordVectors, text_format
from tests.vectors.conftest import drawn, same, word_vectors


def load(tmp_path, content, **options):
    path = tmp_path / "some.vec"
    path.write_bytes(content)
    return WordVectors.load(path, **options)


def refusal(tmp_path, content, **options):
    with pytest.raises(DataError) as caught:
        load(tmp_path, content, **options)
    text = str(caught.value).replace(str(tmp_path), "")
    assert "\n" not in text
    return text


@given(vectors=word_vectors(), form=st.sampled_from(["some.vec", "some.vec.gz"]))
@settings(max_examples=150)
def test_any_words_and_numbers_come_back(tmp_path_factory, vectors, form):
    path = tmp_path_factory.getbasetemp() / form
    vectors.save(path)
    back = WordVectors.load(path)
    assert same(back, vectors) and back.notices == []


@given(vectors=word_vectors())
def test_the_glove_form_comes_back_where_its_first_line_is_no_header(tmp_path_factory, vectors):
    path = tmp_path_factory.getbasetemp() / "some.txt"
    vectors.save(path)
    assert same(WordVectors.load(path), vectors)


@pytest.mark.parametrize("chunk", [40, 1000, 1 << 17])
@pytest.mark.parametrize("form", ["word2vec", "glove"])
def test_where_a_chunk_ends_is_no_matter(tmp_path, monkeypatch, chunk, form):
    vectors = drawn(3000, 7)
    vectors.save(tmp_path / "some", form)
    monkeypatch.setattr(text_format, "CHUNK", chunk)
    assert same(WordVectors.load(tmp_path / "some"), vectors)


@pytest.mark.case("wordvectors", 16)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n", b" \r\n"])
def test_a_glove_file_without_header(tmp_path, end):
    vectors = load(tmp_path, b"the 0.1 0.2" + end + b"cat 3 4e-1" + end)
    assert vectors.words == ["the", "cat"] and vectors.notices == []
    assert np.array_equal(vectors.matrix, np.array([[0.1, 0.2], [3, 0.4]], np.float32))


@pytest.mark.case("wordvectors", 15)
def test_trailing_spaces_and_empty_lines_at_the_end_are_no_columns_and_no_rows(tmp_path):
    vectors = load(tmp_path, b"\xef\xbb\xbf2 2 \r\na 1 2 \nb 3 4 \r\n\n \n")
    assert vectors.words == ["a", "b"] and vectors.matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.case("wordvectors", 15)
@pytest.mark.parametrize("content, parts", [
    (b"3 2\na 1 2\nb 3 4\n", ["promises 3 words", "has 2"]),
    (b"1 2\na 1 2\nb 3 4\n", [".vec:3:", "promises 1 words", "goes on"]),
    (b"1000000000000 100\na 1 2\n", ["1,000,000,000,000 words", "the file has 24"]),
    (b"1 100000000000000\na 1 2\n", ["100,000,000,000,000 numbers", "the file has"]),
    (b"0 5\n", ["0 words"]),
    (b"5 0\n", ["of 0 numbers"]),
])
def test_a_header_that_does_not_fit_the_file_is_refused_with_both_numbers(tmp_path, content, parts):
    text = refusal(tmp_path, content)
    assert all(part in text for part in parts), text


def test_a_header_in_a_small_gzip_file_reserves_no_memory_for_its_promise(tmp_path):
    assert "no more than" in refusal(tmp_path, gzip.compress(b"1000000000000 100\na 1 2\n"))


@pytest.mark.parametrize("content, parts", [
    (b"3 2\na 1 2\nb 3\nc 5 6\n", [".vec:3:", "a word and 2 numbers", "found 1"]),
    (b"3 2\na 1 2\nb 3 4.5 6 7\nc 5 6\n", [".vec:3:", "2 numbers", "found 4"]),
    (b"a 1.5 2\nb 3.5 4.5 6\nc 5 6\n", [".vec:2:", "2 numbers", "found 3"]),
    (b"3 2\na 1 2\nb 3 x\nc 5 6\n", [".vec:3:", "'x' is no number", "number 2 of 2"]),
    (b"3 2\na 1 2\nb 1.2.3 4\nc 5 6\n", [".vec:3:", "'1.2.3' is no number"]),
    (b"3 2\na 1 2\n\nc 5 6\n", [".vec:3:", "empty line"]),
    (b"3 2\na 1 2\n 3 4\nc 5 6\n", [".vec:3:"]),
    (b"2 2\na 1 2\nb 3 nan\n", [".vec:3:", "number 2 is nan"]),
    (b"2 2\na -inf 2\nb 3 4\n", [".vec:2:", "number 1 is -inf"]),
    (b"2 2\na 1 2\nb 3 1e39\n", [".vec:3:", "number 2 is inf in float32"]),
    (b"2 2\na 1 2\nb 3", [".vec:3:", "cut short"]),
    (b"", ["0 bytes"]),
    (b"hello", ["no word vectors"]),
    (b"hello world and so on\nand more of it here\n", ["no word vectors"]),
    (b"\x89PNG\r\n\x1a\n\0\0\0", ["no word vectors"]),
])
def test_a_damaged_file_names_the_line(tmp_path, content, parts):
    text = refusal(tmp_path, content)
    assert all(part in text for part in parts), text


@given(data=st.data())
@settings(max_examples=150)
def test_a_file_cut_anywhere_is_refused_or_says_so(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.vec"
    vectors = drawn(5, 3)
    vectors.save_word2vec(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:data.draw(st.integers(0, len(whole) - 1))])
    try:
        read = WordVectors.load(path)
    except DataError:
        return
    assert read.words == vectors.words and "where the file was cut short" in read.notices[0]


@pytest.mark.case("wordvectors", 18)
@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.999])
def test_a_gzip_file_that_is_cut_is_refused(tmp_path, share):
    drawn(300, 10).save(tmp_path / "whole.vec.gz")
    whole = (tmp_path / "whole.vec.gz").read_bytes()
    text = refusal(tmp_path, whole[:max(3, int(share * len(whole)))])
    assert "cut short" in text and "bytes" in text


@pytest.mark.case("wordvectors", 12)
def test_a_word_with_a_space_is_refused_at_save_and_read_from_the_right(tmp_path):
    path = tmp_path / "new.vec"
    path.write_text("the old file", encoding="utf-8")
    with pytest.raises(DataError, match="'new york' has white space"):
        WordVectors(["a", "new york"], np.ones((2, 2), np.float32)).save_word2vec(path)
    assert path.read_text(encoding="utf-8") == "the old file" and [p.name for p in tmp_path.iterdir()] == ["new.vec"]
    vectors = load(tmp_path, b"3 2\na 1 2\nnew york 3 4\nb 5 6\n")
    assert vectors.words == ["a", "new york", "b"] and vectors["new york"].tolist() == [3, 4]
    assert len(vectors.notices) == 1 and ":3: 'new york'" in vectors.notices[0]


@pytest.mark.case("wordvectors", 13)
@pytest.mark.parametrize("word", ["a\u00a0b", "\u00a0", "\u2009", "a\u0085b", "\x1f", "\u2028x", "\x0c"])
def test_only_the_ascii_space_ends_a_word(tmp_path, word):
    for form in ("word2vec", "word2vec-binary", "glove"):
        WordVectors(["x", word], np.ones((2, 2), np.float32)).save(tmp_path / form, form)
        assert WordVectors.load(tmp_path / form).words == ["x", word]


@pytest.mark.case("wordvectors", 14)
def test_of_a_word_that_comes_twice_the_first_stays_and_the_count_is_told(tmp_path):
    vectors = load(tmp_path, b"4 2\ncat 1 2\ncat 5 6\ndog 3 4\ncat 7 8\n")
    assert vectors.words == ["cat", "dog"] and vectors.matrix.tolist() == [[1, 2], [3, 4]]
    assert len(vectors.notices) == 1 and "2 of 4 rows repeat a word" in vectors.notices[0] and "'cat'" in vectors.notices[0]


@pytest.mark.case("wordvectors", 11)
def test_a_word_cut_inside_a_character_is_named_and_the_other_rows_stay(tmp_path):
    content = b"3 2\na 1 2\nb\xe4\xb8 3 4\nc 5 6\n"
    text = refusal(tmp_path, content)
    assert ".vec:3:" in text and "unicode_errors" in text
    for errors, words in (("replace", ["a", "b\ufffd", "c"]), ("ignore", ["a", "b", "c"])):
        vectors = load(tmp_path, content, unicode_errors=errors)
        assert vectors.words == words and vectors.matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        WordVectors.load(tmp_path / "not.vec")
    with pytest.raises(DataError, match="is a folder"):
        WordVectors.load(tmp_path)


def test_the_old_file_stays_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "some.vec"
    drawn(3, 2).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(text_format.decimals, "format_rows", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drawn(4, 2).save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["some.vec"]
