"""What the commands about word vectors share: finding the vectors, and ending with one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nnkit.errors import UserError
from nnkit.training.config import format_errors
from nnkit.training.places import PlacedError
from nnkit.training.run_directory import RunDirectory
from nnkit.vectors import WordVectors

Action = Callable[[argparse.Namespace], None]


def parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser for `nnkit NAME RUN_OR_FILE ...`, whose first argument is there already."""
    made = argparse.ArgumentParser(prog=f"nnkit {name}", description=description, epilog=f"Example: nnkit {name} {example}")
    made.add_argument("source", metavar="RUN_OR_FILE",
                      help="a run's folder, its id (sgns-003) or @last; or a file: word2vec text or binary, GloVe text, .npz")
    made.add_argument("--unicode-errors", choices=["strict", "replace", "ignore"], default="strict",
                      help="what to do about words that are not UTF-8 (strict: stop)")
    return made


def run(made: argparse.ArgumentParser, action: Action, argv: Sequence[str] | None) -> int:
    """Parse and act; the exit code. What the user can mend ends in one line on stderr."""
    options = parsed(made, sys.argv[1:] if argv is None else argv)
    try:
        action(options)
        sys.stdout.flush()
    except UserError as error:
        # where a mistake has a place, FILE:LINE:COLUMN stands first, as compilers have it
        text = format_errors(error, sys.stderr.isatty()) if isinstance(error, PlacedError) else f"error: {error}"
        print(text, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head` has read enough; Python writes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parsed(made: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Options may stand anywhere, also before a FILE that may be left out: `RUN --proba FILE`."""
    # parse_intermixed_args calls a "--" that stands before all words unrecognized
    return made.parse_args(words) if "--" in words else made.parse_intermixed_args(words)


def load_vectors(options: argparse.Namespace) -> WordVectors:
    """The vectors of a file or a run; what there is to notice about them goes to stderr. UserError where there are none."""
    path = find_vectors(options.source)
    vectors = WordVectors.load(path, unicode_errors=options.unicode_errors, mmap=True)
    for notice in vectors.notices:
        print(f"note: {notice}", file=sys.stderr)
    return vectors


def find_vectors(source: str) -> Path:
    """The file itself, or the vectors.vec of a run. UserError."""
    if Path(source).is_file():
        return Path(source)
    try:
        directory = RunDirectory.open(source)
    except UserError as error:
        raise UserError(str(error).replace(": no such run;", ": no such file or run;", 1)) from None
    path = directory.path("vectors.vec")
    if not path.is_file():
        status = directory.read_run().get("status", "unknown")
        raise UserError(f"{directory}: has no vectors.vec (status: {status}); only a recipe that trains word vectors writes it, "
                        "at the end of a run")
    return path
