"""nnkit evaluate: measure a run's model, on held-out data or on a file; and what predict shares with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nnkit.commands.common import run
from nnkit.training.using import CHECKPOINTS, TrainedRun, load


def main(argv: Sequence[str] | None = None) -> int:
    made = run_parser("evaluate", "Measure the model of a run on a file of examples with their right answers; without FILE, on "
                      "what the training held out of its data, which must still be there.", "@last test.csv")
    made.add_argument("file", nargs="?", metavar="FILE",
                      help="a table like that of the training; or texts, in each line the class, a tab and the text")
    return run(made, evaluate, argv)


def evaluate(options: argparse.Namespace) -> None:
    measured = loaded(options).evaluate(options.file)
    for name, value in measured.items():
        print(f"{name} {value}")


def run_parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser for `nnkit NAME RUN ...` with --checkpoint."""
    made = argparse.ArgumentParser(prog=f"nnkit {name}", description=description, epilog=(
        f"Example: nnkit {name} {example}. A run directory holds its recipe's code, which is run: use only what you trust."))
    made.add_argument("run", metavar="RUN", help="a run's folder, its id (digits-003) or @last")
    made.add_argument("--checkpoint", choices=CHECKPOINTS,
                      help="the weights to use (best where the config has an eval.monitor, else last)")
    return made


def loaded(options: argparse.Namespace) -> TrainedRun:
    """The run; which of its checkpoints it is goes to stderr."""
    trained = load(options.run, options.checkpoint)
    if trained.weights.notice:
        print(f"note: {trained.weights.notice}", file=sys.stderr)
    print(f"{trained.directory}: {trained.weights}", file=sys.stderr)
    return trained
