"""edugrad's Tensor, Operation and tensor_op: a value, and beside it a node of nnkit's graph, which has the gradients.

The two are apart because edugrad's Tensor promises what nnkit's does not: any value whatever (words, lists, integers,
which get gradients like everything else), a float64 gradient on every node, zeros before backward, equality by identity.
The node stands for the value by its shape alone, and the engine does with it what it does with every other graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, List  # noqa: UP035  (programs take List from here)

import numpy as np

from nnkit import autograd, ops
from nnkit.autograd.tensor import new_node

__all__ = ["Callable", "Iterable", "List", "Operation", "Tensor", "np", "tensor_op"]


class Tensor:
    """Tensor(value, parents=(), name=None).

    value: kept as it is, usually an array. grad: a float64 array of value's shape, zeros at first, on every node.
    """

    def __init__(self, value: Any, parents: Iterable[Tensor] = (), name: str | None = None):
        self.value = value
        self.parents = parents
        self.name = name
        self._node = autograd.Tensor(np.broadcast_to(0.0, np.shape(value)))  # takes no memory, whatever the shape
        self._keeper: Any = self._node  # what has .grad: a leaf's node, a result's context

    @property
    def grad(self) -> np.ndarray:
        if self._keeper.grad is None:
            self._keeper.grad = np.zeros(np.shape(self.value))
        return self._keeper.grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._keeper.grad = grad

    def backward(self) -> None:
        """Set this Tensor's gradient to 1 and add to that of all it was computed from. ValueError unless its shape is ().

        A node passes on the gradient it has, so a second backward through it counts the first one again, as in edugrad.
        """
        if np.shape(self.value) != ():
            raise ValueError(f"backward: expected a single number, got the shape {np.shape(self.value)}; reduce it first")
        self._keeper.grad = None
        self._node.backward()

    def get_graph_above(self) -> list[tuple[Tensor, Tensor]]:
        """The edges (parent, child) of all that this Tensor was computed from, depth first."""
        edges = []
        seen = {self}
        path = [iter([(parent, self) for parent in self.parents])]
        while path:
            for parent, child in path[-1]:
                edges.append((parent, child))
                if parent not in seen:
                    seen.add(parent)
                    path.append(iter([(above, parent) for above in parent.parents]))
                    break
            else:
                path.pop()
        return edges

    def __add__(self, other): return add(self, other)
    def __radd__(self, other): return add(other, self)
    def __sub__(self, other): return minus(self, other)
    def __pow__(self, exponent): return power(self, exponent=exponent)  # type: ignore[call-arg]


class Context(autograd.Context):
    """The list that a program's forward and backward share; unseen by them, the gradient that the result has so far."""

    __slots__ = ("grad", "shapes")

    grad: np.ndarray | None
    shapes: list[tuple[int, ...]]


class Operation(autograd.Operation):
    """Base class of operations: static methods forward(ctx, *arrays, **options) and backward(ctx, grad_output).

    backward returns one gradient an input, in a list, a tuple or whatever else has an order; more than that is not
    looked at. A number, or a row, is a gradient for every element that it broadcasts to.
    """


def tensor_op(operation: Any) -> Callable[..., Tensor]:
    """Class decorator: the operation as a function of Tensors, named after it. TypeError for an input that is no Tensor."""

    class Step(autograd.Operation):
        returns_new = True

        @staticmethod
        def backward(ctx: Any, grad_output: np.ndarray) -> list[np.ndarray | None]:
            ctx.grad = grad_output if ctx.grad is None else ctx.grad + grad_output
            ctx.owns_grad = False  # it is the result's .grad from here on
            grads = operation.backward(ctx, ctx.grad)
            grads = [] if grads is None else list(grads)[:len(ctx.shapes)]
            return [None if grad is None else new_gradient(grad, shape) for grad, shape in zip(grads, ctx.shapes)]

    Step.__name__ = operation.__name__

    def function(*inputs, **options):
        for i, x in enumerate(inputs):
            if not isinstance(x, Tensor):
                raise TypeError(f"{operation.__name__}: input {i} is a {type(x).__name__}; make it a Tensor first")
        nodes = tuple(x._node for x in inputs)
        ctx = Context()
        ctx.needs_grad, ctx.shapes, ctx.grad = (True,) * len(nodes), [node.shape for node in nodes], None
        result = Tensor(operation.forward(ctx, *(x.value for x in inputs), **options), inputs, operation.__name__)
        result._node, result._keeper = new_node(result._node.value, nodes, Step, ctx, options), ctx
        return result

    return functools.update_wrapper(function, operation, updated=())


def new_gradient(grad: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Never the program's own array: it may have given the same one twice, and write into it later."""
    try:
        return np.zeros(shape) + grad
    except ValueError:
        return np.array(grad)  # the engine says what does not fit, and where


def from_nnkit(function: Any, name: str) -> Callable[..., Tensor]:
    """One of nnkit's operations, as edugrad names it."""
    return tensor_op(type(name, (function.operation,), {"__doc__": function.__doc__}))


# What Tensor's operators stand for; a program finds them in edugrad.ops.

add = from_nnkit(ops.add, "add")
minus = from_nnkit(ops.subtract, "minus")


@tensor_op
class power(Operation):
    """a ** exponent, where the exponent is a number and no input."""

    @staticmethod
    def forward(ctx, a, exponent=1):
        ctx.extend([a, exponent])
        return a ** exponent

    @staticmethod
    def backward(ctx, grad_output):
        a, exponent = ctx
        return [grad_output * (exponent * a ** (exponent - 1))]
