"""From a config to what it names: the recipe's file, the optimizer, the schedule. The trainer and its workers make the same."""

from __future__ import annotations

import sys
from pathlib import Path

from nnkit.errors import ConfigError
from nnkit.nn import Module
from nnkit.optim import SGD, Optimizer, schedules
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
    elif settings.optimizer.momentum:
        reason = ("the optimizer keeps a state for each parameter (momentum), which is not shared; set optimizer.momentum: 0, "
                  "or training.workers: 1")
    if reason is not None:
        raise PlacedError([Problem(tree.value["training"].value["workers"].place, f"training.workers: {workers}: {reason}")])


def make_optimizer(settings: RunConfig, model: Module) -> Optimizer:
    return SGD(model.parameters(), **settings.optimizer.model_dump(exclude={"type"}))


def make_schedule(settings: RunConfig) -> schedules.Schedule:
    lr, schedule = settings.optimizer.lr, settings.schedule
    if schedule.type == "linear":
        return schedules.linear(lr, schedule.end)
    if schedule.type == "cosine":
        return schedules.cosine(lr, schedule.end)
    return schedules.constant(lr)
