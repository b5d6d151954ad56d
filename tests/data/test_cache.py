import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nnkit.data import Vocabulary, cache, corpus, load_corpus
from nnkit.errors import DataError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a b c a\nb a d\n")
    return path


@pytest.fixture
def counted(monkeypatch):
    """A list that grows by one with each reading of a text."""
    calls, count = [], corpus._count
    monkeypatch.setattr(corpus, "_count", lambda *arguments: calls.append(1) or count(*arguments))
    return calls


def same(one, two):
    assert one.vocabulary.words == two.vocabulary.words and one.description == two.description
    np.testing.assert_array_equal(one.ids, two.ids)
    np.testing.assert_array_equal(one.starts, two.starts)


def with_ids(root):
    """The entry that holds the final ids."""
    (folder,) = (folder for folder in root.iterdir() if (folder / "ids.int32").exists())
    return folder


def test_text_is_read_once_whatever_vocabulary_is_chosen_of_it(root, text, counted):
    first = load_corpus(text, min_count=1)
    same(load_corpus(text, min_count=1), first)
    assert load_corpus(text, min_count=2).vocabulary.words == ["a", "b"]
    assert load_corpus(text, min_count=1, max_size=3).vocabulary.words == ["a", "b", "c"]
    assert len(counted) == 1


def test_entry_serves_when_the_count_it_came_from_is_gone(root, text, counted):
    load_corpus(text, min_count=1)
    for folder in list(root.iterdir()):
        if folder != with_ids(root):
            shutil.rmtree(folder)
    load_corpus(text, min_count=1)
    assert len(counted) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"a b c a\nb a d\na\n"),
        lambda path: os.utime(path, ns=(0, 1_000_000_001)),
        lambda path: path.rename(path.with_name("old.txt")) and path.write_bytes(b"a b c a\nb a d\n"),
    ],
)
def test_changed_file_is_read_again(root, text, counted, change):
    load_corpus(text, min_count=1)
    change(text)
    load_corpus(text, min_count=1)
    assert len(counted) == 2


def test_other_treatment_of_bad_bytes_and_other_formats_are_other_entries(root, text, counted, monkeypatch):
    load_corpus(text, min_count=1)
    load_corpus(text, min_count=1, errors="ignore")
    monkeypatch.setattr(corpus, "FORMAT", corpus.FORMAT + 1)
    load_corpus(text, min_count=1)
    assert len(counted) == 3


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "ids.int32"),
        lambda folder: (folder / "starts.int64").unlink(),
        lambda folder: cut(folder / cache.HEADER),
        lambda folder: (folder / cache.HEADER).write_bytes(b""),
        lambda folder: (folder / cache.HEADER).write_bytes((folder / cache.HEADER).read_bytes().replace(b"7", b"8")),
        lambda folder: cut(folder / "words.txt"),
        lambda folder: (folder / "counts.int64").unlink(),
        lambda folder: [file.unlink() for file in folder.iterdir()] and (folder / "foreign").write_bytes(b"?"),
        lambda folder: shutil.rmtree(folder) or folder.write_bytes(b"a file in its place"),
    ],
)
def test_damaged_or_foreign_entry_is_made_anew(root, text, damage):
    first = load_corpus(text, min_count=1)
    vocabulary = Vocabulary(first.vocabulary.words, first.vocabulary.counts)
    expected = corpus.Corpus(vocabulary, first.ids.copy(), first.starts.copy(), first.raw_tokens, first.description)
    folder = with_ids(root)
    damage(folder)
    same(load_corpus(text, min_count=1), expected)
    assert with_ids(root) == folder and cache._read(folder) is not None
    assert len(list(root.iterdir())) == 2


