"""builtin:python-code: every character of a line of Python is what `tokenize` says it is, and the lines are always the same."""

import keyword
import re

import pytest

from nnkit.data import python_code
from nnkit.errors import DataError


def letters(source):
    return {text: marks for _, text, marks in python_code.tagged_lines(source)}


@pytest.mark.parametrize("line, marks", [
    ("if x == 10:  # ten", "kk n oo ddo  ccccc"),
    ("item = 'if #1'", "nnnn o sssssss"),
    ("return not None", "kkkkkk kkk kkkk"),
    ("z = 0x1f + 1e-5j", "n o dddd o ddddd"),
    ("a = rb'\\'' \"#\"", "n o ssssss sss"),
    ("match = é1", "nnnnn o nn"),
    ("s = f'{x!r:>{w}}' + f''", "n o sssssssssssss o sss"),
    ("s = f'a{f\"{x}\"}b'; y", "n o ssssssssssssso n"),
])
def test_characters_are_tagged_by_hand(line, marks):
    assert letters(line + "\n") == {line: marks}


def test_lines_of_longer_strings_and_empty_ones_are_left_out():
    source = 'def f():\n    """One.\n\n    Two. """\n\n    x = (1,\n         2)   \n    s = f"""\n{x}"""\n    return x\n'
    assert [(n, text) for n, text, _ in python_code.tagged_lines(source)] == [
        (1, "def f():"), (6, "    x = (1,"), (7, "         2)"), (10, "    return x")]


def test_the_lines_are_distinct_and_agree_with_the_language():
    sentences = python_code.load(3000)
    lines = ["".join(s.tokens) for s in sentences]
    assert len(lines) == 3000 == len({line.strip() for line in lines}) and all(len(s.tokens) == len(s.tags) for s in sentences)
    assert [s.tokens for s in python_code.load(100)] == [s.tokens for s in sentences[:100]]
    for line, sentence in zip(lines, sentences):
        assert line == line.rstrip() and 0 < len(line) <= python_code.LONGEST and line.isprintable()
        if line.startswith("#"):
            assert set(sentence.tags) == {"comment"}
        assert set(sentence.tags[:len(line) - len(line.lstrip())]) <= {"space"}
        if not re.search("[\"'#]", line):  # no string and no comment: then words are keywords or names
            for word in re.finditer(r"\b[A-Za-z_]\w*", line):
                expected = "keyword" if keyword.iskeyword(word[0]) else "name"
                assert set(sentence.tags[word.start():word.end()]) <= {expected, "number"}, (line, word[0])
    assert {tag for s in sentences for tag in s.tags} == set(python_code.TAGS.values())
    facts = python_code.describe()
    assert facts["source"] == "builtin:python-code" and facts["all_lines"] == python_code.MOST and len(facts["sha256"]) == 64


def test_a_file_of_python_is_read_with_its_encoding(tmp_path):
    (tmp_path / "a.py").write_bytes("# -*- coding: latin-1 -*-\n\nx = 'é'\n".encode("latin-1"))
    second = python_code.read_python(tmp_path / "a.py")[1]
    assert "".join(second.tokens) == "x = 'é'" and second.tags[-3:] == ["string"] * 3
    assert second.place(0) == f"{tmp_path / 'a.py'}:3"


@pytest.mark.parametrize("content, said", [
    (b"x = (\n", "is no Python that can be read"), (b"\xff\n", "is no Python that can be read"),
    (b"\n", "no line of Python in it"), (None, "no such file")])
def test_what_is_no_python_is_said(tmp_path, content, said):
    if content is not None:
        (tmp_path / "a.py").write_bytes(content)
    with pytest.raises(DataError, match=f"a.py: {said}") as caught:
        python_code.read_python(tmp_path / "a.py")
    assert "\n" not in str(caught.value)


def test_an_installation_without_source_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(python_code, "python_files", lambda source: [])
    with pytest.raises(DataError, match=r"no Python source to read in .*; name a tagged file instead"):
        python_code.load(5)
