"""nnkit sweep: train with all combinations of some settings, and compare what came of them in one table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from nnkit.commands.check import options_first
from nnkit.commands.common import run
from nnkit.training.sweeping import Sweep


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit sweep", allow_abbrev=False, description=(
        "Train with all combinations of the values given, each in a process of its own; then print a table with mean and "
        "standard deviation over the seeds."), epilog=(
        "Example: nnkit sweep configs/classifier.yaml optimizer.lr=0.1,0.3,1 seed=1,2,3 --jobs 2. A comma within brackets or "
        "quotes parts no values. Exit codes: 0 done (a run that diverged is a result, too), 1 a run failed, 2 usage or config, "
        "130 Ctrl-C and 143 SIGTERM after saving."))
    made.add_argument("config", metavar="CONFIG", help="a YAML file, such as configs/classifier.yaml")
    made.add_argument("overrides", nargs="+", metavar="key=value,value", help="the values of a key")
    made.add_argument("--jobs", type=positive, default=1, metavar="N", help="trainings at a time (1)")
    made.add_argument("--out", metavar="DIR", help="the sweep's folder; one that was stopped is gone on with "
                      "(runs/NAME-sweep-001, -002 ...)")
    codes: list[int] = []
    failed = run(made, lambda options: codes.append(sweep(options)), options_first(sys.argv[1:] if argv is None else argv, made))
    return failed or next(iter(codes), 1)  # none where who read the table is gone


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # who read it is gone, as `| tee` is after Ctrl-C; that must not end the trainings
        pass


def sweep(options: argparse.Namespace) -> int:
    made = Sweep(options.config, options.overrides, options.out)
    code = made.run(options.jobs, say=say)
    if code:
        words = [options.config, *options.overrides, "--jobs", str(options.jobs), "--out", str(made.folder)]
        done = sum(trial.is_settled() for trial in made.trials)
        print(f"{done} of {len(made.trials)} runs are done, the others saved where they were\n"
              f"go on   nnkit sweep {shlex.join(words)}", file=sys.stderr)
        return code
    rows = made.table()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return int(made.has_failed())