def test_cache_that_cannot_be_written_is_replaced_by_a_folder_that_goes_with_the_corpus(tmp_path, text, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NNKIT_CACHE", str(tmp_path / "file"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(cache.tempfile, "tempdir", str(temporary))
    found = load_corpus(text, min_count=1)
    assert found.ids.tolist() == [0, 1, 2, 0, 1, 0, 3]
    assert len(list(temporary.iterdir())) == 1  # the count has gone already
    del found
    assert list(temporary.iterdir()) == []


def test_temporary_folder_goes_with_the_process(tmp_path, text):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "temporary").mkdir()
    program = "import sys; from nnkit.data import load_corpus; found = load_corpus(sys.argv[1], 1); print(len(found.ids))"
    environment = {**os.environ, "NNKIT_CACHE": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "temporary")}
    run = [sys.executable, "-c", program, str(text)]
    assert subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout == "7\n"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_full_disk_is_one_clear_line_and_leaves_nothing(root, tmp_path, text, monkeypatch):
    def full(*arguments):
        (arguments[2] / "ids.int32").write_bytes(b"a beginning")
        raise OSError(28, "No space left on device")

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(cache.tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(corpus, "_encode", full)
    with pytest.raises(DataError, match=r"No space left on device.*set NNKIT_CACHE") as error:
        load_corpus(text, min_count=1)
    assert "\n" not in str(error.value)
    assert list(temporary.iterdir()) == [] and len(list(root.iterdir())) == 1  # the count is whole, and stays


def test_two_that_make_one_entry_at_the_same_time_both_get_it(root, text, monkeypatch):
    barrier, encode = threading.Barrier(2), corpus._encode

    def together(*arguments):
        encode(*arguments)
        barrier.wait(timeout=60)

    monkeypatch.setattr(corpus, "_encode", together)
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_corpus(text, min_count=1))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(*found)
    assert found[0].entry.folder == found[1].entry.folder == with_ids(root)
    assert len(list(root.iterdir())) == 2


def test_only_the_entries_used_last_are_kept(root, text, monkeypatch):
    monkeypatch.setattr(cache, "KEPT", 3)
    load_corpus(text, min_count=1)
    load_corpus(text, min_count=2)
    first, second = (load_corpus(text, min_count=n).entry.folder for n in (1, 2))
    (count,) = set(root.iterdir()) - {first, second}
    now = time.time()
    for age, folder in [(3, count), (1, first), (2, second)]:
        os.utime(folder / cache.HEADER, (now - 60 * age, now - 60 * age))
    third = load_corpus(text, min_count=1, max_size=2).entry.folder  # which uses the count
    assert set(root.iterdir()) == {count, first, third}


def test_entry_that_is_removed_while_it_is_opened_is_made_again(root, text, monkeypatch):
    mapped, calls = corpus._mapped, []

    def robbed(path, dtype):
        if path.name == "ids.int32":
            calls.append(path)
            if len(calls) == 1:
                shutil.rmtree(root)
        return mapped(path, dtype)

    monkeypatch.setattr(corpus, "_mapped", robbed)
    assert load_corpus(text, min_count=1).ids.tolist() == [0, 1, 2, 0, 1, 0, 3]


def test_words_outlive_the_cache_they_were_found_in(root, text):
    load_corpus(text, min_count=1)
    found = load_corpus(text, min_count=1)
    assert not {"words", "index"} & set(vars(found.vocabulary))  # a training that only needs numbers pays for no strings
    shutil.rmtree(root)
    assert found.vocabulary.words == ["a", "b", "c", "d"] and found.vocabulary.counts.tolist() == [3, 2, 1, 1]


def test_what_was_not_used_for_a_month_or_was_left_half_made_goes(root, text):
    load_corpus(text, min_count=1)
    old = with_ids(root)
    os.utime(old / cache.HEADER, (1e9, 1e9))
    (root / ".making-killed").mkdir()
    (root / ".making-now").mkdir()
    os.utime(root / ".making-killed", (1e9, 1e9))
    load_corpus(text, min_count=2)
    left = {folder.name for folder in root.iterdir()}
    assert old.name not in left and ".making-killed" not in left and ".making-now" in left and len(left) == 3


def test_cache_that_may_only_be_read_serves_what_it_has(root, text, counted, monkeypatch):
    load_corpus(text, min_count=1)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    for name in ("utime", "rename", "mkdir"):
        monkeypatch.setattr(cache.os, name, refuse)
    assert load_corpus(text, min_count=1).entry.folder == with_ids(root)
    assert len(counted) == 1
