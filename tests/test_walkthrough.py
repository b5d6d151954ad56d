"""docs/walkthrough.md shows code where it stands."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = (PROJECT / "docs" / "walkthrough.md").read_text(encoding="utf-8")


def test_every_line_number_is_right():
    """Where this fails: python scripts/walkthrough_lines.py"""
    result = subprocess.run([sys.executable, "scripts/walkthrough_lines.py", "--check"], cwd=PROJECT, capture_output=True,
                            text=True, encoding="utf-8", timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_station_has_a_form_that_is_checked():
    stations = [line for line in PAGE.splitlines() if line.startswith("- ")]
    assert len(stations) > 20
    assert all(re.fullmatch(r"- `[\w./]+:\d+` `[^`]+`", line) for line in stations)
