"""nnkit COMMAND, or python -m nnkit COMMAND."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # the module of each, and what it does
    "train": ("nnkit.train", "train a model as a config file says"),
    "plot": ("nnkit.plot", "draw the loss curves of one run, or of several"),
    "neighbors": ("nnkit.commands.neighbors", "print the nearest words of a word"),
    "analogy": ("nnkit.commands.analogy", "a is to b as c is to what?"),
    "similarity": ("nnkit.commands.similarity", "score word vectors on pairs and analogies, or two words"),
    "map": ("nnkit.commands.map", "draw words as a map"),
    "export": ("nnkit.commands.export", "write word vectors for other tools"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand the rest of the command line to the command it names; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help") or words[0] not in COMMANDS:
        print("usage: nnkit COMMAND ...\n", *(f"  {name:11} {text}" for name, (_, text) in COMMANDS.items()),
              "\nnnkit COMMAND --help says more.", sep="\n", file=sys.stdout if words and words[0][0] == "-" else sys.stderr)
        if words and words[0][0] != "-":
            print(f"nnkit: no command {words[0]!r}", file=sys.stderr)
        return 0 if words and words[0] in ("-h", "--help") else 2
    return importlib.import_module(COMMANDS[words[0]][0]).main(words[1:])


if __name__ == "__main__":
    sys.exit(main())
