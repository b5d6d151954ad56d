"""nnkit similarity: the cosine of two words, or the score of the vectors on files of human judgement."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.common import load_vectors, parser, run
from nnkit.errors import DataError
from nnkit.vectors import WordVectors, evaluate_analogies, evaluate_odd_one_out, evaluate_pairs
from nnkit.vectors.evaluation_files import kind_of


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("similarity", "Score the vectors on files of human judgement: pairs of words with a number, analogy questions "
                  "in `: section`s, or sets of five words of which the last does not belong. Or print the cosine of two words.",
                  "@last wordsim353.tsv questions-words.txt")
    made.add_argument("items", nargs="+", metavar="FILE", help="a file of judgements; or two words, neither of which is a file")
    made.add_argument("--top", type=int, default=30_000, metavar="N",
                      help="answers of analogies are among the first N words (30000); 0: among all")
    made.add_argument("--case-sensitive", action="store_true", help="tell upper from lower case, which is not done otherwise")
    return run(made, similarity, argv)


def similarity(options: argparse.Namespace) -> None:
    items = options.items
    if len(items) == 2 and not any(map(os.path.exists, items)):
        print(f"{load_vectors(options).similarity(*items):.4f}")
        return
    for item in items:  # before the vectors are loaded, which may take a while
        if not Path(item).is_file():
            raise DataError(f"{item}: no such file (looked for {os.path.abspath(item)})")
    kinds = [kind_of(item) for item in items]
    vectors = load_vectors(options)
    for item, kind in zip(items, kinds):
        score(vectors, item, kind, options)


def score(vectors: WordVectors, path: str, kind: str, options: argparse.Namespace) -> None:
    folded = not options.case_sensitive
    if kind == "pairs":
        print(evaluate_pairs(vectors, path, case_insensitive=folded))
    elif kind == "odd-one-out":
        print(evaluate_odd_one_out(vectors, path, case_insensitive=folded))
    else:
        result = evaluate_analogies(vectors, path, options.top or None, case_insensitive=folded)
        print(result)
        for section in result.sections:
            print(f"  {section.accuracy:.4f}  {section.name} ({section.right} right of {section.used} used of {section.total})")
