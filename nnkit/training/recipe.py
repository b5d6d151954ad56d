"""Recipe: a whole task in one file. What the training loop asks of it stands here, and nothing else is asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.autograd import Tensor
from nnkit.errors import ConfigError, UserError
from nnkit.metrics import Tally
from nnkit.nn import Module
from nnkit.training.own_code import files_to_keep, forget, run_file
from nnkit.training.places import shortened
from nnkit.training.schema import RunConfig

if TYPE_CHECKING:
    import numpy as np


class Recipe:
    """Base class. A recipe file defines one subclass; the trainer makes one object of it for a run.

    Config: the pydantic class of the config. unit: what speed is counted in, "words" or "examples".
    loss_is_sum: whether `loss` is the sum over a batch's items (as word2vec has it) or their mean.
    shares_tables: whether several processes may train one model (training.workers): steps touch few rows of large tables, and
    `take_part` says which part of the data each of them has.
    not_derivatives: names of parameters whose gradient is on purpose another rule, which `nnkit check --gradcheck` leaves out.
    measures: the names of what `evaluate` can return, so that a mistake in eval.monitor is found before the training; where that
    depends on the config, `measures_of` says which they are.
    progress: shows how much is read, while `__init__` reads it: progress(done, total), both in bytes. The trainer sets it on the
    class, which `load_recipe` makes anew for every run; it is None where nobody looks. Hand it on to `nnkit.data.load_corpus`.
    remark: what a person should hear of the inputs of the last `predict` or `generate`, once that has come to its end.
    tally: what the last `evaluate` or `score` of a classifier counted: its tables and mistakes, beside the measures.
    A batch is any object with `count`, what the mean of its loss divides by (its examples or tokens, or the sum of their
    weights), and `units`, the words or examples it accounts for (their sum over an epoch is `units_per_epoch`). Several ranks
    share it as nnkit/training/parts.py has it: by the rows of its arrays, or by its own method part(index, of).
    """

    Config: type[RunConfig]
    unit = "examples"
    loss_is_sum = False
    shares_tables = False
    measures: tuple[str, ...] = ()
    not_derivatives: tuple[str, ...] = ()
    units_per_epoch: float
    progress: Callable[[int, int], object] | None = None
    remark = ""
    tally: Tally | None = None

    @classmethod
    def measures_of(cls, config: Any) -> tuple[str, ...]:
        """The names of what `evaluate` returns with this config."""
        return cls.measures

    def __init__(self, config: Any):
        """Load the data. DataError for what is wrong with it."""
        self.config = config

    def build(self, rng: np.random.Generator) -> Module:
        """A new model with its first parameters drawn from rng."""
        raise NotImplementedError

    def batches(self, epoch: int, rng: np.random.Generator, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch, from number `start` on; the same ones for the same generator."""
        raise NotImplementedError

    def take_part(self, worker: int, workers: int) -> None:
        """Keep one worker's part of the data: `batches` and `units_per_epoch` are then of that. Each item is in one part."""
        raise NotImplementedError

    def loss(self, model: Any, batch: Any) -> Tensor:
        """model → loss: a single number"""
        raise NotImplementedError

    def evaluate(self, model: Any) -> dict[str, float]:
        """Measures on data held out, `dev_...`; the model is in evaluation mode. Nothing where there is none."""
        return {}

    def count_part(self, model: Any, index: int, of: int) -> Any:
        """Where ranks share an evaluation: what `measures_from` needs of every of-th of the held-out batches, from number
        `index` on; those of all parts are added up with +. None where it cannot be shared: the first rank then evaluates.
        """
        return None

    def measures_from(self, counted: Any) -> dict[str, float]:
        """What `evaluate` returns, from what was counted of all parts."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What there is to say of the data; goes into run.json as it is. A "notice" in it is shown, too."""
        return {}

    def check(self, model: Any) -> list[str]:
        """Lines on the data for `nnkit check`; one that begins with "note: " says what is odd (see data_facts.py)."""
        return []

    def expected_loss(self) -> float | None:
        """The loss for an item before the first step, of a model that knows nothing; None where nobody knows."""
        return None

    def summary(self) -> str:
        """The same in one line, for the terminal."""
        return ""

    def export(self, model: Any, path: Callable[[str], Path]) -> None:
        """Write what others can use: path("vectors.vec") is where a file of that name belongs."""

    def report(self, model: Any) -> list[str]:
        """Lines for a person at the end of a run."""
        return []

    # Using a run, when its data may be gone

    @classmethod
    def from_run(cls, config: Any, path: Callable[[str], Path]) -> Recipe:
        """The recipe without its data, by what `export` wrote: enough for `build`, `predict` and `score`. path as in `export`."""
        raise UserError(f"{cls.__name__} cannot be used without its data, for it has no from_run; nnkit evaluate RUN, without a "
                        "file, measures it where the data is")

    def predict(self, model: Any, inputs: Iterable[Any], source: str = "input") -> Iterator[Any]:
        """An answer for each input, in order and as they come; str() of it is a line of output.

        inputs: lines of text, or values of Python. DataError for one that cannot be used: f"{source}:{its number}: what".
        """
        raise UserError(f"{type(self).__name__} has no predict")

    def score(self, model: Any, file: str) -> dict[str, float]:
        """Measures on a file of examples with their right answers, `test_...`. DataError with the line of one that is wrong."""
        raise UserError(f"{type(self).__name__} has no score: it can be measured on its own held-out data alone")

    def generate(self, model: Any, prompt: str = "", *, rng: np.random.Generator, **options: Any) -> str:
        """The prompt, and what the model writes after it. ConfigError for options without a meaning; `remark` as in `predict`."""
        raise UserError(f"{type(self).__name__} writes no text: only a language model has generate")


