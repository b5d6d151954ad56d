"""The sections `optimizer` and `schedule` of a config: a class for each class of nnkit.optim, with its arguments and defaults."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from nnkit.training.groups import grouped
from nnkit.training.interval import Interval
from nnkit.training.sections import Section

Share = Annotated[float, Field(ge=0, lt=1)]


@grouped
class SGDConfig(Section):
    """nnkit.optim.SGD."""

    type: Literal["SGD"] = Field(default="SGD", description="stochastic gradient descent")
    lr: float = Field(default=0.025, gt=0, description="learning rate: the length of a step")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="share of the last update that goes on")
    nesterov: bool = Field(default=False, description="look ahead along the momentum")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero")

    @field_validator("nesterov")
    @classmethod
    def _needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:  # absent where momentum has a mistake of its own
            raise ValueError("true needs a momentum above 0; set momentum, 0.9 for instance")
        return nesterov


@grouped
class AdagradConfig(Section):
    """nnkit.optim.Adagrad."""

    type: Literal["Adagrad"] = Field(default="Adagrad", description="each weight's rate falls with the gradients it has seen")
    lr: float = Field(default=0.01, gt=0, description="learning rate: the length of the first step")
    lr_decay: float = Field(default=0.0, ge=0, description="how fast the learning rate falls by itself")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero")
    initial_accumulator_value: float = Field(default=0.0, ge=0, description="what the sums of squares begin with")
    eps: float = Field(default=1e-10, ge=0, description="added to what is divided by")


@grouped
class AdamConfig(Section):
    """nnkit.optim.Adam."""

    type: Literal["Adam"] = Field(default="Adam", description="momentum, divided by how large gradients have been of late")
    lr: float = Field(default=1e-3, gt=0, description="learning rate: about the length of a weight's step")
    betas: tuple[Share, Share] = Field(default=(0.9, 0.999), description="shares of the mean and of the mean square that go on")
    eps: float = Field(default=1e-8, ge=0, description="added to what is divided by")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero, through the gradient")
    amsgrad: bool = Field(default=False, description="divide by the largest size so far")


@grouped
class AdamWConfig(AdamConfig):
    """nnkit.optim.AdamW."""

    type: Literal["AdamW"] = Field(default="AdamW", description="Adam, with decay beside the gradient")  # type: ignore[assignment]
    weight_decay: float = Field(default=1e-2, ge=0, description="pull of every weight towards zero, beside the gradient")


@grouped
class RMSPropConfig(Section):
    """nnkit.optim.RMSProp."""

    type: Literal["RMSProp"] = Field(default="RMSProp", description="the gradient, divided by how large it has been of late")
    lr: float = Field(default=1e-2, gt=0, description="learning rate: about the length of a weight's step")
    alpha: float = Field(default=0.99, ge=0, lt=1, description="share of the mean square that goes on")
    eps: float = Field(default=1e-8, ge=0, description="added to what is divided by")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="share of the last update that goes on")
    centered: bool = Field(default=False, description="divide by the deviation from the mean gradient")


OptimizerConfig = Annotated[SGDConfig | AdagradConfig | AdamConfig | AdamWConfig | RMSPropConfig, Field(discriminator="type")]


# Schedules: `schedule` is the learning rate's, `schedules` has those of other hyper-parameters, by name

def _parse_warmup(value: Any) -> float | Interval:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    try:
        return Interval.parse(value)
    except ValueError:
        raise ValueError("expected a share of the training from 0 to below 1, or an interval such as '500 steps' or '1 epoch', "
                         f"got {reprlib.repr(value)}") from None


Warmup = Annotated[float | Interval, PlainValidator(_parse_warmup)]
WARMUP = "in which the value first rises from 0: a share of the training such as 0.05, 500 steps, or 1 epoch"


class ConstantSchedule(Section):
    """The value stays as it is."""

    type: Literal["constant"] = Field(default="constant", description="the value stays as it is")
    warmup: Warmup = Field(default=0.0, description=WARMUP)


class LinearSchedule(Section):
    """The value goes to `end` in a straight line."""

    type: Literal["linear"] = Field(default="linear", description="the value goes to `end` in a straight line")
    end: float = Field(default=1e-4, ge=0, description="value at the end of the training")
    warmup: Warmup = Field(default=0.0, description=WARMUP)


class CosineSchedule(Section):
    """The value goes to `end` along half a cosine: slowly at first and at last."""

    type: Literal["cosine"] = Field(default="cosine", description="the value goes to `end` along half a cosine")
    end: float = Field(default=1e-4, ge=0, description="value at the end of the training")
    warmup: Warmup = Field(default=0.0, description=WARMUP)


class StepSchedule(Section):
    """The value falls by a factor at equal distances."""

    type: Literal["step"] = Field(default="step", description="the value falls by a factor at equal distances")
    share: float = Field(default=1 / 3, gt=0, le=1, description="share of the training between falls: 10 of 30 epochs are 1/3")
    gamma: float = Field(default=0.1, ge=0, description="what the value is multiplied by")
    warmup: Warmup = Field(default=0.0, description=WARMUP)


class PlateauSchedule(Section):
    """The value falls by a factor when eval.monitor has not become better for some evaluations."""

    type: Literal["plateau"] = Field(default="plateau", description="the value falls when eval.monitor gets no better")
    factor: float = Field(default=0.1, gt=0, lt=1, description="what the value is multiplied by")
    patience: int = Field(default=10, ge=0, description="evaluations without a better one before the value falls")
    threshold: float = Field(default=1e-4, ge=0, description="better by so much of the best, at least")
    end: float = Field(default=0.0, ge=0, description="the value falls no lower")
    warmup: Warmup = Field(default=0.0, description=WARMUP)


ScheduleConfig = Annotated[ConstantSchedule | LinearSchedule | CosineSchedule | StepSchedule | PlateauSchedule,
                           Field(discriminator="type")]


def _is_by_name(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        raise ValueError("expected hyper-parameters and their schedules, such as {momentum: {type: linear, end: 0.5}}; the "
                         "learning rate's own is called schedule")
    return value


SchedulesConfig = Annotated[dict[str, ScheduleConfig], BeforeValidator(_is_by_name)]
