import bz2
import gzip
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnkit.data import describe, files, read_lines, read_sentences, text
from nnkit.errors import DataError


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "suffix, compress", [(".txt", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), ("", bytes)]
)
def test_plain_and_compressed_files_read_alike(tmp_path, suffix, compress):
    path = write(tmp_path / f"corpus{suffix}", compress("naïve\nfoo bar\n".encode()))
    assert list(read_lines(path)) == ["naïve", "foo bar"]


def test_byte_order_mark_is_not_part_of_the_first_word(tmp_path):
    assert list(read_lines(write(tmp_path / "a.txt", b"\xef\xbb\xbfword\n"))) == ["word"]


def test_only_line_feed_and_carriage_return_end_a_line(tmp_path):
    data = "a\r\nb\rc\nd\u2028e\x85f\x0cg".encode()
    assert list(read_lines(write(tmp_path / "a.txt", data))) == ["a", "b", "c", "d\u2028e\x85f\x0cg"]


def test_empty_file_has_no_lines_and_no_sentences(tmp_path):
    path = write(tmp_path / "a.txt", b"")
    assert list(read_lines(path)) == [] and list(read_sentences(path)) == []


@pytest.mark.case("wordvectors", 30)
def test_last_word_without_a_line_end_is_read(tmp_path):
    assert list(read_sentences(write(tmp_path / "a.txt", b"I wanna eat"))) == [["I", "wanna", "eat"]]


@pytest.mark.case("wordvectors", 10)
def test_bad_byte_is_named_by_file_line_and_offset(tmp_path):
    path = write(tmp_path / "corpus.txt", b"good line\n caf\xe9 latin1\n good\n")
    message = r"corpus\.txt:2: byte 14 \(0xe9\) is not UTF-8; .*data\.errors: replace"
    with pytest.raises(DataError, match=message) as error:
        list(read_sentences(path))
    assert "\n" not in str(error.value)


@pytest.mark.case("wordvectors", 10)
@pytest.mark.parametrize("errors, word", [("replace", "caf\ufffd"), ("ignore", "caf")])
def test_bad_byte_can_be_replaced_or_ignored(tmp_path, errors, word):
    path = write(tmp_path / "corpus.txt", b"good\ncaf\xe9 latin1\n")
    assert list(read_sentences(path, errors)) == [["good"], [word, "latin1"]]


def test_unknown_way_to_treat_errors_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'strict', 'replace' or 'ignore'"):
        list(read_lines(write(tmp_path / "a.txt", b"a"), errors="skip"))


@given(st.text(alphabet="aé€😀\r\n", max_size=40), st.text(alphabet="aé€😀\r\n", max_size=40))
@example("aaa\r", "\n")
@example("", "")
def test_bad_byte_is_found_wherever_blocks_end(tmp_path_factory, before, after):
    path = write(tmp_path_factory.mktemp("bad") / "a.txt", before.encode() + b"\xff" + after.encode())
    line = len(before.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", 3)
        with pytest.raises(DataError, match=rf"a\.txt:{line}: byte {len(before.encode())} \(0xff\)"):
            list(read_lines(path))


def test_character_cut_at_the_end_of_the_file_is_a_bad_byte(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt:2: byte 3 \(0xe2\)"):
        list(read_lines(write(tmp_path / "a.txt", b"ab\n\xe2\x82")))


@pytest.mark.case("wordvectors", 3)
def test_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        list(read_lines("none.txt"))
    assert str(error.value) == f"none.txt: no such file (looked for {tmp_path / 'none.txt'})"


def test_folder_in_place_of_a_file_is_said_to_be_one(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize("suffix, compress", [(".gz", gzip.compress), (".bz2", bz2.compress)])
@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) * 7 // 10], lambda d: b"PK\x03\x04" + d, lambda d: d[:20] + b"\xff" * 20]
)
def test_damaged_compressed_file_is_one_clear_line(tmp_path, suffix, compress, damage):
    data = compress(" ".join(str(i * i) for i in range(2000)).encode())
    path = write(tmp_path / f"corpus{suffix}", damage(data))
    with pytest.raises(DataError, match=r"corpus\.\w+: damaged") as error:
        list(read_lines(path))
    assert "\n" not in str(error.value)


def test_sentences_can_be_walked_twice(tmp_path):
    sentences = read_sentences(write(tmp_path / "a.txt", b"a b\nc\n"))
    assert list(sentences) == list(sentences) == [["a", "b"], ["c"]]


# all that str.split() takes for white space and bytes.split() does not, and what neither does
ODD = "\u00a0\u0085\u2028\u3000\x1c\x0b\u200b\ufeff"


@given(st.text(alphabet="abé€ \n\r\t" + ODD, max_size=60), st.integers(1, 8))
@example("ab\u00a0c\u2028d\n", 4)
@example("a\r\n\r\nb", 2)
def test_blocks_of_text_join_to_the_lines(tmp_path_factory, content, size):
    path = write(tmp_path_factory.mktemp("blocks") / "a.txt", content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", size)
        assert list(read_sentences(path)) == [line.split() for line in read_lines(path)]


@pytest.mark.parametrize("compress, suffix", [(bytes, "txt"), (gzip.compress, "gz")])
def test_one_line_of_many_words_is_read_in_little_memory(tmp_path, compress, suffix):
    path = write(tmp_path / f"a.{suffix}", compress(b"some words " * 500_000))
    tracemalloc.start()
    words = sum(len(piece) for piece, _ in read_sentences(path).pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words == 1_000_000 and peak < 15e6  # the words of half a MB; all of them would be 60 MB


@pytest.mark.parametrize(
    "before, line, character", [("", 1, 1), ("a b\u00e9 c ", 1, 8), ("a b\nthe second line is this\n the third ", 3, 12)]
)
def test_word_without_end_is_named_and_never_held_whole(tmp_path, monkeypatch, before, line, character):
    """A line of 100 MB without white space took time in the square of its length."""
    monkeypatch.setattr(text, "LONGEST_WORD", 20)
    monkeypatch.setattr(files, "BLOCK", 16)
    path = write(tmp_path / "a.txt", before.encode() + b"x" * 21 + b" and more\n")
    with pytest.raises(DataError, match=rf"a\.txt:{line}: the word .* character {character} of this line .*is this text"):
        list(read_sentences(path))
    path.write_bytes(before.encode() + b"x" * 20)
    assert list(read_sentences(path))[-1][-1] == "x" * 20


def test_unknown_builtin_lists_those_that_exist():
    with pytest.raises(DataError, match=r"builtin:nothing: no such built-in corpus; there is builtin:python-docs"):
        list(read_sentences("builtin:nothing"))


def test_description_of_a_file_identifies_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "a.txt", b"abc").parent)
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
    assert describe("a.txt") == {"source": str(tmp_path / "a.txt"), "sha256": sha, "bytes": 3}


def test_real_odd_files_read_or_say_why(shared_data):
    odd = shared_data / "odd"
    assert next(read_lines(odd / "charset_normalizer" / "sample-english.bom.txt"))[0] != "\ufeff"
    assert sum(1 for _ in read_lines(odd / "compressed" / "head500.noblanks.cor.bz2")) == 250
    with pytest.raises(DataError, match="damaged"):
        list(read_lines(odd / "compressed" / "truncated_text8.gz_is_really_a_zip.gz"))
