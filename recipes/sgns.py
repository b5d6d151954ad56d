"""Word vectors by skip-gram with negative sampling (Mikolov et al., 2013): σ(W_w · C_c), as the graph it is.

Words that stand near each other are pulled together, words drawn at random are pushed apart. What makes it quick is the
shape of a batch. A block is a run of consecutive words, and one matrix product gives the score of every word of the
block with every word near the block and with a few negatives that the block shares; weights then say which of these
scores are pairs. No list of pairs is ever made.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field, field_validator

from nnkit import Operation, losses, nn, tensor_op
from nnkit.data import describe, load_corpus
from nnkit.data.text import source_name
from nnkit.data.windows import Windows
from nnkit.errors import DataError
from nnkit.optim import RepeatedRows, repeated_rows
from nnkit.training import DataPath, DataSources, EvalConfig, Recipe, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.vectors import WordVectors, evaluate_odd_one_out, read_sections

MANY = 0.2          # learning rate times look-ups of a word in a step; where that is more, what a step moves is bounded
LONGEST_MOVE = 4.0  # of a score, then, by the move of one vector


class Data(Section):
    train: DataSources = Field("builtin:python-docs", description="text, one sentence a line: a file (.txt, .gz, .bz2), "
                               "a list of files, a folder of them, or a builtin")
    vocabulary: DataPath | None = Field(None, description="a vocab.txt, as a run writes it: its words are learnt; its counts, "
                                        "not this text's, decide on subsampling and negatives, as in gensim")
    min_count: int = Field(5, ge=0, description="words seen less often are left out; 0: none are")
    max_size: int | None = Field(None, ge=2, description="keep only so many of the most frequent words")
    subsample: float = Field(1e-3, ge=0, description="words more frequent than this share are thinned out; 0: none are")
    errors: str = Field("strict", pattern="^(strict|replace|ignore)$", description="what to do about bytes that are not UTF-8")

    @field_validator("min_count", "max_size")
    @classmethod
    def _counts_here(cls, n, info):
        default = cls.model_fields[info.field_name].default
        if n != default and info.data.get("vocabulary") is not None:
            default = "null" if default is None else default
            raise ValueError(f"{n} has no effect with data.vocabulary, which says what the words are; "
                             f"leave it out, or write {default}")
        return n


class Model(Section):
    dim: int = Field(100, ge=1, description="numbers in a vector")
    window: int = Field(5, ge=1, description="how far a context word may be; drawn from 1 to this for every word")
    negatives: int = Field(5, description="random words against every true pair")
    power: float = Field(0.75, ge=0, description="negatives are drawn in proportion to count ** power")

    @field_validator("negatives")
    @classmethod
    def _push_apart(cls, n):
        if n < 1:
            raise ValueError(f"expected a number of at least 1, got {n}; without negatives nothing would push vectors apart")
        return n


class Training(TrainingConfig):
    blocks: int = Field(16, ge=1, description="blocks in a step, from all over the text")
    block_length: int = Field(64, ge=1, description="words in a block")
    tile: int = Field(16, ge=1, description="words whose windows are one product; the divisor it shares with block_length")
    shared_negatives: int = Field(32, ge=1, description="random words a block shares, weighted to count as `negatives`")


class Evaluation(EvalConfig):
    probes: list[str] | None = Field(None, description="words whose neighbours are shown at the end; null: some frequent ones")
    odd_one_out: DataPath | None = Field(None, description="sets of five words a line, the last of which does not belong")


class Config(RunConfig):
    data: Data = Field(Data(), description="the text")
    model: Model = Field(Model(), description="the two tables of vectors, and what a pair is")
    training: Training = Field(Training(), description="epochs and the shape of a step")
    optimizer: SGDConfig = Field(SGDConfig(lr=0.025), description="the update")
    eval: Evaluation = Field(Evaluation(), description="what is shown")


class TwoTables(nn.Module):
    """A vector for each word as the centre of a window, and one as a context; the first are the result.

    As in word2vec, the first table starts uniform in ±0.5/dim and the second at zero.
    """

    def __init__(self, n_words, dim, rng):
        self.words = nn.Embedding.from_pretrained(nn.init.uniform((n_words, dim), 0.5 / dim, rng), freeze=False)
        self.contexts = nn.Embedding.from_pretrained(nn.init.zeros((n_words, dim)), freeze=False)


@tensor_op
class block_scores(Operation):
    """The dot products of a block's words with the text near them and with the block's negatives.

    words: (B, L, d). columns: (B, L + 2 · window + K, d), the text around the block, then its negatives. Result:
    (B, L, t + 2 · window + K). A tile is t words; all of them are multiplied with the t + 2 · window columns around the tile,
    for most of the L + 2 · window are in the window of none of them. Tiles overlap in their columns, whose gradients add up.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, words, columns, *, window, tile):
        B, L, d = words.shape
        text, near = L + 2 * window, tile + 2 * window
        block, row, number = columns.strides
        tiles = words.reshape(B, -1, tile, d)
        around = np.lib.stride_tricks.as_strided(columns, (B, L // tile, near, d), (block, tile * row, row, number))
        negatives = columns[:, text:]
        scores = np.empty((B, L, near + negatives.shape[1]), words.dtype)
        np.matmul(tiles, around.swapaxes(2, 3), out=scores.reshape(B, -1, tile, scores.shape[2])[..., :near])
        np.matmul(words, negatives.swapaxes(1, 2), out=scores[..., near:])
        ctx.extend([words, columns, tiles, around, negatives, text])
        return scores

    @staticmethod
    def backward(ctx, grad_output):
        words, columns, tiles, around, negatives, text = ctx
        near = around.shape[2]
        in_tiles, in_block = grad_output.reshape(*tiles.shape[:3], -1)[..., :near], grad_output[..., near:]
        grad_words = np.matmul(in_block, negatives)
        grad_words += np.matmul(in_tiles, around).reshape(words.shape)
        grad_columns = np.empty_like(columns)
        grad_columns[:, :text] = 0
        grad_around = np.matmul(in_tiles.swapaxes(2, 3), tiles)
        for i in range(tiles.shape[1]):
            start = i * tiles.shape[2]
            grad_columns[:, start:start + near] += grad_around[:, i]
        np.matmul(in_block.swapaxes(1, 2), words, out=grad_columns[:, text:])
        return [grad_words, grad_columns]


@dataclass
class Batch:
    """B blocks of L words, M = L + 2 · window columns of text and K negatives; N = t + 2 · window + K scores a word."""

    centres: np.ndarray   # (B, L) ids
    columns: np.ndarray   # (B, M + K) ids: the text around the block, then its negatives
    labels: np.ndarray    # (B, L, N): 1 for the columns of text around the word's tile, 0 for the negatives
    weights: np.ndarray   # (B, L, N): 1 where the column is in the word's window, its share of a negative, 0 elsewhere
    count: int            # pairs of a word and a true context
    units: float          # words of the text that this batch accounts for
    often_centres: RepeatedRows | None  # words that the step has very often (MANY): in ordinary text few, or none
    often_columns: RepeatedRows | None


class SGNS(Recipe):
    Config = Config
    unit = "words"
    loss_is_sum = True    # a pair's step is lr · gradient, whatever the size of the batch: sums, as word2vec has it
    shares_tables = True

    def __init__(self, config):
        super().__init__(config)
        if config.eval.odd_one_out is not None:           # a mistake in it is to be found now, not after hours of training
            read_sections(config.eval.odd_one_out, 5)
        data = config.data
        self.corpus = load_corpus(data.train, data.min_count, data.max_size, data.errors, vocabulary=data.vocabulary,
                                  progress=self.progress)
        self.units_per_epoch = self.corpus.raw_tokens     # as gensim counts: rare words, which are left out, too
        if (np.diff(self.corpus.starts) < 2).all():
            raise DataError(f"{source_name(data.train)}: no line has two words {self.which_words()}: there are no pairs to learn "
                            "from; put one sentence a line, or keep more words (data.min_count, data.vocabulary)")
        self.windows = Windows(self.corpus, window=config.model.window, subsample=data.subsample, power=config.model.power)
        self.tile = math.gcd(config.training.tile, config.training.block_length)
        self.make_weights()

    def take_part(self, worker, workers):
        self.windows.take_part(worker, workers)
        self.units_per_epoch = self.windows.raw_words

    def make_weights(self):
        """Rows of weights for every word a tile can hold: its pairs to the left and right (0..w), its place (0..t-1)."""
        w, t, K = self.config.model.window, self.tile, self.config.training.shared_negatives
        left, right, place = np.ogrid[:w + 1, :w + 1, :t]
        distance = np.arange(t + 2 * w) - (np.arange(t)[:, None] + w)               # (t, t + 2 w)
        band = (distance != 0) & (-left[..., None] <= distance) & (distance <= right[..., None])
        shares = np.broadcast_to((left + right + 0 * place)[..., None] * (self.config.model.negatives / K), (w + 1, w + 1, t, K))
        self.weights = np.concatenate([band, shares], axis=-1).astype(np.float32).reshape(-1, t + 2 * w + K)
        self.labels = np.concatenate([np.ones(t + 2 * w, np.float32), np.zeros(K, np.float32)])

    def build(self, rng):
        return TwoTables(len(self.corpus.vocabulary), self.config.model.dim, rng)

    def loss(self, model, batch):
        words = model.words(batch.centres)                # (blocks, length, dim)
        contexts = model.contexts(batch.columns)          # (blocks, length + 2 · window + shared, dim)
        self.bound(words, batch.often_centres, model.contexts)
        self.bound(contexts, batch.often_columns, model.words)
        scores = block_scores(words, contexts, window=self.config.model.window, tile=self.tile)
        return losses.binary_cross_entropy_with_logits(scores, batch.labels, weights=batch.weights, reduction="sum",
                                                       deferred=True)

    def bound(self, rows, often, others):
        """Let no word that is looked up very often move its scores by more than LONGEST_MOVE (see nnkit.optim.clipping)."""
        if often is not None:
            longest = LONGEST_MOVE / max(1, *np.linalg.norm(others.weight.value[often.rows], axis=1))
            rows.register_hook(lambda gradient: often.clip(gradient, longest / self.config.optimizer.lr))

    def batches(self, epoch, rng, start=0):
        w, t, shape = self.config.model.window, self.tile, self.config.training
        B, L, K = shape.blocks, shape.block_length, shape.shared_negatives
        labels = np.broadcast_to(self.labels, (B, L, len(self.labels)))
        many = MANY / self.config.optimizer.lr
        for part in self.windows.blocks(rng, length=L, negatives=K, multiple=B):
            columns = np.concatenate([part.text, part.negatives], axis=1)
            centres = part.text[:, w:w + L]
            row = (part.left * (w + 1) + part.right) * t + np.arange(L) % t
            n_steps = len(columns) // B
            often_centres, often_columns = (repeated_rows(ids.reshape(n_steps, -1), many, len(self.corpus.vocabulary))
                                            for ids in (centres, columns))
            pairs = (part.left + part.right).reshape(n_steps, -1).sum(1)
            for step in range(start, n_steps):
                blocks = slice(step * B, (step + 1) * B)
                weights = np.take(self.weights, row[blocks], axis=0)
                yield Batch(centres[blocks], columns[blocks], labels, weights, int(pairs[step]), part.raw_words / n_steps,
                            often_centres and often_centres[step], often_columns and often_columns[step])
            start = max(0, start - n_steps)               # what is still to skip

    def facts(self):
        path = self.config.data.vocabulary
        given = {} if path is None else {"vocabulary_file": describe(path)}
        return {**given, "tokens": self.corpus.raw_tokens, "kept_tokens": len(self.corpus.ids),
                "vocabulary": len(self.corpus.vocabulary), **self.corpus.description}

    def summary(self):
        data, corpus = self.config.data, self.corpus
        counts = corpus.vocabulary.counts if data.vocabulary is None else corpus.counts  # a given one counted another text
        thinned = 1 - self.windows.keep.clip(max=1) @ counts / len(corpus.ids)
        return (f"{source_name(data.train)}   {corpus.raw_tokens:,} tokens, {len(corpus.vocabulary):,} words "
                f"{self.which_words()}, subsampling leaves out {thinned:.0%}")

    def which_words(self):
        data = self.config.data
        return f"seen {data.min_count} times or more" if data.vocabulary is None else f"of {data.vocabulary}"

    def vectors(self, model):
        return WordVectors(self.corpus.vocabulary.words, model.words.weight.value)

    def export(self, model, path):
        self.vectors(model).save_word2vec(path("vectors.vec"))
        self.corpus.vocabulary.save(path("vocab.txt"))

    def report(self, model):
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
