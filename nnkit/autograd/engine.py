"""backward: from a result to its leaves, every edge of the graph once.

A Tensor is numbered when it is made, so a parent's number is lower than its child's: taking the newest node first is a
topological order, without a search beforehand and without recursion. Gradients on their way live in a local dict and
leave it as they are used; leaves get theirs at the end, so a mistake on the way changes nothing.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.autograd.modes import mode
from nnkit.autograd.rows import RowGrad, add_grads

if TYPE_CHECKING:
    from nnkit.autograd.tensor import Tensor


def backward(root: Tensor, grad: Any = None, *, keep_grads: bool = False, retain_graph: bool = True) -> None:
    """Add d root / d leaf, times `grad`, to the `.grad` of every leaf that wants one.

    grad: an array of root's shape; may be left out where root is a single number. keep_grads: leave `.grad` on every
    node on the way too. retain_graph=False: give up what forward kept for each operation as soon as it was used.
    ValueError for a missing or misshapen grad, RuntimeError where there is no graph or a value was changed since forward.
    """
    if not root.requires_grad:
        raise RuntimeError(f"backward: {root!r} does not depend on anything that requires a gradient; is something on the way "
                           "computed from .value, or by a layer that returns an array? nnkit.detect_anomaly() names the layer")
    # gradients on their way: the sum so far, and whether its array is the engine's own
    arriving: dict[Tensor, tuple[Any, bool]] = {root: (seed_gradient(root, grad), True)}
    leaves: dict[Tensor, tuple[Any, bool]] = {} if root.operation is not None else arriving
    newest_first = [] if root.operation is None else [(-root.serial, root)]
    observer = mode.get().observer
    while newest_first:
        node = heappop(newest_first)[1]
        grad, owned = arriving.pop(node)
        if node.hooks is not None:
            grad, owned = call_hooks(node, grad), False
        if keep_grads:
            node.grad, owned = grad, False
        operation, ctx, inputs = node.operation, node.ctx, node.inputs
        if ctx is None:
            raise RuntimeError(f"{operation.__name__}: a second backward through an operation that keeps nothing for it; "
                               "run forward again, or leave retain_graph=False out")
        if observer is not None:
            observer.before_backward(node)
        if type(grad) is RowGrad:  # a lookup in a table that is itself computed
            grad = grad.dense()
        ctx.owns_grad, ctx.inputs = owned, inputs
        grads = operation.backward(ctx, grad)
        if operation.frees_ctx or not retain_graph:
            node.ctx = None
        if type(grads) is not list or len(grads) != len(inputs):
            check_count(operation, grads, inputs)
        if observer is not None:
            observer.after_backward(node, grad, grads)
        new_arrays = operation.returns_new
        for i, given in enumerate(grads):
            if given is None or not ctx.needs_grad[i]:
                continue
            parent = inputs[i]
            is_leaf = parent.operation is None
            if is_leaf and parent.written > node.serial:
                raise RuntimeError(f"{operation.__name__}: the value of input {i}, {parent!r}, was changed after it was used; "
                                   "call backward before the optimizer's step, or run forward again; of what is kept from "
                                   "one step to the next, keep .detach()")
            new, value = new_arrays, parent.value
            if type(given) is not np.ndarray or given.shape != value.shape or given.dtype is not value.dtype:
                given, new = fitted(given, value, operation, i, new_arrays, owned)
            place = leaves if is_leaf else arriving
            before = place.get(parent)
            if before is not None:
                place[parent] = add_grads(before[0], given, before[1]), True
            else:
                place[parent] = given, new
                if not is_leaf:
                    heappush(newest_first, (-parent.serial, parent))
    for leaf, (grad, owned) in leaves.items():
        add_to_leaf(leaf, grad, owned)


def add_to_leaf(leaf: Tensor, grad: Any, owned: bool) -> None:
    """The end of the way: a leaf's `.grad` grows by grad, of which it keeps the array where that is nobody else's."""
    if leaf.hooks is not None:
        grad, owned = call_hooks(leaf, grad), False
    if leaf.grad is not None:
        if owned and type(grad) is type(leaf.grad) is np.ndarray:
            leaf.grad = np.add(leaf.grad, grad, out=grad)  # not into leaf.grad itself, which somebody may have
        else:
            leaf.grad = add_grads(leaf.grad, grad)
    else:
        leaf.grad = grad if owned else grad.copy()


def seed_gradient(root: Tensor, grad: Any) -> np.ndarray:
    """What backward starts with: `grad` as an array of root's shape and dtype, or 1."""
    if grad is None:
        if math.prod(root.shape) != 1:
            raise ValueError(f"backward: a result of shape {root.shape} needs grad=, an array of that shape; "
                             "or reduce it first, with .sum() or .mean()")
        return ones(root.shape, root.dtype)
    grad = np.array(getattr(grad, "value", grad), dtype=root.dtype)
    if grad.shape != root.shape:
        raise ValueError(f"backward: grad has shape {grad.shape}, the result {root.shape}")
    return grad


