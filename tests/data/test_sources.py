import bz2
import gzip
import hashlib
import os

import pytest

from nnkit.data import describe, load_corpus, read_sentences
from nnkit.errors import DataError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "b.txt").write_bytes(b"\xef\xbb\xbfsecond\r\nfile\r\n")
    (folder / "a.gz").write_bytes(gzip.compress(b"\xef\xbb\xbffirst file"))
    (folder / "c.bz2").write_bytes(bz2.compress(b"third"))
    (folder / "notes.md").write_bytes(b"not read")
    (folder / "._b.txt").write_bytes(b"\0\5\26\7 not read either")
    (folder / "d.txt").mkdir()
    return folder


def test_folder_is_its_texts_in_the_order_of_their_names(folder):
    assert list(read_sentences(folder)) == [["first", "file"], ["second"], ["file"], ["third"]]
    assert load_corpus(folder, min_count=1).starts.tolist() == [0, 2, 3, 4, 5]


def test_list_is_its_files_in_the_order_given(folder):
    files = [folder / "c.bz2", str(folder / "a.gz")]
    assert list(read_sentences(files)) == [["third"], ["first", "file"]]
    assert load_corpus(files, min_count=1).vocabulary.words == ["third", "first", "file"]


def test_folder_without_text_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.md").write_bytes(b"words")
    for read in (load_corpus, describe):
        with pytest.raises(DataError, match=r"no text in this folder; looked for names that end in \.txt, \.gz, \.bz2"):
            read(tmp_path)


def test_empty_list_of_files_is_refused():
    with pytest.raises(DataError, match="the list of text files is empty"):
        load_corpus([])


@pytest.mark.parametrize("other", ["b.txt", "../texts/b.txt", "link.txt"])
def test_file_that_is_named_twice_is_refused(folder, monkeypatch, other):
    monkeypatch.chdir(folder)
    os.symlink("b.txt", folder / "link.txt")
    with pytest.raises(DataError, match=r"is in the list of text files twice.*count double"):
        load_corpus(["b.txt", "a.gz", other])


def test_missing_file_of_a_list_is_named_before_any_is_read(folder):
    (folder / "b.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        load_corpus([folder / "b.txt", folder / "none.txt"])


def test_bad_byte_is_placed_in_its_own_file(folder):
    (folder / "b.txt").write_bytes(b"good\n\xff")
    with pytest.raises(DataError, match=r"b\.txt:2: byte 5 \(0xff\)"):
        load_corpus(folder)


def test_builtin_stands_alone():
    with pytest.raises(DataError, match="a built-in corpus stands alone"):
        load_corpus(["builtin:python-docs"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(DataError, match=r"is a pipe or a device; .*save it in a file"):
            load_corpus(path)


def test_several_files_are_described_as_one_text(folder):
    files = [folder / "b.txt", folder / "a.gz"]
    data = b"".join(file.read_bytes() for file in files)
    expected = {"source": list(map(str, files)), "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert describe(files) == load_corpus(files, min_count=1).description == expected


def test_folder_is_described_by_its_own_name(folder):
    found = load_corpus(folder, min_count=1).description
    assert found == describe(folder)
    assert (found["source"], found["files"]) == (str(folder), 3)


@pytest.mark.parametrize("suffix, compress", [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_description_covers_what_stands_behind_the_compressed_data(tmp_path, suffix, compress):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(b"a b\n") + b"\0" * 100_000)
    assert load_corpus(path, min_count=1).description == describe(path)
    assert describe(path)["bytes"] == path.stat().st_size


@pytest.mark.parametrize("suffix, compress", [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed_file_that_is_cut_is_not_trained_on(tmp_path, suffix, compress):
    data = compress(" ".join(str(i * i) for i in range(2000)).encode())
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data[: len(data) * 7 // 10])
    with pytest.raises(DataError, match=r"damaged or cut short"):
        load_corpus(path, min_count=1)
