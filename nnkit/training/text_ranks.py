"""Ranks that learn word vectors: each has a part of the text of its own, and reads no other.

`RowsTrainer`: they make every step together. Each brings its share of the step's blocks, from its own part, and the rows that all
of them have a gradient for are exchanged. It is what one process does whose steps have the blocks of all of them.
`AveragingTrainer`: each makes steps alone, and after some of them every row becomes the mean of what the ranks have made of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from nnkit.autograd import RowGrad
from nnkit.errors import ConfigError, Diverged
from nnkit.training.counting import grouped
from nnkit.training.loop import Trainer
from nnkit.training.metrics import MetricsLog
from nnkit.training.ranks import Ranks
from nnkit.training.schema import RunConfig
from nnkit.training.signals import StopRequest
from nnkit.training.starting import PartlyFrozen


@dataclass
class Union:
    """A step's batch, of which every rank has made its own part."""

    own: Any      # None where this rank's part of the text has come to its end
    count: float  # of all ranks together
    units: float

    def part(self, index: int, of: int) -> Any:
        return Nothing() if self.own is None else self.own


class Nothing:
    """What a rank adds to the steps of the others."""

    count = 0


class RowsTrainer(Trainer):
    """Every step is of the blocks of all ranks: they hold the same tables, and have the same learning rate, after each."""

    def __init__(self, *parts: Any, **options: Any):
        super().__init__(*parts, **options)
        recipe, whole = self.recipe, self.recipe.units_per_epoch
        self.take_part()
        self.own_units, recipe.units_per_epoch = recipe.units_per_epoch, whole  # how far they are, is told of the whole

    def take_part(self) -> None:
        self.recipe.take_blocks(self.ranks.rank, self.ranks.size)  # type: ignore[attr-defined]  # of a WordVectorRecipe

    def check_parts(self) -> None:
        """ConfigError where a rank would have nothing to do."""
        blocks, size = self.config.training.blocks, self.ranks.size  # type: ignore[attr-defined]  # of a WordConfig
        if blocks < size:
            raise ConfigError(f"training.blocks: {blocks}: {size} ranks of MPI share the blocks of a step; start fewer of them, "
                              "or raise it")
        self.check_text()

    def check_text(self) -> None:
        if not self.ranks.table([self.own_units]).all():
            raise ConfigError(f"data.train: the text has too few sentences for {self.ranks.size} ranks of MPI, each with a part "
                              "of its own: some would have none; start fewer of them, or put one sentence a line")

    def own_batches(self, epoch: int, start: int) -> Iterator[Any]:
        rng = np.random.default_rng([self.config.seed, 1, epoch, self.ranks.rank])
        return self.recipe.batches(epoch, rng, start)

    def batches(self, epoch: int, start: int) -> Iterator[Union]:
        own = self.own_batches(epoch, start)
        while True:
            batch = next(own, None)
            count, units, left = self.ranks.sum(*((0, 0, 0) if batch is None else (batch.count, batch.units, 1)))
            if not left:
                return
            yield Union(batch, count, units)


