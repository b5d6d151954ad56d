"""nnkit neighbors: the words nearest to given words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nnkit.commands.common import load_vectors, parser, run
from nnkit.vectors.word_vectors import Neighbours


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("neighbors", "Print the nearest words of each WORD with their cosines.", "@last socket tuple -n 5")
    made.add_argument("words", nargs="+", metavar="WORD", help="a word that the vectors know")
    made.add_argument("-n", type=int, default=10, metavar="N", help="how many neighbours (10)")
    return run(made, neighbors, argv)


def neighbors(options: argparse.Namespace) -> None:
    vectors = load_vectors(options)
    for word, found in zip(options.words, vectors.most_similar_many(options.words, options.n)):
        print(word)
        print_scores(found)


def print_scores(found: Neighbours) -> None:
    for word, score in found:
        print(f"  {score:7.4f}  {word}")
