import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.data import describe, python_docs, read_sentences
from nnkit.errors import DataError

MODULE = '''#!/usr/bin/env python3
# Copyright (c) 2001 Somebody. See the LICENSE file.
# This line is part of that block.

# A comment that goes on
# in a second line.
"""Open a sock_dgram socket.

Copyright 2001 by Nobody.

A second :class:`Paragraph` about 0x1f and __ and AF_UNIX.
>>> hidden(1)

After the example."""
x = 1  # beside the code
if x:
    def f():
        "Docstring in a branch."
        return "not a # comment", '\\d'
add_newdoc("place", "name", """Added text.""")
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small standard library, and no NumPy or matplotlib beside it."""
    root = tmp_path / "lib"
    for name, content in {
        "mod.py": MODULE,
        "pkg/b.py": '"""Words of b."""',
        "pkg/a.py": '"""Words of a."""',
        "pkg/test/left_out.py": '"""Nobody reads this."""',
        "site-packages/left_out.py": '"""Nobody reads this."""',
        "broken.py": "def (:",
        "pydoc_data/topics.py": "topics = {'if': 'The \"if\" statement\\n\\nChooses one.'}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    (root / "latin.py").write_bytes(b'# coding: latin-1\n"""Caf\xe9 words."""')
    (root / "bad_bytes.py").write_bytes(b'"""Caf\xe9"""')
    (root / "nul.py").write_bytes(b'"""a\0b"""')
    monkeypatch.setattr(python_docs, "_source_folder", lambda source: root if source == "stdlib" else None)
    monkeypatch.setenv("NNKIT_CACHE", str(tmp_path / "cache"))
    return root


@pytest.fixture
def extractions(monkeypatch):
    """A list that grows by one with each extraction."""
    calls, extract = [], python_docs._extract
    monkeypatch.setattr(python_docs, "_extract", lambda: calls.append(1) or extract())
    return calls


def cache_file(tmp_path):
    (file,) = (tmp_path / "cache").iterdir()
    return file


def test_docstrings_comments_and_topics_are_found_in_the_order_of_the_files(library):
    found = [(d.kind, d.package, d.sentences) for d in python_docs.load().documents]
    assert found == [
        ("docstring", "latin", ["caf words"]),
        (
            "docstring",
            "mod",
            ["open a sock_dgram socket", "a second paragraph about and and af_unix", "after the example"],
        ),
        ("docstring", "mod", ["docstring in a branch"]),
        ("docstring", "mod", ["added text"]),
        ("comment", "mod", ["a comment that goes on in a second line"]),
        ("comment", "mod", ["beside the code"]),
        ("docstring", "pkg", ["words of a"]),
        ("docstring", "pkg", ["words of b"]),
        ("topic", "pydoc_data", ["the if statement", "chooses one"]),
    ]


def test_words_and_files_are_counted(library):
    assert python_docs.load().counts == {
        "files read": 5,
        "files skipped": 3,
        "stdlib docstrings": 28,
        "stdlib comments": 12,
        "stdlib topics": 5,
        "numpy docstrings": 0,
        "matplotlib docstrings": 0,
    }


def test_cached_corpus_equals_the_extracted_one(library, extractions):
    assert python_docs.load() == python_docs.load()
    assert len(extractions) == 1


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"", lambda b: b.replace(b"docstring", b"docstrinG", 1)]
)
def test_damaged_cache_is_made_again(library, extractions, tmp_path, damage):
    docs = python_docs.load()
    file = cache_file(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert python_docs.load() == docs and len(extractions) == 2
    assert cache_file(tmp_path).read_bytes() == whole


def test_cache_folder_that_cannot_be_made_never_fails_the_load(library, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert python_docs.load(tmp_path / "file" / "below") == python_docs.load()


def test_cache_of_another_version_is_not_used(library, extractions, monkeypatch):
    python_docs.load()
    monkeypatch.setattr(python_docs, "FORMAT", python_docs.FORMAT + 1)
    python_docs.load()
    assert len(extractions) == 2


def test_installation_without_sources_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(python_docs, "_source_folder", lambda source: tmp_path / "python311.zip")
    with pytest.raises(DataError, match="builtin:python-docs: no Python source to read"):
        python_docs.load(tmp_path)


@pytest.mark.parametrize(
    "platform, variables, folder",
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/nnkit"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/nnkit"),
        ("darwin", {"HOME": "/home/me"}, "/home/me/Library/Caches/nnkit"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/nnkit"),
        ("linux", {"NNKIT_CACHE": "/mine", "XDG_CACHE_HOME": "/x"}, "/mine"),
    ],
)
def test_cache_lies_where_the_platform_wants_it(monkeypatch, platform, variables, folder):
    for name in ("NNKIT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert python_docs.cache_folder() == Path(folder)


def test_matplotlib_is_read_without_being_imported(tmp_path):
    program = (
        "import sys; from nnkit.data import python_docs as p; n = len(list(p.python_files('matplotlib')));"
        "assert n > 50, n; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_real_corpus_is_large_and_clean(python_docs_cache):
    docs = python_docs.load()
    assert docs.counts["stdlib docstrings"] > 200_000 and docs.counts["stdlib comments"] > 150_000
    assert docs.counts["stdlib topics"] > 40_000 and docs.counts["numpy docstrings"] > 100_000
    assert docs.counts["files skipped"] < 5
    text = "\n".join(s for d in docs.documents for s in d.sentences)
    assert "all rights reserved" not in text and "copyright" not in text
    assert {"asyncio", "email", "numpy", "matplotlib"} <= {d.package for d in docs.documents}


def test_sentences_and_description_are_those_of_the_corpus(library):
    docs = python_docs.load()
    assert list(read_sentences("builtin:python-docs")) == [s.split() for d in docs.documents for s in d.sentences]
    assert describe("builtin:python-docs") == {
        "source": "builtin:python-docs",
        "sha256": docs.sha256,
        "counts": docs.counts,
    }
