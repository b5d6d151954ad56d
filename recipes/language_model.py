"""A language model with a window (Bengio et al., 2003): the next word or character from the n before it.

The vectors of the n symbols stand side by side, x; the next symbol is softmax(b + U tanh(d + H x) + W x), where W, the direct
connections, may be left out. A line is an item of its own (a name, a sentence), between symbols of start and end, or the text
runs on over its lines. The text, its measures and the drawing of new text are in nnkit/training/language_recipe.py.

A run is used from its folder alone: `nnkit generate RUN` writes text, `nnkit evaluate RUN FILE` measures another one.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import Operation, losses, nn, ops, tensor_op
from nnkit.training import OptimizerConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.data_facts import overlap_facts
from nnkit.training.language_recipe import LanguageConfig, LanguageData, LanguageRecipe


class Data(LanguageData):
    running: bool = Field(False, description="the text runs on over its lines; false: each line begins anew, empty ones are left "
                          "out")


class Model(Section):
    context: int = Field(5, ge=1, description="symbols that the next one is predicted from")
    dim: int = Field(50, ge=1, description="numbers in the vector of a symbol")
    hidden: int = Field(100, ge=1, description="units of the hidden layer")
    direct: bool = Field(False, description="connections from the vectors to the output, past the hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the numbers before the output that are left out in a step")


class Training(TrainingConfig):
    batch_size: int = Field(64, ge=1, description="symbols in a step")


class Config(LanguageConfig):
    data: Data = Field(Data(), description="the text")
    model: Model = Field(Model(), description="the window and the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(SGDConfig(lr=0.1), description="the update")


@tensor_op
class output_loss(Operation):
    """cross_entropy(x W + b, classes), the mean, with one array of the size of the logits where the two of them make three.

    x: (n, m), W: (m, classes), b: (classes,), classes: (n,) integers below the number of these.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight, bias, classes):
        right = np.arange(len(x)), classes
        p = np.matmul(x, weight)
        p += bias
        p -= np.maximum.reduce(p, axis=1, keepdims=True)
        nats = -p[right]
        np.exp(p, out=p)
        total = np.add.reduce(p, axis=1, keepdims=True)
        nats += np.log(total)[:, 0]
        p /= total
        p[right] -= 1                            # now p is n times d loss / d logits
        ctx.extend([p, x, weight])
        return nats.mean()

    @staticmethod
    def backward(ctx, grad_output):
        p, x, weight = ctx
        scale = grad_output / len(p)             # for the small factors, not for p
        grad_weight = np.matmul((x * scale).T, p, out=ctx.out(1)) if ctx.needs_grad[1] else None
        return [np.matmul(p, weight.T) * scale, grad_weight, np.add.reduce(p, axis=0) * scale, None]

    @staticmethod
    def composed(x, weight, bias, classes):
        return losses.cross_entropy(ops.linear(x, weight, bias), classes)


class Output(nn.Linear):
    """y = x W + b, the logits; given the right classes (n,), their mean cross-entropy."""

    def forward(self, x, classes=None):
        return super().forward(x) if classes is None else output_loss(x, self.weight, self.bias, classes)


class WindowModel(nn.Module):
    """logits = b + U tanh(d + H x) + W x, with x the vectors of the context side by side (equation 1 of the paper).

    contexts: (n, context) integers below n_symbols; logits: (n, n_classes). Given the classes that come next, (n,), their mean
    cross-entropy. U and W are one matrix, of tanh(...) beside x.
    """

    def __init__(self, n_symbols, n_classes, config, rng):
        width = config.context * config.dim
        # smaller than other layers have them: those of rare words move little, and should say little
        self.vectors = nn.Embedding.from_pretrained(nn.init.normal((n_symbols, config.dim), 0.1, rng), freeze=False)
        self.hidden = nn.Linear(width, config.hidden, rng=rng)
        self.output = Output(config.hidden + width * config.direct, n_classes, rng=rng)
        self.dropout = nn.Dropout(config.dropout, rng=rng)
        self.direct = config.direct

    def forward(self, contexts, classes=None):
        x = ops.reshape(self.vectors(contexts), shape=(len(contexts), -1))
        h = ops.tanh(self.hidden(x))
        return self.output(self.dropout(ops.concatenate(h, x, axis=1) if self.direct else h), classes)


@dataclass
class Batch:
    contexts: np.ndarray   # (n, context) symbols
    classes: np.ndarray    # (n,): what comes next

    @property
    def count(self):
        return len(self.classes)

    units = count


class LanguageModel(LanguageRecipe):
    Config = Config

    @property
    def running(self):
        return self.config.data.running

    def build(self, rng):
        return WindowModel(self.symbols.start + 1, self.symbols.n_classes, self.config.model, rng)

    def batches(self, epoch, rng, start=0):
        order = rng.permutation(len(self.train))
        # of one size, to a symbol: a step as long as any other on the two symbols that are left over would undo many
        bounds = np.linspace(0, len(order), -(-len(order) // self.config.training.batch_size) + 1).astype(int)
        for first, last in zip(bounds[start:], bounds[start + 1:]):
            yield Batch(*self.train.contexts.of(order[first:last]))

    def loss(self, model, batch):
        return model(batch.contexts, batch.classes)

    def nats(self, model, part, at_once):
        for first in range(0, len(part), at_once):
            contexts, classes = part.contexts.of(slice(first, first + at_once))
            yield losses.cross_entropy(model(contexts), classes, reduction="none").value

    def next_logits(self, model, classes):
        size = self.config.model.context
        missing = max(0, size - len(classes))            # of the context: it is filled with what stands before the text
        return model(np.array([classes[:1] * missing + classes[-size:]])).value[0]

    def check(self, model):
        data, lengths = self.config.data, self.train.text.lines
        lines = super().check(model)
        if self.config.model.context > (len(self.train) if data.running else lengths.max()):
            lines.append(f"note: model.context = {self.config.model.context}, and the longest line has {lengths.max() - 1} "
                         f"{data.unit}: what is farther away is never but the start")
        if not data.running:
            lines += overlap_facts(*([line.tobytes() for line in np.split(part.classes, np.cumsum(part.text.lines)[:-1])]
                                     for part in (self.train, self.dev)))
        return lines
