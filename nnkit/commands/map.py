"""nnkit map: a picture of the commonest words, near where they are alike."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.common import load_vectors, parser, run
from nnkit.errors import UserError
from nnkit.vectors.maps import METHODS, draw_map, project


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("map", "Draw words as a map, and print the picture's path.", "@last -o map.png --words 200 --skip 100")
    made.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the picture, .png, .svg or .pdf")
    made.add_argument("--words", type=int, default=150, metavar="N", help="how many words (150)")
    made.add_argument("--skip", type=int, default=0, metavar="N", help="leave out the first N words, mostly grammar (0)")
    made.add_argument("--method", choices=METHODS, default="pca", help="how vectors become places: tsne needs scikit-learn, umap "
                      "umap-learn (pca)")
    return run(made, draw, argv)


def draw(options: argparse.Namespace) -> None:
    vectors = load_vectors(options)
    chosen = slice(max(options.skip, 0), max(options.skip, 0) + max(options.words, 0))
    words = vectors.words[chosen]
    if len(words) < 3:
        raise UserError(f"{options.source}: {len(words)} of its {len(vectors):,} words are chosen, and a map needs 3; "
                        "change --words or --skip")
    points = project(vectors.matrix[chosen], options.method)
    path, labelled = draw_map(words, points, options.out, f"{options.source}: {len(words)} words, {options.method}")
    if labelled < len(words):
        print(f"note: {len(words) - labelled} of {len(words)} words have a dot alone, for their labels would lie on others",
              file=sys.stderr)
    print(path)
