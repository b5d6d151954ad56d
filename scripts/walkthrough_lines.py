"""Keeps the line numbers in docs/walkthrough.md right: in "`FILE:LINE` `code`" LINE becomes where the code stands now.

Usage: walkthrough_lines.py [--check]
Where the code stands in several lines, the nearest one is meant. --check writes nothing, and fails where a number is not right.
A piece of code that is no longer there at all is an error in both.
"""
import argparse
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "walkthrough.md"
PLACE = re.compile(r"`([\w./]+\.(?:py|yaml)):(\d+)` `([^`\n]+)`")


def moved(place: re.Match) -> str:
    """The same, with the line in which the code stands."""
    file, line, code = place.groups()
    there = [n for n, text in enumerate((PROJECT / file).read_text(encoding="utf-8").splitlines(), 1) if code in text]
    if not there:
        sys.exit(f"{PAGE.name}: {file} has no line with {code!r} any more; show another piece of it")
    return f"`{file}:{min(there, key=lambda n: abs(n - int(line)))}` `{code}`"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where a number is not right")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    right = PLACE.sub(moved, text)
    if options.check and right != text:
        print(f"{PAGE}: lines have moved; run python scripts/walkthrough_lines.py", file=sys.stderr)
        return 1
    if right != text:
        PAGE.write_text(right, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
