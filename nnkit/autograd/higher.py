"""Derivatives of derivatives: an operation's own forward and backward, run on Tensors in place of arrays.

NumPy hands `np.exp(x)`, `x * y` and the like over to the operations of those names where x is a Tensor (`__array_ufunc__`,
`__array_function__`). So the `backward` that a student wrote in plain NumPy builds a graph of its own when it is called
with Tensors, and that graph can be differentiated again. What cannot be run so says it: an operation that writes in place
names the plain form it equals (`composed`), and one that draws at random keeps what it drew (`reuse_ctx`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from nnkit.autograd.dispatch import operations
from nnkit.autograd.engine import check_count, repeated_axes, seed_gradient
from nnkit.autograd.modes import default_dtype, enable_grad, retracing
from nnkit.autograd.operation import Context
from nnkit.autograd.rows import RowGrad
from nnkit.autograd.tensor import Tensor


def gradients(root: Tensor, wanted: Iterable[Tensor] | None = None, grad: Any = None) -> dict[Tensor, Tensor]:
    """d root / d t, times `grad`, as Tensors with a graph: for every t in `wanted`, or for every leaf.

    The walk ends at the wanted Tensors. Those that root does not depend on are not in the result.
    """
    ends = None if wanted is None else set(wanted)
    arriving: dict[Tensor, Tensor] = {root: grad if isinstance(grad, Tensor) else
                                      Tensor(seed_gradient(root, grad), requires_grad=False)}
    found: dict[Tensor, Tensor] = {}
    newest_first = [(-root.serial, root)]
    with enable_grad():
        while newest_first:
            node = heappop(newest_first)[1]
            given = arriving.pop(node)
            if (node in ends) if ends is not None else node.operation is None:
                found[node] = given
                continue
            if node.operation is None:
                continue
            for parent, part in zip(node.inputs, backward_again(node, given)):
                if part is None or not isinstance(parent, Tensor) or not parent.requires_grad:
                    continue
                part = fitted(part, parent, node.operation)
                if parent in arriving:
                    arriving[parent] = operations["add"](arriving[parent], part)
                else:
                    arriving[parent] = part
                    heappush(newest_first, (-parent.serial, parent))
    return found


def backward_again(node: Tensor, grad: Tensor) -> Any:
    """What node's backward gives its inputs, as Tensors with a graph that reaches the inputs and `grad`."""
    operation, inputs = node.operation, node.inputs
    if operation.composed is not None:
        plain = operation.composed(*inputs, **node.attributes)
        parts = gradients(plain, [x for x in inputs if isinstance(x, Tensor)], grad) if plain.requires_grad else {}
        # where one Tensor stands twice among the inputs, its part is the sum for both places
        return [parts.pop(x, None) if isinstance(x, Tensor) else None for x in inputs]
    token = retracing.set(operation.__name__)
    try:
        if operation.reuse_ctx:
            ctx = node.ctx
        else:
            ctx = Context()
            ctx.needs_grad = node.ctx.needs_grad
            operation.forward(ctx, *inputs, **node.attributes)
        ctx.owns_grad = False
        grads = operation.backward(ctx, grad)
    finally:
        retracing.reset(token)
    check_count(operation, grads, inputs)
    return grads


def fitted(part: Any, parent: Tensor, operation: Any) -> Tensor:
    """A gradient brought to its input's shape, by operations."""
    if isinstance(part, RowGrad):
        part = part.dense()
    if not isinstance(part, Tensor):
        part = Tensor(np.asarray(part, parent.dtype), requires_grad=False)
    if part.shape != parent.shape:
        axes = repeated_axes(part.shape, parent.shape, operation, 0)
        part = operations["reshape"](operations["sum"](part, axis=axes), shape=parent.shape)
    return part


def backward_with_graph(root: Tensor, grad: Any = None) -> None:
    """`backward(create_graph=True)`: every leaf's `.grad` becomes, or grows by, a Tensor that can be differentiated."""
    for leaf, part in gradients(root, None, grad).items():
        leaf.grad = part if leaf.grad is None else operations["add"](part, leaf.grad)  # type: ignore[assignment]


def grad(function: Callable[..., Tensor], argument: int = 0) -> Callable[..., Tensor]:
    """The derivative of a function whose result is a single number, by one of its arguments, as a function.

    It takes Tensors, arrays and numbers, and returns a Tensor of the argument's shape; being differentiable itself, it can
    be given to `grad` again. ValueError where the result is not a single number.
    """

    def derivative(*inputs: Any) -> Tensor:
        leaf, result = _evaluate(function, argument, inputs)
        if result.size != 1:
            raise ValueError(f"grad: the function's result has shape {result.shape}; use nnkit.jacobian, or reduce it first")
        return _derivative(result, leaf, None)

    return derivative


def jacobian(function: Callable[..., Tensor], argument: int = 0) -> Callable[..., Tensor]:
    """All derivatives of a function's result by one of its arguments: a Tensor of shape result.shape + argument.shape.

    One backward for each number of the result: for small ones.
    """

    def derivative(*inputs: Any) -> Tensor:
        leaf, result = _evaluate(function, argument, inputs)
        rows = []
        for place in np.ndindex(result.shape):
            one = np.zeros_like(result.value)
            one[place] = 1
            row = _derivative(result, leaf, one)
            rows.append(operations["reshape"](row, shape=(1, *leaf.shape)))
        if not rows:
            return Tensor(np.zeros(result.shape + leaf.shape, leaf.dtype), requires_grad=False)
        return operations["reshape"](operations["concatenate"](*rows, axis=0), shape=result.shape + leaf.shape)

    return derivative


def hessian(function: Callable[..., Tensor], argument: int = 0) -> Callable[..., Tensor]:
    """All second derivatives of a function whose result is a single number: argument.shape + argument.shape."""
    return jacobian(grad(function, argument), argument)


def _evaluate(function: Callable[..., Tensor], argument: int, inputs: tuple) -> tuple[Tensor, Tensor]:
    """The Tensor to differentiate by, and the function's result."""
    given = inputs[argument]
    if not isinstance(given, Tensor):
        given = np.asarray(given)
        given = Tensor(given if given.dtype.kind == "f" else given.astype(np.float64))
    elif not given.requires_grad:
        given = Tensor(given.value)
    with default_dtype(given.dtype), enable_grad():
        result = function(*inputs[:argument], given, *inputs[argument + 1:])
    if not isinstance(result, Tensor):
        raise TypeError(f"expected the function to return a Tensor, got {type(result).__name__}")
    return given, result


def _derivative(result: Tensor, leaf: Tensor, seed: Any) -> Tensor:
    found = gradients(result, [leaf], seed) if result.requires_grad else {}
    return found.get(leaf, Tensor(np.zeros_like(leaf.value), requires_grad=False))
