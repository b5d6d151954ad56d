"""What recipes that learn word vectors share: the text, two tables and where they start, what is said and written at the end.

A recipe of this kind adds its model's picture: which words of a block predict which (see recipes/sgns.py and recipes/cbow.py).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from nnkit import nn
from nnkit.autograd import Tensor
from nnkit.data import describe, load_corpus
from nnkit.data.text import source_name
from nnkit.data.windows import Windows
from nnkit.errors import ConfigError, DataError
from nnkit.optim import RepeatedRows
from nnkit.training.making import make_schedule
from nnkit.training.recipe import Recipe
from nnkit.training.schema import DataPath, DataSources, EvalConfig, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.training.starting import Start
from nnkit.vectors import WordVectors, evaluate_odd_one_out, read_sections

MANY = 0.3          # learning rate times look-ups of a word in a step; where that is more, what a step moves is bounded
LONGEST_MOVE = 4.0  # of a score, then, by the move of one vector


class Data(Section):
    train: DataSources = Field(default="builtin:python-docs", description="text, one sentence a line: a file (.txt, .gz, "
                               ".bz2), a list of files, a folder of them, or a builtin")
    vocabulary: DataPath | None = Field(default=None, description="a vocab.txt, as a run writes it: its words are learnt; "
                                        "its counts, not this text's, decide on subsampling and negatives, as in gensim")
    min_count: int = Field(default=5, ge=0, description="words seen less often are left out; 0: none are")
    max_size: int | None = Field(default=None, ge=2, description="keep only so many of the most frequent words")
    subsample: float = Field(default=1e-3, ge=0, description="words more frequent than this share are thinned out; 0: none are")
    errors: str = Field(default="strict", pattern="^(strict|replace|ignore)$",
                        description="what to do about bytes that are not UTF-8")

    @field_validator("min_count", "max_size")
    @classmethod
    def _counts_here(cls, n: int | None, info: ValidationInfo) -> int | None:
        assert info.field_name is not None
        default = cls.model_fields[info.field_name].default
        if n != default and info.data.get("vocabulary") is not None:
            default = "null" if default is None else default
            raise ValueError(f"{n} has no effect with data.vocabulary, which says what the words are; "
                             f"leave it out, or write {default}")
        return n


class Model(Section):
    dim: int = Field(default=100, ge=1, description="numbers in a vector")
    window: int = Field(default=5, ge=1, description="how far a context word may be; drawn from 1 to this for every word")
    negatives: int = Field(default=5, description="random words against every true one")
    power: float = Field(default=0.75, ge=0, description="negatives are drawn in proportion to count ** power")
    vectors: Literal["words", "sum"] = Field(default="words", description="the result: the first table, or the sum of both, "
                                             "as in GloVe")
    start: DataPath | None = Field(default=None, description="a file of vectors, or the folder of a run of this recipe: words "
                                   "that it has start from there; null: all start at random")
    freeze: bool = Field(default=False, description="words that model.start has stay as they are, only the others are trained")

    @field_validator("negatives")
    @classmethod
    def _push_apart(cls, n: int) -> int:
        if n < 1:
            raise ValueError(f"expected a number of at least 1, got {n}; without negatives nothing would push vectors apart")
        return n

    @field_validator("freeze")
    @classmethod
    def _needs_a_start(cls, freeze: bool, info: ValidationInfo) -> bool:
        if freeze and info.data.get("start", "") is None:  # absent where start has a mistake of its own
            raise ValueError("true needs the vectors that stay as they are; give model.start, or leave it out")
        return freeze


class Evaluation(EvalConfig):
    probes: list[str] | None = Field(default=None, description="words whose neighbours are shown at the end; null: some "
                                     "frequent ones")
    odd_one_out: DataPath | None = Field(default=None, description="sets of five words a line, the last of which does not belong")


class WordTraining(TrainingConfig):
    blocks: int = Field(default=16, ge=1, description="blocks in a step, from all over the text")
    exchange: Literal["rows", "average"] = Field(default="rows", description="what ranks of MPI tell each other: in every step "
                                                 "the rows that it changes, or now and then the mean of the tables; for "
                                                 "that raise optimizer.lr with the ranks (docs/scaling.md)")
    average_every: int = Field(default=100, ge=1, description="with exchange: average, the steps between two means")

    @field_validator("average_every")
    @classmethod
    def _averages(cls, n: int, info: ValidationInfo) -> int:
        if n != cls.model_fields["average_every"].default and info.data.get("exchange") == "rows":
            raise ValueError(f"{n} has no effect with training.exchange: rows; set training.exchange: average, or leave it out")
        return n


class WordConfig(RunConfig):
    data: Data = Field(default=Data(), description="the text")
    model: Model = Field(default=Model(), description="the two tables of vectors, and what a pair is")
    training: WordTraining = Field(default=WordTraining(), description="epochs and the shape of a step")
    optimizer: SGDConfig = Field(default=SGDConfig(lr=0.025), description="the update")
    eval: Evaluation = Field(default=Evaluation(), description="what is shown")


class WordVectorRecipe(Recipe):
    """Base class. A recipe writes `build`, `batches` and `loss`, and says what its model's two tables are called.

    tables: the names of two Embeddings of the model, a row a word in both; the first is the result (model.vectors: words).
    """

    Config = WordConfig
    unit = "words"
    loss_is_sum = True    # a pair's step is lr · gradient, whatever the size of the batch: sums, as word2vec has it
    shares_tables = True
    tables: tuple[str, str]

    def __init__(self, config: Any):
        """DataError and ConfigError for mistakes in every file that the config names: now, not after hours of training."""
        super().__init__(config)
        if config.eval.odd_one_out is not None:
            read_sections(config.eval.odd_one_out, 5)
        data, model = config.data, config.model
        self.corpus = load_corpus(data.train, data.min_count, data.max_size, data.errors, vocabulary=data.vocabulary,
                                  progress=self.progress)
        self.rate, self.momentum = self.largest_updates()
        self.units_per_epoch = self.corpus.raw_tokens     # as gensim counts: rare words, which are left out, too
        if (np.diff(self.corpus.starts) < 2).all():
            raise DataError(f"{source_name(data.train)}: no line has two words {self.which_words()}: there are no pairs to learn "
                            "from; put one sentence a line, or keep more words (data.min_count, data.vocabulary)")
        self.blocks = config.training.blocks              # in a step; where ranks share it, this one's
        self.windows = Windows(self.corpus, window=model.window, subsample=data.subsample, power=model.power)
        self.start: Start | None = None
        if model.start is not None:
            self.start = Start(model.start, self.corpus.vocabulary.words, model.dim, self.tables, data.errors)
            self.check_that_frozen_rows_stay()

    def largest_updates(self) -> tuple[float, float]:
        """The learning rate and the momentum that no group and no schedule of momentum exceeds: steps are bounded by these."""
        update, risen = self.config.optimizer, self.config.schedules.get("momentum")
        momenta = [update.momentum, *(group.momentum or 0.0 for group in update.groups)]
        if risen is not None:
            momenta.append(make_schedule(risen, update.momentum, self.config)(1.0))
        return max(update.lr, *(group.lr or 0.0 for group in update.groups), 0.0), max(momenta)

    def check_that_frozen_rows_stay(self) -> None:
        """ConfigError where something else than a gradient would move the vectors that model.freeze keeps."""
        assert self.start is not None
        if not self.config.model.freeze:
            return
        update = self.config.optimizer
        keys = {"optimizer.weight_decay": update.weight_decay, "schedules.weight_decay": "weight_decay" in self.config.schedules}
        keys |= {f"optimizer.groups[{i}].weight_decay": group.weight_decay for i, group in enumerate(update.groups)}
        if decays := [key for key, decay in keys.items() if decay]:
            raise ConfigError(f"model.freeze: {decays[0]} would shrink the vectors that are to stay; leave it out")
        if self.config.model.vectors == "sum" and not self.start.has_both:
            raise ConfigError(f"model.freeze: {self.config.model.start} gives one vector a word, and model.vectors: sum would "
                              "add one to it that is trained; set model.vectors: words, or give a run as model.start")

    def take_part(self, worker: int, workers: int) -> None:
        self.windows.take_part(worker, workers)
        self.units_per_epoch = self.windows.raw_words

    def take_blocks(self, rank: int, ranks: int) -> None:
        """As `take_part`, and of the blocks of a step keep one rank's: the steps of all ranks together are as large as one's."""
        blocks = self.config.training.blocks
        first, last = rank * blocks // ranks, (rank + 1) * blocks // ranks
        self.blocks = last - first
        self.windows.take_part(first, blocks, self.blocks)  # in proportion, so that all come to the end together
        self.units_per_epoch = self.windows.raw_words

    @property
    def many(self) -> float:
        """Look-ups of a word in a step, from which on they are bounded."""
        return MANY / self.rate * self.blocks / self.config.training.blocks

    def started(self, model: nn.Module) -> nn.Module:
        """The new model, with the vectors of model.start in it; what these have no word for is left as it is."""
        if self.start is not None:
            self.start.fill(model)
            if self.config.model.freeze:
                self.start.freeze(model)
        return model

    def bound(self, rows: Tensor, often: RepeatedRows | None, others: nn.Embedding) -> None:
        """Let no word that is looked up very often move its scores with others like it by more than LONGEST_MOVE in a step.

        rows: what was looked up in one table; others: the table that they are multiplied with. See nnkit.optim.clipping. What
        momentum adds to a move in the steps after it is counted in. Of ranks that share a step each has its share of that
        length: what they add up to is never longer.
        """
        if often is not None:
            longest = LONGEST_MOVE / max(1, *np.linalg.norm(others.weight.value[often.rows], axis=1))
            longest *= (1 - self.momentum) / self.rate * self.blocks / self.config.training.blocks
            rows.register_hook(lambda gradient: often.clip(gradient, longest))

    def expected_loss(self) -> float | None:
        """Of a word and its negatives before the first step: every score is 0, each as good as a coin."""
        return None if self.start is not None else (1 + self.config.model.negatives) * math.log(2)

    # What is said and written

    def facts(self) -> dict[str, Any]:
        path, start, corpus = self.config.data.vocabulary, self.start, self.corpus
        given = {} if path is None else {"vocabulary_file": describe(path)}
        if start is not None:
            given["started_from"] = {**start.description, "words": len(start.found), "frozen": self.config.model.freeze}
        facts = {**given, "tokens": corpus.raw_tokens, "kept_tokens": len(corpus.ids), "vocabulary": len(corpus.vocabulary),
                 **corpus.description}
        if start is not None and start.notices:
            facts["notice"] = "; ".join([*filter(None, [facts.get("notice")]), *start.notices])
        return facts

    def summary(self) -> str:
        data, corpus = self.config.data, self.corpus
        counts = corpus.vocabulary.counts if data.vocabulary is None else corpus.counts  # a given one counted another text
        thinned = 1 - self.windows.keep.clip(max=1) @ counts / len(corpus.ids)
        text = (f"{source_name(data.train)}   {corpus.raw_tokens:,} tokens, {len(corpus.vocabulary):,} words "
                f"{self.which_words()}, subsampling leaves out {thinned:.0%}")
        if self.start is None:
            return text
        stay = ", and stay as they are" if self.config.model.freeze else ""
        return f"{text}; {len(self.start.found):,} words start from {self.start.path} (of {self.start.offered:,} in it){stay}"

    def which_words(self) -> str:
        data = self.config.data
        return f"seen {data.min_count} times or more" if data.vocabulary is None else f"of {data.vocabulary}"

    def vectors(self, model: Any) -> WordVectors:
        """The result: the first table, or with model.vectors: sum, both added up (Pennington et al., 2014)."""
        first, second = (getattr(model, name).weight.value for name in self.tables)
        return WordVectors(self.corpus.vocabulary.words, first if self.config.model.vectors == "words" else first + second)

    def export(self, model: Any, path: Any) -> None:
        self.vectors(model).save_word2vec(path("vectors.vec"))
        self.corpus.vocabulary.save(path("vocab.txt"))

    def report(self, model: Any) -> list[str]:
        vectors = self.vectors(model)
        probes = self.config.eval.probes or []
        missing = [word for word in probes if word not in vectors]
        if len(missing) == len(probes):                   # words behind the hundred commonest, which are mostly grammar
            probes = vectors.words[100:600:100] or vectors.words[:5]
        lines = [f"{word:>12} → {', '.join(near for near, _ in vectors.most_similar(word, 6))}"
                 for word in probes if word in vectors]
        lines += [f"not in the vocabulary: {', '.join(missing)}"] if missing else []
        if self.config.eval.odd_one_out is not None:
            lines.append(f"score   {evaluate_odd_one_out(vectors, self.config.eval.odd_one_out)}")
        return ["neighbours", *lines]
