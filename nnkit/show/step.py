"""The graph of one training step, as a config and its recipe make it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nnkit.autograd import Tensor
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.show.drawing import checked, draw
from nnkit.training import config as configs
from nnkit.training.checking import loaded
from nnkit.training.first_step import naming_layers
from nnkit.training.fitting import check_config, locating
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe

FEW = 2  # examples of a batch, whose numbers can then be read


def draw_step(config: str | os.PathLike[str], overrides: Sequence[str], path: str | os.PathLike[str],
              say: Callable[[str], Any] = print) -> Path:
    """Draw the first step of the training that a config describes; the path. Nothing else is written but the cache of data.

    A batch has two examples, unless an override sets training.batch_size. `say` hears what is to be noticed. ConfigError,
    DataError and UserError as `nnkit.fit` and `draw`.
    """
    path = checked(path)
    tree = configs.read_tree(config, overrides)
    recipe_class = load_recipe(recipe_file(tree))
    settings = configs.validate(tree, recipe_class.Config)
    check_config(tree, settings, recipe_class)
    size = getattr(settings.training, "batch_size", 0)
    if size > FEW and not any(text.lstrip("-").startswith("training.batch_size=") for text in overrides):
        settings = settings.model_copy(update={"training": settings.training.model_copy(update={"batch_size": FEW})})
        say(f"note: drawn with {FEW} examples in the batch, for their numbers to be read; training.batch_size={size} draws all")
    with threadpool_limits(settings.training.blas_threads, user_api="blas"):
        with locating(tree):
            recipe = loaded(recipe_class, settings)
            model = recipe.build(np.random.default_rng([settings.seed, 0]))
        if not isinstance(model, Module):
            raise UserError(f"{recipe_class.__name__}.build gave {type(model).__name__}; expected a Module")
        batch = next(iter(recipe.batches(0, np.random.default_rng([settings.seed, 1, 0]))), None)
        if batch is None:
            raise UserError(f"{recipe_class.__name__}.batches gave nothing; expected at least one batch in epoch 1")

        def loss() -> Tensor:
            return recipe.loss(model.train(), batch)

        with naming_layers(model):
            return draw(loss, path, model=model, title=f"one step of {Path(config).name}")
