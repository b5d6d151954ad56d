"""The one registry: names of operations that Tensor's operators, methods and NumPy's own functions stand for.

Tensor lives below the operations and cannot import them. `nnkit.ops` hands them over in one explicit call of `install`
when it is imported; from then on `x + y`, `x.sum()`, `np.exp(x)` and `ops.exp(x)` are the same function.
"""

from collections.abc import Callable, Mapping

operations: dict[str, Callable] = {}


def install(table: Mapping[str, Callable]) -> None:
    """Enter operations under the names that NumPy gives them."""
    operations.update(table)
