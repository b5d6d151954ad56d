"""A small Transformer that writes text (Vaswani et al., 2017; its encoder with a causal mask, as GPT has it): THE example of one.

A window of the text goes through the model at once: every place takes the vector of its symbol and of its position, each layer
lets it look at the places before it and then think about what it saw, and what comes out at a place says which symbol is next.
So a window of 64 symbols is 64 examples for the price of one, and no place may see a later one: there stands its answer.

The text runs on over its lines. The text, its measures and the drawing of new text are in nnkit/training/language_recipe.py,
the layers in nnkit/nn/transformer.py and nnkit/nn/attention.py. `nnkit generate RUN` writes, `nnkit evaluate RUN FILE` measures.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from nnkit import losses, nn, ops
from nnkit.data.symbols import END
from nnkit.training import OptimizerConfig, Section, TrainingConfig
from nnkit.training.language_recipe import LanguageConfig, LanguageData, LanguageRecipe
from nnkit.training.places import AtKey, KeyedError
from nnkit.training.updates import AdamWConfig


class Data(LanguageData):
    unit: Literal["characters", "words"] = Field("characters", description="what is predicted; words stand between white space")


class Model(Section):
    context: int = Field(64, ge=2, description="symbols that the model sees at once: a window")
    dim: int = Field(64, ge=1, description="numbers in the vector of a place; a multiple of heads")
    heads: int = Field(4, ge=1, description="means that each attention takes of the places before, side by side")
    layers: int = Field(2, ge=1, description="how often a place looks around and thinks")
    hidden: int = Field(256, ge=1, description="units between the two Linear layers of each layer, usually 4 dim")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the numbers that are left out in a step")
    activation: Literal["relu", "gelu"] = Field("relu", description="between the two Linear layers")
    positions: Literal["sines", "learned"] = Field("sines", description="what tells a place where in the window it stands")
    norm_first: bool = Field(True, description="normalize what goes into a part of a layer; false: what comes out, as in 2017")
    tied: bool = Field(False, description="the table of vectors is the output's matrix, too")

    @model_validator(mode="after")
    def _heads_divide(self):
        if self.dim % self.heads:
            raise AtKey(f"heads: {self.heads} does not divide dim: {self.dim}; take a number that does", "heads", True)
        return self


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="windows in a step")
    steps: int | None = Field(None, ge=1, description="steps of an epoch; null: as many as have the text's number of symbols")


class Config(LanguageConfig):
    data: Data = Field(Data(), description="the text; it runs on over its lines")
    model: Model = Field(Model(), description="the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(AdamWConfig(), description="the update")


class Transformer(nn.Module):
    """logits = norm(layer_n(... layer_1(√dim · vectors[symbols] + positions))) W + b

    symbols: (batch, length) integers below n_classes, of at most config.context places; logits: (batch, length, n_classes), those
    at place t by the symbols 0 to t alone. The vectors begin with deviation 1/√dim, so that what is added up has deviation 1, and
    the logits have it, too, where W is the table itself (tied; section 3.4 of the paper).
    """

    def __init__(self, n_classes, config, rng):
        dim = config.dim
        table = nn.init.normal((n_classes, dim), dim ** -0.5, rng)
        # not sparse: in every step each character comes, and Adam's rule for all rows is the one in the books
        self.vectors = nn.Embedding.from_pretrained(table, freeze=False, sparse=False)
        self.positions = nn.PositionalEncoding(dim, config.dropout, config.context, learned=config.positions == "learned",
                                               batch_first=True, rng=rng)
        self.layers = [nn.TransformerEncoderLayer(dim, config.heads, config.hidden, config.dropout, config.activation,
                                                  batch_first=True, norm_first=config.norm_first, rng=rng)
                       for _ in range(config.layers)]
        self.norm = nn.LayerNorm(dim) if config.norm_first else None   # else the last layer ends with one
        self.output = None if config.tied else nn.Linear(dim, n_classes, rng=rng)

    def forward(self, symbols):
        x = self.positions(self.vectors(symbols) * self.vectors.embedding_dim ** 0.5)
        for layer in self.layers:
            x = layer(x, is_causal=True)
        if self.norm is not None:
            x = self.norm(x)
        return self.output(x) if self.output is not None else ops.linear(x, self.vectors.weight.T)


@dataclass
class Batch:
    symbols: np.ndarray    # (n, context): windows of the text
    classes: np.ndarray    # (n, context): the symbol that comes after each of theirs

    @property
    def count(self):
        return self.classes.size

    units = count


def windows(text, starts, size):
    """A Batch of the windows of `size` symbols that begin at `starts`, (n,), in the text, (symbols,)."""
    taken = text[starts[:, None] + np.arange(size + 1)]
    return Batch(taken[:, :-1], taken[:, 1:])


class TransformerLM(LanguageRecipe):
    Config = Config
    running = True

    def __init__(self, config):
        super().__init__(config)
        self.text, size = begun(self.train.classes), config.model.context
        if size > len(self.train):
            raise KeyedError(("model", "context"), f"{size} symbols, and the training text has {len(self.train)}; lower it, or "
                             "give a longer text")
        step = config.training.batch_size * size
        self.steps = config.training.steps or max(1, round(len(self.train) / step))
        self.units_per_epoch = self.steps * step

    def build(self, rng):
        return Transformer(self.symbols.n_classes, self.config.model, rng)

    def batches(self, epoch, rng, start=0):
        size = self.config.model.context
        # windows from anywhere, so that no symbol always stands at the same place of one
        starts = rng.integers(0, len(self.text) - size, (self.steps, self.config.training.batch_size))
        for some in starts[start:]:
            yield windows(self.text, some, size)

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.symbols), batch.classes)

    def nats(self, model, part, at_once):
        # windows that overlap by half; what counts of each are its last symbols, which the one before does not reach: so every
        # symbol, but for the first of the text, is predicted from half a window at least, and counts once
        text, size = begun(part.classes), min(self.config.model.context, len(part))
        starts = np.append(np.arange(0, len(part) - size, -(-size // 2)), len(part) - size)     # the last one ends with the text
        reached = np.append(0, starts[:-1] + size)
        n = max(1, at_once // size)
        for i in range(0, len(starts), n):
            batch = windows(text, starts[i:i + n], size)
            nats = losses.cross_entropy(model(batch.symbols), batch.classes, reduction="none")
            yield nats.value[starts[i:i + n, None] + np.arange(size) >= reached[i:i + n, None]]

    def next_logits(self, model, classes):
        return model(np.array([classes[-self.config.model.context:]])).value[0, -1]


def begun(classes):
    """The text with a line end before it, after which its first symbol comes."""
    return np.insert(classes, 0, END)
