"""Word vectors by CBOW with negative sampling (Mikolov et al., 2013): the mean of the words around a word predicts it.

A block is a run of consecutive words. One product with a matrix of zeros and ones sums up the window of every place in it, and
one more gives the scores of these with a few negatives that the block shares. No list of windows is ever made.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import Operation, losses, nn, tensor_op
from nnkit.optim import RepeatedRows, repeated_rows
from nnkit.training import SGDConfig
from nnkit.training.word_recipe import WordConfig, WordTraining, WordVectorRecipe


class Training(WordTraining):
    block_length: int = Field(64, ge=1, description="words in a block")
    tile: int = Field(16, ge=1, description="words whose windows are one product; the divisor it shares with block_length")
    shared_negatives: int = Field(32, ge=1, description="random words a block shares, weighted to count as `negatives`")


class Config(WordConfig):
    training: Training = Field(Training(), description="epochs and the shape of a step")
    optimizer: SGDConfig = Field(SGDConfig(lr=0.05), description="the update")


class TwoTables(nn.Module):
    """A vector for each word as a part of windows, which is the result, and one as the word in the middle of a window.

    As in word2vec, the first table starts uniform in ±0.5/dim and the second at zero.
    """

    def __init__(self, n_words, dim, rng):
        self.words = nn.Embedding.from_pretrained(nn.init.uniform((n_words, dim), 0.5 / dim, rng), freeze=False)
        self.centres = nn.Embedding.from_pretrained(nn.init.zeros((n_words, dim)), freeze=False)


@tensor_op
class window_means(Operation):
    """The mean over the window of each of a block's words, with word2vec's rule as its backward.

    text: (B, L + 2 · window, d), the block and what is around it. bands: (B, L, t + 2 · window), for each word which columns of
    the text around its tile, t words, are in its window: 1, others 0. sizes: (B, L, 1), by which the sum over the window is
    divided. Result: (B, L, d). Tiles overlap in their columns.

    A row of a window moves by the whole gradient of the mean, not by its share of it. No loss has these steps as its gradient,
    for windows differ in size. They are the gradient where the mean is the sum and a constant: sum + (mean - sum).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, text, bands, sizes):
        B, L, near = bands.shape
        d, tile = text.shape[2], near - (text.shape[1] - L)
        block, row, number = text.strides
        around = np.lib.stride_tricks.as_strided(text, (B, L // tile, near, d), (block, tile * row, row, number))
        bands = bands.reshape(B, L // tile, tile, near)
        means = np.matmul(bands, around).reshape(B, L, d)
        means /= sizes
        ctx.extend([bands, text.shape])
        return means

    @staticmethod
    def backward(ctx, grad_output):
        bands, shape = ctx
        tile, near = bands.shape[2:]
        grad_around = np.matmul(bands.swapaxes(2, 3), grad_output.reshape(*bands.shape[:3], shape[2]))
        grad_text = np.zeros(shape, grad_output.dtype)
        for i in range(bands.shape[1]):
            grad_text[:, i * tile:i * tile + near] += grad_around[:, i]
        return [grad_text, None, None]


@tensor_op
class centre_scores(Operation):
    """The dot product of the mean around each word with the word itself, and with each of the block's negatives.

    means: (B, L, d). outputs: (B, L + K, d), the block's words, then its negatives. Result: (B, L, 1 + K).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, means, outputs):
        B, L, _ = means.shape
        ctx.extend([means, outputs])
        scores = np.empty((B, L, 1 + outputs.shape[1] - L), means.dtype)
        np.einsum("bld,bld->bl", means, outputs[:, :L], out=scores[..., 0])
        np.matmul(means, outputs[:, L:].swapaxes(1, 2), out=scores[..., 1:])
        return scores

    @staticmethod
    def backward(ctx, grad_output):
        means, outputs = ctx
        L = means.shape[1]
        of_word, of_negatives = grad_output[..., :1], grad_output[..., 1:]
        grad_means = np.matmul(of_negatives, outputs[:, L:])
        grad_means += of_word * outputs[:, :L]
        grad_outputs = np.empty_like(outputs)
        np.multiply(of_word, means, out=grad_outputs[:, :L])
        np.matmul(of_negatives.swapaxes(1, 2), means, out=grad_outputs[:, L:])
        return [grad_means, grad_outputs]


@dataclass
class Batch:
    """B blocks of L words, M = L + 2 · window columns of text and K negatives."""

    text: np.ndarray      # (B, M) ids: the block, and what is around it
    outputs: np.ndarray   # (B, L + K) ids: the block, then its negatives
    bands: np.ndarray     # (B, L, t + 2 · window): 1 for the columns around the word's tile that are in its window, else 0
    sizes: np.ndarray     # (B, L, 1): how many words are in its window, 1 where there is none
    labels: np.ndarray    # (B, L, 1 + K): 1 for the word itself, 0 for the negatives
    weights: np.ndarray   # (B, L, 1 + K): 1 for the word, its share of a negative; all 0 for a word with nothing around it
    count: int            # words that are predicted
    units: float          # words of the text that this batch accounts for
    often_text: RepeatedRows | None  # words that the step has very often (MANY): in ordinary text few, or none
    often_outputs: RepeatedRows | None


class CBOW(WordVectorRecipe):
    Config = Config
    tables = ("words", "centres")
    not_derivatives = ("words.weight",)   # for `nnkit check --gradcheck`: see window_means

    def __init__(self, config):
        super().__init__(config)
        self.tile = math.gcd(config.training.tile, config.training.block_length)
        self.make_bands()

    def make_bands(self):
        """A row of a band for every word a tile can hold: its window to the left and right (0..w), its place (0..t-1)."""
        w, t, K = self.config.model.window, self.tile, self.config.training.shared_negatives
        left, right, place = np.ogrid[:w + 1, :w + 1, :t]
        distance = np.arange(t + 2 * w) - (place[..., None] + w)                     # (1, 1, t, t + 2 w)
        band = (distance != 0) & (-left[..., None] <= distance) & (distance <= right[..., None])
        self.bands = band.astype(np.float32).reshape(-1, t + 2 * w)
        self.weights = np.array([1.0] + K * [self.config.model.negatives / K], np.float32)
        self.labels = np.array([1.0] + K * [0.0], np.float32)

    def build(self, rng):
        return self.started(TwoTables(len(self.corpus.vocabulary), self.config.model.dim, rng))

    def loss(self, model, batch):
        text = model.words(batch.text)                    # (blocks, length + 2 · window, dim)
        outputs = model.centres(batch.outputs)            # (blocks, length + shared, dim)
        self.bound(text, batch.often_text, model.centres)
        self.bound(outputs, batch.often_outputs, model.words)
        means = window_means(text, batch.bands, batch.sizes)     # (blocks, length, dim)
        scores = centre_scores(means, outputs)            # (blocks, length, 1 + shared)
        return losses.binary_cross_entropy_with_logits(scores, batch.labels, weights=batch.weights, reduction="sum",
                                                       deferred=True)

    def batches(self, epoch, rng, start=0):
        w, t, shape = self.config.model.window, self.tile, self.config.training
        B, L, K = self.blocks, shape.block_length, shape.shared_negatives
        labels = np.broadcast_to(self.labels, (B, L, 1 + K))
        for part in self.windows.blocks(rng, length=L, negatives=K, multiple=B):
            outputs = np.concatenate([part.text[:, w:w + L], part.negatives], axis=1)
            row = (part.left * (w + 1) + part.right) * t + np.arange(L) % t
            sizes = (part.left + part.right)[..., None]
            n_steps = len(outputs) // B
            often_text, often_outputs = (repeated_rows(ids.reshape(n_steps, -1), self.many, len(self.corpus.vocabulary))
                                         for ids in (part.text, outputs))
            for step in range(start, n_steps):
                blocks = slice(step * B, (step + 1) * B)
                bands = np.take(self.bands, row[blocks], axis=0)
                here = sizes[blocks]
                predicted = here > 0
                yield Batch(part.text[blocks], outputs[blocks], bands, np.maximum(here, 1, dtype=np.float32), labels,
                            predicted * self.weights, int(np.count_nonzero(predicted)), part.raw_words / n_steps,
                            often_text and often_text[step], often_outputs and often_outputs[step])
            start = max(0, start - n_steps)               # what is still to skip
