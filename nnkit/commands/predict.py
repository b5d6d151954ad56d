"""nnkit predict: what a run's model says of inputs, an answer for each line."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence

from nnkit.commands.common import run
from nnkit.commands.evaluate import loaded, run_parser
from nnkit.data import read_lines
from nnkit.errors import DataError

STDIN = "-"


def main(argv: Sequence[str] | None = None) -> int:
    made = run_parser("predict", "Print a line for each line of FILE, in its order: the class, its probability and the line, "
                      "with tabs between.", "@last new.csv")
    made.add_argument("file", nargs="?", default=STDIN, metavar="FILE",
                      help="rows of numbers without the class (a header as in the training gets no line), or a text a line; "
                      "- or nothing: standard input")
    return run(made, predict, argv)


def predict(options: argparse.Namespace) -> None:
    trained = loaded(options)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what came in as UTF-8 goes out as UTF-8
        sys.stdout.reconfigure(encoding="utf-8")
    lines = stdin_lines() if options.file == STDIN else read_lines(options.file)
    for answer in trained.answers(lines, "stdin" if options.file == STDIN else options.file):
        print(answer)
    if trained.recipe.remark:
        print(f"note: {trained.recipe.remark}", file=sys.stderr)


def stdin_lines() -> Iterator[str]:
    """The lines of standard input as UTF-8, whatever the terminal's encoding is. DataError for one that is not."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"stdin:{number}: byte {error.start} (0x{line[error.start]:02x}) of the line is not UTF-8; "
                            "convert the text") from None
        yield text.rstrip("\r\n")
