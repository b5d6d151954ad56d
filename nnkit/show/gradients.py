"""The backward pass as something to look at: what went along every link, and why.

backward itself runs, under an observer that writes down what each operation gave. Every `.grad` is afterwards what it was before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.autograd import RowGrad, Tensor, backward
from nnkit.autograd.engine import fitted
from nnkit.autograd.modes import Observer, observed
from nnkit.errors import UserError
from nnkit.show.graph import Graph
from nnkit.show.numbers import is_small


class Listener(Observer):
    """Hears a backward pass: fills in what links were given, with the local derivatives, and in which order."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.locals: list[np.ndarray | None] = []

    def before_backward(self, node: Tensor) -> None:
        self.needs = node.ctx.needs_grad
        self.locals = local_derivatives(node)

    def after_backward(self, node: Tensor, grad: Any, grads: Any) -> None:
        drawn = self.graph.tensors.get(node)
        if drawn is None:  # computed by a hook
            return
        self.graph.backward.append(drawn)
        for link in drawn.inputs:
            given = grads[link.place]
            if given is not None and self.needs[link.place]:
                link.given = fitted(given, link.source.value, node.operation, link.place, False, False)[0].copy()
                link.local = self.locals[link.place]
                link.source.arrived.append(link)


def run_backward(graph: Graph, result: Tensor, grad: Any = None) -> None:
    """Run backward from the first result, and write into the graph what happens.

    A result of several numbers needs grad, as in `backward`; without, there is only a remark. UserError where a backward is not
    possible any more, ValueError for a grad of another shape.
    """
    if grad is None and result.size != 1:
        graph.remarks.append(f"no gradients: the result has shape {result.shape}; give grad=, an array of that shape, or reduce "
                             "it to one number")
        return
    before = {tensor: tensor.grad for tensor in graph.tensors}
    for tensor in graph.tensors:
        tensor.grad = None
    try:
        with observed(Listener(graph)), np.errstate(all="ignore"):
            backward(result, grad, keep_grads=True)  # what is kept, no operation may write into
        for tensor, node in graph.tensors.items():
            node.gradient = tensor.grad
    except RuntimeError as error:
        raise UserError(f"draw: {error}") from error
    finally:
        for tensor, grad_before in before.items():
            tensor.grad = grad_before


def local_derivatives(node: Tensor) -> list[np.ndarray | None]:
    """For each input the derivative of the result by it, element by element; None where it is no such thing, or is too large.

    backward is linear in what comes in. For a result of one number, backward(1) is the derivative. For others backward(ones) is,
    if for some random g backward(g) is g times that: each element then depends on the one in its place alone.
    """
    operation, ctx, shape = node.operation, node.ctx, node.shape
    none: list[np.ndarray | None] = [None] * len(node.inputs)
    if operation.frees_ctx or not is_small(shape):  # to try it would use it up
        return none
    ctx.owns_grad, ctx.inputs = False, node.inputs
    ones = operation.backward(ctx, np.ones(shape, node.dtype))
    g = np.random.default_rng(0).uniform(1, 2, shape).astype(node.dtype)
    tried = ones if node.size == 1 else operation.backward(ctx, g)
    if type(ones) is not list or len(ones) != len(none):  # the engine has the words for it
        return none
    found = none
    for i, (one, other) in enumerate(zip(ones, tried)):
        if one is None or isinstance(one, RowGrad) or not is_small(np.shape(one)):
            continue
        one, other = np.asarray(one), np.asarray(other)
        if node.size == 1 or (one.shape == shape and np.allclose(one * g, other, rtol=1e-3, equal_nan=True)):
            found[i] = one.copy()
    return found
