"""From a config to what it names: the recipe's file, the optimizer, the schedule. The trainer and its workers make the same."""

from __future__ import annotations

import sys
from pathlib import Path

from nnkit import optim
from nnkit.errors import ConfigError
from nnkit.nn import Module
from nnkit.optim import Optimizer, schedules
from nnkit.training import config as configs
from nnkit.training.places import PlacedError, Problem
from nnkit.training.recipe import Recipe, find_recipe
from nnkit.training.schema import RunConfig
from nnkit.training.yaml_tree import Node


def recipe_file(tree: Node) -> Path:
    """The file that the config's `recipe` names; the error has its place."""
    name, place = configs.recipe_of(tree)
    try:
        return find_recipe(name, place.folder)
    except ConfigError as error:
        raise PlacedError([Problem(place, f"recipe: {error}")]) from None


def check_workers(tree: Node, settings: RunConfig, recipe_class: type[Recipe]) -> None:
    """ConfigError where the config asks for workers, and this recipe or this optimizer cannot be trained by several processes."""
    workers = settings.training.workers
    if workers == 1:
        return
    reason = None
    if sys.platform == "win32":
        reason = "needs Linux or macOS; set training.workers: 1"
    elif not recipe_class.shares_tables:
        reason = (f"{recipe_class.__name__} has no tables that processes can share (every step of it changes every parameter); "
                  "set training.workers: 1")
    elif settings.optimizer.type != "SGD" or settings.optimizer.momentum:
        way_out = "set optimizer.momentum: 0" if settings.optimizer.type == "SGD" else "take optimizer.type: SGD"
        reason = f"the optimizer keeps a state for each parameter, which is not shared; {way_out}, or training.workers: 1"
    elif settings.training.accumulate > 1 or settings.training.clip_norm or settings.training.clip_value:
        reason = "training.accumulate, clip_norm and clip_value are for one process; leave them out, or set training.workers: 1"
    if reason is not None:
        raise PlacedError([Problem(tree.value["training"].value["workers"].place, f"training.workers: {workers}: {reason}")])


def check_judge(tree: Node, settings: RunConfig, recipe_class: type[Recipe]) -> None:
    """ConfigError where eval.monitor is not a measure of this recipe, or is missing and something waits for it."""
    monitor, known = settings.eval.monitor, [*recipe_class.measures, "train_loss"]
    if monitor is not None and monitor[1:] not in known:
        text = (f"eval.monitor: {recipe_class.__name__} measures no {monitor[1:]}; there is {', '.join(known)}, with a + where "
                "more is better, - where less is")
        raise PlacedError([Problem(tree.value["eval"].value["monitor"].place, text)])
    waiting = {("training", "patience"): settings.training.patience is not None,
               ("schedule", "type"): settings.schedule.type == "plateau"}
    if monitor is None:
        raised = [Problem(tree.value[section].value[key].place,
                          f"{section}.{key}: waits for a measure that gets no better; set eval.monitor, +{known[0]} or "
                          f"-{known[0]} for instance") for (section, key), waits in waiting.items() if waits]
        if raised:
            raise PlacedError(raised)


def make_optimizer(settings: RunConfig, model: Module) -> Optimizer:
    return getattr(optim, settings.optimizer.type)(model.parameters(), **settings.optimizer.model_dump(exclude={"type"}))


def make_schedule(settings: RunConfig) -> tuple[schedules.Schedule, schedules.Plateau | None]:
    """The learning rate over the training; and, where it depends on what is measured, who is to be told."""
    lr, section = settings.optimizer.lr, settings.schedule
    rest = section.model_dump(exclude={"type", "warmup"})
    plateau = None
    if section.type == "plateau":
        plateau = schedules.Plateau(lr, **rest, mode="max" if str(settings.eval.monitor).startswith("+") else "min")
    schedule = plateau or getattr(schedules, section.type)(lr, **rest)
    return (schedules.warmup(schedule, section.warmup) if section.warmup else schedule), plateau
