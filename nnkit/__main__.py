"""nnkit COMMAND, or python -m nnkit COMMAND."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # the module of each, and what it does
    "train": ("nnkit.train", "train a model as a config file says"),
    "plot": ("nnkit.plot", "draw the loss curves of one run, or of several"),
    "evaluate": ("nnkit.commands.evaluate", "measure a run on held-out data or on a file"),
    "predict": ("nnkit.commands.predict", "ask a run: a class for each line of a file"),
    "generate": ("nnkit.commands.generate", "let a language model write text"),
    "neighbors": ("nnkit.commands.neighbors", "print the nearest words of a word"),
    "analogy": ("nnkit.commands.analogy", "a is to b as c is to what?"),
    "similarity": ("nnkit.commands.similarity", "score word vectors on pairs and analogies, or two words"),
    "map": ("nnkit.commands.map", "draw words as a map"),
    "check": ("nnkit.commands.check", "rehearse a training, write nothing, say what is odd"),
    "sweep": ("nnkit.commands.sweep", "train all combinations of some settings, print one table"),
    "runs": ("nnkit.commands.runs", "list runs: what they came to, in what they differ"),
    "show": ("nnkit.commands.show", "every key of a config or a run, with its value and its help"),
    "init": ("nnkit.commands.init", "make a folder of your own: a config, a recipe, a layer and its tests"),
    "graph": ("nnkit.commands.graph", "draw the computation graph of one training step"),
    "report": ("nnkit.commands.report", "tell of one run, or of several, on a page for a browser"),
    "list": ("nnkit.commands.list", "list recipes, layers, losses, optimizers or operations"),
    "export": ("nnkit.commands.export", "write word vectors, weights or curves for other tools"),
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
