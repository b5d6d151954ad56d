"""A run that is used: its model with the weights of a checkpoint, to be asked and to be measured, from the run's folder alone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nnkit.autograd import no_grad
from nnkit.errors import ConfigError, DataError, UserError
from nnkit.metrics import Tally
from nnkit.nn import Module
from nnkit.training import config as configs
from nnkit.training.checkpoints import load_latest
from nnkit.training.files import plain
from nnkit.training.first_step import naming_layers
from nnkit.training.looking import SeenRun
from nnkit.training.making import recipe_file
from nnkit.training.metrics import FIRST_COLUMNS, is_number, read_metrics
from nnkit.training.recipe import Recipe, load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import RunConfig
from nnkit.training.word_recipe import WordVectorRecipe

CHECKPOINTS = ("best", "last")


def load(run: str | os.PathLike[str], checkpoint: str | None = None) -> TrainedRun:
    """A run by its path, its id or `@last`, with the weights of a checkpoint: "best", or "last" where there is no best.

    It runs the recipe that lies in the run's folder: load only runs that you trust. UserError where there is no such run or
    checkpoint, and for word vectors, which have commands of their own.
    """
    if checkpoint not in (None, *CHECKPOINTS):
        raise ValueError(f"checkpoint must be 'best' or 'last', not {checkpoint!r}")
    directory = RunDirectory.open(run)
    tree = configs.read_tree(directory.path("config.yaml"))
    recipe_class = load_recipe(recipe_file(tree))
    if issubclass(recipe_class, WordVectorRecipe):
        name = shlex.quote(str(directory))
        raise UserError(f"{directory}: is a run of word vectors; ask it with nnkit neighbors {name} WORD, nnkit analogy {name} "
                        f"A B C, and score it with nnkit similarity {name} FILE")
    settings = configs.validate(tree, recipe_class.Config)
    return TrainedRun(directory, recipe_class, settings, Weights.read(directory, checkpoint))


@dataclass
class Weights:
    """A checkpoint's arrays by the names of a Module's state_dict, and where in the training they are from."""

    path: Path
    arrays: dict[str, np.ndarray]
    epoch: int
    step: int
    measures: dict[str, float]  # what the log has of this step
    notice: str                 # why it is not the file that was asked for, or nothing

    @classmethod
    def read(cls, directory: RunDirectory, name: str | None) -> Weights:
        folder = directory.path("checkpoints")
        there = [known for known in CHECKPOINTS if any(folder.glob(f"{known}*.npz"))]
        if not there:
            status = directory.read_run().get("status", "unknown")
            raise UserError(f"{directory}: has no checkpoint yet (status: {status}); it is written as save.every says")
        if name == "best" and name not in there:
            raise UserError(f"{directory}: has no best checkpoint, for its config has no eval.monitor, or nothing was measured; "
                            "take --checkpoint last")
        arrays, meta, path, notice = load_latest(folder, name or there[0])
        if "position" in meta:  # last: counted as the log does, the epoch that was being trained
            epoch, step = meta["position"]["epoch"] + bool(meta["position"]["step_in_epoch"]), meta["position"]["step"]
        else:
            epoch, step = meta["epoch"], meta["step"]
        state = {key.removeprefix("model/"): array for key, array in arrays.items() if key.startswith("model/")}
        return cls(path, state, epoch, step, measured_at(directory, step), notice)

    def __str__(self) -> str:
        measures = "".join(f", {name} {value:.4f}" for name, value in self.measures.items())
        return f"{self.path.name}: epoch {self.epoch}, step {self.step:,}{measures}"


class TrainedRun(SeenRun):
    """A run as `load` gives it. weights: which checkpoint it is; str() of it is for people.

    tally: of a classifier, what the last `evaluate` counted: a confusion matrix, scores of classes, mistakes.
    """

    tally: Tally | None = None

    def __init__(self, directory: RunDirectory, recipe_class: type[Recipe], config: RunConfig, weights: Weights):
        self.directory, self.recipe_class, self.config, self.weights = directory, recipe_class, config, weights

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe without its data. UserError where it has no `from_run`, or the run has not written what that reads."""
        try:
            return self.recipe_class.from_run(self.config, self.directory.path)
        except DataError as error:
            status = self.directory.read_run().get("status", "unknown")
            if status == "finished":
                raise
            raise DataError(f"{error}; a run writes it at its end, and this one is {status}: "
                            f"nnkit train --resume {shlex.quote(str(self.directory))}") from None

    @cached_property
    def model(self) -> Module:
        """The model in evaluation mode."""
        return self._built_by(self.recipe)

    def predict(self, inputs: Iterable[Any]) -> list[Any]:
        """An answer for each input, in order; what inputs and answers are, the recipe's `predict` says.

        DataError with the number of an input that cannot be used.
        """
        if isinstance(inputs, (str, bytes)):
            raise TypeError("expected a list of inputs, got one string; pass [text]")
        return list(self.answers(inputs))

    @no_grad()
    def answers(self, inputs: Iterable[Any], source: str = "input") -> Iterator[Any]:
        """The same one by one, as the inputs come. `source` is their name in errors."""
        model = self.model
        with self._threads(), naming_layers(model):
            yield from self.recipe.predict(model, inputs, source)

    def generate(self, prompt: str = "", n: int = 1, *, seed: int = 1, **options: Any) -> Iterator[str]:
        """n texts of a language model that begin with `prompt`, one by one. The i-th of a seed is the same whatever n is.

        options: of the recipe's `generate`, such as temperature, top_k and length. ConfigError where one makes no sense.
        """
        if n < 1 or seed < 0:
            raise ConfigError(f"expected at least one text and a seed of at least 0, got {n} and {seed}")
        model = self.model
        for i in range(n):
            with self._threads(), naming_layers(model):
                text = self.recipe.generate(model, prompt, rng=np.random.default_rng([seed, i]), **options)
            yield text

    @no_grad()
    def evaluate(self, file: str | os.PathLike[str] | None = None) -> dict[str, float]:
        """Measures on a file of examples with their right answers (test_...), or, without one, on the held-out data (dev_...).

        The latter needs the data of the training, and gives the numbers of the log. DataError where that is gone or changed.
        """
        with self._threads():
            if file is not None:
                recipe, model = self.recipe, self.model
                with naming_layers(model):
                    measured = recipe.score(model, os.fspath(file))
            else:
                recipe = self._recipe_with_data()
                model = self._built_by(recipe)
                with naming_layers(model):
                    measured = recipe.evaluate(model)
        self.tally = recipe.tally
        if not measured:
            raise UserError(f"{self.directory}: {self.recipe_class.__name__} measures nothing on held-out data; give a FILE")
        return measured

    @no_grad()
    def report(self) -> list[str]:
        """What the recipe said of its held-out data at the end of the training; sets `tally`. DataError as `evaluate`."""
        with self._threads():
            recipe = self._recipe_with_data()
            model = self._built_by(recipe)
            with naming_layers(model):
                lines = recipe.report(model)
                if not lines:  # it has nothing to say, but perhaps something to count
                    recipe.evaluate(model)
        self.tally = recipe.tally
        return lines

    def _recipe_with_data(self) -> Recipe:
        otherwise = "measuring what was held out of the training needs its data; give a FILE to measure another"
        try:
            recipe = self.recipe_class(self.config)
        except DataError as error:
            raise DataError(f"{error}; {otherwise}") from None
        if self.directory.read_run().get("data") != plain(recipe.facts()):
            raise DataError(f"{self.directory}: the data is not what it was in the training (see \"data\" in its run.json); "
                            f"{otherwise}")
        return recipe

    def _built_by(self, recipe: Recipe) -> Module:
        model = recipe.build(np.random.default_rng([self.config.seed, 0]))
        try:
            model.load_state_dict(self.weights.arrays)
        except ValueError as error:
            raise UserError(f"{self.weights.path}: does not fit the run's recipe, or what it exported ({error}); is one of these "
                            "files of another run?") from None
        return model.eval()

    def _threads(self) -> threadpool_limits:
        # as in the training: a product's bits differ between one thread and two
        return threadpool_limits(self.config.training.blas_threads, user_api="blas")

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.directory)!r}, {self.weights})"


def measured_at(directory: RunDirectory, step: int) -> dict[str, float]:
    """What the log says of an evaluation after this step; nothing where there was none, or there is no log."""
    try:
        rows = read_metrics(directory.path("metrics.jsonl"))
    except UserError:
        return {}
    row: dict[str, Any] = next((row for row in reversed(rows) if row.get("event") == "eval" and row.get("step") == step), {})
    others = {*FIRST_COLUMNS, "event", "best"} - {"train_loss"}
    return {key: value for key, value in row.items() if key not in others and is_number(value)}
