"""A recipe for the tests of training.workers: it writes down which process trained which items, and has the troubles of life."""

import os
import signal
import statistics
import time
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import nn
from nnkit.training import Recipe, RunConfig, Section, TrainingConfig


class Data(Section):
    items: int = Field(64, ge=1, description="items of an epoch, four in a batch")
    tally: str = Field(description="the file that is written to: a line of epoch, worker, process and items for each batch")
    trouble: str = Field("", description="what befalls worker 1: late at the start, or in epoch 2 raise, kill, nan")
    pause: float = Field(0.0, ge=0, description="seconds that a step takes")


class Config(RunConfig):
    data: Data = Field(description="the items")
    training: TrainingConfig = Field(TrainingConfig(), description="epochs and workers")


@dataclass
class Batch:
    epoch: int
    items: np.ndarray

    @property
    def count(self):
        return len(self.items)

    @property
    def units(self):
        return float(len(self.items))


class Tally(Recipe):
    Config = Config
    shares_tables = True

    def __init__(self, config):
        super().__init__(config)
        self.items, self.me = np.arange(config.data.items), 0
        self.units_per_epoch = float(len(self.items))

    def build(self, rng):
        return nn.Embedding(self.config.data.items, 2, rng=rng)

    def take_part(self, worker, workers):
        self.items, self.me = np.array_split(self.items, workers)[worker], worker
        with open(f"{self.config.data.tally}.processes", "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        if self.config.data.trouble == "late" and worker == 1:
            time.sleep(0.5)

    def batches(self, epoch, rng, start=0):
        order = rng.permutation(self.items)
        for first in range(4 * start, len(order), 4):
            yield Batch(epoch, order[first:first + 4])

    def loss(self, model, batch):
        with open(self.config.data.tally, "a", encoding="utf-8") as file:
            file.write(f"{batch.epoch} {self.me} {os.getpid()} {' '.join(map(str, batch.items))}\n")
        time.sleep(self.config.data.pause)
        trouble = self.config.data.trouble if self.me == 1 and batch.epoch == 1 else ""
        if trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "raise":
            statistics.mean([])  # a mistake of the recipe that a library finds
        distance = model(batch.items) - 1
        loss = (distance * distance).mean()
        return loss * np.nan if trouble == "nan" else loss
