"""How good a classifier is: counted batch by batch, so that no logits are kept, and then scored, tabulated and shown.

In a confusion matrix, counts[i, j] is how many examples of class i were taken for class j. The scores of classes are those of
scikit-learn with zero_division=0: where there is nothing to divide by, as in the precision of a class that is never predicted,
a score is 0. A macro score is the mean over the classes that occur, as a true class or as a predicted one.

    tally = metrics.Tally(["ham", "spam"], mistakes=5)
    for x, classes, texts in batches:
        tally.add(model(x), classes, texts)
    print(tally.accuracy, tally.score("f1_macro"), *tally.class_lines(), *tally.confusion_lines(), sep="\\n")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor

BINS = 10            # of equal width, for the calibration
WIDEST = 100         # columns of a printed confusion matrix, if names can be cut to fit
MOST = 20            # classes in it
LONGEST_NAME = 20


class ClassScores(NamedTuple):
    """(classes,) float64 each, the support int64: how many examples are of the class."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


class Mistake(NamedTuple):
    """An example that was taken for another class: what `Tally.add` was given for it, the classes, that of the wrong one."""

    example: Any
    true: str
    predicted: str
    probability: float


def confusion_matrix(classes: Any, predicted: Any, n_classes: int) -> np.ndarray:
    """(n_classes, n_classes) int64 counts of (n,) true and (n,) predicted classes. IndexError for a class that is not there."""
    classes, predicted = np.asarray(classes), np.asarray(predicted)
    if classes.shape != predicted.shape or classes.ndim != 1:
        raise ValueError(f"confusion_matrix: expected two lists of one length, got shapes {classes.shape} and {predicted.shape}")
    try:
        cells = np.ravel_multi_index((classes.astype(np.intp), predicted.astype(np.intp)), (n_classes, n_classes))
    except ValueError:
        raise IndexError(f"confusion_matrix: a class is not in 0..{n_classes - 1}") from None
    return np.bincount(cells, minlength=n_classes ** 2).reshape(n_classes, n_classes).astype(np.int64)


def class_scores(counts: np.ndarray) -> ClassScores:
    """Precision, recall, F1 and support of each class, from a confusion matrix."""
    right, predicted, support = counts.diagonal(), counts.sum(0), counts.sum(1)
    return ClassScores(ratio(right, predicted), ratio(right, support), ratio(2 * right, predicted + support), support)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where whole is 0."""
    return part / np.where(whole == 0, 1, whole)


def macro(counts: np.ndarray, scores: np.ndarray) -> float:
    """The mean of a score over the classes that occur in the counts; 0 where none does."""
    occurs = (counts.sum(0) + counts.sum(1)) > 0
    return float(scores[occurs].mean()) if occurs.any() else 0.0


class Tally:
    """What a classifier made of many examples. Its size does not grow with their number.

    names: of the classes, in the order of the logits. mistakes: how many of the most confident ones to keep.
    counts: the confusion matrix. loss: the sum of -log softmax(logits)[class], without weights or smoothing.
    """

    def __init__(self, names: Sequence[object], mistakes: int = 0):
        self.names = [str(name) for name in names]
        self.counts = np.zeros((len(self.names), len(self.names)), np.int64)
        self.loss = 0.0
        self.mistakes: list[Mistake] = []   # the most confident first
        self._keep = mistakes
        self._bins = np.zeros((2, BINS))    # by confidence: the sum of it, and how many were right

    def add(self, logits: Any, classes: Any, examples: Sequence[Any] | None = None) -> np.ndarray:
        """Count a batch; the predicted classes. logits: (n, classes), classes: (n,), examples: n of anything, for the mistakes.

        Of equal logits the first wins. Everything is computed in float64.
        """
        exact = np.asarray(logits.value if isinstance(logits, Tensor) else logits, np.float64)
        classes, rows = np.asarray(classes), np.arange(len(exact))
        predicted = exact.argmax(1)
        self.counts += confusion_matrix(classes, predicted, len(self.names))
        log_p = ops.log_softmax(exact, axis=1).value
        self.loss -= float(log_p[rows, classes].sum())
        confidence, right = np.exp(log_p[rows, predicted]), predicted == classes
        # (0, 0.1], (0.1, 0.2] ... (0.9, 1]
        bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence)
        self._bins += [np.bincount(bins, confidence, BINS), np.bincount(bins, right, BINS)]
        if self._keep and not right.all():
            wrong = np.flatnonzero(~right)
            wrong = wrong[np.argsort(-confidence[wrong], kind="stable")[:self._keep]]
            self.mistakes += [Mistake(None if examples is None else examples[i], self.names[classes[i]],
                                      self.names[predicted[i]], float(confidence[i])) for i in wrong.tolist()]
            self.mistakes.sort(key=lambda mistake: -mistake.probability)
            del self.mistakes[self._keep:]
        return predicted

    def __add__(self, other: Tally) -> Tally:
        """What both have counted: the same as if one had counted all."""
        total = Tally(self.names, self._keep)
        total.counts, total.loss, total._bins = self.counts + other.counts, self.loss + other.loss, self._bins + other._bins
        total.mistakes = sorted(self.mistakes + other.mistakes, key=lambda mistake: -mistake.probability)[:self._keep]
        return total

    @property
    def n(self) -> int:
        """How many examples were counted."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share of examples whose class was predicted; 0 of no examples."""
        return int(self.counts.trace()) / max(1, self.n)

    @property
    def calibration_error(self) -> float:
        """How far confidence is from accuracy: the mean over examples, in 10 bins of equal width (Guo et al., 2017)."""
        confidence, right = self._bins
        return float(np.abs(confidence - right).sum()) / max(1, self.n)

    def score(self, name: str) -> float:
        """One of SCORES. KeyError for another name."""
        return SCORES[name](self)

    def scores(self, names: Iterable[str], prefix: str = "") -> dict[str, float]:
        """The mean loss and the scores of these names, under their names with a prefix."""
        return {f"{prefix}loss": self.loss / max(1, self.n)} | {prefix + name: self.score(name) for name in names}

    # For people

    def class_lines(self) -> list[str]:
        """A table: precision, recall, F1 and support of each class, then their means (macro) and those weighted by support."""
        scores = class_scores(self.counts)
        shares = self.counts.sum(1) / max(1, self.n)
        rows = [(shortened(name), *values) for name, *values in zip(self.names, *scores)]
        rows.append(("macro", *(macro(self.counts, column) for column in scores[:3]), self.n))
        rows.append(("weighted", *(float(column @ shares) for column in scores[:3]), self.n))
        width = max(len("weighted"), *(len(row[0]) for row in rows))
        return [f"{'class':{width}}  precision  recall      f1  support",
                *(f"{name:{width}}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {support:7}"
                  for name, precision, recall, f1, support in rows)]

    def confusion_lines(self) -> list[str]:
        """The confusion matrix as text, a line for each true class. Of more than 20 classes the largest, and then "..."."""
        return confusion_lines(self.counts, self.names)

    def mistake_lines(self, longest: int = 120) -> list[str]:
        """The mistakes that were kept: the probability of the wrong class, it, the right one, and the example, cut to fit."""
        return [f"{m.probability:.4f} predicted {shortened(m.predicted)}, true {shortened(m.true)}: "
                f"{shortened(as_text(m.example), longest)}" for m in self.mistakes]


