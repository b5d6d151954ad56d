"""Training by recipes: what a recipe file imports."""

from nnkit.training.recipe import Recipe
from nnkit.training.schema import (
    DataPath,
    DataSource,
    DataSources,
    EvalConfig,
    RunConfig,
    Section,
    SGDConfig,
    TrainingConfig,
)

__all__ = ["DataPath", "DataSource", "DataSources", "EvalConfig", "Recipe", "RunConfig", "SGDConfig", "Section", "TrainingConfig"]
