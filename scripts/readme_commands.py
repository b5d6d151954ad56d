"""Runs every command that the README lists under "What you can do", in its order, in a folder of its own; prints a line for each.

Usage: readme_commands.py
Trainings have one epoch here (`--resume` two, for it goes on with a finished one); all else is as it stands. The commands' own
files (corpus.txt, pairs.tsv ...) are made first. What needs more than there is (NNKIT_DATA, mpiexec) is left out, and said so.
Exit code 1 where a command fails.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FILES = {
    "corpus.txt": "the socket of a server waits for a thread\nmin and max give the smallest and the largest of a list\n" * 200,
    "new.txt": "a brand new word stands beside the socket of a server and a thread\n" * 50,
    "pairs.tsv": "socket\tserver\t8.5\nsocket\tlist\t1.5\nmin\tmax\t9\nthread\tlist\t2\n",
    "questions-words.txt": ": order\nmin max smallest largest\nmax min largest smallest\n",
}


def commands() -> list[str]:
    """The lines of the list without their comments."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = readme[readme.index("## What you can do"):readme.index("`nnkit train` and `nnkit plot`")]
    return [re.split(r"\s+# ", line.strip())[0] for line in block.splitlines() if line.startswith("    ")][1:]


def shortened(command: str) -> str:
    epochs = f" training.epochs={2 if '--resume' in command else 1}"
    return command + epochs if re.search(r"nnkit[. ]train |nnkit sweep ", command) else command


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("configs", "recipes", "data"):
            shutil.copytree(PROJECT / kind, Path(folder, kind))
        for name, text in FILES.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        for command in map(shortened, commands()):
            if "NNKIT_DATA=" in command and "NNKIT_DATA" not in os.environ:
                print(f"left out, for NNKIT_DATA is not set: {command}")
                continue
            if "--ranks" in command and shutil.which("mpiexec", path=programs) is None:
                print(f"left out, for there is no mpiexec: {command}")
                continue
            run = command.replace("NNKIT_DATA=/path/to/data ", "")
            began = time.monotonic()
            done = subprocess.run(run, shell=True, cwd=folder, env={**os.environ, "PATH": programs}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
            print(f"{'ok' if done.returncode == 0 else 'FAILED'} {time.monotonic() - began:6.1f} s   {run}", flush=True)
            if done.returncode:
                failed = 1
                print(done.stdout)
    return failed


if __name__ == "__main__":
    sys.exit(main())
