"""The training loop: model → loss → backward → update, and what happens between two steps: lines, evaluations, checkpoints.

`Trainer.train` is the loop itself. Where several ranks train (nnkit/training/ranks.py), each of them runs it, on its part of
every batch, and what is between them is `exchange`.
"""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnkit.autograd import Tensor, no_grad
from nnkit.errors import Diverged
from nnkit.optim import clip_grad_norm, clip_grad_value
from nnkit.training.counting import grouped
from nnkit.training.exchange import Exchange
from nnkit.training.first_step import FirstStep
from nnkit.training.metrics import MetricsLog
from nnkit.training.parts import part_of
from nnkit.training.schema import FEWEST_LOSSES
from nnkit.training.signals import StopRequest
from nnkit.training.trainer_state import TrainerState

LINE_EVERY = 30.0  # seconds between lines on the terminal where evaluations are rarer


class Trainer(TrainerState):
    """Trains a model by a recipe into a run directory."""

    def __init__(self, *parts: Any, **options: Any):
        super().__init__(*parts, **options)
        self.last_loss = math.nan
        self._line_at = time.monotonic()
        self.exchange = Exchange(self.model.parameters(), self.ranks)
        self.first_step = FirstStep(self.model)

    def train(self, metrics: MetricsLog | None, stop: StopRequest) -> None:
        """Go on from the position to the last epoch, or to the step in which `stop` is asked for. Diverged on NaN."""
        self.metrics = metrics
        recipe, model, optimizer, position = self.recipe, self.model.train(), self.optimizer, self.position
        together, ranks, is_stopped = self.config.training.accumulate, self.ranks, False
        self.clock.start()
        with np.errstate(all="ignore"), self.first_step:  # what overflows is found in the loss, with better words
            while not self.is_done():
                batches = self.batches(position.epoch, position.step_in_epoch * together)
                for group in grouped(batches, together):
                    optimizer.set(**self.schedules.at(self.progress(), position.step))
                    for batch in group:                          # one, where training.accumulate is 1
                        part = part_of(batch, ranks.rank, ranks.size)    # all of it, where there is one process
                        loss = recipe.loss(model, part) if part.count else Tensor(0.0)    # model → loss
                        self.read(loss, part)
                        if batch is group[0]:                    # only now: what diverged tells of the last step's gradients
                            optimizer.zero_grad()
                        loss.backward(self.share(part, group))   # backward
                    self.exchange.add_up()                       # with the other ranks, if there are any
                    if self.first_step.is_open:
                        self.end_first_step()
                    self.clip()
                    optimizer.step()                             # update
                    self.after_step(group)
                    is_stopped = ranks.agree(stop)
                    if is_stopped or self.is_done():
                        break
                if is_stopped or self.is_done():
                    break
                if not position.step_in_epoch:
                    raise self.wrong("batches", "nothing", f"at least one batch in epoch {position.epoch + 1}")
                position.epoch += 1
                position.step_in_epoch, position.units = 0, 0.0
                self.after_epoch()
        self.clock.stop()
        self.check_parameters()

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch, from number `start` on; every rank has the same ones."""
        return self.recipe.batches(epoch, np.random.default_rng([self.config.seed, 1, epoch]), start)

    def share(self, part: Any, group: list[Any]) -> Any:
        """What the gradient of a part weighs in the step: by its items, where the loss is their mean."""
        if self.recipe.loss_is_sum or (len(group) == 1 and self.ranks.size == 1):
            return None
        return np.float64(part.count / sum(batch.count for batch in group))

    def end_first_step(self) -> None:
        """Say what it showed: parameters that get no gradient."""
        for line in self.first_step.end():
            self.console.say(f"notice  {line}")

    def clip(self) -> None:
        limits = self.config.training
        if limits.clip_value is not None:
            clip_grad_value(self.model.parameters(), limits.clip_value)
        if limits.clip_norm is not None:
            clip_grad_norm(self.model.parameters(), limits.clip_norm)

    def after_step(self, group: list[Any]) -> None:
        position, every = self.position, self.config
        position.step += 1
        position.step_in_epoch += 1
        for batch in group:
            position.units += batch.units
        if every.log.every.is_due_at_step(position.step):
            self.log()
        if every.eval.every.is_due_at_step(position.step):
            self.evaluate()
        if every.save.every.is_due_at_step(position.step):
            self.save()
        self.move_bar()

    def move_bar(self) -> None:
        if self.console.wants_bar():
            loss = f"loss {self.last_loss:.4f} " if math.isfinite(self.last_loss) else ""  # before the first line there is none
            self.console.move_bar(self.units_done(), f"{loss}lr {self.optimizer.lr:.4g}")

    def after_epoch(self) -> None:
        every = self.config
        if every.log.every.is_due_at_epoch(self.position.epoch):
            self.log()
        if every.eval.every.is_due_at_epoch(self.position.epoch):
            self.evaluate()
        if every.save.every.is_due_at_epoch(self.position.epoch):
            self.save()

    # Watching

    def row(self, event: str, train_loss: float | None) -> dict[str, Any]:
        epoch = self.position.epoch + (1 if self.position.step_in_epoch else 0)  # the one that is, or was just, trained
        return {"event": event, "epoch": epoch, "step": self.position.step,
                "seconds": round(self.clock.seconds, 3), **self.values_in_force(), "train_loss": train_loss}

    def log(self) -> None:
        """A line of metrics.jsonl with the mean loss since the line before."""
        row = self.row("train", self.position.since_log.take())
        row[f"{self.recipe.unit}_per_second"] = round(self.speed())
        self.last_loss = row["train_loss"] if row["train_loss"] is not None else math.nan
        self.record(row)
        if time.monotonic() - self._line_at > LINE_EVERY:
            self.say_row(row)

    def record(self, row: dict[str, Any]) -> None:
        if self.metrics is not None:
            self.metrics.append(row)
        if self.on_log is not None:
            self.on_log(row)

    def has_a_window(self) -> bool:
        """Whether the steps since the last line make one of their own: a mean of three losses would be a jump in the curve."""
        log, step = self.config.log, self.position.step
        few = log.loss_every > 1 and log.every.unit == "step" and step % log.every.count < FEWEST_LOSSES * log.loss_every
        return bool(self.position.since_log.count) and not (few and step > log.every.count)

    def evaluate(self) -> None:
        """Measure on held-out data with dropout off and without a graph."""
        row = self.row("eval", self.position.since_evaluation.take())
        self.ranks.check_equal(self.weights(), f"step {self.position.step}")
        with self.clock.paused():
            self.model.eval()
            try:
                with no_grad():
                    measured = self.measure()
            finally:
                self.model.train()
            if not isinstance(measured, dict) or not all(isinstance(v, (int, float, np.number)) for v in measured.values()):
                raise self.wrong("evaluate", measured, "a dict of numbers, such as {'dev_loss': 0.5}")
            row |= measured
            if self.judge.sees(row):
                row["best"] = True
                self.save_best()
            if self.schedules.plateaus:
                self.schedules.observe(self.judge.value(row))
            self.record(row)
            if self.on_evaluate is not None:
                self.on_evaluate(dict(row))
            self.say_row(row)

    def measure(self) -> dict[str, float]:
        """What `recipe.evaluate` gives; ranks share the work where the recipe can, else the first does it for all."""
        recipe, ranks = self.recipe, self.ranks
        if ranks.size == 1:
            return recipe.evaluate(self.model)
        counted = recipe.count_part(self.model, ranks.rank, ranks.size)
        if counted is None:
            return ranks.first(lambda: recipe.evaluate(self.model))
        return recipe.measures_from(functools.reduce(operator.add, ranks.gather(counted)))

    def say_row(self, row: dict[str, Any]) -> None:
        shown = [f"epoch {row['epoch']}/{self.epochs}", f"step {row['step']:,}"]
        shown += [f"{key} {value:.4f}" for key, value in row.items() if value is not None
                  and (key.endswith(("_loss", "_acc")) or key == str(self.judge.monitor)[1:])]
        shown += ["best"] if row.get("best") else []
        shown += [f"lr {row['lr']:.4g}", f"{self.speed():,.0f} {self.recipe.unit}/s", f"{row['seconds']:.1f} s"]
        self.console.say("   ".join(shown))
        self._line_at = time.monotonic()

    def read(self, loss: Any, part: Any) -> None:
        """Add the loss to the means, at every n-th step (log.loss_every); Diverged, with what is saved, if it is not finite."""
        if self.position.step % self.config.log.loss_every:
            return
        if not isinstance(loss, Tensor) or math.prod(loss.shape) != 1:
            raise self.wrong("loss", loss, "a Tensor of one number")
        value = float(loss)
        total, count = self.ranks.sum(value if self.recipe.loss_is_sum else value * part.count, part.count)
        if not math.isfinite(total):
            raise Diverged(self.diverged(self.position.step + 1, f"train_loss is {total if math.isfinite(value) else value}"))
        self.position.since_log.add(total, count)
        self.position.since_evaluation.add(total, count)
