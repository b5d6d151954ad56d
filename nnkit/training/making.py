"""From a config to what it names: the recipe's file, the optimizer, the schedules. The trainer and its workers make the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnkit import optim
from nnkit.autograd import Tensor
from nnkit.errors import ConfigError
from nnkit.nn import Module
from nnkit.optim import Optimizer, schedules
from nnkit.training import config as configs
from nnkit.training.groups import parameter_groups
from nnkit.training.interval import Interval
from nnkit.training.places import PlacedError, Problem
from nnkit.training.recipe import find_recipe
from nnkit.training.schema import RunConfig
from nnkit.training.updates import ScheduleConfig
from nnkit.training.yaml_nodes import Node


def recipe_file(tree: Node) -> Path:
    """The file that the config's `recipe` names; the error has its place."""
    name, place = configs.recipe_of(tree)
    try:
        return find_recipe(name, place.folder)
    except ConfigError as error:
        raise PlacedError([Problem(place, f"recipe: {error}")]) from None


def make_optimizer(settings: RunConfig, model: Module) -> Optimizer:
    """KeyedError where optimizer.groups names parameters that the model does not have."""
    values = settings.optimizer.model_dump(exclude={"type"})
    groups = values.pop("groups")
    params = parameter_groups(model, groups) if groups else model.parameters()
    return getattr(optim, settings.optimizer.type)(params, **values)


def empty_optimizer(settings: RunConfig, group: int | None = None) -> Optimizer:
    """The optimizer for one number, before there is a model, or one of its groups. ValueError for what does not go together."""
    values = settings.optimizer.model_dump(exclude={"type"})
    own = {} if group is None else {key: value for key, value in values["groups"][group].items() if key != "match"}
    del values["groups"]
    return getattr(optim, settings.optimizer.type)([{"params": Tensor(np.zeros(1)), **own}], **values)


def make_schedules(settings: RunConfig) -> schedules.Schedules:
    """The learning rate over the training, and the other hyper-parameters that have a schedule."""
    start = empty_optimizer(settings).defaults
    sections = {"lr": settings.schedule, **settings.schedules}
    made = schedules.Schedules({})
    for name, section in sections.items():
        schedule = make_schedule(section, start[name], settings)
        if isinstance(schedule, schedules.Plateau):
            made.plateaus[name] = schedule
        if isinstance(section.warmup, Interval) and section.warmup.unit == "step":
            schedule = made.warmups[name] = schedules.StepWarmup(schedule, section.warmup.count)
        elif section.warmup:
            share = section.warmup.count / settings.training.epochs if isinstance(section.warmup, Interval) else section.warmup
            schedule = schedules.warmup(schedule, share)
        made.by_name[name] = schedule
    return made


def make_schedule(section: ScheduleConfig, start: float, settings: RunConfig) -> schedules.Schedule:
    """One hyper-parameter over the training, without a warm-up."""
    values = section.model_dump(exclude={"type", "warmup"})
    if section.type == "plateau":
        return schedules.Plateau(start, **values, mode="max" if str(settings.eval.monitor).startswith("+") else "min")
    return getattr(schedules, section.type)(start, **values)


def schedule_sections(settings: RunConfig) -> dict[tuple[str, ...], ScheduleConfig]:
    """All schedules of a config, by their keys in it."""
    return {("schedule",): settings.schedule, **{("schedules", name): section for name, section in settings.schedules.items()}}
