import bz2
import gzip
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnkit.data import Vocabulary, corpus, files, load_corpus, vocabulary
from nnkit.errors import DataError

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12), max_size=12)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of each test's own, so that what it has counted is counted anew."""
    monkeypatch.setenv("NNKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path, data):
    path.write_bytes(data)
    return path


@given(SENTENCES, st.integers(0, 4), st.integers(2, 5) | st.none(), st.integers(1, 9), st.integers(1, 9))
@example([[], ["a", "b"], [], ["a", "b"], []], 1, None, 1, 1)
def test_corpus_on_the_disk_equals_counting_and_encoding(tmp_path_factory, sentences, min_count, max_size, block, size):
    path = tmp_path_factory.mktemp("corpus") / "a.txt"
    path.write_text("\n".join(map(" ".join, sentences)), encoding="utf-8", newline="\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNKIT_CACHE", str(path.parent / "cache"))
        patch.setattr(files, "BLOCK", block)
        patch.setattr(corpus, "BLOCK", size)
        patch.setattr(vocabulary, "LONGEST_SENTENCE", 3)
        try:
            expected = Vocabulary.count(sentences, min_count, max_size, source=str(path))
        except DataError as error:
            with pytest.raises(DataError) as same:
                load_corpus(path, min_count, max_size)
            assert str(same.value) == str(error)
            return
        ids, starts = expected.encode(sentences)
        first = load_corpus(path, min_count, max_size)
        again = load_corpus(path, min_count, max_size)
    for found in (first, again):
        assert found.vocabulary.words == expected.words
        np.testing.assert_array_equal(found.vocabulary.counts, expected.counts)
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.ids, ids)
        np.testing.assert_array_equal(found.starts, starts)
        assert found.ids.dtype == np.int32 and found.starts.dtype == np.int64
        assert found.raw_tokens == sum(map(len, sentences))


