"""nnkit evaluate: measure a run's model, on held-out data or on a file; and what predict shares with it."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence

from nnkit.commands.common import run
from nnkit.errors import UserError
from nnkit.metrics import Tally
from nnkit.training.confusion_picture import draw_confusion
from nnkit.training.drawing import checked
from nnkit.training.using import CHECKPOINTS, TrainedRun, load


def main(argv: Sequence[str] | None = None) -> int:
    made = run_parser("evaluate", "Measure the model of a run on a file of examples with their right answers; without FILE, on "
                      "what the training held out of its data, which must still be there. Of a classifier it also prints the "
                      "scores of each class, which are taken for which, and its most confident mistakes.", "@last test.csv")
    made.add_argument("file", nargs="?", metavar="FILE",
                      help="a table like that of the training; or texts, in each line the class, a tab and the text")
    made.add_argument("--confusion", metavar="PICTURE", help="draw which classes are taken for which, to a .png, .svg or .pdf")
    return run(made, evaluate, argv)


def evaluate(options: argparse.Namespace) -> None:
    if options.confusion:
        checked([options.confusion])  # before the work, not after it
    trained = loaded(options)
    measured, tally = trained.evaluate(options.file), trained.tally
    write_utf8()
    for name, value in measured.items():
        print(f"{name} {value}")
    if tally is not None:
        print(*tables(tally), sep="\n")
    if options.confusion:
        if tally is None:
            raise UserError(f"{trained.directory}: {trained.recipe_class.__name__} counts no classes; there is nothing to "
                            "draw for --confusion")
        title = f"{trained.directory.id}: {tally.accuracy:.1%} of {tally.n:,} right"
        print(f"picture {draw_confusion(tally.counts, tally.names, options.confusion, title)}", file=sys.stderr)


def tables(tally: Tally) -> Iterator[str]:
    """Lines for a person: the classes, the confusion matrix, the calibration, and mistakes."""
    yield from ["", *tally.class_lines(), "", "true classes in rows, predicted ones in columns:", *tally.confusion_lines(), ""]
    yield f"calibration error {tally.calibration_error:.4f} (mean distance of confidence from accuracy, in 10 bins)"
    if tally.mistakes:
        yield from ["", "the most confident mistakes:", *tally.mistake_lines()]


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


def write_utf8() -> None:
    """What came in as UTF-8 goes out as UTF-8, whatever the terminal's encoding is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
