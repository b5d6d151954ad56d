"""nnkit predict: what a run's model says of inputs, an answer for each line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nnkit.commands.common import run
from nnkit.commands.evaluate import loaded, run_parser, write_utf8
from nnkit.data import read_lines, read_npz
from nnkit.data.features import Columns, is_npz
from nnkit.errors import DataError, UserError

STDIN = "-"


def main(argv: Sequence[str] | None = None) -> int:
    made = run_parser("predict", "Print a line for each line of FILE, in its order: the class, its probability and the line, "
                      "with tabs between.", "@last new.csv")
    made.add_argument("file", nargs="?", default=STDIN, metavar="FILE",
                      help="rows of numbers without the class (a header as in the training gets no line; of a .npz the array x), "
                      "or a text a line; - or nothing: standard input")
    made.add_argument("--proba", action="store_true",
                      help="print the probabilities of all classes, in the order of the run's labels.txt, and the line; there is "
                      "no header, the order goes to stderr")
    return run(made, predict, argv)


def predict(options: argparse.Namespace) -> None:
    trained = loaded(options)
    write_utf8()
    lines: Iterable[Any] = stdin_lines() if options.file == STDIN else read_lines(options.file)
    if is_npz(options.file) and isinstance(getattr(trained.recipe, "inputs", None), Columns):
        lines = read_npz(options.file, with_labels=False)[0].tolist()
    answers = trained.answers(lines, "stdin" if options.file == STDIN else options.file)
    for number, answer in enumerate(answers):
        if not options.proba:
            print(answer)
            continue
        if not hasattr(answer, "every_class"):
            raise UserError(f"{trained.directory}: {trained.recipe_class.__name__} gives no probabilities; leave out --proba")
        if number == 0:
            print("columns: " + ", ".join([*answer.probabilities, "the input"]), file=sys.stderr)
        print(answer.every_class())
    if trained.recipe.remark:
        print(f"note: {trained.recipe.remark}", file=sys.stderr)


def stdin_lines() -> Iterator[str]:
    """The lines of standard input as UTF-8, whatever the terminal's encoding is. DataError for one that is not."""
    if sys.stdin is None:  # `<&-`, or a service that has none
        raise DataError("stdin: is closed; give a FILE")
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"stdin:{number}: byte {error.start} (0x{line[error.start]:02x}) of the line is not UTF-8; "
                            "convert the text") from None
        yield text.rstrip("\r\n")
