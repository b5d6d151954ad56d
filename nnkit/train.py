"""python -m nnkit.train CONFIG [key=value ...]: train a model as a config file says."""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence

from nnkit.errors import ConfigError, UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. The run's path goes to stdout, all else to stderr."""
    parser = argparse.ArgumentParser(prog="nnkit train", description="Train a model as a config file says.", epilog=(
        "A key of the config is set by its path, optimizer.lr=0.1, and read as YAML. A run directory holds its recipe's code, "
        "which --resume runs: resume only what you trust. Exit codes: 0 done, 1 failure, 2 usage or config, 3 diverged, "
        "130 Ctrl-C, 143 SIGTERM and 129 a closed terminal after saving."))
    parser.add_argument("config", nargs="?", help="a YAML file, such as configs/sgns.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change a key of the config")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that stopped: its path, its id or @last")
    parser.add_argument("--out", metavar="DIR", help="the run's folder; runs/NAME-001, NAME-002 ... where it is left out")
    parser.add_argument("--force", action="store_true", help="replace the run that --out names")
    said = parser.add_mutually_exclusive_group()
    said.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors and the run's path")
    said.add_argument("-v", "--verbose", action="store_true", help="say more: where each value of the config was set, "
                      "the versions, every parameter, every checkpoint")
    words, foreign = without_foreign_options(sys.argv[1:] if argv is None else argv)
    given, dashed = parser.parse_known_intermixed_args(words)  # options may stand anywhere
    unknown = [word for word in dashed if not word.startswith("--") or "=" not in word]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    overrides = [*given.overrides, *dashed, *foreign]
    if given.resume is not None and given.config is not None:
        overrides.insert(0, given.config)
    elif given.resume is None and given.config is None:
        parser.error("a config is missing: nnkit train configs/sgns.yaml, or --resume RUN")
    if given.force and given.out is None and given.resume is None:
        parser.error("--force replaces the run that --out names; without --out every run gets a folder of its own")
    if given.resume is not None and (given.out is not None or given.force):
        parser.error("--resume goes on in the run's own folder; leave out --out and --force")
    if threading.current_thread() is threading.main_thread():  # before and after the steps, where nothing is to be saved
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        from nnkit.training.config import format_errors  # here, so that Ctrl-C during the import is a clean end, too
        from nnkit.training.session import fit, resume

        if given.resume is not None:
            run = resume(given.resume, overrides, quiet=given.quiet, verbose=given.verbose)
        else:
            run = fit(given.config, overrides, out=given.out, force=given.force, quiet=given.quiet, verbose=given.verbose)
    except UserError as error:
        text = format_errors(error, sys.stderr.isatty()) if isinstance(error, ConfigError) else f"error: {error}"
        print(text, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
            raise
        print(f"error: {error.strerror}; what was saved before is whole: make room, then --resume the run", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"error: not enough memory ({error}); make the model, the step or the data smaller", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was saved before is whole", file=sys.stderr)
        return 130
    try:
        print(run.path, flush=True)
    except BrokenPipeError:  # Python writes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return run.exit_code


def without_foreign_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command line without options such as `-size 200`, which word2vec.c and fastText have, and these as `-size=200`.

    As overrides they are keys that no config has, and are answered with the key that is meant.
    """
    rest: list[str] = []
    foreign: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if re.match(r"-[A-Za-z][\w-]+=", word):
            foreign.append(word)
        elif re.fullmatch(r"-[A-Za-z][\w-]+", word) and words and not re.match(r"-[A-Za-z]|.*\.ya?ml$|.*=", words[0]):
            foreign.append(f"{word}={words.pop(0)}")
        else:
            rest.append(word)
    return rest, foreign


if __name__ == "__main__":
    sys.exit(main())
