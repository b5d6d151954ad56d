"""Spans that tags mark, such as names in a text, and how many of them a tagger finds: the F1 of the CoNLL tasks.

B-X begins a span of type X, I-X goes on with it, O is outside. As in the tasks' own program, conlleval, an I-X that no B-X or
I-X stands before begins a span, too, so that tags of both kinds (IOB1 and IOB2) are read. A span counts as found where its
beginning, its end and its type are right; a part of it is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int, str]  # first token, the one after the last, type


def are_spans(tags: Iterable[str]) -> bool:
    """Whether these, the different tags of a text, mark spans: O, B-X and I-X, of the last two at least one."""
    others = set(tags) - {"O"}
    return bool(others) and all(tag[:2] in ("B-", "I-") and len(tag) > 2 for tag in others)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, in order. Of tags that are not B-X or I-X all are outside."""
    found: list[Span] = []
    begun, kind = 0, ""  # of the open span; no type: there is none
    for i, tag in enumerate([*tags, "O"]):
        mark, dash, name = tag.partition("-")
        inside = bool(dash) and mark in ("B", "I")
        if kind and not (inside and mark == "I" and name == kind):
            found.append((begun, i, kind))
            kind = ""
        if inside and not kind:
            begun, kind = i, name
    return found


class SpanTally:
    """Counts the spans of many sentences: those that are there, those that were predicted, and those that are both."""

    def __init__(self) -> None:
        self.true = self.predicted = self.right = 0

    def add(self, true: Sequence[str], predicted: Sequence[str]) -> None:
        """The tags of a sentence. ValueError where these are not equally many."""
        if len(true) != len(predicted):
            raise ValueError(f"expected as many tags as there are, {len(true)}, got {len(predicted)}")
        there, said = spans_of(true), spans_of(predicted)
        self.true += len(there)
        self.predicted += len(said)
        self.right += len(set(there) & set(said))

    @property
    def precision(self) -> float:
        """The share of the predicted spans that are right; 0 of none."""
        return self.right / max(1, self.predicted)

    @property
    def recall(self) -> float:
        """The share of the spans that were found; 0 of none."""
        return self.right / max(1, self.true)

    @property
    def f1(self) -> float:
        """2 precision recall / (precision + recall); 0 where nothing is right."""
        return 2 * self.right / max(1, self.true + self.predicted)
