"""What a config is made of: the classes that recipes build on, and a walk over the keys they have.

A recipe's config is a `RunConfig` with sections of its own. Every field has a default (only `recipe` must be given),
its bounds, and a description: the one line of help that people get to see.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from nnkit.training.files import name_mistake
from nnkit.training.interval import Interval
from nnkit.training.sections import Section
from nnkit.training.updates import ConstantSchedule, OptimizerConfig, ScheduleConfig, SchedulesConfig, SGDConfig

# A validation context {LOCATE_PATHS: True} makes every path report its location, as an error of this type. Its context says
# where `inside` of the value paths are, as lists of keys, and how to `resolve` one, by its text and the folder of its config.
LOCATE_PATHS = "locate_paths"

FEWEST_LOSSES = 100  # that a mean in metrics.jsonl is taken of where not every loss is computed


def resolve_path(text: str, folder: Path, builtin: bool = False) -> str:
    """The absolute, normalised path that `text` means in a config of `folder`. ValueError where it means none.

    `$NNKIT_DATA/` at its start is replaced from the environment; `~` and other variables are not special.
    `builtin:NAME` is kept as it is where `builtin` allows it. Whether there is such a file, those say who open it.
    """
    if text.startswith("builtin:"):
        if not builtin:
            raise ValueError(f"expected the path of a file, got {text[:60]!r}; no builtin fits here")
        if text == "builtin:":
            raise ValueError("expected a name after 'builtin:'")
        return text
    if not text or "\0" in text:
        raise ValueError(f"expected the path of a file, got {text[:60]!r}")
    if text.startswith("$NNKIT_DATA/"):
        data = os.environ.get("NNKIT_DATA")
        if not data:
            raise ValueError("$NNKIT_DATA is not set; set it to the folder of your data, or write the path itself")
        return os.path.abspath(os.path.join(data, text.removeprefix("$NNKIT_DATA/")))
    return os.path.abspath(os.path.join(folder, text))


def _validate_path(text: str, info: ValidationInfo, builtin: bool) -> str:
    locate(info, [()], partial(resolve_path, builtin=builtin))
    return resolve_path(text, Path.cwd(), builtin)


def locate(info: ValidationInfo, inside: Sequence[tuple[str | int, ...]], resolve: Callable[[str, Path], str]) -> None:
    """Report paths, if `info` asks for them: only who read the config knows in which file a value stood, and resolves them."""
    if inside and info.context and info.context.get(LOCATE_PATHS):
        raise PydanticCustomError(LOCATE_PATHS, "a path", {"inside": inside, "resolve": resolve})


def _data_source(text: str, info: ValidationInfo) -> str:
    return _validate_path(text, info, builtin=True)


def _data_path(text: str, info: ValidationInfo) -> str:
    return _validate_path(text, info, builtin=False)


def _listed_path(text: str, info: ValidationInfo) -> str:
    if text.startswith("builtin:"):
        raise ValueError(f"{text[:60]!r} stands alone, not in a list; give it as the one value, or paths of files only")
    return _validate_path(text, info, builtin=False)


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, list) else "one"


DataSource = Annotated[str, AfterValidator(_data_source)]
"""`builtin:NAME`, or a path; it becomes absolute, from its config file's folder, or an override's current one."""

DataPath = Annotated[str, AfterValidator(_data_path)]
"""A path, as in DataSource, and no builtin."""

DataSources = Annotated[
    Annotated[DataSource, Tag("one")]
    | Annotated[list[Annotated[str, AfterValidator(_listed_path)]], Field(min_length=1), Tag("many")],
    Discriminator(_one_or_many),  # so that a mistake in an item of a list is that item's, and not one of the list, too
]
"""A DataSource, or a list of paths, each of which becomes absolute as a DataSource does. A path may be a folder's."""


class LogConfig(Section):
    """How often a line is written to metrics.jsonl."""

    every: Interval = Field(default=Interval(100, "step"), description="how often the mean loss is written down")
    loss_every: int = Field(default=1, ge=1, description="the loss is computed at every n-th step; the gradient needs no loss")

    @field_validator("loss_every")
    @classmethod
    def _has_enough(cls, n: int, info: ValidationInfo) -> int:
        every = info.data.get("every")
        if n > 1 and every is not None and every.unit == "step" and every.count < FEWEST_LOSSES * n:
            raise ValueError(f"{n} with log.every: {every} is a mean of {every.count // n} losses; set log.every to "
                             f"{FEWEST_LOSSES * n} steps at least, or a smaller log.loss_every")
        return n


