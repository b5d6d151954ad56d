"""`python -m nnkit.plot RUN...`: loss curves of one run, or of several compared. Also `nnkit plot`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.errors import UserError
from nnkit.training.plots import plot_run, plot_runs
from nnkit.training.run_directory import RunDirectory


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the runs that `argv` names and print the picture's path; the exit code."""
    parser = argparse.ArgumentParser(prog="nnkit plot", description="Draw the loss curves of one run, or of several.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, its id (sgns-003), or @last")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help="the picture, .png, .svg or .pdf (RUN/loss.png; of several runs compare.png)")
    options = parser.parse_args(argv)
    try:
        runs = [RunDirectory.open(run) for run in options.runs]
        if len(runs) == 1:
            print(*plot_run(runs[0], [options.out or runs[0].path("loss.png")]))
        else:
            print(plot_runs(runs, options.out or "compare.png"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
