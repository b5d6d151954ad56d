"""The first step of a training is looked at more closely than the others: what it does wrong, all of them do.

Also here: what can be told before it, a forgotten rng and a last batch of one example; and what is made of an error that comes
out of a layer, for a command says it in one line.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.autograd import AnomalyError, engine
from nnkit.autograd.anomaly import Changes, checksum
from nnkit.autograd.modes import mode, observed
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.nn.where import NAMED, said, text_in
from nnkit.training.layer_shapes import Names
from nnkit.training.places import KeyedError, shortened

PACKAGE = Path(__file__).resolve().parent.parent
SHOWN = 10  # names of a long list
LARGE = 10_000_000  # parameters
MANY = 100  # batches after what should be the last but one


class FirstStep:
    """`with FirstStep(model):` from the start of a training; after the first backward, `end()`.

    Up to then a layer in which the gradient ends is a TypeError that names it (see `check_result`), and a value that is written
    into between forward and backward an AnomalyError (see `Changes`).
    """

    def __init__(self, model: Module):
        self.model = model
        self.parameters = dict(model.named_parameters())  # those of the optimizer
        self.plain = dict(plain_numbers(model))
        self.setting: Any = None

    @property
    def is_open(self) -> bool:
        return self.setting is not None

    def __enter__(self) -> FirstStep:
        if mode.get().observer is None:  # else somebody looks already, detect_anomaly for instance
            self.setting = observed(Changes(Names(self.model).__getitem__)).__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.setting is not None:
            self.setting.__exit__(*exception)
            self.setting = None

    def end(self) -> list[str]:
        """Lines on parameters that got no gradient, and on numbers that no checkpoint keeps.

        UserError for a parameter that forward made: no optimizer knows it.
        """
        self.__exit__(None, None, None)
        if made := made_in_forward(self.parameters, self.model):
            raise UserError("; ".join(made))
        unused = [name for name, p in self.parameters.items() if p.grad is None]
        lines = [f"{some(unused)}: not trained, the loss of the first step does not depend on "
                 f"{'it' if len(unused) == 1 else 'them'}"] if unused else []
        return lines + self.unsaved()

    def unsaved(self) -> list[str]:
        """What to say of numbers and arrays in attributes that forward changed: what a layer remembers belongs into a buffer."""
        return [f"{name}: changed in forward, and not saved with the model: a run that is resumed or used begins anew with it; "
                "keep it in a Tensor with requires_grad=False" for name, value in plain_numbers(self.model)
                if (before := self.plain.get(name, value)) is not value and before != value]

    def untrained(self) -> list[str]:
        """What to say of arrays of floats in attributes that forward left as they were: a parameter may be meant.

        Of nnkit's own layers nothing: the sines of positions are an array on purpose.
        """
        now = dict(plain_numbers(self.model))
        arrays = (f"{path}.{name}".lstrip(".") for path, module in self.model.named_modules()
                  if not type(module).__module__.startswith("nnkit.")
                  for name, value in vars(module).items() if isinstance(value, np.ndarray) and value.dtype.kind == "f")
        return [f"{name} is an array, not a Tensor: it is neither trained nor saved; make it a Tensor, with requires_grad=False "
                "where it is not to be trained" for name in arrays if self.plain.get(name) == now[name]]


def plain_numbers(model: Module) -> Iterator[tuple[str, Any]]:
    """The numbers and the arrays in attributes of modules, which are neither parameters nor buffers; of an array a checksum."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, (int, float, np.number, np.ndarray)) and not isinstance(value, bool):
                yield f"{path}.{name}".lstrip("."), checksum(value) if isinstance(value, np.ndarray) else value


def made_in_forward(before: dict[str, Any], model: Module) -> list[str]:
    """What to say of parameters that the model did not have before."""
    known = {id(p) for p in before.values()}
    return [f"{name}: a Tensor that requires a gradient was {'replaced' if name in before else 'set on the model'} in forward, "
            "after the optimizer was made, which does not train it; make it in __init__, or give it requires_grad=False"
            for name, p in model.named_parameters() if id(p) not in known]


