"""The one registry: names of operations that Tensor's operators, methods and NumPy's own functions stand for.

Tensor lives below the operations and cannot import them. `nnkit.ops` hands them over in one explicit call of `install`
when it is imported; from then on `x + y`, `x.sum()`, `np.exp(x)` and `ops.exp(x)` are the same function.
"""

from collections.abc import Callable, Mapping

operations: dict[str, Callable] = {}  # by the name NumPy gives them
numpy_functions: dict[Callable, Callable] = {}  # a NumPy function → the same on Tensors, with NumPy's own arguments


def install(table: Mapping[str, Callable], functions: Mapping[Callable, Callable]) -> None:
    """Enter the operations, and what stands for NumPy's functions."""
    operations.update(table)
    numpy_functions.update(functions)