class EvalConfig(Section):
    """How often the model is measured, and by which measure it is judged."""

    every: Interval = Field(default=Interval(1, "epoch"), description="how often held-out data is measured")
    monitor: str | None = Field(default=None, description="the measure that decides which model is best, with its sign: "
                                "+dev_acc where more is better, -dev_loss where less is; null: none is chosen")

    @field_validator("monitor")
    @classmethod
    def _is_signed(cls, monitor: str | None) -> str | None:
        if monitor is not None and not re.fullmatch(r"[+-]\w+", monitor):
            raise ValueError(f"expected a sign and a measure, such as +dev_acc (more is better) or -dev_loss, got {monitor!r}")
        return monitor


class SaveConfig(Section):
    """How often the state is saved."""

    every: Interval = Field(default=Interval(1, "epoch"), description="how often a checkpoint is written")


class TrainingConfig(Section):
    """How long to train; recipes add the shape of a step."""

    epochs: int = Field(default=5, ge=1, description="passes over the data")
    blas_threads: int | None = Field(default=1, ge=1, le=1024, description="threads of a matrix product; null: all there are")
    workers: int = Field(default=1, ge=1, le=256, description="processes that train one model together, for word vectors")
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients make one step: as one batch of all of them")
    clip_norm: float | None = Field(default=None, gt=0, description="the longest that all gradients together may be")
    clip_value: float | None = Field(default=None, gt=0, description="the largest that a number of a gradient may be")
    patience: int | None = Field(default=None, ge=1, description="evaluations in a row without a better eval.monitor, "
                                 "after which the training ends; null: it does not")


class RunConfig(Section):
    """What every recipe has. A recipe's Config extends it with `data`, `model` and its own forms of these sections."""

    recipe: str = Field(min_length=1, description="name of a recipe of nnkit, or the path of a .py file")
    name: str | None = Field(default=None, description="the run's folder is runs/NAME-001; null: the config's name")
    seed: int = Field(default=1, ge=0, description="start of all random numbers")
    training: TrainingConfig = Field(default=TrainingConfig(), description="how long to train")
    optimizer: OptimizerConfig = Field(default=SGDConfig(), description="the update")
    schedule: ScheduleConfig = Field(default=ConstantSchedule(), description="the learning rate over time")
    schedules: SchedulesConfig = Field(default={}, description="others over time: {momentum: {type: linear, end: 0.5}}")
    log: LogConfig = Field(default=LogConfig(), description="what is written down")
    eval: EvalConfig = Field(default=EvalConfig(), description="what is measured")
    save: SaveConfig = Field(default=SaveConfig(), description="what is kept")

    @field_validator("name")
    @classmethod
    def _can_name_a_folder(cls, name: str | None) -> str | None:
        if name is not None and (mistake := name_mistake(name)):
            raise ValueError(mistake)
        return name


# The keys of a config class

@dataclass(frozen=True)
class PublicPath:
    """One key. `type` is that of its section where the section has several, as in schedule.end of type linear.

    annotation, metadata: what it may be, as pydantic has it.
    """

    path: str
    default: Any
    help: str
    required: bool = False
    type: str = ""
    annotation: Any = None
    metadata: tuple[Any, ...] = ()


def public_paths(model_class: type[BaseModel]) -> list[PublicPath]:
    """Every key a config of this class can have, dotted, in the order of the fields; `[]` is an item of a list."""
    return list(_walk(model_class, None, "", "", ()))


def _walk(model: type[BaseModel], instance: BaseModel | None, prefix: str, variant: str,
          above: tuple[type[BaseModel], ...]) -> Iterator[PublicPath]:
    for name, field in model.model_fields.items():
        required = instance is None and field.is_required()
        default: Any = None
        if not required:
            default = field.get_default(call_default_factory=True) if instance is None else getattr(instance, name)
        sections = [s for s in sections_in(field.annotation) if s not in above]  # a layer may hold layers
        is_section = bool(sections) and (default is None or isinstance(default, BaseModel))
        if not is_section:
            yield PublicPath(prefix + name, default, field.description or "", required, variant, field.annotation,
                             tuple(field.metadata))
        for section in sections:
            own = default if type(default) is section else None
            tag = tag_of(section) if len(sections) > 1 else variant
            yield from _walk(section, own, f"{prefix}{name}{'.' if is_section else '[].'}", tag, (*above, section))


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The section classes that a value of this annotation may be made of, inside unions, lists and dicts too."""
    annotation = getattr(annotation, "__value__", annotation)  # of a `type X = ...` statement
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    arguments = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [section for argument in arguments for section in sections_in(argument)]


def tag_of(section: type[BaseModel]) -> str:
    """What `type:` must be for this section; "" where it has no such key."""
    field = section.model_fields.get("type")
    tags = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    return str(tags[0]) if tags else ""
