"""A deep averaging network (Iyyer et al., 2015): the mean of a text's word vectors, through hidden layers, to a class.

In training words are dropped, whole ones, and the mean is that of the others: a text is then a little different each time, and
no single word can be relied on. The order of words is not used at all, which is why it is quick, and it is hard to beat by much.

Texts are read as `data` says (see nnkit/training/labelled_data.py), and encoded once: ids one after the other, and where each
text begins. A step touches only the rows of words that it saw.
"""

import os
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from nnkit import losses, nn, ops
from nnkit.data.encoded import gather
from nnkit.data.text_inputs import TextInputs
from nnkit.errors import DataError
from nnkit.nn import init
from nnkit.training import OptimizerConfig, Section, TrainingConfig
from nnkit.training.class_recipe import ClassBatch, ClassConfig, ClassRecipe
from nnkit.training.components import LayerSpec, build_layers
from nnkit.training.labelled_data import LabelledData, TextData
from nnkit.training.schema import DataPath
from nnkit.training.starting import Start
from nnkit.training.updates import AdagradConfig
from nnkit.vectors import WordVectors

MEASURED = 256  # texts that are measured at once

Layers = Annotated[
    Annotated[int, Field(ge=0, le=100), Tag("number")] | Annotated[list[LayerSpec], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "number"),
]


class Model(Section):
    dim: int = Field(100, ge=1, description="numbers in a word's vector")
    scale: float = Field(0.1, gt=0, description="vectors are drawn uniformly from -scale to scale")
    word_dropout: float = Field(0.3, ge=0, lt=1, description="share of a text's words that are left out of its mean in a step")
    layers: Layers = Field(2, description="the number of hidden layers, each of dim units with ReLU; or a list of layers")
    start: DataPath | None = Field(None, description="a file of vectors, or the folder of a run that has written vectors.vec: "
                                   "words that it has start from there; null: all start at random")
    freeze: bool = Field(False, description="words that model.start has stay as they are; those that it has not are trained")

    @field_validator("freeze")
    @classmethod
    def _needs_a_start(cls, freeze: bool, info: ValidationInfo) -> bool:
        if freeze and info.data.get("start", "") is None:  # absent where start has a mistake of its own
            raise ValueError("true needs the vectors that stay as they are; give model.start, or leave it out")
        return freeze


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="texts in a step")
    by_length: bool = Field(False, description="texts of about one length share a batch, in random order")


