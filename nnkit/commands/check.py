"""nnkit check: rehearse a training, write nothing, say what is odd."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nnkit.commands.common import run
from nnkit.errors import UserError
from nnkit.training.checking import check


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit check", allow_abbrev=False, description=(
        "Load the data, build the model, do some steps and an evaluation, write nothing; print what came of it, and notes on "
        "what is odd."), epilog=(
        "Example: nnkit check configs/classifier.yaml optimizer.lr=0.3 --gradcheck. Exit codes: 0 done, 1 failure or a wrong "
        "gradient, 2 usage or config, 3 a loss that is not finite."))
    made.add_argument("config", metavar="CONFIG", help="a YAML file, such as configs/classifier.yaml")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="as for nnkit train")
    made.add_argument("--gradcheck", action="store_true", help="compare the gradients of the loss with differences in float64; "
                      "a small batch makes it quick, training.batch_size=4 for instance")
    return run(made, rehearse, options_first(sys.argv[1:] if argv is None else argv, made))


def rehearse(options: argparse.Namespace) -> None:
    try:
        check(options.config, options.overrides, gradcheck=options.gradcheck, say=lambda line: print(line, flush=True))
    except MemoryError as error:
        raise UserError(f"not enough memory ({error}); make the model, the step or the data smaller") from error


def options_first(words: Sequence[str], made: argparse.ArgumentParser) -> list[str]:
    """The words with the parser's options before all others, among which argparse wants none; --key=value loses its dashes."""
    known = {name: action.nargs != 0 for action in made._actions for name in action.option_strings}
    options: list[str] = []
    rest: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        name = word.partition("=")[0]
        if name in known:
            options += [word, *([words.pop(0)] if known[name] and name == word and words else [])]
        elif not word.startswith("-"):
            rest.append(word)
        elif word.startswith("--") and name != word:
            rest.append(word.removeprefix("--"))
        else:
            options.append(word)  # argparse says that there is no such option
    return options + rest
