"""The hard cases of other libraries' users: each numbered one of the lists has a test that carries its number."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
CASES = TESTS.parents[1] / "shared" / "cases"


def marked(listed):
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    return {int(number) for number in re.findall(rf'mark\.case\("{listed}", (\d+)\)', text)}


@pytest.mark.parametrize("listed, line", [
    ("autograd", r"^(\d+)\. "), ("trainer", r"^(\d+)\. "), ("wordvectors", r"^\| (\d+) \|")])
def test_every_case_of_the_list_has_a_test(listed, line):
    path = CASES / f"{listed}.md"
    if not path.is_file():
        pytest.skip(f"no list of cases at {path}")
    numbers = {int(number) for number in re.findall(line, path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert numbers and numbers - marked(listed) == set()