class Config(ClassConfig):
    data: TextData = Field(TextData(), description="the texts")
    model: Model = Field(Model(), description="the vectors and the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(AdagradConfig(lr=0.05), description="the update")


class Bags(NamedTuple):
    """The words of some texts. ids: (words,) one text after the other; offsets: (texts,) where each begins."""

    ids: np.ndarray
    offsets: np.ndarray

    def part(self, index, of):
        """Every of-th of the texts, from number `index` on."""
        places, offsets = gather(np.append(self.offsets, len(self.ids)), np.arange(index, len(self.offsets), of))
        return Bags(self.ids[places], offsets)

    def without(self, dropped):
        """The same but for the words where `dropped`, (words,) bool, is true."""
        before = np.concatenate([[0], np.cumsum(~dropped)])
        return Bags(self.ids[~dropped], before[self.offsets])


class AveragingNetwork(nn.Module):
    """layers(mean of the vectors of a text's words), (texts, classes); the mean of no words is 0.

    In training each word is left out of the mean with probability word_dropout, drawn anew at every step.
    """

    def __init__(self, words, layers, word_dropout, rng):
        self.words, self.layers, self.word_dropout, self.rng = words, layers, word_dropout, rng
        self.fixed = None      # (words,) bool: the rows that are not trained

    def fix(self, rows):
        """These rows of the table stay as they are."""
        self.fixed = np.zeros(self.words.num_embeddings, bool)
        self.fixed[rows] = True
        if self.fixed.all():
            self.words = nn.Embedding.from_pretrained(self.words.weight, freeze=True)

    def forward(self, bags):
        if self.training and self.word_dropout:
            bags = bags.without(self.rng.random(len(bags.ids), np.float32) < self.word_dropout)
        return self.layers(self.mean(bags))

    def mean(self, bags):
        table = self.words.weight
        if self.fixed is None or not table.requires_grad:
            return ops.embedding_bag(table, bags.ids, offsets=bags.offsets, mode="mean")
        fixed = self.fixed[bags.ids]
        trained, others = bags.without(fixed), bags.without(~fixed)
        sums = ops.embedding_bag(table, trained.ids, offsets=trained.offsets)
        sums = sums + ops.embedding_bag(table.value, others.ids, offsets=others.offsets)  # a constant: no gradient
        return sums / np.maximum(np.diff(bags.offsets, append=len(bags.ids)), 1)[:, None].astype(table.dtype)


class DeepAveragingNetwork(ClassRecipe):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.data = LabelledData(config.data, np.random.default_rng([config.seed, 2]))
        self.labels, self.inputs, self.train_classes = self.data.labels, self.data.inputs, self.data.train.classes
        self.weights = self.class_weights()
        self.units_per_epoch = len(self.data.train)
        self.start = None
        if config.model.start is not None:
            self.start = Start(vectors_of(config.model.start), self.inputs.vocabulary.words, config.model.dim, ["words"])

    def build(self, rng):
        model, specs = self.config.model, self.config.model.layers
        table = init.uniform((len(self.inputs.vocabulary), model.dim), model.scale, rng)
        words = nn.Embedding.from_pretrained(table, freeze=False)
        if isinstance(specs, int):
            specs = [{"type": "Linear", "out_features": model.dim}, {"type": "ReLU"}] * specs + [{"type": "Linear"}]
        layers = build_layers(specs, model.dim, len(self.labels), rng)
        network = AveragingNetwork(words, layers, model.word_dropout, rng)
        if self.start is not None:
            self.start.fill(network)
            if model.freeze:
                network.fix(self.start.found)
        return network

    def batch(self, part, chosen):
        return ClassBatch(Bags(*part.encoded.bags(chosen)), part.classes[chosen], self.weights)

    def batches(self, epoch, rng, start=0):
        training, train = self.config.training, self.data.train
        order, firsts = rng.permutation(len(train)), np.arange(0, len(train), training.batch_size)
        if training.by_length:
            order = order[np.argsort(train.encoded.lengths[order], kind="stable")]  # those of one length are in random order
            rng.shuffle(firsts)
        for first in firsts[start:]:
            yield self.batch(train, order[first:first + training.batch_size])

    def dev_batches(self):
        dev = self.data.dev
        for first in range(0, len(dev), MEASURED):
            texts = dev.texts[first:first + MEASURED]
            yield self.batch(dev, np.arange(first, first + len(texts))), texts

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.x), batch.classes, weight=batch.weights,
                                    label_smoothing=self.config.loss.label_smoothing)

    def logits(self, model, example):
        return model(Bags(self.inputs.ids(example.content), np.zeros(1, np.int64))).value[0]

    # What is said and written

    def check(self, model):
        return self.data.check()

    def facts(self):
        facts, start = self.data.facts(), self.start
        if start is not None:
            facts["started_from"] = {**start.description, "words": len(start.found), "frozen": self.config.model.freeze}
            if start.notices:
                facts["notice"] = "; ".join(start.notices)
        return facts

    def summary(self):
        text = self.data.summary()
        if self.start is None:
            return text
        found, stay = len(self.start.found), " and stay as they are" if self.config.model.freeze else ""
        missing = len(self.inputs.vocabulary) - found
        return f"{text}; {found:,} words start from {self.start.path}{stay}, {missing:,} are not in it and start at random"

    def export(self, model, path):
        super().export(model, path)
        words, rows = self.inputs.vocabulary.words, self.writable
        if len(rows):
            WordVectors([words[i] for i in rows], model.words.weight.value[rows]).save_word2vec(path("vectors.vec"))

    @property
    def writable(self):
        """The rows of the words that vectors.vec can hold: no n-grams, no blanks."""
        return np.array([i for i, word in enumerate(self.inputs.vocabulary.words) if not any(c in word for c in " \t\r\n")], int)

    def report(self, model):
        n, all_words = len(self.writable), len(self.inputs.vocabulary)
        left_out = f"vectors.vec has {n:,} of the {all_words:,} words; its format holds none with white space in it"
        return super().report(model) + [left_out] * (n < all_words)

    # Using a run

    @classmethod
    def from_run(cls, config, path):
        recipe = cls.exported(config, path)
        recipe.inputs, recipe.start = TextInputs.load(path), None
        return recipe

    def read_labelled(self, file):
        return self.inputs.read_labelled(file, self.labels)


def vectors_of(start):
    """The file of vectors that model.start means: itself, or what a run wrote. DataError where the run has none."""
    if not os.path.isdir(start):
        return start
    file = os.path.join(start, "vectors.vec")
    if not os.path.isfile(file):
        raise DataError(f"{start}: has no vectors.vec; model.start is a file of vectors, or the folder of a run of word vectors "
                        "that came to its end")
    return file
