"""What the README shows is what happens: its programs are run, its commands exist, its output is compared."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```(?:\n\nIt prints\n\n((?:    [^\n]*\n)+))?", README, re.DOTALL)


def test_the_first_screen_has_the_two_commands_that_do_all():
    commands = [line.strip() for line in README.splitlines()[:25] if line.startswith("    python3 -m venv")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m nnkit.train configs/sgns.yaml",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"]


@pytest.mark.parametrize("program, printed", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_runs_and_prints_what_stands_below_it(tmp_path, program, printed):
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True,
                            encoding="utf-8", timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout == re.sub("^    ", "", printed, flags=re.MULTILINE)


def test_there_are_programs_to_run():
    assert len(PROGRAMS) >= 2 and all(printed for _, printed in PROGRAMS)


def test_the_training_without_yaml_has_about_20_lines():
    lines = [line for line in PROGRAMS[0][0].splitlines() if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:nnkit|recipes|configs|scripts)/[\w./]*)`", README))))
def test_a_file_that_the_readme_names_exists(path):
    assert (PROJECT / path).exists()


def test_the_mistake_it_shows_is_answered_as_it_says(tmp_path):
    command, answer = re.search(r"\$ python -m nnkit\.train (.*)\n    (.*)\n", README).groups()
    result = subprocess.run([sys.executable, "-m", "nnkit.train", *command.split()], cwd=PROJECT, capture_output=True, text=True,
                            encoding="utf-8", timeout=120)
    assert (result.returncode, result.stderr) == (2, answer + "\n")