def kept_graphs(model: Module) -> list[str]:
    """What to say of results that a module holds on to."""
    return [f"{name}: the result of {t.operation.__name__} is kept on the model, and with it all that the step computed; keep "
            ".detach() of it, if its gradient is not asked for" for name, t in model.named_results()]


def some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


@contextmanager
def naming_layers(model: Module) -> Iterator[None]:
    """Turns an error of a layer, an operation or a loss into a UserError of one line: the path of the layer, the caller.

    Other errors, those of a recipe's own code outside of layers for instance, come out as they are, with their traceback.
    """
    try:
        yield
    except (*NAMED, AnomalyError) as error:
        if isinstance(error, UserError):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        if hasattr(error, "trail"):
            text = text_in(model, error)
        elif isinstance(error, AnomalyError) or is_ours(frames[-1].filename, "autograd", "ops", "losses.py"):
            text = str(error)
        elif operation := in_backward(error):
            text = f"{operation}.backward: {said(error)}"
        else:
            raise
        theirs = [frame for frame in frames if not is_ours(frame.filename)]
        place = f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""
        raise UserError(shortened(" ".join(text.split()), 1000) + place) from error


def in_backward(error: BaseException) -> str:
    """The name of the operation in whose backward the error arose; "" for none."""
    names = [frame.f_locals["operation"].__name__ for frame, _ in traceback.walk_tb(error.__traceback__)
             if frame.f_code is engine.backward.__code__]
    return names[-1] if names else ""


def is_ours(file: str, *parts: str) -> bool:
    """Whether a file is of the package, or of these parts of it; what ships with it to be changed is not."""
    path = Path(file)
    if PACKAGE not in path.parents or PACKAGE / "_shipped" in path.parents:
        return file.startswith("<") or not path.is_file()  # written at run time
    return not parts or path.relative_to(PACKAGE).parts[0] in parts


def unseeded(model: Any, recipe: Any, settings: Any) -> list[str]:
    """Notes on what begins as other numbers where the recipe builds its model again, for an rng was forgotten.

    Of a large model nothing is said: a second one would need as much memory.
    """
    if not isinstance(model, Module) or sum(p.size for p in model.parameters()) > LARGE:
        return []
    again = recipe.build(np.random.default_rng([settings.seed, 0]))
    drawn = {name: g.bit_generator.state for name, g in again.named_generators()}
    other = [name for name, value in model.state_dict().items()
             if not np.array_equal(value, again.state_dict().get(name), equal_nan=True)]
    other += [name for name, g in model.named_generators() if str(g.bit_generator.state) != str(drawn.get(name))]
    return [f"{name} begins with other numbers in each run, whatever the seed: pass on the rng"
            for name in other[:SHOWN]]


def check_last_batch(recipe: Any, model: Module, settings: Any) -> None:
    """KeyedError where the last batch of an epoch is a single example, of which a BatchNorm1d cannot take the variance.

    It is tried, on that batch alone; no generator and no buffer is another one afterwards.
    """
    known = sys.modules.get("nnkit.nn.normalization")  # a model with such a layer has imported it
    size = getattr(settings.training, "batch_size", None)
    if known is None or not size or not any(isinstance(module, known.BatchNorm1d) for module in model.modules()):
        return
    n = recipe.units_per_epoch
    batches = recipe.batches(0, np.random.default_rng([settings.seed, 1, 0]), max(0, math.ceil(n / size) - 1))
    rest = [*islice(batches, MANY)]
    if len(rest) not in range(1, MANY):  # its units are no examples
        return
    generators = [(g, g.bit_generator.state) for _, g in model.named_generators()]
    buffers = [(buffer.value, buffer.value.copy()) for _, buffer in model.named_buffers()]
    try:
        recipe.loss(model.train(), rest[-1])
    except known.LoneExampleError as error:
        better = next((s for d in range(1, size + 2) for s in (size - d, size + d) if s > 1 and n % s != 1), None)
        raise KeyedError(("training", "batch_size"), (
            f"{size} leaves a last batch of one example in every epoch: {error}"
            + (f"; set training.batch_size: {better}" if better else ""))) from error
    finally:
        for generator, state in generators:
            generator.bit_generator.state = state
        for value, before in buffers:
            value[...] = before
