"""backward: from a result to its leaves, every edge of the graph once.

A Tensor is numbered when it is made, so a parent's number is lower than its child's: taking the newest node first is a
topological order, without a search beforehand and without recursion. Gradients on their way live in a local dict and
leave it as they are used; leaves get theirs at the end, so a mistake on the way changes nothing.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.autograd.rows import RowGrad, add_grads

if TYPE_CHECKING:
    from nnkit.autograd.tensor import Tensor


def backward(root: Tensor, grad: Any = None, *, keep_grads: bool = False) -> None:
    """Add d root / d leaf, times `grad`, to the `.grad` of every leaf that wants one.

    grad: an array of root's shape; may be left out where root is a single number. keep_grads: leave `.grad` on every
    node on the way too. ValueError for a missing or misshapen grad, RuntimeError where there is no graph.
    """
    if not root.requires_grad:
        raise RuntimeError(f"backward: {root!r} does not depend on anything that requires a gradient")
    arriving = {root: (seed_gradient(root, grad), True)}
    leaves: dict[Tensor, tuple[Any, bool]] = {}
    newest_first = [(-root.serial, root)]
    while newest_first:
        node = heapq.heappop(newest_first)[1]
        grad, owned = arriving.pop(node)
        if node.operation is None:
            leaves[node] = grad, owned
            continue
        if keep_grads:
            node.grad, owned = grad, False
        for parent, given, new in input_gradients(node, grad, owned):
            if parent in arriving:
                arriving[parent] = add_grads(arriving[parent][0], given), True
            else:
                arriving[parent] = given, new
                heapq.heappush(newest_first, (-parent.serial, parent))
    for leaf, (grad, owned) in leaves.items():
        if leaf.grad is not None:
            leaf.grad = add_grads(leaf.grad, grad)
        else:
            leaf.grad = grad if owned else grad.copy()


def seed_gradient(root: Tensor, grad: Any) -> np.ndarray:
    if grad is None:
        if root.value.size != 1:
            raise ValueError(f"backward: a result of shape {root.shape} needs grad=, an array of that shape; "
                             "or reduce it first, with .sum() or .mean()")
        return np.ones_like(root.value)
    grad = np.array(getattr(grad, "value", grad), dtype=root.value.dtype)
    if grad.shape != root.value.shape:
        raise ValueError(f"backward: grad has shape {grad.shape}, the result {root.shape}")
    return grad


def input_gradients(node: Tensor, grad: Any, owned: bool):
    """What node's backward gives each parent that wants a gradient: (parent, gradient, whether the engine owns it)."""
    operation, ctx = node.operation, node.ctx
    if ctx is None:
        raise RuntimeError(f"{operation.__name__}: a second backward through an operation that keeps nothing for it; "
                           "run forward again")
    ctx.owns_grad = owned
    if isinstance(grad, RowGrad):  # a lookup in a table that is itself computed
        grad = grad.dense()
    grads = operation.backward(ctx, grad)
    if operation.frees_ctx:
        node.ctx = None
    try:
        count = len(grads)
    except TypeError:  # None, where `return` was forgotten
        count = 0
    if count != len(node.inputs):
        raise ValueError(f"{operation.__name__}.backward returned {count} gradients for {len(node.inputs)} inputs; "
                         "expected a list, one entry an input")
    found = []
    for i, (parent, given) in enumerate(zip(node.inputs, grads)):
        if given is None or not ctx.needs_grad[i]:
            continue
        value, new = parent.value, operation.returns_new
        if isinstance(given, RowGrad):
            new |= owned  # its values may be grad_output itself
        else:
            given = np.asarray(given)
        if given.shape != value.shape:
            given, new = sum_to_shape(given, value.shape, operation, i), True
        if given.dtype is not value.dtype:
            given, new = given.astype(value.dtype), True
        found.append((parent, given, new))
    return found


def sum_to_shape(grad: Any, shape: tuple[int, ...], operation: Any, i: int) -> np.ndarray:
    """Where forward broadcast an input to a larger shape, its gradient is the sum over what was repeated."""
    if isinstance(grad, RowGrad):
        grad = grad.dense()
    extra = grad.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(extra + k for k, n in enumerate(shape) if n == 1)
    if extra < 0 or any(n not in (1, grad.shape[extra + k]) for k, n in enumerate(shape)):
        raise ValueError(f"{operation.__name__}.backward: input {i} has shape {shape}, its gradient {grad.shape}")
    return np.asarray(grad.sum(axis=axes)).reshape(shape)
