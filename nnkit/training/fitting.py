"""Whether the parts of a config fit one another and the recipe: what no section knows by itself, found before anything is made.

Every mistake has its place in the file, as those have that `config.validate` finds.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nnkit.training.groups import with_bounds
from nnkit.training.interval import Interval
from nnkit.training.making import empty_optimizer, make_schedule, schedule_sections
from nnkit.training.places import KeyedError, PlacedError, Problem, dotted
from nnkit.training.recipe import Recipe
from nnkit.training.schema import RunConfig
from nnkit.training.yaml_nodes import Node


def check_config(tree: Node, settings: RunConfig, recipe_class: type[Recipe]) -> None:
    """ConfigError where they do not fit: workers, then what waits for eval.monitor, then groups and schedules."""
    check_workers(tree, settings, recipe_class)
    check_judge(tree, settings, recipe_class)
    check_updates(tree, settings)


def check_workers(tree: Node, settings: RunConfig, recipe_class: type[Recipe]) -> None:
    """ConfigError where the config asks for workers, and this recipe or this optimizer cannot be trained by several processes."""
    workers, update = settings.training.workers, settings.optimizer
    if workers == 1:
        return
    reason, alone = None, "or set training.workers: 1"
    no_state = "the optimizer keeps a state for each parameter, which is not shared"
    sections = schedule_sections(settings)
    if sys.platform == "win32":
        reason = "needs Linux or macOS; set training.workers: 1"
    elif not recipe_class.shares_tables:
        reason = (f"{recipe_class.__name__} has no tables that processes can share (every step of it changes every parameter); "
                  "set training.workers: 1")
    elif update.type != "SGD" or update.momentum:
        way_out = "set optimizer.momentum: 0" if update.type == "SGD" else "take optimizer.type: SGD"
        reason = f"{no_state}; {way_out}, or training.workers: 1"
    elif any(group.get("momentum") for group in update.model_dump()["groups"]):
        reason = f"{no_state}; leave momentum out of optimizer.groups, {alone}"
    elif "momentum" in settings.schedules:
        reason = f"{no_state}; leave schedules.momentum out, {alone}"
    elif settings.training.accumulate > 1 or settings.training.clip_norm or settings.training.clip_value:
        reason = "training.accumulate, clip_norm and clip_value are for one process; leave them out, or set training.workers: 1"
    elif plateaus := [keys for keys, section in sections.items() if section.type == "plateau"]:
        reason = f"{dotted(plateaus[0])} of type plateau is for one process; take another type, {alone}"
    elif warming := [keys for keys, section in sections.items() if str(section.warmup).endswith(("step", "steps"))]:
        reason = f"{dotted(warming[0])}.warmup in steps is for one process; write a share of the training or epochs, {alone}"
    if reason is not None:
        raise PlacedError([Problem(nearest(tree, "training", "workers").place, f"training.workers: {workers}: {reason}")])


def check_judge(tree: Node, settings: RunConfig, recipe_class: type[Recipe]) -> None:
    """ConfigError where eval.monitor is not a measure of this recipe, or is missing and something waits for it."""
    monitor, known = settings.eval.monitor, [*recipe_class.measures_of(settings), "train_loss"]
    if monitor is not None and monitor[1:] not in known:
        text = (f"eval.monitor: {recipe_class.__name__} measures no {monitor[1:]}; there is {', '.join(known)}, with a + where "
                "more is better, - where less is")
        if monitor[1:] in recipe_class.measures:
            text = (f"eval.monitor: {monitor[1:]} is not measured; add {monitor[1:].removeprefix('dev_')} to eval.metrics, or "
                    f"take one of {', '.join(known)}")
        raise PlacedError([Problem(nearest(tree, "eval", "monitor").place, text)])
    waiting: list[tuple[str, ...]] = [("training", "patience")] if settings.training.patience is not None else []
    waiting += [(*keys, "type") for keys, section in schedule_sections(settings).items() if section.type == "plateau"]
    if monitor is None and waiting:
        raise PlacedError(Problem(nearest(tree, *keys).place, f"{dotted(keys)}: waits for a measure that gets no better; set "
                                  f"eval.monitor, +{known[0]} or -{known[0]} for instance") for keys in waiting)


def check_updates(tree: Node, settings: RunConfig) -> None:
    """ConfigError where a group's values do not go together, or a schedule is of what has none or leads out of its bounds."""
    problems = [*_wrong_groups(tree, settings), *_wrong_schedules(tree, settings), *_wrong_warmups(tree, settings)]
    if problems:
        raise PlacedError(problems)


