"""nnkit check: the rehearsal of a training. All that it does is done for some steps, nothing is written, what is odd is said.

The steps are those of the trainer itself (`Rehearsal`), so that what is checked here is what will run.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from nnkit.autograd import RowGrad
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.training import config as configs
from nnkit.training.comparing import flat
from nnkit.training.console import Console
from nnkit.training.derivatives import check_derivatives
from nnkit.training.first_step import FirstStep, check_last_batch, kept_graphs, naming_layers, unseeded
from nnkit.training.fitting import check_config, locating
from nnkit.training.interval import Interval
from nnkit.training.layer_shapes import Call, shape_lines, traced
from nnkit.training.loop import Trainer
from nnkit.training.making import make_optimizer, make_schedules, recipe_file, schedule_sections
from nnkit.training.metrics import MetricsLog
from nnkit.training.recipe import Recipe, load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import RunConfig
from nnkit.training.signals import StopRequest

WARM_UP = 2       # steps before the clock counts: in them memory is asked for, and numba may compile
FAR = 0.2         # a first loss that is further from the expected one than this share of it is odd
ITEMS = 200       # of which the first loss is the mean, or of all where they are fewer: a small batch's may be far off by chance
SHOWN = 10        # names of a long list


def check(config: str | os.PathLike[str], overrides: Sequence[str] = (), *, gradcheck: bool = False, seconds: float = 1.0,
          say: Callable[[str], Any] = print) -> list[str]:
    """Rehearse the training that a config file describes; returns the notes on what is odd.

    The lines are `config`, `data`, `shapes` (of every layer in one step), `loss` (at start), `gradients`, `eval`, `time` (of
    steps timed for so many `seconds`), `note`, and with gradcheck `gradcheck`. Nothing is written but the cache of built-in data.
    ConfigError, DataError, Diverged and UserError as `nnkit.fit`; UserError, too, for a derivative that is wrong.
    """
    def line(head: str, *texts: str) -> None:
        for text in texts:
            say(f"{head:11}{text}")
            head = ""

    path, notes = Path(config), []
    tree = configs.read_tree(path, overrides)
    recipe_class = load_recipe(recipe_file(tree))
    settings = configs.validate(tree, recipe_class.Config)
    check_config(tree, settings, recipe_class)
    given, every = flat(tree.plain()), flat(settings.model_dump(mode="json"))
    line("config", f"{path}: {len(given)} keys are set ({len(overrides)} on the command line), "
                   f"{len(every.keys() - given.keys())} have their default; nnkit show {path} lists them")
    with threadpool_limits(settings.training.blas_threads, user_api="blas"):
        with locating(tree):
            recipe = loaded(recipe_class, settings)
            model = recipe.build(np.random.default_rng([settings.seed, 0]))
            notes += unseeded(model, recipe, settings)
        if not isinstance(model, Module) or not any(p.size for p in model.parameters()):
            raise UserError(f"{recipe_class.__name__}.build gave {type(model).__name__}; "
                            "expected a Module with parameters to train")
        told = [*data_lines(recipe), *recipe.check(model)]
        line("data", *(text for text in told if not text.startswith("note: ")))
        notes += [text.removeprefix("note: ") for text in told if text.startswith("note: ")]
        with locating(tree):
            check_last_batch(recipe, model, settings)
            rehearsal = Rehearsal(recipe, model, settings, seconds)
        calls: list[Call] = []
        try:
            with naming_layers(model):
                first = rehearsal.first_loss(calls)
        finally:  # where a layer refuses what it is given, the shapes up to there tell why
            line("shapes", *shape_lines(calls), f"{sum(p.size for p in model.parameters()):,} parameters")
        text, odd = judged(first, recipe.expected_loss())
        line("loss", text)
        notes += odd
        try:
            with naming_layers(model):
                rehearsal.rehearse()
        finally:  # where the loss becomes NaN, the gradients before it tell why
            text, odd = rehearsal.gradients_seen()
            line("gradients", text)
        notes += odd
        with naming_layers(model):
            measured, evaluation = rehearsal.measured()
        line("eval", "   ".join(f"{name} {value:.4f}" for name, value in measured.items()) or "the recipe measures nothing")
        line("time", rehearsal.time_needed(evaluation))
        notes += odd_settings(settings, rehearsal, measured)
        for note in notes:
            line("note", note)
        if gradcheck:
            batch = next(iter(recipe.batches(0, np.random.default_rng([settings.seed, 1, 0]))))
            with naming_layers(model):
                line("gradcheck", *check_derivatives(recipe, model, batch))
    return notes


def loaded(recipe_class: type[Recipe], settings: RunConfig) -> Recipe:
    """The recipe with its data, and a bar on a terminal while it is read."""
    console = Console()
    recipe_class.progress = console.show_reading
    try:
        return recipe_class(settings)
    finally:
        console.close()


def data_lines(recipe: Recipe) -> list[str]:
    """The summary or, without one, the facts; and what the recipe itself finds worth a notice."""
    facts = dict(recipe.facts())
    notice = facts.pop("notice", None)
    shown = {name: f"{len(value)}: {', '.join(map(str, value[:SHOWN]))}{' ...' if value[SHOWN:] else ''}"
             if isinstance(value, (list, tuple)) else value for name, value in facts.items()}
    lines = [recipe.summary() or ", ".join(f"{name} {value}" for name, value in shown.items()) or "the recipe says nothing of it"]
    if recipe.summary() and "classes" in facts and type(recipe).check is Recipe.check:  # which says more of them
        lines.append(f"classes {shown['classes']}")
    return lines + ([f"note: {notice}"] if notice else [])


def judged(loss: float, expected: float | None) -> tuple[str, list[str]]:
    """The line of the first loss, and a note where it is far from what a model that knows nothing has."""
    if expected is None:
        return f"{loss:.4f} at start", []
    text = f"{loss:.4f} at start, expected about {expected:.4f}"
    if abs(loss - expected) <= FAR * abs(expected):
        return text, []
    why = ("are the first parameters or the inputs too large?" if loss > expected else
           "does the input hold the answer, or does the model start from a training?")
    return text, [f"the first loss is {loss:.4f}, that of a model that knows nothing {expected:.4f}: {why}"]


def odd_settings(settings: RunConfig, rehearsal: Rehearsal, measured: dict[str, float]) -> list[str]:
    """What a config or a recipe says that comes to nothing."""
    steps, recipe, notes = rehearsal.steps_in_all(), rehearsal.recipe, []
    for name in ("log", "eval", "save"):
        every = getattr(settings, name).every
        if every.count > (steps if every.unit == "step" else settings.training.epochs):
            notes.append(f"{name}.every is {every}, and there are about {steps:,} steps in {settings.training.epochs} epochs: it "
                         "is not due before the end")
    for keys, section in schedule_sections(settings).items():
        if isinstance(section.warmup, Interval) and section.warmup.unit == "step" and section.warmup.count >= steps:
            notes.append(f"{'.'.join(keys)}.warmup is {section.warmup}, and there are about {steps:,} steps: the value rises "
                         "to the end")
    if set(measured) != set(measures := recipe.measures_of(settings)):
        notes.append(f"{type(recipe).__name__}.evaluate gives {', '.join(measured) or 'nothing'}, its `measures` are "
                     f"{', '.join(measures) or 'empty'}: only what stands in both can be an eval.monitor")
    if settings.training.workers > 1:
        notes.append(f"the time is that of one process; training.workers: {settings.training.workers} share it")
    notes += rehearsal.kept
    wide = [name for name, p in rehearsal.model.named_parameters() if p.dtype == np.float64]
    if wide:
        notes.append(f"{wide[0]} is float64, not float32: it costs twice the memory and time")
    return notes


class Rehearsal(Trainer):
    """The trainer's own loop for some steps, which are timed; without a line, an evaluation or a checkpoint on the way."""

    def __init__(self, recipe: Recipe, model: Module, config: RunConfig, seconds: float):
        super().__init__(recipe, model, make_optimizer(config, model), make_schedules(config), config, RunDirectory("runs"),
                         Console(quiet=True))
        self.first_step = FirstStep(model)
        self.rows: list[dict[str, Any]] = []
        self.metrics = cast(MetricsLog, self.rows)  # an evaluation appends its row
        self.kept: list[str] = []
        self.at_most = seconds
        self.stop = SimpleNamespace(signal=None)
        self.since = 0.0, 0.0                       # seconds and units when the warm-up was over
        self.kinds: dict[str, set[str]] = {name: set() for name, _ in model.named_parameters()}

    def first_loss(self, calls: list[Call]) -> float:
        """The mean loss for an item, of enough of them; every layer that is called in the first batch is added to `calls`."""
        total = count = 0.0
        for number, batch in enumerate(self.recipe.batches(0, np.random.default_rng([self.config.seed, 1, 0]))):
            with traced(self.model.train(), calls) if number == 0 else nullcontext(), np.errstate(all="ignore"):
                loss = self.recipe.loss(self.model, batch)
            self.read(loss, batch)
            total += float(loss) * (1 if self.recipe.loss_is_sum else batch.count)
            count += batch.count
            if count >= ITEMS:
                break
        if not count:
            raise self.wrong("batches", "nothing", "at least one batch in epoch 1")
        return total / count

    def rehearse(self) -> None:
        """Train until the warm-up and the seconds are over, or the whole training is."""
        self.train(self.metrics, cast(StopRequest, self.stop))

    def end_first_step(self) -> None:
        """Parameters without a gradient are told with the gradients."""
        self.first_step.end()
        self.kept = [*kept_graphs(self.model), *self.first_step.unsaved(), *self.first_step.untrained()]

    def clip(self) -> None:
        if self.position.step < WARM_UP:
            for name, p in self.model.named_parameters():
                self.kinds[name].add(kind_of(p.grad))
        super().clip()

    def after_step(self, group: list[Any]) -> None:
        position = self.position
        position.step += 1
        position.step_in_epoch += 1
        position.units += sum(batch.units for batch in group)
        if position.step == WARM_UP:
            self.since = self.clock.seconds, self.units_done()
        elif position.step > WARM_UP and self.clock.seconds - self.since[0] >= self.at_most:
            self.stop.signal = signal.SIGINT

    def after_epoch(self) -> None:
        """Nothing is due."""

    def save_best(self) -> None:
        """It was asked for by an evaluation, and is not kept."""

    def say_row(self, row: dict[str, Any]) -> None:
        """`check` says it."""

    # What was seen

    def gradients_seen(self) -> tuple[str, list[str]]:
        """The line of the gradients of the first steps, and notes on parameters that are not trained as they are."""
        kinds = {name: next((kind for kind in ("not finite", "finite", "zero") if kind in seen), "none")
                 for name, seen in self.kinds.items()}
        names = {kind: [name for name, k in kinds.items() if k == kind] for kind in ("finite", "none", "zero", "not finite")}
        parts = [f"{len(names['finite'])} of {len(kinds)} parameters have one that is finite and not zero"]
        parts += [f"{kind}: {', '.join(some[:SHOWN])}" for kind, some in names.items() if some and kind != "finite"]
        why = {"none": "the loss does not depend on it", "zero": f"it was zero in each of the first {WARM_UP} steps",
               "not finite": "the next step breaks the model"}
        return "; ".join(parts), [f"{name} is not trained: {why[kind]}" for kind, some in names.items() if kind != "finite"
                                  for name in some[:SHOWN]]

    def measured(self) -> tuple[dict[str, float], float]:
        """What an evaluation gives, and its seconds."""
        before = time.perf_counter()
        self.evaluate()
        seconds = time.perf_counter() - before
        ours = {"event", "epoch", "step", "seconds", "train_loss", "best", *self.schedules.by_name}
        found = {name: value for name, value in self.rows[-1].items() if name not in ours}
        return found, seconds if found else 0.0

    def steps_in_all(self) -> int:
        """About how many steps the training has."""
        return round(self.epochs * self.recipe.units_per_epoch / self.units_done() * self.position.step)

    def time_needed(self, evaluation: float) -> str:
        seconds, units = self.clock.seconds - self.since[0], self.units_done() - self.since[1]
        if not units or self.position.step <= WARM_UP:  # it was over before
            seconds, units = self.clock.seconds, self.units_done()
        epoch = seconds / units * self.recipe.units_per_epoch
        every = self.config.eval.every
        evaluations = (self.epochs if every.unit == "epoch" else self.steps_in_all()) // every.count
        peak = peak_memory()
        return (f"about {duration(epoch)} an epoch ({units / seconds:,.0f} {self.recipe.unit}/s)"
                + (f" and {duration(evaluation)} an evaluation" if evaluation else "")
                + f", {duration(self.epochs * epoch + evaluations * evaluation)} for {self.epochs} epochs"
                + (f"; peak memory {peak / 1e6:,.0f} MB" if peak else ""))


def kind_of(grad: Any) -> str:
    if grad is None:
        return "none"
    values = grad.values if isinstance(grad, RowGrad) else grad
    return "not finite" if not np.isfinite(values).all() else "finite" if values.any() else "zero"


def duration(seconds: float) -> str:
    """0.05 s, 4.1 s, 0:41, 2:00:05"""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def peak_memory() -> int:
    """The most bytes that this process has held so far, its data included; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
