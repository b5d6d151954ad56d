"""What recipes that tell classes apart share: the sections `loss` and `eval`, classes held out, scores, and using a run.

A recipe of this kind adds its examples and its model (see recipes/classifier.py).
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Discriminator, Field, Tag

from nnkit.autograd import no_grad
from nnkit.data import balanced_weights, read_lines
from nnkit.data.features import PathOf
from nnkit.errors import DataError
from nnkit.metrics import SCORES, Tally, as_text
from nnkit.training.places import KeyedError
from nnkit.training.recipe import Recipe
from nnkit.training.schema import EvalConfig, RunConfig, Section

MISTAKES = 5  # that an evaluation keeps, to be shown

Score = Literal["acc", "f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro", "ece"]  # of metrics.SCORES

Weight = Annotated[float, Field(gt=0, le=1e30)]  # beyond, their sums would not be finite in float32

ClassWeights = Annotated[
    Annotated[Literal["balanced"] | None, Tag("rule")] | Annotated[dict[str, Weight], Tag("weights")],
    Discriminator(lambda value: "weights" if isinstance(value, dict) else "rule")]


class ClassLoss(Section):
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of each target that all classes get alike")
    class_weights: ClassWeights = Field(default=None, description="what each class counts: balanced, n / (classes · its "
                                        "examples); or {label: weight}, 1 for those left out; null: each example alike")


class ClassEval(EvalConfig):
    metrics: list[Score] = Field(default=["acc"], description="what is measured beside dev_loss, as dev_acc and so on; also "
                                 "f1_macro, f1_micro, f1_weighted, precision_macro, recall_macro, ece (calibration)")


class ClassConfig(RunConfig):
    loss: ClassLoss = Field(default=ClassLoss(), description="what is trained on: cross-entropy; dev_loss is the plain mean of "
                            "it all the same, without smoothing and weights")
    eval: ClassEval = Field(default=ClassEval(), description="what is measured")


@dataclass
class ClassBatch:
    """x: what the model takes; classes: (n,); weights: (classes,) what each class counts in the loss, None: all the same."""

    x: Any
    classes: np.ndarray
    weights: np.ndarray | None = None

    def part(self, index: int, of: int) -> ClassBatch:
        """Every of-th example, from number `index` on; the weights of the classes are the same."""
        x = self.x.part(index, of) if hasattr(self.x, "part") else self.x[index::of]
        return ClassBatch(x, self.classes[index::of], self.weights)

    @property
    def units(self) -> int:
        return len(self.classes)      # speed is counted in examples

    @property
    def count(self) -> float:
        """What the mean of the loss is over: the examples, or their weights."""
        return len(self.classes) if self.weights is None else float(self.weights[self.classes].sum())


class Prediction(NamedTuple):
    """The class with the largest probability, that probability, the input as it was given, and the probability of every class."""

    label: str
    probability: float
    input: Any
    probabilities: dict[str, float]

    def __str__(self) -> str:
        return f"{self.label}\t{self.probability:.4f}\t{as_text(self.input)}"

    def every_class(self) -> str:
        """A line of the probabilities of all classes, in the order of the run's labels.txt, and the input."""
        return "\t".join([*(f"{p:.6g}" for p in self.probabilities.values()), as_text(self.input)])


