"""nnkit report: one run, or several compared, as a page for a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.common import run
from nnkit.show.report import MOST, write_report


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit report", allow_abbrev=False, description=(
        "Tell of one run, or of several compared, on a page: curves, measures, configs; of a classifier what it takes for what, "
        "of a language model what it writes, of word vectors a map. Prints the file's path. The page is one file and needs no "
        "network. What was measured on held-out data is measured again, and left out where that data is gone."), epilog=(
        "Example: nnkit report classifier-001 classifier-002 -o report.html. A run directory holds its recipe's code, which is "
        "run: use only what you trust. Exit codes: 0 done, 1 failure, 2 usage."))
    made.add_argument("runs", nargs="+", metavar="RUN", help=f"a run's folder, its id (sgns-003) or @last; {MOST} at most")
    made.add_argument("-o", "--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (report.html)")
    return run(made, report, argv)


def report(options: argparse.Namespace) -> None:
    print(write_report(options.runs, options.out, say=lambda line: print(line, file=sys.stderr)))
