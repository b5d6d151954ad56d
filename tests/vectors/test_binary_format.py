"""word2vec's binary in its two variants, and the .npz that can be mapped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import ConfigError, DataError
from nnkit.vectors import WordVectors, binary_format
from tests.vectors.conftest import drawn, same, word_vectors


def binary(vectors, end):
    rows = [word.encode() + b" " + row.tobytes() + end for word, row in zip(vectors.words, vectors.matrix)]
    return b"%d %d\n" % vectors.matrix.shape + b"".join(rows)


@given(vectors=word_vectors(), end=st.sampled_from([b"", b"\n"]))
@settings(max_examples=200)
def test_both_variants_come_back(tmp_path_factory, vectors, end):
    path = tmp_path_factory.getbasetemp() / "some.bin"
    path.write_bytes(binary(vectors, end))
    assert same(WordVectors.load(path), vectors)


@given(vectors=word_vectors())
def test_what_is_saved_comes_back(tmp_path_factory, vectors):
    path = tmp_path_factory.getbasetemp() / "saved.bin"
    vectors.save_word2vec(path, binary=True)
    assert path.read_bytes() == binary(vectors, b"\n")
    assert same(WordVectors.load(path), vectors)


@pytest.mark.case("wordvectors", 17)
@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("first", [0x0A, 0x20, 0x30])
def test_a_first_byte_that_looks_like_a_line_end_is_part_of_the_number(tmp_path, end, first):
    number = np.frombuffer(bytes([first, 0x0A, 0x80, 0x3F]), "<f4")[0]
    vectors = WordVectors(["ab", "cd"], np.array([[number, 1], [number, 2]], np.float32))
    (tmp_path / "two.bin").write_bytes(binary(vectors, end))
    assert same(WordVectors.load(tmp_path / "two.bin"), vectors)


@pytest.mark.parametrize("chunk", [11, 100, 1 << 20])
def test_where_a_chunk_ends_is_no_matter(tmp_path, monkeypatch, chunk):
    vectors = drawn(4000, 9)
    vectors.save(tmp_path / "some.bin.gz", "word2vec-binary")
    monkeypatch.setattr(binary_format, "CHUNK", chunk)
    assert same(WordVectors.load(tmp_path / "some.bin.gz"), vectors)


@pytest.mark.case("wordvectors", 18)
@pytest.mark.parametrize("share", [0.05, 0.7, 0.9, 0.999])
def test_a_binary_file_that_is_cut_tells_what_was_expected_and_found(tmp_path, share):
    whole = binary(drawn(200, 10), b"\n")
    (tmp_path / "cut.bin").write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(DataError) as caught:
        WordVectors.load(tmp_path / "cut.bin")
    text = str(caught.value)
    assert "cut short" in text and "bytes" in text and ("the file has" in text or "found" in text)


@pytest.mark.parametrize("change, part", [
    (lambda b: b + b"more", "goes on after them, at byte 99"),
    (lambda b: b.replace(b"w1 ", b"w1-"), ""),                       # the space that ends the word is gone
    (lambda b: b.replace(b"3 7\n", b"3 8\n"), ""),                   # wrong d
    (lambda b: b.replace(b"3 7\n", b"9 7\n"), "the file has 100"),
    (lambda b: b.replace(b"w2 ", b"\xe4\xb8 "), "word 3 of 3"),
    (lambda b: b[:-5] + np.float32("nan").tobytes() + b"\n", "word 3 of 3: number 7 is nan"),
])
def test_a_damaged_binary_file_is_refused(tmp_path, change, part):
    (tmp_path / "some.bin").write_bytes(change(binary(drawn(3, 7), b"\n")))
    with pytest.raises(DataError) as caught:
        WordVectors.load(tmp_path / "some.bin")
    assert part in str(caught.value)


@pytest.mark.case("wordvectors", 11)
def test_a_binary_word_cut_inside_a_character_leaves_the_other_rows_whole(tmp_path):
    vectors = drawn(3, 4)
    (tmp_path / "some.bin").write_bytes(binary(vectors, b"").replace(b"w1 ", b"\xe4\xb8 "))
    with pytest.raises(DataError, match="word 2 of 3"):
        WordVectors.load(tmp_path / "some.bin")
    read = WordVectors.load(tmp_path / "some.bin", unicode_errors="replace")
    assert read.words == ["w0", "\ufffd", "w2"] and read.matrix.tobytes() == vectors.matrix.tobytes()


@given(vectors=word_vectors(words=st.text(min_size=0, max_size=5)), mmap=st.booleans())
def test_any_words_at_all_come_back_from_npz(tmp_path_factory, vectors, mmap):
    path = tmp_path_factory.getbasetemp() / "some.npz"
    vectors.save(path)
    assert same(WordVectors.load(path, mmap=mmap), vectors)


def test_a_mapped_matrix_is_a_map_that_blas_can_use(tmp_path):
    vectors = drawn(50, 8)
    vectors.save(tmp_path / "some.npz")
    matrix = WordVectors.load(tmp_path / "some.npz", mmap=True).matrix
    assert isinstance(matrix, np.memmap) and not matrix.flags.writeable and matrix.flags.aligned and matrix.flags.c_contiguous
    assert not isinstance(WordVectors.load(tmp_path / "some.npz").matrix, np.memmap)
    assert np.array_equal(np.load(tmp_path / "some.npz")["matrix"], vectors.matrix)  # numpy reads it, too


@pytest.mark.parametrize("arrays, part", [
    ({"matrix": np.ones((2, 2))}, "no array `words`"),
    ({"matrix": np.ones((2, 2)), "words": np.zeros(2, np.uint8), "ends": np.array([1])}, "2 words"),
    ({"matrix": np.ones((2, 2)), "words": np.zeros(2, np.uint8), "ends": np.array([3, 2])}, "2 words"),
    ({"matrix": np.ones(2), "words": np.zeros(2, np.uint8), "ends": np.array([1, 2])}, "matrix of floats"),
    ({"matrix": np.full((1, 2), np.nan), "words": np.zeros(1, np.uint8), "ends": np.array([1])}, "not finite"),
])
def test_an_npz_of_something_else_is_refused(tmp_path, arrays, part):
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(DataError, match=part):
        WordVectors.load(tmp_path / "other.npz")


@pytest.mark.case("wordvectors", 18)
def test_a_cut_npz_and_a_compressed_one_are_refused(tmp_path):
    drawn(50, 8).save(tmp_path / "some.npz")
    whole = (tmp_path / "some.npz").read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut short"):
            WordVectors.load(tmp_path / "cut.npz")
    np.savez_compressed(tmp_path / "packed.npz", matrix=np.ones((2, 2)))
    with pytest.raises(DataError, match="is compressed"):
        WordVectors.load(tmp_path / "packed.npz")


@pytest.mark.parametrize("name", ["some", "some.xyz", "some.npz.gz", "some.gz"])
def test_a_name_that_says_no_format_is_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        drawn(3, 2).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