def ones(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """np.ones, without what it costs to be called once a step."""
    array = np.empty(shape, dtype)
    array.fill(1)
    return array


def call_hooks(tensor: Tensor, grad: Any) -> np.ndarray:
    """The gradient after the Tensor's hooks, which see a dense array and may return another of its shape."""
    grad = grad.dense() if type(grad) is RowGrad else grad
    for hook in list(tensor.hooks.values()):
        changed = hook(grad)
        if changed is not None:
            grad = np.asarray(getattr(changed, "value", changed), dtype=tensor.value.dtype)
            if grad.shape != tensor.value.shape:
                raise ValueError(f"a hook of {tensor!r} returned a gradient of shape {grad.shape}")
    return grad


def check_count(operation: Any, grads: Any, inputs: tuple) -> None:
    try:
        count = len(grads)
    except TypeError:  # a number, or None
        count = 0
    if count != len(inputs):
        given = f"an array of shape {grads.shape}" if isinstance(grads, np.ndarray) else f"{count} gradients"
        hint = "; is a `return` missing?" if grads is None else ""
        raise ValueError(f"{operation.__name__}.backward returned {given} for {len(inputs)} inputs; "
                         f"expected a list, one entry an input{hint}")


def fitted(given: Any, value: np.ndarray, operation: Any, i: int, new: bool, owned: bool) -> tuple[Any, bool]:
    """A gradient brought to its input's shape and dtype; and whether it is the engine's own array."""
    if type(given) is RowGrad:
        new |= owned  # its values may be grad_output itself
    else:
        given = np.asarray(given)
    if given.shape != value.shape:
        given, new = sum_to_shape(given, value.shape, operation, i), True
    if given.dtype is not value.dtype:
        given, new = given.astype(value.dtype), True
    return given, new


def sum_to_shape(grad: Any, shape: tuple[int, ...], operation: Any, i: int) -> np.ndarray:
    """Where forward broadcast an input to a larger shape, its gradient is the sum over what was repeated."""
    if type(grad) is RowGrad:
        grad = grad.dense()
    return np.asarray(grad.sum(axis=repeated_axes(grad.shape, shape, operation, i))).reshape(shape)


def repeated_axes(grown: tuple[int, ...], shape: tuple[int, ...], operation: Any, i: int) -> tuple[int, ...]:
    """The axes along which `shape` was repeated to give `grown`. ValueError names the operation where it was not."""
    extra = len(grown) - len(shape)
    if extra < 0 or any(n not in (1, grown[extra + k]) for k, n in enumerate(shape)):
        raise ValueError(f"{operation.__name__}.backward: input {i} has shape {shape}, its gradient {grown}")
    return tuple(range(extra)) + tuple(extra + k for k, n in enumerate(shape) if n == 1)
