"""A language model with a window (Bengio et al., 2003): the next word or character from the n before it.

The vectors of the n symbols stand side by side, x; the next symbol is softmax(b + U tanh(d + H x) + W x), where W, the direct
connections, may be left out. A line is an item of its own (a name, a sentence), between symbols of start and end, or the text
runs on over its lines. What is counted in every measure: each symbol of the text and the end of each line; all symbols that the
training part does not have often enough are one class, the unknown one.

A run is used from its folder alone: `nnkit generate RUN` writes text, `nnkit evaluate RUN FILE` measures another one.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from nnkit import Operation, losses, nn, no_grad, ops, tensor_op
from nnkit.data import describe
from nnkit.data.symbols import END, KNOWN, UNKNOWN, Part, Symbols, read_parts, read_text
from nnkit.data.text import source_name
from nnkit.errors import ConfigError
from nnkit.training import DataSources, OptimizerConfig, Recipe, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.data_facts import length_facts, overlap_facts, unknown_facts
from nnkit.training.labelled_data import HeldOut
from nnkit.training.schema import EvalConfig
from nnkit.vectors import WordVectors

MEASURED = 1 << 21  # numbers: as many logits are made at once where a text is measured


class Data(Section):
    train: DataSources = Field("builtin:python-docs", description="text: a file (.txt, .gz, .bz2), a list of files, a folder of "
                               "them, or a builtin")
    unit: Literal["characters", "words"] = Field("words", description="what is predicted; words stand between white space")
    running: bool = Field(False, description="the text runs on over its lines; false: each line begins anew, empty ones are left "
                          "out")
    dev: HeldOut = Field(0.1, description="held out: a file of its own, or a share of train: lines drawn by the seed, of a text "
                         "that runs on its end")
    test: HeldOut | None = Field(None, description="the same for a part that is only looked at with eval.test; null: none")
    min_count: int = Field(1, ge=1, description="symbols seen less often in training are unknown")
    max_size: int | None = Field(None, ge=2, description="so many of the most frequent symbols are known; null: all")
    errors: str = Field("strict", pattern="^(strict|replace|ignore)$", description="what to do about bytes that are not UTF-8")


class Model(Section):
    context: int = Field(5, ge=1, description="symbols that the next one is predicted from")
    dim: int = Field(50, ge=1, description="numbers in the vector of a symbol")
    hidden: int = Field(100, ge=1, description="units of the hidden layer")
    direct: bool = Field(False, description="connections from the vectors to the output, past the hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the numbers before the output that are left out in a step")


class Training(TrainingConfig):
    batch_size: int = Field(64, ge=1, description="symbols in a step")


class Evaluation(EvalConfig):
    test: bool = Field(False, description="measure data.test, too, at the end of the training: once all is chosen")


class Config(RunConfig):
    data: Data = Field(Data(), description="the text")
    model: Model = Field(Model(), description="the window and the layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(SGDConfig(lr=0.1), description="the update")
    eval: Evaluation = Field(Evaluation(), description="what is measured")


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


class LanguageModel(Recipe):
    Config = Config
    unit = "symbols"
    measures = ("dev_loss", "dev_ppl", "dev_bpc")

    def __init__(self, config):
        super().__init__(config)
        data, rng = config.data, np.random.default_rng([config.seed, 2])
        texts = read_parts(data.train, data.dev, data.test, unit=data.unit, errors=data.errors, rng=None if data.running else rng)
        self.symbols = Symbols.count(texts["train"], data.min_count, data.max_size)
        self.train, self.dev = self.part(texts["train"]), self.part(texts["dev"])
        self.test = self.part(texts["test"]) if "test" in texts else None
        self.units_per_epoch = len(self.train)

    def part(self, text):
        return Part(text, self.symbols, self.config.model.context, self.config.data.running)

    def build(self, rng):
        n_classes = self.symbols.n_classes
        return WindowModel(self.symbols.start + 1, n_classes, self.config.model, rng)

    def batches(self, epoch, rng, start=0):
        order = rng.permutation(len(self.train))
        # of one size, to a symbol: a step as long as any other on the two symbols that are left over would undo many
        bounds = np.linspace(0, len(order), -(-len(order) // self.config.training.batch_size) + 1).astype(int)
        for first, last in zip(bounds[start:], bounds[start + 1:]):
            yield Batch(*self.train.contexts.of(order[first:last]))

    def loss(self, model, batch):
        return model(batch.contexts, batch.classes)

    def evaluate(self, model):
        return {f"dev_{name}": value for name, value in self.measure(model, self.dev).items()}

    def measure(self, model, part):
        """loss: nats a symbol; ppl: the perplexity, exp(loss); bpc: bits a character of the text."""
        total, size = 0.0, max(1, min(4096, MEASURED // self.symbols.n_classes))
        for first in range(0, len(part), size):
            contexts, classes = part.contexts.of(slice(first, first + size))
            nats = losses.cross_entropy(model(contexts), classes, reduction="none")
            total += float(nats.value.sum(dtype=np.float64))
        loss = total / len(part)
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {"loss": loss, "ppl": perplexity, "bpc": total / math.log(2) / part.text.characters}

    def expected_loss(self):
        return math.log(self.symbols.n_classes)          # of a model to which all symbols are alike

    # What is said of the data

    def check(self, model):
        data, lengths = self.config.data, self.train.text.lines
        lines = length_facts(lengths - 1, data.unit)
        lines += unknown_facts(int(np.count_nonzero(self.dev.classes == UNKNOWN)), len(self.dev))
        if not (self.train.classes == UNKNOWN).any():
            lines.append(f"note: all {data.unit} of the training part are known, so nothing is learnt of unknown ones; "
                         "raise data.min_count where new ones will come")
        if self.config.model.context > (len(self.train) if data.running else lengths.max()):
            lines.append(f"note: model.context = {self.config.model.context}, and the longest line has {lengths.max() - 1} "
                         f"{data.unit}: what is farther away is never but the start")
        if not data.running:
            lines += overlap_facts(*([line.tobytes() for line in np.split(part.classes, np.cumsum(part.text.lines)[:-1])]
                                     for part in (self.train, self.dev)))
        return lines

    def facts(self):
        data = self.config.data
        files = {f"{name}_file": describe(value) for name, value in (("dev", data.dev), ("test", data.test))
                 if isinstance(value, str)}
        sizes = {f"{name}_symbols": len(part) for name, part in self.held_out().items()}
        return {"train_symbols": len(self.train), **sizes, "classes": self.symbols.n_classes, "train_unknown": self.train.unknown,
                "dev_unknown": self.dev.unknown, **files, **describe(data.train)}

    def held_out(self):
        return {"dev": self.dev} | ({"test": self.test} if self.test is not None else {})

    def summary(self):
        data = self.config.data
        held_out = ", ".join(f"{len(part):,} for {name}" for name, part in self.held_out().items())
        return (f"{source_name(data.train)}   {len(self.train):,} {data.unit} and line ends to train on, {held_out}; "
                f"{self.symbols.n_classes:,} classes, of the training part {self.train.unknown:.2%} are unknown")

    def export(self, model, path):
        self.symbols.save(path("vocab.txt"))
        if self.symbols.unit == "words":
            words = self.symbols.vocabulary.words
            WordVectors(words, model.vectors.weight.value[KNOWN:KNOWN + len(words)]).save_word2vec(path("vectors.vec"))

    def report(self, model):
        parts = self.held_out() if self.config.eval.test else {"dev": self.dev}
        with no_grad():
            lines = [self.told(name, self.measure(model, part), part) for name, part in parts.items()]
        alone = np.bincount(self.train.classes, minlength=self.symbols.n_classes) + 1.0
        loss = -np.log(alone / alone.sum())[self.dev.classes].mean()
        rng, length = np.random.default_rng([self.config.seed, 3]), 60 if self.symbols.unit == "characters" else 20
        written = [self.generate(model, rng=rng, length=length).replace("\n", " / ") for _ in range(5)]
        return [*lines, f"shares of the symbols alone: dev perplexity {math.exp(loss):.2f}", *(f"    {text}" for text in written)]

    def told(self, name, measured, part):
        return (f"{name} perplexity {measured['ppl']:.4f}, {measured['bpc']:.4f} bits a character "
                f"({len(part):,} {self.symbols.unit} and line ends; unknown, one class: {part.unknown:.2%})")

    # Using a run

    @classmethod
    def from_run(cls, config, path):
        recipe = cls.__new__(cls)  # what __init__ does is to read the data
        Recipe.__init__(recipe, config)
        recipe.symbols = Symbols.load(path("vocab.txt"), config.data.unit)
        return recipe

    def score(self, model, file):
        """test_loss, test_ppl, test_bpc, n, the symbols that they are counted over, and the share of the unknown among these."""
        part = self.part(read_text(file, self.config.data.unit, self.config.data.errors))
        measured = {f"test_{name}": value for name, value in self.measure(model, part).items()}
        return measured | {"n": len(part), "unknown": part.unknown}

    def generate(self, model, prompt="", *, temperature=1.0, top_k=None, length=200, rng):
        """The prompt and what the model puts behind it: the rest of a line, or of a text that runs on `length` symbols.

        Each symbol is drawn from softmax(logits / temperature), with top_k of the most probable ones alone, with temperature 0 it
        is the most probable one; never the unknown one. ConfigError for what cannot be done, `remark` for unknown symbols.
        """
        running, size = self.config.data.running, self.config.model.context
        if not (math.isfinite(temperature) and temperature >= 0):
            raise ConfigError(f"temperature: expected a number of at least 0, got {temperature}")
        if length < 1 or (top_k is not None and top_k < 1):
            raise ConfigError(f"length and top-k: expected numbers of at least 1, got {length} and {top_k}")
        given = self.symbols.parted(prompt)
        if "\n" in given and not running:
            raise ConfigError(f"prompt: {prompt!r:.60} has a line end in it, and this run writes one line; give how it begins")
        classes = [END if running else self.symbols.start] * size + [self.symbols.class_of(symbol) for symbol in given]
        unknown = [symbol for symbol, kind in zip(given, classes[size:]) if kind == UNKNOWN]
        self.remark = f"the run does not know {', '.join(map(repr, dict.fromkeys(unknown)))} of the prompt" if unknown else ""
        written = []
        with no_grad():
            while len(written) < length:
                logits = model(np.array([classes[-size:]])).value[0]
                chosen = draw(logits, temperature, top_k, rng)
                if chosen == END and not running:
                    break
                classes.append(chosen)
                written.append(chosen)
        text = self.symbols.joined(written)
        apart = self.symbols.unit == "words" and prompt and not prompt[-1].isspace() and text and not text.startswith("\n")
        return prompt + " " * bool(apart) + text


def draw(logits, temperature, top_k, rng):
    """A class by its logits, (classes,)."""
    y = logits.astype(np.float64)
    y[UNKNOWN] = -np.inf
    if top_k is not None:
        y[np.argsort(-y, kind="stable")[top_k:]] = -np.inf
    if temperature == 0:
        return int(y.argmax())
    with np.errstate(over="ignore"):
        shares = np.exp((y - y.max()) / temperature)
    return int(rng.choice(len(y), p=shares / shares.sum()))
