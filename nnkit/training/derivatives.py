"""nnkit check --gradcheck: are the gradients of a recipe's own loss its derivatives?

In float64 a few numbers of every parameter are nudged one by one, those with the largest gradients and some at random; then the
whole parameter is nudged along a random direction, which finds a gradient that is missing anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnkit.autograd import Tensor, default_dtype
from nnkit.autograd.causes import likeliest_cause
from nnkit.autograd.differences import chosen, dense
from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.training.layer_derivatives import check_layers, graph, trained

ELEMENTS = 100   # of a parameter that are nudged one by one
NUDGE = 1e-6     # small, for a nudge across the kink of a ReLU looks like a mistake
NOISE = 0.1      # added to parameters: at zero, where tables start, a wrong derivative may be right
POINTS = 2       # a mistake shows at each of them; a kink hardly does


def check_derivatives(recipe: Any, model: Module, batch: Any) -> list[str]:
    """Compare the gradients of recipe.loss(model, batch) with difference quotients; returns lines on how it went.

    First every operation and every layer by itself (layer_derivatives.py), then the loss by the parameters. The model is in
    training mode, its random layers draw the same each time; it is as before afterwards. Hooks, which change gradients on
    purpose, are left out, and so is what recipe.not_derivatives names: parameters, layers by path or class, operations.
    UserError names the culprit and the place of the worst derivative, or says why there is nothing to compare.
    """
    rng = np.random.default_rng(0)
    rules = [name for name, _ in model.named_parameters() if name in recipe.not_derivatives]
    names = [name for name, _ in model.named_parameters() if name not in rules]
    with in_float64(model), default_dtype(np.float64), np.errstate(all="ignore"):
        for point in range(POINTS):
            for p in model.parameters():
                p.value += NOISE * rng.standard_normal(p.shape)
            loss, reset = the_same_each_time(recipe, model, batch)
            if point == 0:
                by_layers, wrong = check_layers(loss, model, recipe.not_derivatives, reset)
                if wrong is not None:
                    raise UserError(f"gradcheck: {wrong.rstrip('?.')}. If it is meant so, name it in the recipe's "
                                    "not_derivatives")
            compared, wrong = compare(loss, model, names, rng)
            if wrong is None:
                left_out = f"; {', '.join(rules)}: a rule of the recipe, not compared" if rules else ""
                return [f"{compared:,} derivatives of {len(names)} parameters compared in float64: backward and the difference "
                        f"quotient agree{left_out}", by_layers]
    raise UserError(f"gradcheck: {wrong} If it is meant so, name the parameter in the recipe's not_derivatives")


def the_same_each_time(recipe: Any, model: Module, batch: Any) -> tuple[Callable[[], Tensor], Callable[[], None]]:
    """The loss as a function, and what sets the generators and the buffers that the model holds back before each call of it.

    UserError where it is no function, or computes in less than float64.
    """
    generators = [(g, g.bit_generator.state) for _, g in model.named_generators()]
    buffers = {name: buffer.value.copy() for name, buffer in model.named_buffers()}

    def reset() -> None:
        for generator, state in generators:
            generator.bit_generator.state = state
        for name, buffer in model.named_buffers():  # by name: a forward may have put another Tensor there
            if name in buffers:
                buffer.value[...] = buffers[name]

    def loss() -> Tensor:
        reset()
        return recipe.loss(model, batch)

    start = loss()
    if float(start) != float(loss()):
        raise UserError("gradcheck: the loss differs between two calls with the same batch; random numbers in it must come from "
                        "a generator that the model holds, as Dropout's do, and what a layer remembers must stand in a buffer, a "
                        "Tensor with requires_grad=False")
    for node in sorted(graph([start]), key=lambda node: node.serial):  # the first that casts is the one to name
        if node.operation is not None and node.dtype != np.float64:
            raise UserError(f"gradcheck: {node.operation.__name__} gives {node.dtype} where float64 comes in, too coarse for "
                            "differences; let it keep the dtype of its inputs")
    return loss, reset


def compare(loss: Callable[[], Tensor], model: Module, names: list[str], rng: np.random.Generator) -> tuple[int, str | None]:
    """How many derivatives of the parameters of these names were compared, and what to say of the worst, if any is wrong."""
    start = loss()
    for node in graph([start]):  # those of parameters are gone already
        node.hooks = None
    model.zero_grad()
    start.backward()
    slack = 1e-8 * (1 + abs(float(start)))  # the rounding of the loss, divided by the nudge
    compared, worst = 0, 1.0
    text: str | None = None
    for name, p in model.named_parameters():
        if name not in names:
            continue
        gradient, free = dense(p), trained(model, p)
        places = chosen(gradient, np.flatnonzero(free), ELEMENTS, rng)
        direction = np.where(free, rng.standard_normal(p.shape), 0)
        direction /= np.linalg.norm(direction) or 1
        flat = p.value.reshape(-1)
        numeric = np.array([*(slope(loss, flat[i:i + 1], 1.0) for i in places), slope(loss, p.value, direction)])
        analytic = np.append(gradient.reshape(-1)[places], np.vdot(gradient, direction))
        off = np.abs(analytic - numeric) / (slack + 1e-5 * np.abs(numeric))
        compared += len(off)
        at = int(np.argmax(off))
        if not off[at] <= worst:  # NaN is the worst
            worst = float(off[at])
            place = "along a random direction"
            if at < len(places):
                place = f"at {[int(k) for k in np.unravel_index(places[at], p.shape)]}"
            text = (f"{name} {place}: backward gives {analytic[at]:.8g}, the difference quotient {numeric[at]:.8g}; "
                    f"{int((off > 1).sum())} of {len(off)} derivatives that were compared of it differ; "
                    f"{likeliest_cause(analytic, numeric).rstrip('?')}.")
    return compared, text


def slope(loss: Callable[[], Tensor], value: np.ndarray, direction: Any) -> float:
    """The central difference of the loss where `value`, a parameter or a view of its part, is moved in place."""
    before = value.copy()
    value[...] = before + NUDGE * direction
    up = float(loss())
    value[...] = before - NUDGE * direction
    down = float(loss())
    value[...] = before
    return (up - down) / (2 * NUDGE)


@contextmanager
def in_float64(model: Module) -> Iterator[None]:
    """In the block the model's parameters and buffers are copies in float64; after it all is as it was, gradients and hooks."""
    names = ("value", "grad", "hooks", "spare")
    tensors = [*model.parameters(), *(buffer for _, buffer in model.named_buffers())]
    before = [[getattr(tensor, name) for name in names] for tensor in tensors]
    try:
        for tensor in tensors:
            dtype = np.float64 if tensor.dtype.kind == "f" else tensor.dtype
            tensor.value, tensor.grad, tensor.spare = np.array(tensor.value, dtype, order="C"), None, None
            tensor.hooks = None
        model.train()
        yield
    finally:
        for tensor, values in zip(tensors, before):
            for name, value in zip(names, values):
                setattr(tensor, name, value)
