"""A sequence tagger: every token of a sentence gets a tag, from a recurrent network that has read the sentence from both ends.

    x_t = E[token_t]        f_t = forward(x_t, f_(t-1))        b_t = backward(x_t, b_(t+1))
    tag_t ~ softmax((f_t, b_t) W + c)

What a token is depends on what stands around it, near and far, and the state of a recurrent network carries that along. Data is
a tagged file (a token and its tag a line, as for parts of speech or names), or the lines of Python's own library, in which every
character is tagged with what it is: a syntax highlighter that is learnt from characters (see nnkit/training/tagged_data.py).

Sentences of about one length share a batch. The shorter ones are filled up, and what they are filled with is in no state and in
no loss: the recurrent layers are told `lengths`, and the loss ignores the tag IGNORED.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from nnkit import losses, nn, no_grad
from nnkit.data import Vocabulary, python_code, read_lines
from nnkit.metrics import SCORES, Tally
from nnkit.spans import SpanTally, are_spans
from nnkit.training import OptimizerConfig, Recipe, RunConfig, Section, TrainingConfig
from nnkit.training.class_recipe import ClassEval, Score
from nnkit.training.places import KeyedError
from nnkit.training.tagged_data import UNKNOWN, TaggedData, TaggedPart, TaggedText, encode
from nnkit.training.updates import AdamConfig

IGNORED = -100   # the tag of what is no token but fills up a sentence
MEASURED = 128   # sentences that are measured at once


class Model(Section):
    kind: Literal["RNN", "LSTM", "GRU"] = Field("GRU", description="the recurrent layers")
    dim: int = Field(32, ge=1, description="numbers in the vector of a token")
    hidden: int = Field(64, ge=1, description="numbers in the state of a layer, in each direction")
    layers: int = Field(1, ge=1, le=100, description="recurrent layers, one over the other")
    bidirectional: bool = Field(True, description="each layer reads the sentence from its end, too")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the numbers before, between and after the recurrent layers "
                           "that are left out in a step")


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="sentences in a step")


class Evaluation(ClassEval):
    metrics: list[Literal[Score, "f1_span"]] = Field(["acc", "f1_macro"], description="what is measured beside dev_loss, of "
                                                     "single tokens as of any classes; f1_span: of spans (tags B-X, I-X and O)")


class Config(RunConfig):
    data: TaggedText = Field(TaggedText(), description="the tagged text")
    model: Model = Field(Model(), description="the vectors and the recurrent layers")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: OptimizerConfig = Field(AdamConfig(lr=3e-3), description="the update")
    eval: Evaluation = Field(Evaluation(), description="what is measured")


class Tagger(nn.Module):
    """logits = Linear(recurrent layers(vectors of the tokens)).

    ids: (sentences, longest) integers below n_tokens; lengths: (sentences,), how many of each are real; (..., n_tags) comes out.
    """

    def __init__(self, n_tokens, n_tags, config, rng):
        # dense: with Adam every row moves at each step, as in the textbook, and the table is small beside the rest
        self.vectors = nn.Embedding(n_tokens, config.dim, sparse=False, rng=rng)
        between = config.dropout if config.layers > 1 else 0.0
        self.recurrent = getattr(nn, config.kind)(config.dim, config.hidden, config.layers, batch_first=True, dropout=between,
                                                  bidirectional=config.bidirectional, rng=rng)
        self.dropout = nn.Dropout(config.dropout, rng=rng)
        self.output = nn.Linear(config.hidden * (1 + config.bidirectional), n_tags, rng=rng)

    def forward(self, ids, lengths=None):
        states, _ = self.recurrent(self.dropout(self.vectors(ids)), lengths=lengths)
        return self.output(self.dropout(states))


@dataclass
class Batch:
    ids: np.ndarray      # (sentences, longest) tokens
    classes: np.ndarray  # (sentences, longest) tags, IGNORED after the end of a sentence
    lengths: np.ndarray  # (sentences,)

    @property
    def count(self):
        return int(self.lengths.sum())  # tokens: what the mean of the loss is over

    units = count


def padded(part, chosen):
    """The chosen sentences of a TaggedPart as one batch."""
    lengths = part.lengths[chosen]
    steps = np.arange(lengths.max())
    real = steps < lengths[:, None]
    places = np.where(real, part.firsts[chosen][:, None] + steps, 0)
    return Batch(np.where(real, part.ids[places], UNKNOWN), np.where(real, part.classes[places], IGNORED), lengths)


def by_length(part, order, size):
    """The sentences of `order` in batches of `size`, those of about one length together; of one length, in that order."""
    order = order[np.argsort(part.lengths[order], kind="stable")]
    return [order[first:first + size] for first in range(0, len(order), size)]


class SequenceTagger(Recipe):
    Config = Config
    unit = "tokens"
    measures = ("dev_loss", *(f"dev_{name}" for name in SCORES), "dev_f1_span")

    @classmethod
    def measures_of(cls, config):
        return ("dev_loss", *(f"dev_{name}" for name in dict.fromkeys(config.eval.metrics)))

    def __init__(self, config):
        super().__init__(config)
        self.data = TaggedData(config.data, np.random.default_rng([config.seed, 2]))
        self.labels, self.vocabulary, self.train = self.data.labels, self.data.vocabulary, self.data.train
        self.units_per_epoch = len(self.train.ids)
        if "f1_span" in config.eval.metrics and not are_spans(self.labels):
            raise KeyedError(("eval", "metrics"), "eval.metrics: f1_span is of tags that mark spans (B-X, I-X and O); there are "
                             f"{', '.join(self.labels[:10])}")

    def build(self, rng):
        return Tagger(1 + len(self.vocabulary), len(self.labels), self.config.model, rng)

    def batches(self, epoch, rng, start=0):
        together = by_length(self.train, rng.permutation(len(self.train.lengths)), self.config.training.batch_size)
        for i in rng.permutation(len(together))[start:]:
            yield padded(self.train, together[i])

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.ids, batch.lengths), batch.classes, ignore_index=IGNORED)

    def evaluate(self, model):
        return self.measure(model, self.data.dev, "dev_")

    def measure(self, model, part, prefix):
        """The mean loss and the scores of eval.metrics; `tally` and `spans` have the rest."""
        self.tally, self.spans = Tally(self.labels), SpanTally()
        for chosen in by_length(part, np.arange(len(part.lengths)), MEASURED):
            batch = padded(part, chosen)
            real = batch.classes != IGNORED
            predicted = self.tally.add(model(batch.ids, batch.lengths).value[real], batch.classes[real])
            for i, classes in zip(chosen, np.split(predicted, np.cumsum(batch.lengths)[:-1])):
                self.spans.add(part.sentences[i].tags, [self.labels[c] for c in classes])
        scores, names = {"f1_span": self.spans.f1}, dict.fromkeys(self.config.eval.metrics)
        scores |= self.tally.scores(name for name in names if name not in scores)
        return {prefix + name: scores[name] for name in ("loss", *names)}

    def expected_loss(self):
        return float(np.log(len(self.labels)))          # of a model to which all tags are alike

    # What is said and written

    def check(self, model):
        forgotten = are_spans(self.labels) and "f1_span" not in self.config.eval.metrics
        return self.data.check() + ["note: the tags mark spans; add f1_span to eval.metrics"] * forgotten

    def facts(self):
        return self.data.facts()

    def summary(self):
        return self.data.summary()

    def report(self, model):
        unit = self.config.data.tokens
        with no_grad():
            self.evaluate(model)
            example = min(self.data.dev.sentences, key=lambda s: abs(len(s.tokens) - (40 if unit == "characters" else 12)))
            tags = self.tags_of(model, example.tokens)
        lines = [f"dev accuracy {self.tally.accuracy:.4f} ({self.tally.n:,} {unit}; the commonest tag of each alone gives "
                 f"{self.data.alone():.4f})"]
        if are_spans(self.labels):
            found = self.spans
            lines.append(f"dev spans: F1 {found.f1:.4f}, precision {found.precision:.4f}, recall {found.recall:.4f} "
                         f"({found.true:,} spans)")
        return lines + drawn(pieces(unit, example.tokens, tags, example.tags))

    def export(self, model, path):
        self.vocabulary.save(path("vocab.txt"))
        with open(path("labels.txt"), "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{label}\n" for label in self.labels)

    # Using a run

    @classmethod
    def from_run(cls, config, path):
        recipe = cls.__new__(cls)  # what __init__ does is to read the data
        Recipe.__init__(recipe, config)
        recipe.labels, recipe.vocabulary = list(read_lines(path("labels.txt"))), Vocabulary.load(path("vocab.txt"))
        return recipe

    def tags_of(self, model, tokens):
        """Of one sentence, computed alone: an answer must not depend on its neighbours."""
        if not tokens:
            return []
        return [self.labels[c] for c in model(encode(self.vocabulary, tokens)[None]).value[0].argmax(1)]

    def predict(self, model, inputs, source="input"):
        """A Tagged for each text: of characters, or of words with white space between."""
        unit, unknown, n = self.config.data.tokens, 0, 0
        for number, text in enumerate(inputs, 1):
            if not isinstance(text, str):
                raise TypeError(f"{source}:{number}: expected a text, got {text!r:.60}")
            tokens = list(text) if unit == "characters" else text.split()
            tags = self.tags_of(model, tokens)
            yield Tagged(tokens, tags, pieces(unit, tokens, tags))
            unknown, n = unknown + sum(token not in self.vocabulary for token in tokens), n + len(tokens)
        self.remark = f"the run does not know {unknown:,} of the {n:,} {unit}: to it they are all one" if unknown else ""

    def score(self, model, file):
        """test_loss and what eval.metrics lists, n tokens, and the share of them that the run does not know.

        file: tagged as the training data was; a run on builtin:python-code takes files of Python, too.
        """
        is_python = self.config.data.is_python and file.endswith(".py")
        sentences = python_code.read_python(file) if is_python else self.config.data.read(file)
        part = TaggedPart(sentences, self.vocabulary, self.labels)
        return self.measure(model, part, "test_") | {"n": len(part.ids), "unknown": part.unknown}


class Tagged(NamedTuple):
    """An answer: tokens and their tags, and the pieces that are printed, TEXT/TAG, with tabs between."""

    tokens: list[str]
    tags: list[str]
    pieces: list[tuple[str, ...]]

    def __str__(self):
        return "\t".join(f"{text}/{tag}" for text, tag in self.pieces)


def pieces(unit, tokens, *tags):
    """(text, tag, ...) of every word, or of characters that stand side by side and have the same tags."""
    found = []
    for token, *kinds in zip(tokens, *tags):
        if unit == "characters" and found and found[-1][1:] == tuple(kinds):
            token = found.pop()[0] + token
        found.append((token, *kinds))
    return found


def drawn(found):
    """Three rows for a person: pieces of a text (blanks only where they are mistaken), their predicted tags, and the true ones
    where they are others."""
    rows = [[text, said, "" if said == true else f"true: {true}"] for text, said, true in found if text.strip() or said != true]
    widths = [max(map(len, row)) for row in rows]
    lines = ["    " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in zip(*rows)]
    return [line for line in lines if line.strip()]
