"""What the embedding projector is given, read back by its rules: lines are trimmed, empty ones skipped, tabs divide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import DataError
from nnkit.vectors.projector import label, write_projector

# what JavaScript's trim takes off
BLANK = " \t\n\v\f\r\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))


def as_the_projector_reads(path):
    lines = (line.strip(BLANK) for line in path.read_bytes().decode("utf-8").split("\n"))
    return [line.split("\t") for line in lines if line]


words_and_spaces = st.text(st.characters(codec="utf-8") | st.sampled_from(BLANK), max_size=6)


@settings(deadline=None)
@given(words=st.lists(words_and_spaces, min_size=1, max_size=8, unique=True), dim=st.integers(2, 4), seed=st.integers(0, 99))
def test_every_word_has_a_line_and_the_vector_of_the_same_line(words, dim, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projector")
    matrix = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32) * np.float32([1, 1e4, 1e-7, 1][:dim])
    vectors, labels = write_projector(folder, words, matrix)
    assert (vectors.name, labels.name) == ("vectors.tsv", "metadata.tsv")
    np.testing.assert_array_equal(np.array(as_the_projector_reads(vectors), np.float32), matrix)
    read = as_the_projector_reads(labels)
    assert len(read) == len(words) and all(len(columns) == 1 for columns in read)  # a tab in the first would be a header


@pytest.mark.parametrize("word, shown", [
    ("king", "king"), ("new york", "new york"), ("naïve", "naïve"), ("a\tb", "a\\tb"), ("a\nb", "a\\nb"), ("a\r", "a\\r"),
    ("\xa0", "\\xa0"), (" ", "\\x20"), ("", "(empty)"), ("\u2028x", "\\u2028x"), ("日本", "日本")])
def test_a_word_stays_as_it_is_but_for_what_would_break_its_line(word, shown):
    assert label(word) == shown


def test_a_word_that_utf_8_cannot_hold_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError, match=r"the word 'b\\udc80' cannot be written in UTF-8"):
        write_projector(tmp_path, ["a", "b\udc80"], np.eye(2, dtype=np.float32))
    assert not list(tmp_path.iterdir())
