"""Write the phrases of the Stanford Sentiment Treebank as lines of a class, a tab and the text, to train classifiers on.

A tree of the treebank gives every phrase of a sentence a class from 0 (very negative) to 4 (very positive), down to its words.
Usage: sst_phrases.py FOLDER. The trees are read from $NNKIT_DATA/classification/sst/trees (train.txt.gz). FOLDER gets
sst5-phrases.tsv, all five classes, and sst2-phrases.tsv, 0 for the lower two and 1 for the upper two, without the neutral ones.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from nnkit.data import read_lines
from nnkit.errors import DataError, UserError

PART = re.compile(r"\((\d) |([^()\s]+)|(\))")  # a node begins, a word, a node ends


def phrases(tree: str, place: str) -> Iterator[tuple[int, str]]:
    """Class and words of every node of a tree such as (3 (2 It) (4 works)), each after those in it; the last is the sentence.

    Words stay as the trees have them, with -LRB- for a bracket and \\/ for a slash, as in the sentences that others prepared.
    DataError where brackets do not match.
    """
    words: list[str] = []
    begun: list[tuple[int, int]] = []  # class, and how many words stood before, of the nodes that have not ended
    ended = False
    for part in PART.finditer(tree):
        if ended or (not begun and part[1] is None):
            raise DataError(f"{place}: is no tree; expected one such as (3 (2 It) (4 works))")
        if part[1] is not None:
            begun.append((int(part[1]), len(words)))
        elif part[2] is not None:
            words.append(part[2])
        else:
            kind, first = begun.pop()
            yield kind, " ".join(words[first:])
            ended = not begun
    if not ended:
        raise DataError(f"{place}: is no tree; a bracket is missing")


def write_phrases(trees: Path, folder: Path) -> dict[str, int]:
    """Both files, and how many phrases each has."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"sst5-phrases.tsv": 0, "sst2-phrases.tsv": 0}
    fine, binary = (folder / name for name in counts)
    with open(fine, "w", encoding="utf-8", newline="\n") as five, open(binary, "w", encoding="utf-8", newline="\n") as two:
        for number, tree in enumerate(read_lines(trees), 1):
            for kind, text in phrases(tree, f"{trees}:{number}"):
                five.write(f"{kind}\t{text}\n")
                counts[fine.name] += 1
                if kind != 2:
                    two.write(f"{kind // 3}\t{text}\n")
                    counts[binary.name] += 1
    return counts


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    data = os.environ.get("NNKIT_DATA")
    try:
        if not data:
            raise UserError("NNKIT_DATA is not set; set it to the folder that has classification/sst/trees")
        folder = Path(sys.argv[1])
        for name, n in write_phrases(Path(data, "classification/sst/trees/train.txt.gz"), folder).items():
            print(f"{folder / name}: {n:,} phrases")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
