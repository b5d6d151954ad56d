"""A config class with a key of every kind, and a good config of it, for the tests of configs."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from nnkit.training.schema import DataPath, DataSource, DataSources, EvalConfig, RunConfig, Section, SGDConfig, TrainingConfig


class Data(Section):
    train: DataSource = Field("builtin:python-docs", description="the text")
    dev: DataPath | None = Field(None, description="text held out")
    texts: DataSources = Field("builtin:python-docs", description="several texts")
    more: list[DataPath] = Field([], description="further texts")
    subsample: float = Field(1e-3, ge=0, description="frequent words are thinned out")
    lower: bool = Field(True, description="small letters only")
    labels: list[str] = Field([], max_length=3, description="the classes")
    label: int | str = Field(-1, description="column of the class")
    weights: dict[str, float] = Field({}, description="of the classes")
    shape: tuple[int, int] = Field((1, 1), description="of a picture")
    errors: Literal["strict", "replace"] = Field("strict", description="what to do about bad bytes")

    @field_validator("labels")
    @classmethod
    def distinct(cls, labels):
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands twice; each class has one")
        return labels


class Layer(Section):
    type: Literal["Linear"] = Field("Linear", description="a layer")
    size: int = Field(description="size of the layer")


class Dropout(Section):
    type: Literal["Dropout"] = Field("Dropout", description="a layer")
    p: float = Field(0.5, gt=0, lt=1, description="the share dropped")


class Model(Section):
    dim: int = Field(100, ge=1, description="numbers in a vector")
    hidden: int = Field(64, ge=1, description="units in between")
    layers: list[Annotated[Layer | Dropout, Field(discriminator="type")]] = Field([], description="the layers")
    negatives: int = Field(5, ge=1, description="random words")


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="examples in a step")


class Demo(RunConfig):
    data: Data = Field(Data(), description="the text")
    model: Model = Field(Model(), description="the model")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: SGDConfig = Field(SGDConfig(lr=0.5), description="the update")
    eval: EvalConfig = Field(EvalConfig(), description="what is measured")


GOOD = """\
recipe: sgns      # a comment
name: demo
seed: 1
data:
  train: texts/a.txt
  dev: &dev "../b.txt"
  subsample: 1e-3
  lower: true
  labels: [yes, "no"]
  weights: {neg: 1, pos: .5}
  shape: [3, 4]
model:
  dim: 100
  layers:
    - {type: Linear, size: 3}
    - type: Dropout
      p: 0.1
optimizer: {type: SGD, lr: 0.1, momentum: 0.9, nesterov: true}
schedule: {type: linear, end: 1e-4}
training: {epochs: 15, batch_size: 8}
log: {every: 100 steps}
"""
