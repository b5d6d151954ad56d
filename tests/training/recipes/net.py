"""A recipe for the tests of optimizers and schedules: two layers with parameters of known names, seven steps an epoch."""

import numpy as np

from nnkit import losses, nn
from nnkit.training import Recipe, RunConfig


class Batch:
    def __init__(self, x):
        self.x, self.count, self.units = x, len(x), len(x)


class Two(nn.Module):
    def __init__(self, rng):
        self.first, self.second = nn.Linear(3, 4, rng=rng), nn.Linear(4, 1, rng=rng)

    def forward(self, x):
        return self.second(self.first(x))


class Net(Recipe):
    Config = RunConfig
    measures = ("dev_loss",)

    def __init__(self, config):
        super().__init__(config)
        self.x = np.random.default_rng(0).standard_normal((28, 3)).astype(np.float32)
        self.units_per_epoch = len(self.x)

    def build(self, rng):
        return Two(rng)

    def batches(self, epoch, rng, start=0):
        order = rng.permutation(len(self.x))
        for first in range(4 * start, len(order), 4):
            yield Batch(self.x[order[first:first + 4]])

    def loss(self, model, batch):
        return losses.mean_squared_error(model(batch.x), batch.x[:, :1])

    def evaluate(self, model):
        return {"dev_loss": float(losses.mean_squared_error(model(self.x), self.x[:, :1]))}
