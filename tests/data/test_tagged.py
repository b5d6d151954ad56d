"""Tagged files: the columns of the CoNLL tasks and of tables, and what is wrong with them."""

import bz2
import gzip

import pytest

from nnkit.data.tagged import read_tagged
from nnkit.errors import DataError

CONLL = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

-DOCSTART- -X- -X- O
Peter NNP B-NP B-PER
"""


def written(tmp_path, content, name="t.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tokens(sentences):
    return [list(zip(s.tokens, s.tags)) for s in sentences]


def test_columns_of_a_conll_file(tmp_path):
    path = written(tmp_path, CONLL)
    assert tokens(read_tagged(path)) == [[("EU", "B-ORG"), ("rejects", "O")], [("Peter", "B-PER")]]
    assert tokens(read_tagged(path, tag=1)) == [[("EU", "NNP"), ("rejects", "VBZ")], [("Peter", "NNP")]]
    assert tokens(read_tagged(path, token=1, tag=-2))[0] == [("NNP", "B-NP"), ("VBZ", "B-VP")]
    assert read_tagged(path)[0].place(1) == f"{path}:4" and read_tagged(path)[1].lines == [7]


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\r\n \t\r\n"])
def test_the_end_of_a_file_ends_a_sentence(tmp_path, end):
    assert tokens(read_tagged(written(tmp_path, "a\tX\nb\tY" + end))) == [[("a", "X"), ("b", "Y")]]


def test_between_tabs_a_token_may_have_blanks_and_comments_are_left_out_if_asked(tmp_path):
    path = written(tmp_path, "# text = New York\n1\tNew York\tPROPN\n2\t#\tSYM\n")
    assert tokens(read_tagged(path, token=1, comment="# ")) == [[("New York", "PROPN"), ("#", "SYM")]]
    with pytest.raises(DataError, match=r"t.txt:2: 3 columns, the first line has 5"):
        read_tagged(written(tmp_path, "# text = New York\n1 New York\n"))


def test_characters_may_be_blanks(tmp_path):
    assert tokens(read_tagged(written(tmp_path, "a\tX\n \tspace\n"), unit="characters")) == [[("a", "X"), (" ", "space")]]
    with pytest.raises(DataError, match=r"t.txt:1: 'ab' is more than one character; set data.unit: words"):
        read_tagged(written(tmp_path, "ab\tX\n"), unit="characters")


def test_packed_files_and_several_and_folders_are_one_text(tmp_path):
    written(tmp_path, gzip.compress(b"a X\n"), "1.gz"), written(tmp_path, bz2.compress(b"b Y\n"), "2.bz2")
    expected = [[("a", "X")], [("b", "Y")]]
    assert tokens(read_tagged([tmp_path / "1.gz", tmp_path / "2.bz2"])) == tokens(read_tagged(tmp_path)) == expected


@pytest.mark.parametrize("content, options, said", [
    ("", {}, "t.txt: no tokens in it; expected a token and its tag a line, with a tab between"),
    ("-DOCSTART-\n\n", {}, "t.txt: no tokens in it"),
    ("\nword\n", {}, "t.txt:2: 1 column; expected a token and its tag, with a tab or a blank between"),
    ("a X\n", {"tag": 2}, "t.txt:1: 2 columns, which data.tag = 2 is none of; they are counted from 0, or from the end"),
    ("a X\n", {"token": -3}, "t.txt:1: 2 columns, which data.token = -3 is none of"),
    ("a X\n", {"tag": 0}, "t.txt:1: data.token = 0 and data.tag = 0 are one column of the 2"),
    ("a\tX\nb\tY\nc Z\n", {}, "t.txt:3: 1 column, the first line has 2, with a tab between"),
    ("a X\nb Y Z\n", {}, "t.txt:2: 3 columns, the first line has 2"),
    ("a\tX\nb\t \n", {}, "t.txt:2: the tag is empty; is column -1 (data.tag) the right one?"),
    ("a\tX\n\tX\n", {}, "t.txt:2: the token is empty; is column 0 (data.token) the right one?"),
    (b"a X\n\xff Y\n", {}, "t.txt:2: byte 4 (0xff) is not UTF-8; convert the file, or set data.errors: replace"),
])
def test_a_mistake_names_file_and_line(tmp_path, content, options, said):
    with pytest.raises(DataError) as caught:
        read_tagged(written(tmp_path, content), **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_unit_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unit must be one of words, characters"):
        read_tagged(written(tmp_path, "a X\n"), unit="bytes")
