"""The pictures in docs/ are what the script draws now."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def test_the_pictures_of_the_lectures_examples_are_fresh(tmp_path):
    subprocess.run([sys.executable, "-W", "error", PROJECT / "scripts/draw_examples.py", tmp_path], check=True,
                   capture_output=True, timeout=100)
    names = sorted(path.name for path in tmp_path.iterdir())
    kept = sorted(path.name for path in (PROJECT / "docs/pictures").glob("*.svg"))
    assert names == [name for name in kept if name != "sgns-loss.svg"]  # the curve of a run, for README
    for name in names:
        assert (tmp_path / name).read_text(encoding="utf-8") == (PROJECT / "docs/pictures" / name).read_text(encoding="utf-8"), (
            f"docs/pictures/{name} is not what is drawn now; run python scripts/draw_examples.py")