SCORES: dict[str, Callable[[Tally], float]] = {
    "acc": lambda tally: tally.accuracy,
    "f1_macro": lambda tally: macro(tally.counts, class_scores(tally.counts).f1),
    "f1_micro": lambda tally: tally.accuracy,  # of all decisions together, where each example has one class and gets one
    "f1_weighted": lambda tally: float(class_scores(tally.counts).f1 @ tally.counts.sum(1)) / max(1, tally.n),
    "precision_macro": lambda tally: macro(tally.counts, class_scores(tally.counts).precision),
    "recall_macro": lambda tally: macro(tally.counts, class_scores(tally.counts).recall),
    "ece": lambda tally: tally.calibration_error,
}


def confusion_lines(counts: np.ndarray, names: Sequence[str]) -> list[str]:
    """As Tally.confusion_lines. Columns are headed by the names where these, cut to fit, can be told apart; else by numbers."""
    shown = np.sort(np.argsort(-counts.sum(1), kind="stable")[:MOST])
    left_out = len(names) - len(shown)
    cells = [[str(n) for n in row] for row in counts[np.ix_(shown, shown)].tolist()]
    rows = [shortened(names[i]) for i in shown]
    digits = max(len(cell) for row in cells for cell in row)
    room = (WIDEST - max(map(len, rows))) // len(rows) - 2
    heads = [shortened(name, max(room, digits, 3)) for name in rows]
    if len(set(heads)) < len(heads):
        heads = [str(number) for number in range(1, len(rows) + 1)]
        rows = [f"{head:>2} {name}" for head, name in zip(heads, rows)]
    width, first = max(digits, *map(len, heads)), max(len("true"), *map(len, rows))
    dots = "  ..." if left_out else ""
    lines = [f"{label:{first}}" + "".join(f"  {cell:>{width}}" for cell in row) + dots
             for label, row in zip(["true", *rows], [heads, *cells])]
    return lines + ([f"... {left_out} more classes"] if left_out else [])


def as_text(example: Any) -> str:
    """An example on a line: a text as it is, words with spaces between, numbers with commas; nothing of None."""
    if isinstance(example, str) or example is None:
        return example or ""
    parts = [part if isinstance(part, str) else f"{part:g}" for part in example]
    return (" " if parts and isinstance(example[0], str) else ",").join(parts)


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """On one line, without control characters, and cut to so many characters."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= longest else text[:longest - 1] + "…"
