"""What a recipe's `check` can say of its data (see checking.py): classes, lengths, unknown words, examples on both sides.

Each function returns lines; one that begins with "note: " says what is odd.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

UNLIKE = 1000  # times another column's deviation: the scales of a table's columns are then wildly different
FEW = 0.2  # of the held-out words: where more are unknown, the vocabulary is not that of the texts


def class_facts(names: Sequence[object], train: np.ndarray, dev: np.ndarray) -> list[str]:
    """names of the classes; train, dev: (n,) the classes of the examples, by number."""
    n_train, n_dev = (np.bincount(classes, minlength=len(names)) for classes in (train, dev))
    largest = np.argsort(-n_train, kind="stable").tolist()
    untrained, unseen = (np.flatnonzero(missing).tolist() for missing in (n_train == 0, (n_dev == 0) & (n_train > 0)))
    shown = ", ".join(f"{names[i]} {n_train[i] / max(1, len(train)):.0%}" for i in largest[:10])
    lines = [f"classes {len(names)}: {shown}{' ...' if len(names) > 10 else ''}"]
    lines += [f"note: class {names[i]} has no example to train on, and {n_dev[i]} held out" for i in untrained]
    if unseen and len(dev):
        lines.append(f"note: {len(unseen)} of {len(names)} classes have no held-out example: "
                     + ", ".join(str(names[i]) for i in unseen[:10]))
    return lines


def length_facts(lengths: Sequence[int], what: str = "words") -> list[str]:
    """lengths of the examples, in `what`."""
    if not len(lengths):
        return []
    lines = [f"lengths {min(lengths)} to {max(lengths)} {what}, half of them up to {int(np.median(lengths))}"]
    empty = int(np.sum(np.asarray(lengths) == 0))
    return lines + ([f"note: {empty:,} of {len(lengths):,} examples are empty"] if empty else [])


def unknown_facts(unknown: int, total: int) -> list[str]:
    """How many of the held-out words the vocabulary does not have."""
    if not total:
        return []
    share = unknown / total
    lines = [f"unknown {share:.1%} of the {total:,} held-out words"]
    return lines + ([f"note: {share:.0%} of the held-out words are unknown to the vocabulary; lower data.min_count"]
                    if share > FEW else [])


def overlap_facts(train: Iterable[Hashable], dev: Iterable[Hashable], what: str = "held-out") -> list[str]:
    """Examples (their text or bytes) that stand on both sides: what is measured on them says nothing of new ones."""
    seen, held_out = set(train), list(dev)
    both = sum(example in seen for example in held_out)
    return [f"note: {both:,} of {len(held_out):,} {what} examples stand in the training data, too"] if both else []


def repeat_facts(train: Sequence[Hashable]) -> list[str]:
    """Examples to train on (their text or bytes) that stand there once more."""
    repeated = len(train) - len(set(train))
    return [f"note: {repeated:,} of {len(train):,} examples to train on repeat another"] if repeated else []


def scale_facts(deviation: np.ndarray, names: Sequence[str] | None = None) -> list[str]:
    """deviation: (columns,) of a table that is brought to deviation 1; names of the columns, None: they are numbered from 1."""
    def called(column: Any) -> str:
        return f"column {int(column) + 1}" if names is None else f"column {names[column]}"

    lines, varying = [], np.flatnonzero(deviation > 0)
    if len(varying) < len(deviation):
        same = np.flatnonzero(deviation == 0)
        lines.append(f"note: {len(same):,} of {len(deviation):,} columns have one value in all of the training part, and say "
                     f"nothing: {', '.join(map(called, same[:5]))}{' ...' if same[5:].size else ''}")
    if len(varying):
        least, most = varying[deviation[varying].argmin()], varying[deviation[varying].argmax()]
        if deviation[most] > UNLIKE * deviation[least]:
            lines.append(f"note: the columns are on wildly different scales, deviations from {deviation[least]:.3g} "
                         f"({called(least)}) to {deviation[most]:.3g} ({called(most)}); each is brought to mean 0, deviation 1")
    return lines