def find_recipe(name: str, base: Path) -> Path:
    """The file that `recipe: name` means in a config of folder `base`: a path to a .py file, or the name of one of ours.

    ConfigError where there is none, with what there is.
    """
    if name.endswith(".py") or "/" in name:
        if "\0" in name:
            raise ConfigError(f"expected the path of a file, got {shortened(repr(name))}")
        path = Path(os.path.realpath(base / name))
        shown = shortened(str(path), 300)
        if not os.path.isfile(path):  # pathlib's own raises for names that are too long
            raise ConfigError(f"no recipe at {shown}; a path is relative to the config file")
        if path.suffix != ".py":
            raise ConfigError(f"{shown} is no .py file; a recipe is a file of Python")
        return path
    folder = shipped_folder("recipes")
    path = folder / f"{name}.py"
    if os.path.isfile(path):
        return path
    known = ", ".join(sorted(p.stem for p in folder.glob("*.py")))
    raise ConfigError(f"no recipe {shortened(repr(name))} ships with nnkit; there are {known}, or give the path of a .py file")


def shipped_folder(kind: str) -> Path:
    """recipes/ or configs/: beside nnkit/ in a checkout, inside the package in an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


def load_recipe(path: Path) -> type[Recipe]:
    """Run a recipe file and return the one subclass of Recipe that it defines.

    Files beside it can be imported by it, and only while it is loaded; each recipe gets its own, as they are now.
    ConfigError names the file and the line of an error.
    """
    forget()  # what was imported for another recipe, or before it was edited
    name = f"nnkit_recipe_{path.stem}"
    module = run_file(path, name)
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Recipe) and c.__module__ == name]
    if len(found) != 1:
        raise ConfigError(f"{path}: expected one class that extends nnkit.training.Recipe, found {len(found)}")
    config = getattr(found[0], "Config", None)
    if not (isinstance(config, type) and issubclass(config, RunConfig)):
        raise ConfigError(f"{path}: {found[0].__name__}.Config must be a class that extends nnkit.training.RunConfig")
    return found[0]


def local_files(recipe: type[Recipe], layers: Iterable[Path] = ()) -> dict[str, Path]:
    """What a run must keep to be repeated, by name: the recipe's file first, what is imported from its folder, then the files
    of layers that its config names, with what they import.
    """
    return files_to_keep(Path(str(sys.modules[recipe.__module__].__file__)), layers)
