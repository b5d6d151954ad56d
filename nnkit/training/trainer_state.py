"""What a trainer knows and keeps: where a run stands, its checkpoints, and the errors that tell of both.

All a run needs in order to go on from where it stopped is in `Position`, the model, the optimizer and the generators; `save`
writes it, `restore` reads it back, and the same bits come out as without a stop. The loop itself is in loop.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from nnkit.errors import Diverged, UserError
from nnkit.nn import Module
from nnkit.optim import Optimizer, grad_norm
from nnkit.optim.schedules import Schedules
from nnkit.training.checkpoints import load_checkpoint, load_latest, save_checkpoint
from nnkit.training.console import Console
from nnkit.training.counting import Mean, Position, Stopwatch
from nnkit.training.judge import Judge
from nnkit.training.metrics import MetricsLog
from nnkit.training.parts import check_parts
from nnkit.training.ranks import Ranks
from nnkit.training.recipe import Recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import RunConfig

Callback = Callable[[dict[str, Any]], Any]  # gets a row of metrics.jsonl; what it raises ends the training


class TrainerState:
    """A recipe, its model, and how far the training of it is; of several ranks the first one writes."""

    metrics: MetricsLog | None  # of the first rank, once the training has begun

    def __init__(self, recipe: Recipe, model: Module, optimizer: Optimizer, schedules: Schedules, config: RunConfig,
                 run: RunDirectory, console: Console, on_log: Callback | None = None, on_evaluate: Callback | None = None,
                 ranks: Ranks | None = None):
        self.recipe, self.model, self.optimizer = recipe, model, optimizer
        self.schedules, self.config, self.run, self.console, self.on_log = schedules, config, run, console, on_log
        self.on_evaluate = on_evaluate
        self.ranks = Ranks() if ranks is None else ranks
        self.epochs = config.training.epochs
        units = getattr(recipe, "units_per_epoch", None)
        if units is None or not units > 0:
            raise self.wrong("units_per_epoch", units, "a number above 0, the sum of the batches' units")
        self.position = Position()
        self.judge = Judge(config.eval.monitor, config.training.patience)
        self.clock = Stopwatch()
        self._saved_at: tuple[int, int] | None = None  # epoch and step
        self.ranks_before = self.ranks.size  # of the checkpoint that this goes on from
        self._names = set(model.state_dict())

    def check_parts(self) -> None:
        """ConfigError where ranks cannot share the first batch, and so none of them: before the training, not within."""
        if self.ranks.size > 1:
            for batch in self.recipe.batches(0, np.random.default_rng([self.config.seed, 1, 0])):
                return check_parts(batch, self.ranks.size)

    def begin_together(self, resumed: bool) -> None:
        """All ranks have the first one's model, and each draws numbers of its own."""
        self.ranks.broadcast(self.model.state_dict().values())
        if not resumed:
            self.ranks.jump(self.model.named_generators())

    # Where it stands

    def is_done(self) -> bool:
        return self.position.epoch >= self.epochs or self.judge.gives_up

    def is_at_the_end(self) -> bool:
        """Done, and with not a step too much, as where a longer training was stopped."""
        return self.judge.gives_up or (self.position.epoch == self.epochs and not self.position.step_in_epoch)

    def progress(self) -> float:
        """The share of the training that is done, 0 to 1."""
        within = min(1.0, self.position.units / self.recipe.units_per_epoch)
        return (self.position.epoch + within) / self.epochs

    def units_done(self) -> float:
        return self.position.epoch * self.recipe.units_per_epoch + self.position.units

    def speed(self) -> float:
        """Words or examples a second, over the whole training so far."""
        return self.units_done() / self.clock.seconds if self.clock.seconds else 0.0

    def values_in_force(self) -> dict[str, float]:
        """Of the hyper-parameters that have a schedule, by name; lr first."""
        return {name: self.optimizer.get(name) for name in self.schedules.by_name}

    # What is wrong

    def wrong(self, name: str, given: Any, expected: str) -> UserError:
        """The error for what a recipe gave in place of what the trainer needs."""
        shown = given if isinstance(given, str) else " ".join(f"{given!r:.80}".split())
        return UserError(f"{type(self.recipe).__name__}.{name} gave {shown}; expected {expected}")

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

    def weights(self) -> dict[str, np.ndarray]:
        """The model's state; without what an evaluation left on a module (self.last = y), which a new model would not have."""
        return {name: value for name, value in self.model.state_dict().items() if name in self._names}

    def saved_bytes(self) -> int:
        """What last.npz takes on the disk, and best.npz where there is one, but for some kilobytes."""
        weights = sum(value.nbytes for value in self.weights().values())
        state = sum(value.nbytes for value in self.optimizer.state_arrays().values())
        return weights + state + (weights if self.judge.monitor else 0)

    def save(self) -> None:
        """Write checkpoints/last.npz, unless it is there: all that `restore` needs to go on to the bit."""
        here = self.position.epoch, self.position.step
        if self._saved_at == here:
            return
        with self.clock.paused():
            self.check_parameters()
            generators = self.ranks.gather({name: g.bit_generator.state for name, g in self.model.named_generators()})
            if self.metrics is not None:
                self.write_last(self.metrics, generators)
            self._saved_at = here

    def write_last(self, metrics: MetricsLog, generators: list[dict[str, Any]]) -> None:
        arrays = {f"model/{name}": value for name, value in self.weights().items()}
        arrays |= {f"optimizer/{name}": value for name, value in self.optimizer.state_arrays().items()}
        meta = {"position": asdict(self.position), "values": self.values_in_force(), "seconds": self.clock.seconds,
                "metrics_length": metrics.length, "config": self.config.model_dump(mode="json"),
                "generators": generators[0], "generators_of_others": generators[1:],
                "judge": self.judge.state(), "schedules": self.schedules.state(self.epochs)}
        with self.console.saving(self.run.path("checkpoints/last.npz")) as path:
            save_checkpoint(path, arrays, meta)
        self.run.commit_replacement()

    def save_best(self) -> None:
        """Write checkpoints/best.npz, the weights alone."""
        self.check_parameters()
        if not self.ranks.is_first:
            return
        arrays = {f"model/{name}": value for name, value in self.weights().items()}
        with self.console.saving(self.run.path("checkpoints/best.npz")) as path:
            save_checkpoint(path, arrays, self.judge.state())

    def take_best(self) -> dict[str, Any] | None:
        """Give the model the weights of checkpoints/best.npz; returns the judge's state of then, None where none was chosen.

        After a kill it may be of a step that the resumed run has not come to again: it was trained, and is the best.
        """
        if self.judge.best is None:
            return None
        meta: dict[str, Any] = {}
        if self.ranks.is_first:
            arrays, meta = load_checkpoint(self.run.path("checkpoints/best.npz"))
            self.model.load_state_dict(self.model.state_dict() | {name.removeprefix("model/"): a for name, a in arrays.items()})
        self.ranks.broadcast(self.weights().values())
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
        self.restore_generators([meta["generators"], *meta.get("generators_of_others", [])])
        saved = meta["position"]
        self.position = Position(**{**saved, "since_log": Mean(**saved["since_log"]),
                                    "since_evaluation": Mean(**saved["since_evaluation"])})
        self.optimizer.set(**meta["values"])
        self.judge.load_state(meta["judge"])
        self.schedules.load_state(meta["schedules"], self.epochs)
        self.clock = Stopwatch(meta["seconds"])
        self._saved_at = self.position.epoch, self.position.step
        return meta["metrics_length"]

    def restore_generators(self, saved: list[dict[str, Any]]) -> None:
        """Those of this rank; one more than there were goes on in a stream that none of the others has had."""
        self.ranks_before = len(saved)
        mine = self.ranks.rank if self.ranks.rank < len(saved) else 0
        for name, generator in self.model.named_generators():
            generator.bit_generator.state = saved[mine][name]
        if mine != self.ranks.rank:
            self.ranks.jump(self.model.named_generators())
        if len(saved) != self.ranks.size:
            self.console.say(f"notice  the run was trained by {counted(len(saved))} and goes on with {counted(self.ranks.size)}: "
                             "from here on it is another run than without the stop, by rounding, and by what each rank draws")


def counted(ranks: int) -> str:
    return "one process" if ranks == 1 else f"{ranks} ranks"