class AveragingTrainer(RowsTrainer):
    """Every rank makes `average_every` steps alone, then all of them put together what they have learnt.

    A step of the log is one of any rank; logging, measuring, saving and stopping wait until the tables are the same again.
    """

    def __init__(self, *parts: Any, **options: Any):
        super().__init__(*parts, **options)
        self.period = self.config.training.average_every  # type: ignore[attr-defined]  # of a WordConfig
        self.params = list(self.model.parameters())
        # the rows that this rank has had in a step since the last mean
        self.moved = [np.zeros(len(p.value), bool) for p in self.params]
        self.frozen = {id(module.weight): module.frozen for module in self.model.modules() if isinstance(module, PartlyFrozen)}

    def take_part(self) -> None:
        self.recipe.take_part(self.ranks.rank, self.ranks.size)

    def check_parts(self) -> None:
        if self.recipe.momentum:  # type: ignore[attr-defined]  # of a WordVectorRecipe
            raise ConfigError("optimizer.momentum: ranks that average their tables (training.exchange: average) would each keep "
                              "a momentum of the tables before; leave it out, or set training.exchange: rows")
        self.check_text()

    def restore(self) -> int:
        length = super().restore()
        self.position.step_in_epoch = self.position.step_in_epoch * self.ranks_before // self.ranks.size  # each has other parts
        return length

    def train(self, metrics: MetricsLog | None, stop: StopRequest) -> None:
        """As `Trainer.train`; a signal ends it at the next mean."""
        self.metrics = metrics
        position, together, is_stopped = self.position, self.config.training.accumulate, False
        self.model.train()
        self.clock.start()
        with np.errstate(all="ignore"), self.first_step:
            while not is_stopped and not self.is_done():
                steps = grouped(self.own_batches(position.epoch, position.step_in_epoch * together), together)
                goes_on = True
                while goes_on and not is_stopped and not self.is_done():
                    goes_on = self.make_round(steps)
                    is_stopped = self.ranks.agree(stop)
                if not goes_on:
                    position.epoch += 1
                    position.step_in_epoch, position.units = 0, 0.0
                    self.after_epoch()
        self.clock.stop()
        self.check_parameters()

    def make_round(self, steps: Iterator[list[Any]]) -> bool:
        """Steps alone, then the mean. Whether any rank has more of this epoch."""
        position, model, optimizer = self.position, self.model, self.optimizer
        total = count = units = 0.0
        made = 0
        for group in islice(steps, self.period):
            optimizer.set(**self.schedules.at(self.progress_with(units), position.step + made * self.ranks.size))
            for batch in group:
                loss = self.recipe.loss(model, batch)                # model → loss
                if (position.step_in_epoch + made) % self.config.log.loss_every == 0:
                    total, count = total + float(loss), count + batch.count
                if batch is group[0]:
                    optimizer.zero_grad()
                loss.backward()                                      # backward: the loss is a sum
                units += batch.units
            if self.first_step.is_open:
                self.end_first_step()
            self.clip()
            optimizer.step()                                         # update
            self.note_moves()
            made += 1
        self.ranks.wait()  # asleep: some are done long before others, which may need their cores
        before, (steps_of_all, units, total, count, unfinished) = position.step, self.ranks.sum(
            made, units, total, count, made == self.period)
        if not math.isfinite(total):
            raise Diverged(self.diverged(before + int(steps_of_all), f"train_loss is {total}"))
        self.average()
        position.step += int(steps_of_all)
        position.step_in_epoch += int(self.ranks.table([made]).max())
        position.units += units
        position.since_log.add(total, count)
        position.since_evaluation.add(total, count)
        for what, act in (("log", self.log), ("eval", self.evaluate), ("save", self.save)):
            every = getattr(self.config, what).every
            if every.unit == "step" and position.step // every.count > before // every.count:
                act()
        self.move_bar()
        return bool(unfinished)

    def progress_with(self, units: float) -> float:
        """The progress, where this rank has done so many units since the last mean, and the others as many, it takes."""
        within = min(1.0, (self.position.units + units * self.ranks.size) / self.recipe.units_per_epoch)
        return (self.position.epoch + within) / self.epochs

    # The mean

    def note_moves(self) -> None:
        for p, moved in zip(self.params, self.moved):
            if p.grad is not None:
                moved[p.grad.rows if isinstance(p.grad, RowGrad) else ...] = True

    def average(self) -> None:
        """Every row becomes the mean over the ranks that have had it in a step.

        Were it the mean over all of them, the step of a rare word, which one rank has seen, would be divided by their number.
        Rows that nobody has had are not sent, and stay to the bit.
        """
        for p, moved in zip(self.params, self.moved):
            if id(p) in self.frozen:
                moved &= ~self.frozen[id(p)]
            movers = moved.astype(p.dtype)
            self.ranks.add(movers)
            rows = np.flatnonzero(movers)
            values = p.value[rows]
            values[~moved[rows]] = 0
            self.ranks.add(values)
            values /= movers[rows].reshape(-1, *(1 for _ in p.shape[1:]))
            p.value[rows] = values
            moved[:] = False
        if self.schedules.warmups:  # what they note of their end: of the first rank, so that a resumed run goes on alike
            self.schedules.load_state(self.ranks.gather(self.schedules.state(self.epochs))[0], self.epochs)


def trainer_of_ranks(settings: RunConfig, ranks: Ranks) -> type[Trainer]:
    """What trains by this config where there are several ranks."""
    exchange = getattr(settings.training, "exchange", None)  # only recipes of word vectors have it
    if ranks.size == 1 or exchange is None:
        return Trainer
    return AveragingTrainer if exchange == "average" else RowsTrainer
