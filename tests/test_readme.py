"""What the README's first screen must hold. That it is true, all of it, is tests/test_documents.py's."""

from pathlib import Path

from documents import blocks

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_the_two_commands_that_do_all():
    commands = [line.strip() for line in README.splitlines()[:25] if line.startswith("    python3 -m venv")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m nnkit.train configs/sgns.yaml",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"]


def test_there_are_programs_with_what_they_print_and_a_mistake_with_its_answer():
    kinds = [block.kind for block in blocks(README)]
    assert kinds.count("python") >= 3 and kinds.count("output") == kinds.count("python") and "console" in kinds


def test_the_training_without_yaml_has_about_20_lines():
    program = next(block for block in blocks(README) if block.kind == "python")
    assert len([line for line in program.text.splitlines() if line.strip()]) <= 20
