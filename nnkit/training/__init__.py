"""Training by recipes: what a recipe file imports."""

from nnkit.training.recipe import Recipe
from nnkit.training.schema import (
    DataPath,
    DataSource,
    DataSources,
    EvalConfig,
    OptimizerConfig,
    RunConfig,
    Section,
    SGDConfig,
    TrainingConfig,
)

__all__ = ["DataPath", "DataSource", "DataSources", "EvalConfig", "OptimizerConfig", "Recipe", "RunConfig", "SGDConfig",
           "Section", "TrainingConfig"]
