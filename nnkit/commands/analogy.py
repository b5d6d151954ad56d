"""nnkit analogy: A is to B as C is to what?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nnkit.commands.common import load_vectors, parser, run
from nnkit.commands.neighbors import print_scores


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("analogy", "A is to B as C is to what? Print the best answers with their scores.", "@last man king woman")
    for name in "abc":
        made.add_argument(name, metavar=name.upper(), help="a word that the vectors know")
    made.add_argument("-n", type=int, default=10, metavar="N", help="how many answers (10)")
    made.add_argument("--method", choices=["3cosadd", "3cosmul"], default="3cosadd", help="how answers are scored (3cosadd)")
    return run(made, analogy, argv)


def analogy(options: argparse.Namespace) -> None:
    vectors = load_vectors(options)
    found = vectors.analogy(options.a, options.b, options.c, options.n, options.method)
    print(f"{options.a} : {options.b} = {options.c} : ?")
    print_scores(found)
