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
from nnkit.errors import DataError
from nnkit.training import DataPath, DataSources, EvalConfig, Recipe, RunConfig, Section, SGDConfig, TrainingConfig
from nnkit.vectors import WordVectors, evaluate_odd_one_out, read_sections

SHUFFLED_WORDS = 500_000  # blocks are shuffled over so many words of the text, or over all of it


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
    block_length: int = Field(32, ge=1, description="words in a block")
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
        counts = self.corpus.vocabulary.counts
        frequency = counts / counts.sum()
        # word2vec's rule: a word of frequency f is kept with probability sqrt(t / f) + t / f
        t = data.subsample
        self.keep = (np.sqrt(t / frequency) + t / frequency if t else np.ones(len(counts))).astype(np.float32)
        self.noise = np.cumsum(counts.astype(np.float64) ** config.model.power)
        self.noise /= self.noise[-1]
        self.first, self.last = 0, len(self.corpus.ids)   # this worker's part of the text
        self.tile = math.gcd(config.training.tile, config.training.block_length)
        self.make_weights()

    def take_part(self, worker, workers):
        starts = self.corpus.starts
        shares = np.arange(workers + 1) * len(self.corpus.ids) // workers
        bounds = starts[np.searchsorted(starts, shares)]  # a part begins and ends where a sentence does
        self.first, self.last = int(bounds[worker]), int(bounds[worker + 1])
        self.units_per_epoch *= (self.last - self.first) / len(self.corpus.ids)

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
        scores = block_scores(words, contexts, window=self.config.model.window, tile=self.tile)
        return losses.binary_cross_entropy_with_logits(scores, batch.labels, weights=batch.weights, reduction="sum",
                                                       deferred=True)

    def batches(self, epoch, rng, start=0):
        for first in range(self.first, self.last, SHUFFLED_WORDS):
            start = yield from self.steps(first, min(first + SHUFFLED_WORDS, self.last), rng, start)

    def steps(self, first, last, rng, start):
        """The batches of one stretch of the text, without the first `start`; returns how many of those are still to skip."""
        w, shape = self.config.model.window, self.config.training
        B, L, t = shape.blocks, shape.block_length, self.tile
        ids = self.corpus.ids[first:last]
        kept = rng.random(len(ids), dtype=np.float32) < self.keep[ids]  # thin out first: windows reach over what was removed
        before, after = self.corpus.edges(first, last, kept)
        ids = ids[kept]
        n_steps = max(1, -(-len(ids) // (B * L)))
        padding = n_steps * B * L - len(ids)              # nothing is dropped: what is missing is filled with weight 0
        reach = rng.integers(1, w + 1, len(ids), dtype=np.int32)       # half the window of each word
        left = np.pad(np.minimum(reach, before), (0, padding))
        right = np.pad(np.minimum(reach, after), (0, padding))
        row = (left * (w + 1) + right).reshape(-1, L) * t + np.arange(L) % t
        near = np.lib.stride_tricks.sliding_window_view(np.pad(ids, (w, w + padding)), L + 2 * w)[::L]
        # blocks from all over: a word repeated in one article would be summed a hundred times in one step
        order = rng.permutation(n_steps * B)
        columns = np.concatenate([near[order], self.draw_negatives(n_steps * B, rng)], axis=1)
        row = row[order]
        pairs = (left + right).reshape(-1, L).sum(1)[order].reshape(-1, B).sum(1)
        labels = np.broadcast_to(self.labels, (B, L, len(self.labels)))
        raw_words = (last - first) * self.corpus.raw_tokens / len(self.corpus.ids)
        for step in range(start, n_steps):
            blocks = slice(step * B, (step + 1) * B)
            weights = np.take(self.weights, row[blocks], axis=0)
            yield Batch(columns[blocks, w:w + L], columns[blocks], labels, weights, int(pairs[step]), raw_words / n_steps)
        return max(0, start - n_steps)

    def draw_negatives(self, n_blocks, rng):
        """(n_blocks, K) ids in proportion to count ** power, a block's K from K equal shares of that distribution.

        Draws in order are found in the table three times as fast; so all of them are drawn in order, dealt out one share
        after the other, and the blocks shuffled.
        """
        K = self.config.training.shared_negatives
        draws = np.cumsum(rng.standard_exponential(n_blocks * K + 1))  # the n-th is at draws[n] / draws[-1] of [0, 1)
        ids = np.searchsorted(self.noise, draws[:-1] / draws[-1], side="right").astype(np.int32)
        return ids.reshape(K, n_blocks).T[rng.permutation(n_blocks)]

    def facts(self):
        path = self.config.data.vocabulary
        given = {} if path is None else {"vocabulary_file": describe(path)}
        return {**given, "tokens": self.corpus.raw_tokens, "kept_tokens": len(self.corpus.ids),
                "vocabulary": len(self.corpus.vocabulary), **self.corpus.description}

    def summary(self):
        data, corpus = self.config.data, self.corpus
        counts = corpus.vocabulary.counts if data.vocabulary is None else corpus.counts  # a given one counted another text
        thinned = 1 - self.keep.clip(max=1) @ counts / len(corpus.ids)
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
