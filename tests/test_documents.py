"""What README and docs/ show is what happens: every program, file, change and command of them is run (see documents.py)."""

import re
import shutil
from pathlib import Path

import pytest
from documents import agrees, blocks, run_document

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
PATHS = r"(?<![\w/.-])((?:nnkit|recipes|configs|scripts|tests|docs|\.ci)/(?!NAME)[\w./-]*\w)"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_is_what_happens(document, tmp_path):
    for kind in ("configs", "recipes", "data"):  # commands are as from the top of a checkout
        shutil.copytree(PROJECT / kind, tmp_path / kind)
    assert run_document(document, tmp_path) >= 1


@pytest.mark.parametrize("document", [*DOCUMENTS, PROJECT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_a_file_that_a_document_names_exists(document):
    named = sorted(set(re.findall(PATHS, document.read_text(encoding="utf-8"))))
    assert [path for path in named if not (PROJECT / path).exists()] == []


# The runner itself

def run(text, folder):
    (folder / "document.md").write_text(text, encoding="utf-8")
    return run_document(folder / "document.md", folder)


@pytest.mark.parametrize("shown, printed", [
    ("a\n", "a\n"), ("", ""), ("a ... b\n", "a 1 2 b\n"), ("...\n", ""), ("a\n...\nd\n", "a\nb\nc\nd\n"),
    ("loss 0.25   7 s\n", "loss 11.5 120 s\n"), ("1,403 steps, 5 words/s\n", "99 steps, 1,000 words/s\n"),
    ("lr 1e-05\n", "lr 0.2\n"), ("5 passed in 0.31s\n", "5 passed in 12.00s\n")])
def test_what_agrees(shown, printed):
    assert agrees(shown, printed)


@pytest.mark.parametrize("shown, printed", [
    ("a\n", "b\n"), ("a\n", "a\nb\n"), ("a\n", ""), ("", "a\n"), ("c.yaml:3:7: x\n", "c.yaml:3:8: x\n"), ("a.b\n", "acb\n"),
    ("5 passed in 0.31s\n", "4 passed in 0.31s\n"), ("loss 0.25\n", "loss nan\n"), ("a\n...\nd\n", "a\nb\n")])
def test_what_does_not_agree(shown, printed):
    assert not agrees(shown, printed)


def test_blocks_are_found_with_their_kinds_and_lines():
    text = "Text\n\n```python\nx\n\n    y\n```\n\nIt prints\n\n    1\n\n    2\n\nmore\n    no block\n\n    $ a\n    b\n"
    assert [(b.kind, b.text, b.line) for b in blocks(text)] == [
        ("python", "x\n\n    y\n", 4), ("output", "1\n\n2\n", 11), ("console", "$ a\nb\n", 18)]


def test_files_are_written_added_to_and_changed_and_programs_see_them(tmp_path):
    text = ("```python\n# a.py\nx = 1\ny = 2\n```\n\n```python\n# added to a.py\nz = x + y\n```\n\n"
            "```diff\n--- a.py\n x = 1\n-y = 2\n+y = 5\n```\n\n```python\nimport a\nprint(a.z)\n```\n\nIt prints\n\n    6\n\n"
            "Then\n\n    $ echo 7 && echo 8 >&2\n    7\n    8\n")
    assert run(text, tmp_path) == 5


@pytest.mark.parametrize("text, said", [
    ("```python\nprint(1)\n```\n", "document.md: the last program prints"),
    ("```python\nprint(1)\n```\n\nIt prints\n\n    2\n", "document.md:7: the program does not print what is shown"),
    ("```python\nprint(1)\n```\n\n    $ echo 1\n    1\n", "the document does not say so"),
    ("```python\n1 / 0\n```\n", "document.md:2: the program fails"),
    ("```python\nimport warnings\nwarnings.warn('x')\n```\n", "the program fails"),
    ("```ruby\n```\n", "```ruby is neither run nor a file"),
    ("It prints\n\n    2\n", "no program stands above it"),
    ("    $ echo 1\n    2\n", r"document.md:1: \$ echo 1 does not print what is shown"),
    ("    $ exit 3\n", "ends with 3"),
    ("    $ echo x; exit 3\n    ...\n", "ends with 3"),
    ("```python\n# a.py\nx = 1\n```\n\n```diff\n--- a.py\n-x = 2\n+x = 3\n```\n", "0 places of a.py are")])
def test_a_document_that_shows_what_is_not_so_fails_with_its_line(text, said, tmp_path):
    with pytest.raises(AssertionError, match=said):
        run(text, tmp_path)
