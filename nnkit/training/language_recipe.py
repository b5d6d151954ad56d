"""What recipes of language models share: the text and its parts, what is counted of it, what is said and written, and drawing.

A recipe of this kind adds its model, its batches, and the two ways in which its model is asked: `nats`, what it thinks of a text
that is there, and `next_logits`, what it would write next (see recipes/language_model.py and recipes/transformer_lm.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nnkit.autograd import no_grad
from nnkit.data import describe
from nnkit.data.features import PathOf
from nnkit.data.symbols import END, KNOWN, UNKNOWN, Part, Symbols, Text, read_parts, read_text
from nnkit.data.text import source_name
from nnkit.errors import ConfigError
from nnkit.training.data_facts import length_facts, unknown_facts
from nnkit.training.labelled_data import HeldOut
from nnkit.training.recipe import Recipe
from nnkit.training.schema import DataSources, EvalConfig, RunConfig, Section
from nnkit.vectors import WordVectors

MEASURED = 1 << 21  # numbers: as many logits are made at once where a text is measured


class LanguageData(Section):
    train: DataSources = Field(default="builtin:python-docs", description="text: a file (.txt, .gz, .bz2), a list of files, a "
                               "folder of them, or a builtin")
    unit: Literal["characters", "words"] = Field(default="words", description="what is predicted; words stand between white "
                                                 "space")
    dev: HeldOut = Field(default=0.1, description="held out: a file of its own, or a share of train: of a text that runs on its "
                         "end, else lines drawn by the seed")
    test: HeldOut | None = Field(default=None, description="the same for a part that is only looked at with eval.test; null: "
                                 "none")
    min_count: int = Field(default=1, ge=1, description="symbols seen less often in training are unknown")
    max_size: int | None = Field(default=None, ge=2, description="so many of the most frequent symbols are known; null: all")
    errors: str = Field(default="strict", pattern="^(strict|replace|ignore)$",
                        description="what to do about bytes that are not UTF-8")


class LanguageEval(EvalConfig):
    test: bool = Field(default=False, description="measure data.test, too, at the end of the training: once all is chosen")


class LanguageConfig(RunConfig):
    data: LanguageData = Field(default=LanguageData(), description="the text")
    eval: LanguageEval = Field(default=LanguageEval(), description="what is measured")


class LanguageRecipe(Recipe):
    """Base class. A recipe writes `build`, `batches` and `loss`, and `nats` and `next_logits`.

    Its config has model.context, the symbols that the next one is predicted from, and its model has `vectors`, an Embedding
    whose rows are the classes. running: the text runs on over its lines; if not, every line begins anew.

    What is counted in every measure: each symbol of the text and the end of each line; all symbols that the training part does
    not have often enough are one class, the unknown one.
    """

    Config = LanguageConfig
    unit = "symbols"
    measures = ("dev_loss", "dev_ppl", "dev_bpc")
    running: bool
    symbols: Symbols

    def __init__(self, config: Any):
        super().__init__(config)
        data, rng = config.data, np.random.default_rng([config.seed, 2])
        texts = read_parts(data.train, data.dev, data.test, unit=data.unit, errors=data.errors, rng=None if self.running else rng)
        self.symbols = Symbols.count(texts["train"], data.min_count, data.max_size)
        self.train, self.dev = self.part(texts["train"]), self.part(texts["dev"])
        self.test = self.part(texts["test"]) if "test" in texts else None
        self.units_per_epoch = len(self.train)

    def part(self, text: Text) -> Part:
        return Part(text, self.symbols, self.config.model.context, self.running)

    def nats(self, model: Any, part: Part, at_once: int) -> Iterator[np.ndarray]:
        """-log p of every symbol of the part, each of them once, in pieces for which about `at_once` symbols are predicted."""
        raise NotImplementedError

    def next_logits(self, model: Any, classes: Sequence[int]) -> np.ndarray:
        """(n_classes,) of what comes after the classes, the first of which is what stands before a text or a line."""
        raise NotImplementedError

    def evaluate(self, model: Any) -> dict[str, float]:
        return {f"dev_{name}": value for name, value in self.measure(model, self.dev).items()}

    def measure(self, model: Any, part: Part) -> dict[str, float]:
        """loss: nats a symbol; ppl: the perplexity, exp(loss); bpc: bits a character of the text."""
        at_once = max(1, min(4096, MEASURED // self.symbols.n_classes))
        total = sum(float(nats.sum(dtype=np.float64)) for nats in self.nats(model, part, at_once))
        loss = total / len(part)
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {"loss": loss, "ppl": perplexity, "bpc": total / math.log(2) / part.text.characters}

    def expected_loss(self) -> float | None:
        return math.log(self.symbols.n_classes)          # of a model to which all symbols are alike

    # What is said of the data

    def check(self, model: Any) -> list[str]:
        unit, lengths = self.config.data.unit, self.train.text.lines - 1
        lines = length_facts(lengths[lengths > 0].tolist(), unit)    # in a text that runs on an empty line is nothing odd
        lines += unknown_facts(int(np.count_nonzero(self.dev.classes == UNKNOWN)), len(self.dev))
        if not (self.train.classes == UNKNOWN).any():
            lines.append(f"note: all {unit} of the training part are known, so nothing is learnt of unknown ones; "
                         "raise data.min_count where new ones will come")
        return lines

    def facts(self) -> dict[str, Any]:
        data = self.config.data
        files = {f"{name}_file": describe(value) for name, value in (("dev", data.dev), ("test", data.test))
                 if isinstance(value, str)}
        sizes = {f"{name}_symbols": len(part) for name, part in self.held_out().items()}
        return {"train_symbols": len(self.train), **sizes, "classes": self.symbols.n_classes, "train_unknown": self.train.unknown,
                "dev_unknown": self.dev.unknown, **files, **describe(data.train)}

    def held_out(self) -> dict[str, Part]:
        return {"dev": self.dev} | ({"test": self.test} if self.test is not None else {})

    def summary(self) -> str:
        data = self.config.data
        held_out = ", ".join(f"{len(part):,} for {name}" for name, part in self.held_out().items())
        return (f"{source_name(data.train)}   {len(self.train):,} {data.unit} and line ends to train on, {held_out}; "
                f"{self.symbols.n_classes:,} classes, of the training part {self.train.unknown:.2%} are unknown")

    def export(self, model: Any, path: PathOf) -> None:
        self.symbols.save(path("vocab.txt"))
        if self.symbols.unit == "words":
            words = self.symbols.vocabulary.words
            WordVectors(words, model.vectors.weight.value[KNOWN:KNOWN + len(words)]).save_word2vec(path("vectors.vec"))

    def report(self, model: Any) -> list[str]:
        parts = self.held_out() if self.config.eval.test else {"dev": self.dev}
        with no_grad():
            lines = [self.told(name, self.measure(model, part), part) for name, part in parts.items()]
        alone = np.bincount(self.train.classes, minlength=self.symbols.n_classes) + 1.0
        loss = -np.log(alone / alone.sum())[self.dev.classes].mean()
        rng, length = np.random.default_rng([self.config.seed, 3]), 60 if self.symbols.unit == "characters" else 20
        written = [self.generate(model, rng=rng, length=length).replace("\n", " / ") for _ in range(5)]
        return [*lines, f"shares of the symbols alone: dev perplexity {math.exp(loss):.2f}", *(f"    {text}" for text in written)]

    def told(self, name: str, measured: dict[str, float], part: Part) -> str:
        return (f"{name} perplexity {measured['ppl']:.4f}, {measured['bpc']:.4f} bits a character "
                f"({len(part):,} {self.symbols.unit} and line ends; unknown, one class: {part.unknown:.2%})")

    # Using a run

    @classmethod
    def from_run(cls, config: Any, path: PathOf) -> LanguageRecipe:
        recipe = cls.__new__(cls)  # what __init__ does is to read the data
        Recipe.__init__(recipe, config)
        recipe.symbols = Symbols.load(path("vocab.txt"), config.data.unit)
        return recipe

    def score(self, model: Any, file: str) -> dict[str, float]:
        """test_loss, test_ppl, test_bpc, n, the symbols that they are counted over, and the share of the unknown among these."""
        part = self.part(read_text(file, self.config.data.unit, self.config.data.errors))
        measured = {f"test_{name}": value for name, value in self.measure(model, part).items()}
        return measured | {"n": len(part), "unknown": part.unknown}

    def generate(self, model: Any, prompt: str = "", *, temperature: float = 1.0,  # type: ignore[override]  # options by name
                 top_k: int | None = None, length: int = 200, rng: np.random.Generator) -> str:
        """The prompt and what the model puts behind it: the rest of a line, or of a text that runs on `length` symbols.

        Each symbol is drawn from softmax(logits / temperature), with top_k of the most probable ones alone, with temperature 0 it
        is the most probable one; never the unknown one. ConfigError for what cannot be done, `remark` for unknown symbols.
        """
        if not (math.isfinite(temperature) and temperature >= 0):
            raise ConfigError(f"temperature: expected a number of at least 0, got {temperature}")
        if length < 1 or (top_k is not None and top_k < 1):
            raise ConfigError(f"length and top-k: expected numbers of at least 1, got {length} and {top_k}")
        given = self.symbols.parted(prompt)
        if "\n" in given and not self.running:
            raise ConfigError(f"prompt: {prompt!r:.60} has a line end in it, and this run writes one line; give how it begins")
        classes = [END if self.running else self.symbols.start, *(self.symbols.class_of(symbol) for symbol in given)]
        unknown = [symbol for symbol, kind in zip(given, classes[1:]) if kind == UNKNOWN]
        self.remark = f"the run does not know {', '.join(map(repr, dict.fromkeys(unknown)))} of the prompt" if unknown else ""
        written: list[int] = []
        with no_grad():
            while len(written) < length:
                chosen = draw(self.next_logits(model, classes), temperature, top_k, rng)
                if chosen == END and not self.running:
                    break
                classes.append(chosen)
                written.append(chosen)
        text = self.symbols.joined(written)
        apart = self.symbols.unit == "words" and prompt and not prompt[-1].isspace() and text and not text.startswith("\n")
        return prompt + " " * bool(apart) + text


def draw(logits: np.ndarray, temperature: float, top_k: int | None, rng: np.random.Generator) -> int:
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
