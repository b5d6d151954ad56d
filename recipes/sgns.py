"""Word vectors by skip-gram with negative sampling (Mikolov et al., 2013): σ(W_w · C_c), as the graph it is.

Words that stand near each other are pulled together, words drawn at random are pushed apart. What makes it quick is the
shape of a batch. A block is a run of consecutive words, and one matrix product gives the score of every word of the
block with every word near the block and with a few negatives that the block shares; weights then say which of these
scores are pairs. No list of pairs is ever made.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import Operation, losses, nn, tensor_op
from nnkit.optim import RepeatedRows, repeated_rows
from nnkit.training.word_recipe import WordConfig, WordTraining, WordVectorRecipe


class Training(WordTraining):
    block_length: int = Field(32, ge=1, description="words in a block")
    tile: int = Field(16, ge=1, description="words whose windows are one product; the divisor it shares with block_length")
    # fewer than a word of the block: each then stands for so many pairs that steps overshoot, and the vectors are worse
    shared_negatives: int = Field(32, ge=1, description="random words a block shares, weighted to count as `negatives`; as many "
                                  "as block_length, or more")


class Config(WordConfig):
    training: Training = Field(Training(), description="epochs and the shape of a step")


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


class SGNS(WordVectorRecipe):
    Config = Config
    tables = ("words", "contexts")

    def __init__(self, config):
        super().__init__(config)
        self.tile = math.gcd(config.training.tile, config.training.block_length)
        self.make_weights()

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
        return self.started(TwoTables(len(self.corpus.vocabulary), self.config.model.dim, rng))

    def loss(self, model, batch):
        words = model.words(batch.centres)                # (blocks, length, dim)
        contexts = model.contexts(batch.columns)          # (blocks, length + 2 · window + shared, dim)
        self.bound(words, batch.often_centres, model.contexts)
        self.bound(contexts, batch.often_columns, model.words)
        scores = block_scores(words, contexts, window=self.config.model.window, tile=self.tile)
        return losses.binary_cross_entropy_with_logits(scores, batch.labels, weights=batch.weights, reduction="sum",
                                                       deferred=True)

    def batches(self, epoch, rng, start=0):
        w, t, shape = self.config.model.window, self.tile, self.config.training
        B, L, K = self.blocks, shape.block_length, shape.shared_negatives
        labels = np.broadcast_to(self.labels, (B, L, len(self.labels)))
        for part in self.windows.blocks(rng, length=L, negatives=K, multiple=B):
            columns = np.concatenate([part.text, part.negatives], axis=1)
            centres = part.text[:, w:w + L]
            row = (part.left * (w + 1) + part.right) * t + np.arange(L) % t
            n_steps = len(columns) // B
            often_centres, often_columns = (repeated_rows(ids.reshape(n_steps, -1), self.many, len(self.corpus.vocabulary))
                                            for ids in (centres, columns))
            pairs = (part.left + part.right).reshape(n_steps, -1).sum(1)
            for step in range(start, n_steps):
                blocks = slice(step * B, (step + 1) * B)
                weights = np.take(self.weights, row[blocks], axis=0)
                yield Batch(centres[blocks], columns[blocks], labels, weights, int(pairs[step]), part.raw_words / n_steps,
                            often_centres and often_centres[step], often_columns and often_columns[step])
            start = max(0, start - n_steps)               # what is still to skip
