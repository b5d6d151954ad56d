"""nnkit generate: text that a run's language model writes."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from nnkit.commands.common import run
from nnkit.commands.evaluate import loaded, run_parser


def main(argv: Sequence[str] | None = None) -> int:
    made = run_parser("generate", "Print text that a language model writes, symbol by symbol, each drawn by its probability. The "
                      "same seed gives the same text.", '@last --prompt "once upon" --temperature 0.8')
    made.add_argument("--prompt", default="", metavar="TEXT", help="how each text begins")
    made.add_argument("--temperature", type=float, default=1.0, metavar="T",
                      help="below 1 the probable becomes more probable; 0: always the most probable symbol (1)")
    made.add_argument("--top-k", type=int, metavar="K", help="draw from the K most probable symbols alone (from all)")
    made.add_argument("--length", type=int, default=200, metavar="N",
                      help="symbols, words or characters, of a text after its prompt; a line may end before (200)")
    made.add_argument("--seed", type=int, default=1, metavar="S", help="start of the random numbers (1)")
    made.add_argument("--n", type=int, default=1, metavar="COUNT", help="how many texts (1)")
    return run(made, generate, argv)


def generate(options: argparse.Namespace) -> None:
    trained = loaded(options)
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever the terminal's encoding is, as predict does
        sys.stdout.reconfigure(encoding="utf-8")
    for text in trained.generate(options.prompt, options.n, seed=options.seed, temperature=options.temperature,
                                 top_k=options.top_k, length=options.length):
        print(text, flush=True)
    if trained.recipe.remark:
        print(f"note: {trained.recipe.remark}", file=sys.stderr)
