"""The training loop: model → loss → backward → update, and what happens between two steps.

`Trainer.train` is the loop itself. All a run needs in order to go on from where it stopped is in `Position`, the model,
the optimizer and the generators; `save` writes it, `restore` reads it back, and the same bits come out as without a stop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from nnkit.autograd import Tensor, no_grad
from nnkit.errors import Diverged, UserError
from nnkit.nn import Module
from nnkit.optim import Optimizer, clip_grad_norm, clip_grad_value, grad_norm
from nnkit.optim.schedules import Schedules
from nnkit.training.checkpoints import load_checkpoint, load_latest, save_checkpoint
from nnkit.training.console import Console
from nnkit.training.counting import Mean, Position, Stopwatch, grouped
from nnkit.training.judge import Judge
from nnkit.training.metrics import MetricsLog
from nnkit.training.recipe import Recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import FEWEST_LOSSES, RunConfig
from nnkit.training.signals import StopRequest

LINE_EVERY = 30.0  # seconds between lines on the terminal where evaluations are rarer

Callback = Callable[[dict[str, Any]], Any]  # gets a row of metrics.jsonl; what it raises ends the training


class Trainer:
    """Trains a model by a recipe into a run directory."""

    def __init__(self, recipe: Recipe, model: Module, optimizer: Optimizer, schedules: Schedules, config: RunConfig,
                 run: RunDirectory, console: Console,
                 on_log: Callback | None = None, on_evaluate: Callback | None = None):
        self.recipe, self.model, self.optimizer = recipe, model, optimizer
        self.schedules, self.config, self.run, self.console, self.on_log = schedules, config, run, console, on_log
        self.on_evaluate = on_evaluate
        self.epochs = config.training.epochs
        units = getattr(recipe, "units_per_epoch", None)
        if units is None or not units > 0:
            raise self.wrong("units_per_epoch", units, "a number above 0, the sum of the batches' units")
        self.position = Position()
        self.judge = Judge(config.eval.monitor, config.training.patience)
        self.last_loss = math.nan
        self.clock = Stopwatch()
        self._line_at = time.monotonic()
        self._saved_at: tuple[int, int] | None = None  # epoch and step

    def train(self, metrics: MetricsLog, stop: StopRequest) -> None:
        """Go on from the position to the last epoch, or to the step in which `stop` is asked for. Diverged on NaN."""
        self.metrics = metrics
        recipe, model, optimizer, position = self.recipe, self.model.train(), self.optimizer, self.position
        together = self.config.training.accumulate
        self.clock.start()
        with np.errstate(all="ignore"):  # what overflows is found in the loss, with better words
            while not self.is_done():
                rng = np.random.default_rng([self.config.seed, 1, position.epoch])
                batches = recipe.batches(position.epoch, rng, position.step_in_epoch * together)
                for group in grouped(batches, together):
                    optimizer.set(**self.schedules.at(self.progress(), position.step))
                    for batch in group:                     # one, where training.accumulate is 1
                        loss = recipe.loss(model, batch)    # model → loss
                        self.read(loss, batch)
                        if batch is group[0]:               # only now: what diverged tells of the last step's gradients
                            optimizer.zero_grad()
                        loss.backward(self.share(batch, group))    # backward
                    self.clip()
                    optimizer.step()                        # update
                    self.after_step(group)
                    if stop.signal is not None or self.is_done():
                        break
                if stop.signal is not None or self.is_done():
                    break
                if not position.step_in_epoch:
                    raise self.wrong("batches", "nothing", f"at least one batch in epoch {position.epoch + 1}")
                position.epoch += 1
                position.step_in_epoch, position.units = 0, 0.0
                self.after_epoch()
        self.clock.stop()
        self.check_parameters()

    def share(self, batch: Any, group: list[Any]) -> Any:
        """What a batch's gradient weighs in a step of several: by its items, where its loss is their mean."""
        if len(group) == 1 or self.recipe.loss_is_sum:
            return None
        return np.float64(batch.count / sum(other.count for other in group))

    def clip(self) -> None:
        limits = self.config.training
        if limits.clip_value is not None:
            clip_grad_value(self.model.parameters(), limits.clip_value)
        if limits.clip_norm is not None:
            clip_grad_norm(self.model.parameters(), limits.clip_norm)

    def is_done(self) -> bool:
        return self.position.epoch >= self.epochs or self.judge.gives_up

    def is_at_the_end(self) -> bool:
        """Done, and with not a step too much, as where a longer training was stopped."""
        return self.judge.gives_up or (self.position.epoch == self.epochs and not self.position.step_in_epoch)

    def progress(self) -> float:
        """The share of the training that is done, 0 to 1."""
        within = min(1.0, self.position.units / self.recipe.units_per_epoch)
        return (self.position.epoch + within) / self.epochs

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

    def units_done(self) -> float:
        return self.position.epoch * self.recipe.units_per_epoch + self.position.units

    # Watching

    def row(self, event: str, train_loss: float | None) -> dict[str, Any]:
        epoch = self.position.epoch + (1 if self.position.step_in_epoch else 0)  # the one that is, or was just, trained
        return {"event": event, "epoch": epoch, "step": self.position.step,
                "seconds": round(self.clock.seconds, 3), **self.values_in_force(), "train_loss": train_loss}

    def values_in_force(self) -> dict[str, float]:
        """Of the hyper-parameters that have a schedule, by name; lr first."""
        return {name: self.optimizer.get(name) for name in self.schedules.by_name}

    def speed(self) -> float:
        """Words or examples a second, over the whole training so far."""
        return self.units_done() / self.clock.seconds if self.clock.seconds else 0.0

    def log(self) -> None:
        """A line of metrics.jsonl with the mean loss since the line before."""
        row = self.row("train", self.position.since_log.take())
        row[f"{self.recipe.unit}_per_second"] = round(self.speed())
        self.last_loss = row["train_loss"] if row["train_loss"] is not None else math.nan
        self.metrics.append(row)
        if self.on_log is not None:
            self.on_log(row)
        if time.monotonic() - self._line_at > LINE_EVERY:
            self.say_row(row)

    def has_a_window(self) -> bool:
        """Whether the steps since the last line make one of their own: a mean of three losses would be a jump in the curve."""
        log, step = self.config.log, self.position.step
        few = log.loss_every > 1 and log.every.unit == "step" and step % log.every.count < FEWEST_LOSSES * log.loss_every
        return bool(self.position.since_log.count) and not (few and step > log.every.count)

    def evaluate(self) -> None:
        """Measure on held-out data with dropout off and without a graph."""
        row = self.row("eval", self.position.since_evaluation.take())
        with self.clock.paused():
            self.model.eval()
            try:
                with no_grad():
                    measured = self.recipe.evaluate(self.model)
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
            self.metrics.append(row)
            if self.on_log is not None:
                self.on_log(row)
            if self.on_evaluate is not None:
                self.on_evaluate(dict(row))
            self.say_row(row)

    def say_row(self, row: dict[str, Any]) -> None:
        shown = [f"epoch {row['epoch']}/{self.epochs}", f"step {row['step']:,}"]
        shown += [f"{key} {value:.4f}" for key, value in row.items() if value is not None
                  and (key.endswith(("_loss", "_acc")) or key == str(self.judge.monitor)[1:])]
        shown += ["best"] if row.get("best") else []
        shown += [f"lr {row['lr']:.4g}", f"{self.speed():,.0f} {self.recipe.unit}/s", f"{row['seconds']:.1f} s"]
        self.console.say("   ".join(shown))
        self._line_at = time.monotonic()

    # What is wrong

    def wrong(self, name: str, given: Any, expected: str) -> UserError:
        """The error for what a recipe gave in place of what the trainer needs."""
        shown = given if isinstance(given, str) else " ".join(f"{given!r:.80}".split())
        return UserError(f"{type(self.recipe).__name__}.{name} gave {shown}; expected {expected}")

    def read(self, loss: Any, batch: Any) -> None:
        """Add the loss to the means, at every n-th step (log.loss_every); Diverged, with what is saved, if it is not finite."""
        if self.position.step % self.config.log.loss_every:
            return
        if not isinstance(loss, Tensor) or math.prod(loss.shape) != 1:
            raise self.wrong("loss", loss, "a Tensor of one number")
        value = float(loss)
        if not math.isfinite(value):
            raise Diverged(self.diverged(self.position.step + 1, f"train_loss is {value}"))
        total = value if self.recipe.loss_is_sum else value * batch.count
        self.position.since_log.add(total, batch.count)
        self.position.since_evaluation.add(total, batch.count)

    def check_parameters(self) -> None:
        """The last update may have broken what no loss has looked at since."""
        # a NaN is the least and the greatest of all; np.isfinite would make an array of the table's size
        if not np.isfinite([(p.value.min(initial=0), p.value.max(initial=0)) for p in self.model.parameters()]).all():
            raise Diverged(self.diverged(self.position.step, "a parameter is not finite"))

    def diverged(self, step: int, what: str) -> str:
        names = [name for name, p in self.model.named_parameters() if not np.isfinite(p.value).all()]
        saved = (f"the last finite state is {self.run.path('checkpoints/last.npz')} (step {self._saved_at[1]})"
                 if self._saved_at is not None else "nothing was saved before")
        norm = grad_norm(self.model.parameters())
        return (f"step {step}: {what} (lr {self.optimizer.lr:g}, last gradient norm {norm:.3g}, first bad tensor: "
                f"{names[0] if names else 'the loss itself'}); {saved}. "
                f"Try a smaller optimizer.lr (now {self.config.optimizer.lr:g})")

    # Saving

    def saved_bytes(self) -> int:
        """What last.npz takes on the disk, and best.npz where there is one, but for some kilobytes."""
        weights = sum(value.nbytes for value in self.model.state_dict().values())
        state = sum(value.nbytes for value in self.optimizer.state_arrays().values())
        return weights + state + (weights if self.judge.monitor else 0)

    def save(self) -> None:
        """Write checkpoints/last.npz, unless it is there: all that `restore` needs to go on to the bit."""
        here = self.position.epoch, self.position.step
        if self._saved_at == here:
            return
        with self.clock.paused():
            self.check_parameters()
            arrays = {f"model/{name}": value for name, value in self.model.state_dict().items()}
            arrays |= {f"optimizer/{name}": value for name, value in self.optimizer.state_arrays().items()}
            meta = {"position": asdict(self.position), "values": self.values_in_force(), "seconds": self.clock.seconds,
                    "metrics_length": self.metrics.length, "config": self.config.model_dump(mode="json"),
                    "generators": {name: g.bit_generator.state for name, g in self.model.named_generators()},
                    "judge": self.judge.state(), "schedules": self.schedules.state(self.epochs)}
            with self.console.saving(self.run.path("checkpoints/last.npz")) as path:
                save_checkpoint(path, arrays, meta)
            self.run.commit_replacement()
            self._saved_at = here

    def save_best(self) -> None:
        """Write checkpoints/best.npz, the weights alone."""
        self.check_parameters()
        arrays = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        with self.console.saving(self.run.path("checkpoints/best.npz")) as path:
            save_checkpoint(path, arrays, self.judge.state())

    def take_best(self) -> dict[str, Any] | None:
        """Give the model the weights of checkpoints/best.npz; returns the judge's state of then, None where none was chosen.

        After a kill it may be of a step that the resumed run has not come to again: it was trained, and is the best.
        """
        if self.judge.best is None:
            return None
        arrays, meta = load_checkpoint(self.run.path("checkpoints/best.npz"))
        self.model.load_state_dict({name.removeprefix("model/"): a for name, a in arrays.items()})
        return meta

    def restore(self) -> int:
        """Take the state of the last checkpoint; returns the length of metrics.jsonl that goes with it."""
        arrays, meta, _, notice = load_latest(self.run.path("checkpoints"), "last")
        if notice:
            self.console.say(notice)
        part = {kind: {name.removeprefix(f"{kind}/"): a for name, a in arrays.items() if name.startswith(f"{kind}/")}
                for kind in ("model", "optimizer")}
        self.model.load_state_dict(part["model"])
        self.optimizer.load_state_arrays(part["optimizer"])
        for name, generator in self.model.named_generators():
            generator.bit_generator.state = meta["generators"][name]
        saved = meta["position"]
        self.position = Position(**{**saved, "since_log": Mean(**saved["since_log"]),
                                    "since_evaluation": Mean(**saved["since_evaluation"])})
        self.optimizer.set(**meta["values"])
        self.judge.load_state(meta["judge"])
        self.schedules.load_state(meta["schedules"], self.epochs)
        self.clock = Stopwatch(meta["seconds"])
        self._saved_at = self.position.epoch, self.position.step
        return meta["metrics_length"]
