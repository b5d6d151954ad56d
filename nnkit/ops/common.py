"""What operations need of one another.

With `create_graph=True` an operation's forward and backward run on Tensors in place of arrays (DESIGN.md, "Higher order").
NumPy's functions and operators understand both; these understand both where NumPy has no function of that name.
"""

from typing import Any

import numpy as np

from nnkit.autograd import Tensor


def nested(operation: Any, *inputs: Any, **attributes: Any) -> Any:
    """One operation inside another's forward or backward: arrays give an array, and Tensors a Tensor of the graph."""
    if any(isinstance(x, Tensor) for x in inputs):
        return operation(*inputs, **attributes)
    return operation.operation.forward([], *inputs, **attributes)


def numbers(x: Any) -> np.ndarray:
    """Ids, classes and other whole numbers, which never have a gradient, as an array."""
    return x.value if isinstance(x, Tensor) else np.asarray(x)


def constant(x: Any) -> Any:
    """x without its gradient."""
    return x.detach() if isinstance(x, Tensor) else x