class ClassRecipe(Recipe):
    """Base class. A recipe sets what is listed here, and writes `build`, `batches`, `loss`, `dev_batches`, `logits` and `save`.

    labels: the names of the classes, in the order of the logits. train_classes: (n,) of the examples to train on.
    inputs: reads and encodes new examples, as Bags and Columns of nnkit.data.features do.
    weights: (classes,) what each class counts in the loss, or None; `class_weights` makes them.
    """

    Config = ClassConfig
    measures = ("dev_loss", *(f"dev_{name}" for name in SCORES))
    labels: list[str]
    train_classes: np.ndarray
    inputs: Any
    weights: np.ndarray | None = None

    @classmethod
    def measures_of(cls, config: Any) -> tuple[str, ...]:
        return ("dev_loss", *(f"dev_{name}" for name in dict.fromkeys(config.eval.metrics)))

    def dev_batches(self) -> Iterator[tuple[ClassBatch, Sequence[Any]]]:
        """The held-out examples, always in the same batches; and each as people should see it."""
        raise NotImplementedError

    def logits(self, model: Any, example: Any) -> np.ndarray:
        """(classes,) of one example of `inputs.read`, computed alone: an answer must not depend on its neighbours' number."""
        raise NotImplementedError

    def class_weights(self) -> np.ndarray | None:
        """What loss.class_weights says, (classes,) float64. KeyedError for a label that the data does not have."""
        asked = self.config.loss.class_weights
        if asked is None:
            return None
        if asked == "balanced":
            return balanced_weights(self.train_classes, len(self.labels))
        for label in asked:
            if label not in self.labels:
                near = difflib.get_close_matches(label, self.labels, 1)
                there = ", ".join(self.labels[:20]) + (" ..." if len(self.labels) > 20 else "")
                raise KeyedError(("loss", "class_weights", label), "the data has no such class; "
                                 + (f"did you mean {near[0]!r}?" if near else f"there are {there}"))
        return np.array([asked.get(label, 1.0) for label in self.labels])

    def evaluate(self, model: Any) -> dict[str, float]:
        """dev_loss, the plain mean cross-entropy, and the scores that eval.metrics lists; `tally` has the rest."""
        return self.measures_from(self.count_part(model, 0, 1))

    def count_part(self, model: Any, index: int, of: int) -> Tally:
        tally = Tally(self.labels, MISTAKES)
        for batch, given in itertools.islice(self.dev_batches(), index, None, of):
            tally.add(model(batch.x), batch.classes, given)
        return tally

    def measures_from(self, counted: Tally) -> dict[str, float]:
        self.tally = counted
        return counted.scores(dict.fromkeys(self.config.eval.metrics), "dev_")

    def expected_loss(self) -> float | None:
        """Of a model to which all classes are alike: each class costs log(classes), whichever is the right one."""
        smoothing, each = self.config.loss.label_smoothing, 1.0
        if self.weights is not None:  # smoothing spreads over all classes, the mean is over the right ones
            each += smoothing * (self.weights.mean() / self.weights[self.train_classes].mean() - 1)
        return math.log(len(self.labels)) * each

    def report(self, model: Any) -> list[str]:
        with no_grad():
            self.evaluate(model)
        assert self.tally is not None
        commonest = self.tally.counts.sum(1).max() / self.tally.n
        return [f"dev accuracy {self.tally.accuracy:.4f} ({self.tally.n:,} examples; the commonest class alone gives "
                f"{commonest:.4f})"]

    # Using a run

    def export(self, model: Any, path: PathOf) -> None:
        with open(path("labels.txt"), "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{label}\n" for label in self.labels)
        self.inputs.save(path)

    @classmethod
    def exported(cls, config: Any, path: PathOf) -> Any:
        """The recipe without its data, with the labels of a run; its `inputs` are still to be loaded."""
        recipe = cls.__new__(cls)  # what __init__ does is to read the data
        Recipe.__init__(recipe, config)
        recipe.labels = list(read_lines(path("labels.txt")))
        return recipe

    def predict(self, model: Any, inputs: Iterable[Any], source: str = "input") -> Iterator[Prediction]:
        """A Prediction for each text, or for each row of numbers: a line of CSV, or a sequence."""
        counts, answered, blind, tabs = np.zeros(2, int), 0, 0, 0
        self.remark = ""
        for example in self.inputs.read(inputs, source):
            y = np.asarray(self.logits(model, example), np.float64)
            shares = np.exp(y - y.max())
            shares /= shares.sum()
            best = int(shares.argmax())
            yield Prediction(self.labels[best], float(shares[best]), example.given, dict(zip(self.labels, shares.tolist())))
            unknown, words = self.inputs.count_words(example)
            counts += unknown, words
            answered, blind = answered + 1, blind + (unknown == words)
            tabs += isinstance(example.given, str) and "\t" in example.given
        unknown, words = counts
        said = [f"the run does not know {unknown:,} of the {words:,} words; it answered by the others"] if unknown else []
        if blind and hasattr(self.inputs, "vocabulary"):  # a table has no words
            said.append(f"{blind:,} of the {answered:,} texts have no word that it knows: they all have one answer")
        if tabs and tabs == answered and hasattr(self.inputs, "vocabulary"):
            said.append("every line has a tab in it, and was read as one text with all its columns; give the column of the texts "
                        "alone (cut -f), or ask nnkit evaluate where one of them is the class")
        self.remark = "; ".join(said)

    def read_labelled(self, file: str) -> Iterator[Any]:
        """Examples with a place, a label, and what is given of them (`nnkit.data.features.Example`). DataError with the line."""
        yield from self.inputs.read(read_lines(file), file, self.config.data.label)

    def score(self, model: Any, file: str) -> dict[str, float]:
        """test_loss, test_acc and what else eval.metrics lists, n, and of texts the share of words that the run does not know."""
        self.tally, counts = Tally(self.labels, MISTAKES), np.zeros(2, int)
        numbers = {label: i for i, label in enumerate(self.labels)}
        strange = []
        for example in self.read_labelled(file):
            if example.label not in numbers:
                strange.append(example)
            if strange:  # nothing can be measured; the others like it are still to be found
                continue
            self.tally.add(self.logits(model, example)[None], [numbers[example.label]], [example.given])
            counts += self.inputs.count_words(example)
        if strange:
            others = "".join(f", {e.label!r} in line {e.place.rpartition(':')[2]}" for e in strange[1:5])
            others += f" and {len(strange) - 5} more" if len(strange) > 5 else ""
            raise DataError(f"{strange[0].place}: {strange[0].label!r} is no class of this run{others}; "
                            f"its classes are {', '.join(self.labels)}")
        if not self.tally.n:
            raise DataError(f"{file}: no examples in it")
        unknown, words = counts.tolist()
        measured = self.tally.scores(dict.fromkeys(["acc", *self.config.eval.metrics]), "test_") | {"n": self.tally.n}
        return measured | ({"unknown_words": unknown / words} if words else {})
