"""nnkit export: hand word vectors over to other tools."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.common import load_vectors, parser, run

FORMATS = ("word2vec", "word2vec-binary", "glove", "npz")


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("export", "Write the vectors in a format that other tools read, and print the file's path.",
                  "@last --to word2vec-binary -o vectors.bin")
    made.add_argument("--to", required=True, choices=FORMATS, help="the format; npz is nnkit's own, which loads at once")
    made.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the file; .gz at its end packs it")
    return run(made, export, argv)


def export(options: argparse.Namespace) -> None:
    load_vectors(options).save(options.out, options.to)
    print(options.out)
