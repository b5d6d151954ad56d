"""`python -m nnkit.plot RUN...`: loss curves of one run, or of several compared. Also `nnkit plot`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.errors import ConfigError, UserError
from nnkit.training.curves import AXES, View
from nnkit.training.plots import plot_run, plot_runs
from nnkit.training.run_directory import RunDirectory


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the runs that `argv` names and print the picture's path; the exit code."""
    parser = argparse.ArgumentParser(prog="nnkit plot", description="Draw the loss curves of one run, or of several.",
                                     epilog="Example: nnkit plot sgns-001 sgns-002 --smooth 0.9 --x seconds -o compare.png")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, its id (sgns-003), or @last")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help="the picture, .png, .svg or .pdf (RUN/loss.png; of several runs compare.png)")
    parser.add_argument("--smooth", default="0", metavar="BETA",
                        help="draw the train loss as a debiased exponential moving average, in which each line of metrics.jsonl "
                        "weighs BETA times what the next one does; 0 (the default) to less than 1, 0.9 is usual")
    parser.add_argument("--log", action="store_true",
                        help="a logarithmic axis for losses; values of 0 or less are left out, and the picture says how many")
    parser.add_argument("--x", choices=AXES, default="steps",
                        help="what the curves are drawn over: steps; epochs, in fractions where evaluations or log lines mark "
                        "their ends; or the time of training, without evaluating and saving, which goes on in a resumed run")
    options = parser.parse_intermixed_args(argv)  # `RUN --x seconds RUN`, too
    try:
        view = View(number(options.smooth), options.log, options.x)
        runs = [RunDirectory.open(run) for run in options.runs]
        if len(runs) == 1:
            print(*plot_run(runs[0], [options.out or runs[0].path("loss.png")], view))
        else:
            print(plot_runs(runs, options.out or "compare.png", view))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def number(given: str) -> float:
    """--smooth as a number; ConfigError where it is none."""
    try:
        return float(given)
    except ValueError:
        raise ConfigError(f"smooth: expected a number from 0 to less than 1, got {given!r}") from None


if __name__ == "__main__":
    sys.exit(main())
