"""The sections `optimizer` and `schedule` of a config: a class for each class of nnkit.optim, with its arguments and defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from nnkit.training.sections import Section

Share = Annotated[float, Field(ge=0, lt=1)]


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


class AdagradConfig(Section):
    """nnkit.optim.Adagrad."""

    type: Literal["Adagrad"] = Field(default="Adagrad", description="each weight's rate falls with the gradients it has seen")
    lr: float = Field(default=0.01, gt=0, description="learning rate: the length of the first step")
    lr_decay: float = Field(default=0.0, ge=0, description="how fast the learning rate falls by itself")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero")
    initial_accumulator_value: float = Field(default=0.0, ge=0, description="what the sums of squares begin with")
    eps: float = Field(default=1e-10, ge=0, description="added to what is divided by")


class AdamConfig(Section):
    """nnkit.optim.Adam."""

    type: Literal["Adam"] = Field(default="Adam", description="momentum, divided by how large gradients have been of late")
    lr: float = Field(default=1e-3, gt=0, description="learning rate: about the length of a weight's step")
    betas: tuple[Share, Share] = Field(default=(0.9, 0.999), description="shares of the mean and of the mean square that go on")
    eps: float = Field(default=1e-8, ge=0, description="added to what is divided by")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of every weight towards zero, through the gradient")
    amsgrad: bool = Field(default=False, description="divide by the largest size so far")


class AdamWConfig(AdamConfig):
    """nnkit.optim.AdamW."""

    type: Literal["AdamW"] = Field(default="AdamW", description="Adam, with decay beside the gradient")  # type: ignore[assignment]
    weight_decay: float = Field(default=1e-2, ge=0, description="pull of every weight towards zero, beside the gradient")


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


class ConstantSchedule(Section):
    """The learning rate stays as it is."""

    type: Literal["constant"] = Field(default="constant", description="the learning rate stays as it is")
    warmup: Share = Field(default=0.0, description="share of the training in which the rate first rises from 0")


class LinearSchedule(Section):
    """The learning rate goes to `end` in a straight line."""

    type: Literal["linear"] = Field(default="linear", description="the learning rate goes to `end` in a straight line")
    end: float = Field(default=1e-4, ge=0, description="learning rate at the end of the training")
    warmup: Share = Field(default=0.0, description="share of the training in which the rate first rises from 0")


class CosineSchedule(Section):
    """The learning rate goes to `end` along half a cosine: slowly at first and at last."""

    type: Literal["cosine"] = Field(default="cosine", description="the learning rate goes to `end` along half a cosine")
    end: float = Field(default=1e-4, ge=0, description="learning rate at the end of the training")
    warmup: Share = Field(default=0.0, description="share of the training in which the rate first rises from 0")


class StepSchedule(Section):
    """The learning rate falls by a factor at equal distances."""

    type: Literal["step"] = Field(default="step", description="the learning rate falls by a factor at equal distances")
    share: float = Field(default=1 / 3, gt=0, le=1, description="share of the training between falls: 10 of 30 epochs are 1/3")
    gamma: float = Field(default=0.1, ge=0, description="what the rate is multiplied by")
    warmup: Share = Field(default=0.0, description="share of the training in which the rate first rises from 0")


class PlateauSchedule(Section):
    """The learning rate falls by a factor when eval.monitor has not become better for some evaluations."""

    type: Literal["plateau"] = Field(default="plateau", description="the learning rate falls when eval.monitor gets no better")
    factor: float = Field(default=0.1, gt=0, lt=1, description="what the rate is multiplied by")
    patience: int = Field(default=10, ge=0, description="evaluations without a better one before the rate falls")
    threshold: float = Field(default=1e-4, ge=0, description="better by so much of the best, at least")
    end: float = Field(default=0.0, ge=0, description="the rate falls no lower")
    warmup: Share = Field(default=0.0, description="share of the training in which the rate first rises from 0")


ScheduleConfig = Annotated[ConstantSchedule | LinearSchedule | CosineSchedule | StepSchedule | PlateauSchedule,
                           Field(discriminator="type")]