def _wrong_groups(tree: Node, settings: RunConfig) -> Iterator[Problem]:
    for i in range(len(settings.optimizer.model_dump()["groups"])):
        try:
            empty_optimizer(settings, group=i)
        except ValueError as error:
            yield Problem(nearest(tree, "optimizer", "groups", i).place, f"optimizer.groups[{i}]: {error}")


def _wrong_schedules(tree: Node, settings: RunConfig) -> Iterator[Problem]:
    optimizer, kind = empty_optimizer(settings), settings.optimizer.type
    asked = inspect.signature(optimizer.update).parameters  # what only a first state asks for cannot change
    known = [name for name in optimizer.limits if name in asked and name != "lr"]
    for name, section in settings.schedules.items():
        node = nearest(tree, "schedules", name)
        if name == "lr":
            yield Problem(node.key_place or node.place, "schedules.lr: the learning rate's own is called schedule; "
                          "write it there")
        elif name not in known:
            near = difflib.get_close_matches(name, known, 1)
            way_out = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            yield Problem(node.key_place or node.place, f"unknown key {name!r} in schedules; {kind} has no number of that name "
                          f"that can change; {way_out}")
        elif section.type in ("linear", "cosine") and "end" not in section.model_fields_set:
            yield Problem(node.place, f"missing key 'end' in schedules.{name}; it is the value at the end of the training")
        else:
            last = make_schedule(section, optimizer.defaults[name], settings)(1.0)
            if wrong := _out_of_bounds(settings, optimizer, name, last):
                yield Problem(nearest(tree, "schedules", name, "end").place, f"schedules.{name}: ends at {last:g}; {wrong}")
    for keys, section in schedule_sections(settings).items():
        start = optimizer.defaults.get(keys[-1] if keys[1:] else "lr")
        if section.type == "plateau" and start is not None and section.end > start:
            yield Problem(nearest(tree, *keys, "end").place, f"{dotted(keys)}.end: {section.end:g} is above {start:g}, where the "
                          "value starts, so that it would never fall; write a smaller one, or leave it out")


def _out_of_bounds(settings: RunConfig, optimizer: Any, name: str, value: float) -> str:
    """What is expected in place of the value: the bounds are those of the key itself, and of the optimizer."""
    field = type(settings.optimizer).model_fields.get(name)
    try:
        if field is not None:
            TypeAdapter(with_bounds(field)).validate_python(value)
        optimizer.check(name, value)
    except ValidationError as error:
        return error.errors()[0]["msg"].replace("Input should be", "expected a number")
    except ValueError as error:
        return str(error)
    return ""


def _wrong_warmups(tree: Node, settings: RunConfig) -> Iterator[Problem]:
    epochs = settings.training.epochs
    for keys, section in schedule_sections(settings).items():
        warmup = section.warmup
        if isinstance(warmup, Interval) and warmup.unit == "epoch" and warmup.count >= epochs:
            yield Problem(nearest(tree, *keys, "warmup").place, f"{dotted(keys)}.warmup: {warmup}: the training has "
                          f"training.epochs: {epochs}, and nothing would be left of it; write fewer epochs, or steps")
        elif warmup and keys[-1] == "eps":
            yield Problem(nearest(tree, *keys, "warmup").place, f"{dotted(keys)}.warmup: the value would rise from 0, and eps is "
                          "there so that nothing is divided by 0; leave it out")


@contextmanager
def locating(tree: Node) -> Iterator[None]:
    """Gives a KeyedError that is raised inside its place in the config."""
    try:
        yield
    except KeyedError as error:
        node = nearest(tree, *error.keys)
        raise PlacedError([Problem(node.key_place or node.place, str(error))]) from None


def nearest(tree: Node, *keys: str | int) -> Node:
    """The node of these keys; the nearest above it where it has its default, and is not written."""
    for key in keys:
        within = tree.value
        if isinstance(within, dict) and key in within:
            tree = within[str(key)]
        elif isinstance(within, list) and isinstance(key, int) and key < len(within):
            tree = within[key]
        else:
            break
    return tree