def test_ids_are_a_mapped_file_that_nobody_can_write(tmp_path):
    found = load_corpus(write(tmp_path / "a.txt", b"a b a\n"), min_count=1)
    assert isinstance(found.ids.base, np.memmap) and isinstance(found.starts.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found.ids[0] = 1


@pytest.mark.case("wordvectors", 25)
def test_exactly_the_900_most_frequent_words_are_kept_whatever_the_order_of_the_text(tmp_path):
    rng = np.random.default_rng(0)
    words = np.repeat(np.arange(1000), 3)
    rng.shuffle(words)
    in_order = list(dict.fromkeys(words.tolist()))
    words = np.concatenate([words, np.arange(950, 1000)])  # the last in the text are those that must be in
    path = write(tmp_path / "a.txt", " ".join(f"w{i}" for i in words).encode())
    found = load_corpus(path, min_count=1, max_size=900).vocabulary
    expected = [i for i in in_order if i >= 950] + [i for i in in_order if i < 950][:850]  # ties: first seen, first
    assert found.words == [f"w{i}" for i in expected] and found.counts.tolist() == [4] * 50 + [3] * 850


@given(SENTENCES, st.integers(0, 30), st.integers(0, 40), st.data())
def test_edges_are_what_counting_word_by_word_gives(sentences, first, length, data):
    ids, starts = Vocabulary(list("abcdefg"), [1] * 7).encode(sentences)
    first = min(first, len(ids))
    last = first + length
    size = len(ids[first:last])
    number = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[first:last]
    stay = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    text = corpus.Corpus(Vocabulary(["a"], [1]), ids, starts, len(ids), {})
    for numbers, edges in [(number, text.edges(first, last)), (number[stay], text.edges(first, last, stay))]:
        before, after = edges
        assert before.dtype == after.dtype == np.int32
        assert before.tolist() == [int(np.sum(numbers[:i] == n)) for i, n in enumerate(numbers)]
        assert after.tolist() == [int(np.sum(numbers[i + 1 :] == n)) for i, n in enumerate(numbers)]


@pytest.mark.case("wordvectors", 30)
def test_two_lines_are_two_sentences_also_where_files_meet(tmp_path):
    one, two = write(tmp_path / "1.txt", b"a b\nc d"), write(tmp_path / "2.txt", b"a b")
    found = load_corpus([one, two], min_count=1)
    assert found.starts.tolist() == [0, 2, 4, 6] and found.raw_tokens == 6
    assert found.edges(0, 6)[1].tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.case("wordvectors", 8)
def test_line_of_25000_words_is_trained_whole_in_sentences_of_a_thousand(tmp_path):
    found = load_corpus(write(tmp_path / "a.txt", b"a b " * 12_500), min_count=1)
    assert len(found.ids) == 25_000 and np.diff(found.starts).tolist() == [1000] * 25


@pytest.mark.case("wordvectors", 3)
@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_text_without_words_is_named(tmp_path, content):
    with pytest.raises(DataError, match=r"empty\.txt: no words in it"):
        load_corpus(write(tmp_path / "empty.txt", content))
    with pytest.raises(DataError, match=r"empty\.txt: no words in it"):
        load_corpus(tmp_path / "empty.txt", vocabulary=Vocabulary(["a", "b"], [1, 1]))


@pytest.mark.case("wordvectors", 10)
def test_bad_byte_is_found_while_counting(tmp_path, cache):
    path = write(tmp_path / "corpus.txt", b"good line\n caf\xe9 latin1\n good\n")
    with pytest.raises(DataError, match=r"corpus\.txt:2: byte 14"):
        load_corpus(path, min_count=1)
    assert list((cache / "corpora").iterdir()) == []  # nothing half made stays
    assert "caf\ufffd" in load_corpus(path, min_count=1, errors="replace").vocabulary
    assert "caf" in load_corpus(path, min_count=1, errors="ignore").vocabulary


def test_file_that_grows_while_it_is_read_is_not_trained_on(tmp_path):
    path = write(tmp_path / "a.txt", b"a b\n" * 1_000_000)

    def append(done, total):
        with open(path, "ab") as stream:
            stream.write(b"c d\n")

    with pytest.raises(DataError, match=r"a\.txt: was changed while it was read"):
        load_corpus(path, progress=append)


@pytest.mark.parametrize("suffix, compress", [(".txt", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_progress_is_told_in_bytes_of_the_file_as_it_lies_on_the_disk(tmp_path, suffix, compress, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1 << 13)
    monkeypatch.setattr(corpus, "PROGRESS", 1 << 15)
    rng = np.random.default_rng(0)
    path = write(tmp_path / f"a{suffix}", compress(" ".join(map(str, rng.integers(0, 10**9, 30_000))).encode()))
    size = path.stat().st_size
    told = []
    load_corpus(path, min_count=1, progress=lambda done, total: told.append((done, total)))
    done = [n for n, _ in told]
    assert done == sorted(set(done)) and told[-1] == (size, size) and {total for _, total in told} == {size}
    assert len(told) == -(-size // (1 << 15)) > 3
    load_corpus(path, min_count=1, progress=lambda done, total: told.append((done, total)))
    assert len(done) == len(told)  # found in the cache


# ---- a vocabulary that is given


def test_given_vocabulary_keeps_its_order_and_its_counts(tmp_path):
    saved = tmp_path / "vocab.txt"
    Vocabulary(["c", "a", "new york"], [9, 2, 1]).save(saved)
    path = write(tmp_path / "a.txt", b"a b a\nb\nc new york\n")
    for given_vocabulary in (saved, str(saved), Vocabulary.load(saved)):
        found = load_corpus(path, vocabulary=given_vocabulary)
        assert found.vocabulary.words == ["c", "a", "new york"] and found.vocabulary.counts.tolist() == [9, 2, 1]
        assert found.ids.tolist() == [1, 1, 0] and found.starts.tolist() == [0, 2, 3] and found.raw_tokens == 7
        assert found.counts.tolist() == [1, 2, 0]
        assert "knows only 43% of the 7 tokens" in found.description["notice"]
    assert "notice" not in load_corpus(path, min_count=1).description


def test_vocabulary_that_knows_half_of_the_text_is_no_matter_for_a_notice(tmp_path):
    path = write(tmp_path / "a.txt", b"a b x y\n")
    assert "notice" not in load_corpus(path, vocabulary=Vocabulary(["a", "b"], [1, 1])).description


def test_vocabulary_without_a_word_of_the_text_is_refused(tmp_path):
    path = write(tmp_path / "a.txt", b"the cat\n")
    with pytest.raises(DataError) as error:
        load_corpus(path, vocabulary=Vocabulary(["The", "Cat"], [1, 1]))
    assert str(error.value).endswith(
        "a.txt: none of the 2 words of the given vocabulary is in it; that has 'The', 'Cat', the text 'the', 'cat': "
        "do the language, and upper and lower case, agree?"
    )


@pytest.mark.parametrize(
    "content, message", [("a 3\n", "1 words; a vocabulary needs at least 2"), ("a 3\nb 0\n", "'b' has a count of 0")]
)
def test_vocabulary_file_that_cannot_be_trained_with_is_named(tmp_path, content, message):
    path = write(tmp_path / "vocab.txt", content.encode())
    with pytest.raises(DataError, match=rf"vocab\.txt: .*{message}"):
        load_corpus(write(tmp_path / "a.txt", b"a b\n"), vocabulary=path)


# ---- real text


def test_a_million_real_words(shared_data):
    path = shared_data / "corpora" / "enwiki2015" / "enwiki2015_1M_tokens.txt.gz"
    found = load_corpus(path)
    assert found.raw_tokens == 1_000_000
    assert found.vocabulary.counts.sum() == len(found.ids)
    np.testing.assert_array_equal(np.bincount(found.ids), found.vocabulary.counts)
    assert np.diff(found.starts)[:-1].tolist() == [1000] * (len(found.ids) // 1000)
    assert found.description["bytes"] == os.path.getsize(path)


PEAK = """
import resource, sys
from nnkit.data import load_corpus
found = load_corpus(sys.argv[1])
print(found.raw_tokens, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in other units elsewhere")
def test_memory_does_not_grow_with_the_text(tmp_path):
    def peak(times):
        path = write(tmp_path / f"{times}.txt", b"many of the words of a corpus are the same words\n" * times)
        run = [sys.executable, "-c", PEAK, str(path)]
        tokens, kilobytes = map(int, subprocess.run(run, check=True, capture_output=True).stdout.split())
        assert tokens == 11 * times
        return kilobytes / 1024

    assert peak(1_200_000) - peak(100_000) < 15  # the ids alone are 50 MB, as words they would be 600 MB


def test_builtin_corpus_loads(python_docs_cache, monkeypatch):
    monkeypatch.setenv("NNKIT_CACHE", str(python_docs_cache))
    found = load_corpus("builtin:python-docs")
    assert "string" in found.vocabulary and "af_unix" in found.vocabulary
    assert found.raw_tokens == sum(n for key, n in found.description["counts"].items() if not key.startswith("files"))
