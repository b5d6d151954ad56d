"""A classifier with hidden layers: y = f(x W + b) and on, the class with the largest y wins.

It reads a table of numbers (CSV, the class in one column), or the docstrings that every Python installation carries: their
words as a bag, their package as the class. A run can be asked when its data is gone: `nnkit predict` takes rows without the
class, or texts; `nnkit evaluate RUN FILE` a table like that of the training, or lines of a class, a tab and a text.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from nnkit import losses, no_grad
from nnkit.data import Vocabulary, describe, python_docs, read_csv, read_lines, split
from nnkit.data.features import Bags, Columns, column_names
from nnkit.errors import ConfigError, DataError
from nnkit.training import DataSource, OptimizerConfig, Recipe, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.components import LayerSpec, build_layers
from nnkit.training.data_facts import class_facts, length_facts, overlap_facts

PYTHON_DOCS = "builtin:python-docs"


class Data(Section):
    train: DataSource = Field(PYTHON_DOCS, description="a table (.csv, .csv.gz), or the builtin docstrings")
    label: int | str = Field(-1, description="tables: the column of the class, by number or name")
    dev: float = Field(0.2, gt=0, lt=1, description="the share of the examples that is held out, of each class alike")
    min_count: int = Field(5, ge=0, description="texts: words seen less often in training are unknown")
    min_examples: int = Field(100, ge=2, description="texts: packages with fewer docstrings are left out")


class Model(Section):
    layers: list[LayerSpec] = Field([{"type": "Linear", "out_features": 64}, {"type": "ReLU"}, {"type": "Linear"}],
                                    min_length=1, description="the layers, first to last")


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="examples in a step")


class Config(RunConfig):
    data: Data = Field(Data(), description="the examples")
    model: Model = Field(Model(), description="the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(SGDConfig(lr=0.1), description="the update")


@dataclass
class Batch:
    x: np.ndarray          # (n, features) float32
    classes: np.ndarray    # (n,)

    @property
    def count(self):
        return len(self.classes)

    units = count          # speed is counted in examples, too


class Prediction(NamedTuple):
    """The class with the largest probability, that probability, and the input as it was given."""

    label: str
    probability: float
    input: Any

    def __str__(self):
        shown = self.input if isinstance(self.input, str) else ",".join(map(str, self.input))
        return f"{self.label}\t{self.probability:.4f}\t{shown}"


class Classifier(Recipe):
    Config = Config
    measures = ("dev_loss", "dev_acc")

    def __init__(self, config):
        super().__init__(config)
        data, rng = config.data, np.random.default_rng([config.seed, 2])
        if data.train.startswith("builtin:") and data.train != PYTHON_DOCS:
            raise DataError(f"{data.train}: no such built-in corpus; there is {PYTHON_DOCS}")
        is_text = data.train == PYTHON_DOCS
        examples, labels = read_docstrings(data.min_examples) if is_text else read_csv(data.train, data.label)
        self.labels = sorted(set(labels))
        if broken := next((label for label in self.labels if len(label.splitlines()) > 1), None):
            raise DataError(f"{data.train}: the class {broken!r} has a line break in it; is data.label = {data.label} the right "
                            "column?")
        if len(self.labels) < 2:
            raise DataError(f"{data.train}: every example is of class {self.labels[0]!r}; a classifier needs two classes")
        self.classes = np.searchsorted(self.labels, labels)
        if len(self.labels) == len(labels):
            raise DataError(f"{data.train}: every example has a class of its own; is data.label = {data.label} the right column?")
        self.train, self.dev = split(self.classes, data.dev, rng)
        if not len(self.dev):
            raise DataError(f"{data.train}: {len(labels)} examples leave none to hold out; raise data.dev (now {data.dev})")
        if is_text:
            texts = [examples[i] for i in self.train]
            self.inputs = Bags(Vocabulary.count(texts, data.min_count, source=PYTHON_DOCS))
        else:
            self.inputs = Columns.of(examples[self.train], column_names(data.train, data.label))
        self.examples = self.inputs.encode(examples)
        self.units_per_epoch = len(self.train)

    def build(self, rng):
        try:
            return build_layers(self.config.model.layers, self.inputs.n_features, len(self.labels), rng)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def batch(self, chosen):
        return Batch(self.inputs.features(self.examples, chosen), self.classes[chosen])

    def batches(self, epoch, rng, start=0):
        order, size = rng.permutation(self.train), self.config.training.batch_size
        for first in range(start * size, len(order), size):
            yield self.batch(order[first:first + size])

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.x), batch.classes)

    def evaluate(self, model):
        loss, right, size = 0.0, 0, 256
        for first in range(0, len(self.dev), size):
            batch = self.batch(self.dev[first:first + size])
            logits = model(batch.x)
            loss += float(losses.cross_entropy(logits, batch.classes, reduction="sum"))
            right += int((logits.value.argmax(1) == batch.classes).sum())
        return {"dev_loss": loss / len(self.dev), "dev_acc": right / len(self.dev)}

    def expected_loss(self):
        return math.log(len(self.labels))                 # of a model to which all classes are alike

    def check(self, model):
        lines = class_facts(self.labels, self.classes[self.train], self.classes[self.dev])
        if isinstance(self.inputs, Bags):
            lines += length_facts([len(self.examples[i]) for i in self.train], "known words")
        return lines + overlap_facts(*([self.examples[i].tobytes() for i in part] for part in (self.train, self.dev)))

    def facts(self):
        return {"train_examples": len(self.train), "dev_examples": len(self.dev), "classes": self.labels,
                "features": self.inputs.n_features, **describe(self.config.data.train)}

    def summary(self):
        return (f"{self.config.data.train}   {len(self.train):,} examples to train on, {len(self.dev):,} held out, "
                f"{len(self.labels)} classes, {self.inputs.n_features:,} features")

    def export(self, model, path):
        write_lines(path("labels.txt"), self.labels)
        self.inputs.save(path)

    def report(self, model):
        with no_grad():
            accuracy = self.evaluate(model)["dev_acc"]
        commonest = np.bincount(self.classes[self.dev]).max() / len(self.dev)
        return [f"dev accuracy {accuracy:.4f} ({len(self.dev):,} examples; the commonest class alone gives {commonest:.4f})"]

    # Using a run

    @classmethod
    def from_run(cls, config, path):
        recipe = cls.__new__(cls)  # what __init__ does is to read the data
        Recipe.__init__(recipe, config)
        recipe.labels = list(read_lines(path("labels.txt")))
        recipe.inputs = (Bags if config.data.train == PYTHON_DOCS else Columns).load(path)
        return recipe

    def log_shares(self, model, example):
        """(classes,) float64: the logarithm of each class's probability, for one example of `inputs.read`."""
        # alone in its product: among other rows its bits depend on its place, and an answer would depend on its neighbours
        y = model(self.inputs.features(self.inputs.encode([example.content]), [0])).value[0].astype(np.float64)
        y -= y.max()
        return y - np.log(np.exp(y).sum())

    def predict(self, model, inputs, source="input"):
        """A Prediction for each text, or for each row of numbers: a line of CSV, or a sequence."""
        counts = np.zeros(2, int)
        self.remark = ""
        for example in self.inputs.read(inputs, source):
            shares = np.exp(self.log_shares(model, example))
            best = int(shares.argmax())
            yield Prediction(self.labels[best], float(shares[best]), example.given)
            counts += self.inputs.count_words(example)
        unknown, words = counts
        if unknown:
            self.remark = f"the run does not know {unknown:,} of the {words:,} words; it answered by the others"

    def score(self, model, file):
        """test_loss, test_acc, n, and for texts the share of their words that the run does not know."""
        loss, right, n, counts = 0.0, 0, 0, np.zeros(2, int)
        numbers = {label: i for i, label in enumerate(self.labels)}
        strange = []
        for example in self.inputs.read(read_lines(file), file, self.config.data.label):
            if example.label not in numbers:
                strange.append(example)
            if strange:  # nothing can be measured; the others like it are still to be found
                continue
            shares, kind = self.log_shares(model, example), numbers[example.label]
            loss -= shares[kind]
            right += int(shares.argmax() == kind)
            n += 1
            counts += self.inputs.count_words(example)
        if strange:
            others = "".join(f", {e.label!r} in line {e.place.rpartition(':')[2]}" for e in strange[1:5])
            others += f" and {len(strange) - 5} more" if len(strange) > 5 else ""
            raise DataError(f"{strange[0].place}: {strange[0].label!r} is no class of this run{others}; "
                            f"its classes are {', '.join(self.labels)}")
        if not n:
            raise DataError(f"{file}: no examples in it")
        unknown, words = counts.tolist()
        measured = {"test_loss": float(loss / n), "test_acc": right / n, "n": n}
        return measured | ({"unknown_words": unknown / words} if words else {})


def read_docstrings(min_examples):
    """Word lists and package names of the docstrings, without the packages that have fewer than min_examples."""
    documents = [d for d in python_docs.load().documents if d.kind == "docstring"]
    n_examples = Counter(d.package for d in documents)
    chosen = [d for d in documents if n_examples[d.package] >= min_examples]
    if not chosen:
        raise DataError(f"{PYTHON_DOCS}: no package has data.min_examples = {min_examples} docstrings, the largest has "
                        f"{max(n_examples.values())}; lower it")
    return [" ".join(d.sentences).split() for d in chosen], [d.package for d in chosen]


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines)
