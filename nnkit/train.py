"""python -m nnkit.train CONFIG [key=value ...]: train a model as a config file says."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

LAUNCHER = "mpiexec"


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
    parser.add_argument("--ranks", type=int, metavar="N", help="train in N processes under MPI: as `mpiexec -n N python -m "
                        "nnkit.train` of the MPI that this Python has; on several machines call mpiexec or srun yourself")
    said = parser.add_mutually_exclusive_group()
    said.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors and the run's path")
    said.add_argument("-v", "--verbose", action="store_true", help="say more: where each value of the config was set, "
                      "the versions, every parameter, every checkpoint")
    given_words = sys.argv[1:] if argv is None else argv
    words, foreign = without_foreign_options(given_words)
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
    if given.ranks is not None:
        return under_mpi(given.ranks, given_words)
    if threading.current_thread() is threading.main_thread():  # before and after the steps, where nothing is to be saved
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        from nnkit.training.failures import described  # here, so that Ctrl-C during the import is a clean end, too
        from nnkit.training.mpi import find_ranks
        from nnkit.training.ranks import ElsewhereError, Ranks
        from nnkit.training.session import fit, resume
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    ranks = Ranks()
    try:
        ranks = find_ranks()
        if given.resume is not None:
            run = resume(given.resume, overrides, quiet=given.quiet, verbose=given.verbose, ranks=ranks)
        else:
            run = fit(given.config, overrides, out=given.out, force=given.force, quiet=given.quiet, verbose=given.verbose,
                      ranks=ranks)
    except ElsewhereError as error:
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        text, code = described(error)
        if ranks.is_first:  # the others came to the same end
            print(text, file=sys.stderr)
        return code
    if not ranks.is_first:
        return run.exit_code
    try:
        print(run.path, flush=True)
    except BrokenPipeError:  # Python writes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return run.exit_code


def under_mpi(ranks: int, words: Sequence[str]) -> int:
    """The same command in `ranks` processes; its exit code. The launcher beside this Python comes first: it fits its mpi4py."""
    launcher = shutil.which(LAUNCHER, path=os.path.dirname(sys.executable)) or shutil.which(LAUNCHER)
    if launcher is None or ranks < 1:
        print("error: --ranks: " + (f"expected a number of at least 1, got {ranks}" if launcher else "there is no mpiexec beside "
              f"{sys.executable} or in PATH; pip install 'nnkit[mpi]'"), file=sys.stderr)
        return 2
    at = next(i for i, word in enumerate(words) if "--ranks".startswith(word.split("=")[0]) and word.startswith("--r"))
    rest = [*words[:at], *words[at + (1 if "=" in words[at] else 2):]]
    command = [launcher, "-n", str(ranks), sys.executable, "-m", "nnkit.train", *rest]
    if os.name == "nt":
        return subprocess.call(command)
    os.execv(launcher, command)  # signals then reach the launcher, which hands them on


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
