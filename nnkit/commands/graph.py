"""nnkit graph: the computation graph of one training step, as a picture or as a page to step through."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.check import options_first
from nnkit.commands.common import run
from nnkit.errors import UserError
from nnkit.show.step import draw_step


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit graph", allow_abbrev=False, description=(
        "Draw the first training step of a config: every operation with its value and its gradient, modules as boxes. Prints "
        "the file's path. In the page (.html) one steps forward and backward through it."), epilog=(
        "Example: nnkit graph configs/classifier.yaml -o graph.html training.batch_size=4. Exit codes: 0 done, 1 failure, "
        "2 usage or config."))
    made.add_argument("config", metavar="CONFIG", help="a YAML file, such as configs/classifier.yaml")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="as for nnkit train")
    made.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help=".svg, .png, .dot or .html")
    return run(made, draw, options_first(sys.argv[1:] if argv is None else argv, made))


def draw(options: argparse.Namespace) -> None:
    try:
        print(draw_step(options.config, options.overrides, options.out, say=lambda line: print(line, file=sys.stderr)))
    except MemoryError as error:
        raise UserError(f"not enough memory ({error}); make the model, the step or the data smaller") from error
