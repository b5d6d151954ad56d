"""A classifier with hidden layers: y = f(x W + b) and on, the class with the largest y wins.

x is a row of a table (a .csv, or a .npz with the arrays x and y), or a text as a bag of words: labelled texts of every kind that
nnkit/data/labelled.py reads, or the docstrings that every Python installation carries, their package as the class. `data` says
which (see nnkit/training/feature_data.py).

A bag has a column for each word, and all but a text's own are zero. So x W is a weighted sum of some rows of W, and a step
touches only these rows: 50,000 words cost no more than 500. (SGD and Adagrad do the same as with all columns written out; what
momentum, Adam and weight decay do in the other rows waits until their words are seen.)

A run can be asked when its data is gone: `nnkit predict` takes rows without the class, or texts; `nnkit evaluate RUN FILE` takes
examples with it.
"""

import numpy as np
from pydantic import Field

from nnkit import losses, nn, ops
from nnkit.data.bags import BagInputs
from nnkit.data.features import Columns
from nnkit.training import OptimizerConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.class_recipe import ClassBatch, ClassConfig, ClassRecipe
from nnkit.training.components import LayerSpec, build_layers
from nnkit.training.feature_data import FeatureData, class_data

MEASURED = 256  # examples that are measured at once


class Model(Section):
    layers: list[LayerSpec] = Field([{"type": "Linear", "out_features": 64}, {"type": "ReLU"}, {"type": "Linear"}],
                                    min_length=1, description="the layers, first to last")


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="examples in a step")


class Config(ClassConfig):
    data: FeatureData = Field(FeatureData(), description="the examples")
    model: Model = Field(Model(), description="the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(SGDConfig(lr=0.1), description="the update")


class OnBags(nn.Sequential):
    """The layers on bags of words, (texts, columns) of which only what is not zero is given.

    A first layer that is not Linear needs all columns: 4 bytes times batch_size times columns are written out at each step.
    """

    def forward(self, bags):
        first, *others = self.layers
        if is_linear(first):
            y = ops.embedding_bag(first.weight, bags.ids, bags.values, offsets=bags.offsets)   # x W
            y = y if first.bias is None else y + first.bias
        else:
            y = first(bags.dense(self.columns))
        for layer in others:
            y = layer(y)
        return y


def is_linear(layer):
    """Whether it is x W + b: a class that extends Linear may have a forward of its own."""
    return isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward


class Classifier(ClassRecipe):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.data = class_data(config.data, np.random.default_rng([config.seed, 2]))
        self.labels, self.inputs, self.train_classes = self.data.labels, self.data.inputs, self.data.train.classes
        self.weights = self.class_weights()
        self.units_per_epoch = len(self.data.train)

    def build(self, rng):
        columns = self.inputs.n_features
        layers = build_layers(self.config.model.layers, columns, len(self.labels), rng)
        if isinstance(self.inputs, Columns):
            return layers
        network = OnBags(*layers.layers)
        network.columns = columns
        return network

    def batch(self, name, chosen):
        """The chosen examples of a part, "train" or "dev"."""
        return ClassBatch(self.data.features(name, chosen), self.data.parts[name].classes[chosen], self.weights)

    def batches(self, epoch, rng, start=0):
        order, size = rng.permutation(len(self.data.train)), self.config.training.batch_size
        for first in range(start * size, len(order), size):
            yield self.batch("train", order[first:first + size])

    def dev_batches(self):
        given = self.data.dev.texts
        for first in range(0, len(given), MEASURED):
            chosen = np.arange(first, min(first + MEASURED, len(given)))
            yield self.batch("dev", chosen), given[first:first + MEASURED]

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.x), batch.classes, weight=batch.weights,
                                    label_smoothing=self.config.loss.label_smoothing)

    def logits(self, model, example):
        is_table = isinstance(self.inputs, Columns)
        return model(self.inputs.encode([example.content]) if is_table else self.inputs.bag(example.content)).value[0]

    # What is said of it

    def check(self, model):
        lines = self.data.check()
        if isinstance(model, OnBags) and not is_linear(model[0]):
            size = 4e-6 * self.config.training.batch_size * self.inputs.n_features
            lines.append(f"note: model.layers[0] is {model[0]!r}, which needs all columns: {size:,.1f} MB are written out at "
                         "each step; with a Linear first only the words of the texts are looked at")
        return lines

    def facts(self):
        return self.data.facts()

    def summary(self):
        return self.data.summary()

    # Using a run

    @classmethod
    def from_run(cls, config, path):
        recipe = cls.exported(config, path)
        is_table = path(Columns.file).exists()
        label = -1 if config.data.label is None else config.data.label
        recipe.inputs = Columns.load(path, label) if is_table else BagInputs.load(path)
        return recipe

    def read_labelled(self, file):
        is_table = isinstance(self.inputs, Columns)
        return self.inputs.read_labelled(file) if is_table else self.inputs.read_labelled(file, self.labels)
