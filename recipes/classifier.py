"""A classifier with hidden layers: y = f(x W + b) and on, the class with the largest y wins.

It reads a table of numbers (CSV, the class in one column), or the docstrings that every Python installation carries: their
words as a bag, their package as the class.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import losses, no_grad
from nnkit.data import Vocabulary, describe, python_docs, read_csv, split
from nnkit.errors import ConfigError, DataError
from nnkit.training import DataSource, OptimizerConfig, Recipe, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.components import LayerSpec, build_layers

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


class Table:
    """Numbers, each column brought to mean 0 and deviation 1 by what the training part says of it."""

    def __init__(self, features, train):
        exact = features.astype(np.float64)  # in float32 a large column overflows, and a constant one has a deviation
        mean, deviation = exact[train].mean(0), exact[train].std(0)
        self.rows = ((exact - mean) / np.where(deviation == 0, 1, deviation)).astype(np.float32)
        self.n_features = self.rows.shape[1]

    def features(self, chosen):
        return self.rows[chosen]


class Bags:
    """Texts as bags of words: a column for every word of the vocabulary, 1/sqrt(n) in those of a text's n different words.

    Words that the training part does not know are left out; a text of none of them is a row of zeros.
    """

    def __init__(self, texts, train, min_count):
        self.vocabulary = Vocabulary.count([texts[i] for i in train], min_count, source=PYTHON_DOCS)
        index = self.vocabulary.index
        self.words = [np.unique([index[word] for word in text if word in index]).astype(np.intp) for text in texts]
        self.n_features = len(self.vocabulary)

    def features(self, chosen):
        rows = np.zeros((len(chosen), self.n_features), np.float32)
        for row, i in zip(rows, chosen):
            row[self.words[i]] = 1 / np.sqrt(max(1, len(self.words[i])))
        return rows


class Classifier(Recipe):
    Config = Config
    measures = ("dev_loss", "dev_acc")

    def __init__(self, config):
        super().__init__(config)
        data, rng = config.data, np.random.default_rng([config.seed, 2])
        if data.train.startswith("builtin:") and data.train != PYTHON_DOCS:
            raise DataError(f"{data.train}: no such built-in corpus; there is {PYTHON_DOCS}")
        features, labels = read_docstrings(data.min_examples) if data.train == PYTHON_DOCS else read_csv(data.train, data.label)
        self.labels = sorted(set(labels))
        if len(self.labels) < 2:
            raise DataError(f"{data.train}: every example is of class {self.labels[0]!r}; a classifier needs two classes")
        self.classes = np.searchsorted(self.labels, labels)
        if len(self.labels) == len(labels):
            raise DataError(f"{data.train}: every example has a class of its own; is data.label = {data.label} the right column?")
        self.train, self.dev = split(self.classes, data.dev, rng)
        if not len(self.dev):
            raise DataError(f"{data.train}: {len(labels)} examples leave none to hold out; raise data.dev (now {data.dev})")
        self.inputs = Bags(features, self.train, data.min_count) if data.train == PYTHON_DOCS else Table(features, self.train)
        self.units_per_epoch = len(self.train)

    def build(self, rng):
        try:
            return build_layers(self.config.model.layers, self.inputs.n_features, len(self.labels), rng)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def batch(self, chosen):
        return Batch(self.inputs.features(chosen), self.classes[chosen])

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

    def facts(self):
        return {"train_examples": len(self.train), "dev_examples": len(self.dev), "classes": self.labels,
                "features": self.inputs.n_features, **describe(self.config.data.train)}

    def summary(self):
        return (f"{self.config.data.train}   {len(self.train):,} examples to train on, {len(self.dev):,} held out, "
                f"{len(self.labels)} classes, {self.inputs.n_features:,} features")

    def export(self, model, path):
        write_lines(path("labels.txt"), self.labels)
        if isinstance(self.inputs, Bags):
            self.inputs.vocabulary.save(path("vocab.txt"))

    def report(self, model):
        with no_grad():
            accuracy = self.evaluate(model)["dev_acc"]
        commonest = np.bincount(self.classes[self.dev]).max() / len(self.dev)
        return [f"dev accuracy {accuracy:.4f} ({len(self.dev):,} examples; the commonest class alone gives {commonest:.4f})"]


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
