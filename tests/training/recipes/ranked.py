"""A recipe for the tests of ranks under MPI: dense weights and a table of rows, in float64, with the troubles of life."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nnkit import losses, nn
from nnkit.training import Recipe, RunConfig, Section, TrainingConfig


class Data(Section):
    items: int = Field(35, ge=1, description="items of an epoch; with 8 in a batch the last one has 3")
    trouble: str = Field("", description="what befalls rank 1 in step 4, and all of them in the case of nan: raise, kill, nan, "
                                         "drift, int, term, or early, while the data is read")
    pause: float = Field(0.0, ge=0, description="seconds that a step takes")


class Model(Section):
    dropout: float = Field(0.0, ge=0, lt=1, description="share that is left out")
    norm: bool = Field(False, description="normalize over the batch")


class Training(TrainingConfig):
    batch_size: int = Field(8, ge=1, description="items in a step")


class Config(RunConfig):
    data: Data = Field(Data(), description="the items")
    model: Model = Field(Model(), description="the network")
    training: Training = Field(Training(), description="epochs and batches")


@dataclass
class Batch:
    ids: np.ndarray       # (n,)
    classes: np.ndarray   # (n,)

    @property
    def count(self):
        return len(self.ids)

    units = count


class Network(nn.Module):
    def __init__(self, config, rng):
        table = nn.init.normal((50, 6), 1.0, rng)
        self.words, self.drop = nn.Embedding.from_pretrained(table, freeze=False), nn.Dropout(config.dropout, rng=rng)
        self.norm = nn.BatchNorm1d(6) if config.norm else None
        self.out = nn.Linear(6, 3, rng=rng)
        for p in self.parameters():
            p.value = p.value.astype(np.float64)

    def forward(self, ids):
        x = self.drop(self.words(ids))
        return self.out(x if self.norm is None else self.norm(x))


class Ranked(Recipe):
    Config = Config
    measures = ("dev_loss",)

    def __init__(self, config):
        super().__init__(config)
        rng = np.random.default_rng(0)
        self.ids, self.classes = rng.integers(0, 50, config.data.items), rng.integers(0, 3, config.data.items)
        self.units_per_epoch, self.steps = float(config.data.items), 0
        self.rank = int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", 0)))
        if config.data.trouble == "early" and self.rank == 1:
            raise ValueError("a mistake of the recipe")

    def build(self, rng):
        return Network(self.config.model, rng)

    def batches(self, epoch, rng, start=0):
        order, size = rng.permutation(len(self.ids)), self.config.training.batch_size
        for first in range(start * size, len(order), size):
            chosen = order[first:first + size]
            yield Batch(self.ids[chosen], self.classes[chosen])

    def loss(self, model, batch):
        self.steps += 1
        time.sleep(self.config.data.pause)
        loss = losses.cross_entropy(model(batch.ids), batch.classes)
        trouble = self.config.data.trouble if self.steps == 4 else ""
        if trouble == "nan":
            return loss * np.nan
        if self.rank == 1:
            if trouble == "raise":
                raise ValueError("a mistake of the recipe")
            if trouble in ("kill", "int", "term"):
                os.kill(os.getpid(), {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM}[trouble])
            if trouble == "drift":
                model.out.bias.value[0] += 1
        return loss

    def evaluate(self, model):
        return {"dev_loss": float(losses.cross_entropy(model(self.ids), self.classes))}
