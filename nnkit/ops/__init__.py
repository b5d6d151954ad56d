"""The operations, one small class each, one family a file, under the names that NumPy gives them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nnkit.autograd import Tensor, dispatch
from nnkit.ops import arithmetic, elementwise, linear_algebra, lookup, losses, reductions, shaping

if TYPE_CHECKING:  # a type checker takes a class under a decorator for a class, not for the function that it becomes
    def __getattr__(name: str) -> Callable[..., Tensor]: ...
else:
    from nnkit.ops.arithmetic import absolute, add, divide, multiply, negative, power, subtract
    from nnkit.ops.elementwise import (
        dropout,
        exp,
        log,
        maximum,
        minimum,
        relu,
        sigmoid,
        sqrt,
        square,
        tanh,
        where,
    )
    from nnkit.ops.linear_algebra import linear, matmul
    from nnkit.ops.lookup import embedding
    from nnkit.ops.losses import binary_cross_entropy_with_logits, cross_entropy
    from nnkit.ops.reductions import log_softmax, logsumexp, max, mean, min, softmax, sum
    from nnkit.ops.shaping import (
        broadcast_to,
        concatenate,
        expand_dims,
        getitem,
        reshape,
        squeeze,
        swapaxes,
        transpose,
    )

FAMILIES = (arithmetic, elementwise, reductions, shaping, linear_algebra, lookup, losses)


def all_operations() -> dict[str, Callable]:
    """Every operation by name, from the families above."""
    return {name: value for family in FAMILIES for name, value in vars(family).items() if hasattr(value, "operation")}


dispatch.install(all_operations(), {})

__all__ = ["absolute", "add", "all_operations", "binary_cross_entropy_with_logits", "broadcast_to", "concatenate",
           "cross_entropy", "divide", "dropout", "embedding", "exp", "expand_dims", "getitem", "linear", "log",
           "log_softmax", "logsumexp", "matmul", "max", "maximum", "mean", "min", "minimum", "multiply", "negative",
           "power", "relu", "reshape", "sigmoid", "softmax", "sqrt", "square", "squeeze", "subtract", "sum", "swapaxes",
           "tanh", "transpose", "where"]
