"""What a wrong backward looks like: the likeliest cause, found by trying.

Of a function with few numbers both Jacobians are written out, the one of backward, a row for each element of the result, and
the one of difference quotients. Side by side they tell a wrong sign from a missing sum. Of a single operation the ctx is looked
at, too: what was saved is changed, and where backward is then right, that was it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit.autograd.differences import Subject, is_close
from nnkit.autograd.operation import Context
from nnkit.autograd.tensor import Tensor

FEW = 20_000  # numbers in a Jacobian that is written out
UNKNOWN = "a missing term, or a saved array that changed since forward?"


def cause_of(subject: Subject, k: int, called: Sequence[str], grads: list[np.ndarray], numeric: np.ndarray,
             wrong: np.ndarray) -> str:
    """What may be wrong with the gradient of leaf k, for which backward gave grads[k], the quotients `numeric`."""
    with np.errstate(all="ignore"):
        node = subject.compute()
        if is_close(subject.gradients()[k], numeric):
            return ("it is right where no other forward comes in between: what backward needs is kept outside of ctx, and the "
                    "next forward writes over it")
        if text := _changed_after_saving(node):
            return text
        if not grads[k].any():
            return "backward gives nothing: a None or a zero where a gradient is due?"
        at_zero = subject.gradients(np.zeros_like(subject.weights))[k]
        if at_zero.any():
            return (f"with a grad_output of 0 backward gives up to {np.abs(at_zero).max():.4g}: a term that is added without "
                    "being multiplied by grad_output")
        if subject.weights.size * sum(leaf.value.size for leaf in subject.leaves) <= FEW:
            both = jacobians(subject)
            text = (surely(subject, k, called, *both) or _what_if_ctx_held(node, subject, k, numeric)
                    or perhaps(subject, k, called, *both))
        else:
            text = _what_if_ctx_held(node, subject, k, numeric)
        return text or likeliest_cause(grads[k], numeric, subject.leaves[k].value, wrong)


def cause_of_shape(text: str) -> str:
    """What the engine's error about a gradient's shape means, if it is one."""
    found = re.search(r"\.backward: input \d+ has shape \(([\d, ]*)\), its gradient \(([\d, ]*)\)", text)
    if not found:
        return ""
    shape, given = ([int(n) for n in part.replace(",", " ").split()] for part in found.groups())
    if shape == given[::-1]:
        return "the gradient is transposed"
    if len(given) < len(shape) or np.prod(given) < np.prod(shape):
        return "it is summed too far, or not spread again over what forward had summed?"
    return "a missing sum over a broadcast axis?"


def jacobians(subject: Subject) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of backward and of the quotients, one of (outputs, inputs) each for every leaf."""
    n = subject.weights.size
    rows = [subject.gradients(one.reshape(subject.weights.shape)) for one in np.eye(n)]
    by_backward = [np.array([row[k].reshape(-1) for row in rows]).reshape(n, -1) for k in range(len(subject.leaves))]
    by_quotients = []
    for leaf in subject.leaves:
        columns, flat = [], leaf.value.reshape(-1)
        for place, before in enumerate(flat.copy()):
            ends = []
            for h in (subject.step, -subject.step):
                flat[place] = before + h
                ends.append(subject.compute().value.reshape(-1))
                flat[place] = before
            columns.append((ends[0] - ends[1]) / (2 * subject.step))
        by_quotients.append(np.array(columns).reshape(-1, n).T)
    return by_backward, by_quotients


def surely(subject: Subject, k: int, called: Sequence[str], given: list[np.ndarray], right: list[np.ndarray]) -> str:
    """The first of the plain mistakes that makes the one Jacobian, `given` by backward, of the other; "" for none."""
    a, j = given[k], right[k]
    leaf, shape, result = subject.leaves[k].value, subject.leaves[k].shape, subject.weights.shape
    if is_close(a, -j):
        return "the sign is wrong"
    for other in range(len(right)):
        if other != k and is_close(a, right[other]) and is_close(given[other], j):
            return f"the gradients of {called[k]} and {called[other]} are swapped"
    if ratio := constant_ratio(a, j):
        return ratio_text(ratio, {*shape, *result, leaf.size, subject.weights.size})
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        turned = a.reshape(-1, *shape).swapaxes(-1, -2).reshape(a.shape)
        if is_close(turned, j):
            return ("the gradient is transposed" if len(result) >= len(shape) else
                    "the gradient goes along the wrong axis (it is right when transposed)")
    if shape == result and is_close(a, np.eye(len(a))):
        return "grad_output is passed on as it is: the function's own derivative is missing"
    used, due = a.any(axis=1), j.any(axis=1)
    if used.sum() < due.sum() and is_close(a[used], j[used]):
        return (f"only {int(used.sum())} of the {int(due.sum())} elements of grad_output that count are used: a missing sum over "
                "a broadcast axis, or rows left out?")
    if shape == result and (axes := coupled(a, shape)) != (due_axes := coupled(j, shape)):
        return f"wrong axis: backward mixes along {axis_text(axes)}, forward along {axis_text(due_axes)}"
    return ""


def perhaps(subject: Subject, k: int, called: Sequence[str], given: list[np.ndarray], right: list[np.ndarray]) -> str:
    """The first of the mistakes of which the Jacobians give a hint; "" for none."""
    a, j = given[k], right[k]
    for other in range(len(right)):
        if other != k and is_close(a, right[other]):
            return f"it is the gradient of {called[other]}: the wrong one of the saved inputs?"
    if text := _missing_factor(subject, a, j, called):
        return text
    wrong = np.array([not is_close(a[:, i], j[:, i]) for i in range(a.shape[1])], bool)
    return boundary(subject.leaves[k].value.reshape(-1), wrong)


def constant_ratio(a: np.ndarray, j: np.ndarray) -> float | None:
    """The number by which the whole of j must be multiplied to give a, if there is one."""
    clear = np.abs(j) > 1e-4
    if not clear.any():
        return None
    ratio = float(np.median(a[clear] / j[clear]))
    return ratio if np.isfinite(ratio) and ratio and is_close(a, ratio * j) and abs(ratio - 1) > 1e-3 else None


def ratio_text(ratio: float, sizes: set[int]) -> str:
    text = f"every element is {ratio:.4g} times what it should be: "
    for n in sorted(sizes - {0, 1}):
        if abs(ratio * n - 1) < 1e-3:
            return f"{text}a mean over {n} for a sum, or a missing factor?"
        if abs(ratio - n) < 1e-3 and n != 2:
            return f"{text}a sum over {n} for a mean, or a missing factor?"
    if abs(ratio - 2) < 1e-3:
        return f"{text}is it added twice, or is a factor missing?"
    return f"{text}a missing factor?"


def coupled(jacobian: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which an element of the result depends on others than its own."""
    outputs, inputs = np.nonzero(np.abs(jacobian) > 1e-6)
    apart = [o != i for o, i in zip(np.unravel_index(outputs, shape), np.unravel_index(inputs, shape))] if shape else []
    return tuple(axis for axis, differs in enumerate(apart) if differs.any())


def axis_text(axes: tuple[int, ...]) -> str:
    return f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}" if axes else "none"


def _missing_factor(subject: Subject, a: np.ndarray, j: np.ndarray, called: Sequence[str]) -> str:
    """One of the inputs, or the result, by which the one must be multiplied to be the other."""
    result = subject.compute().value
    for name, value in [*zip(called, (leaf.value for leaf in subject.leaves)), ("the result", result)]:
        for factor in (value.reshape(1, -1), value.reshape(-1, 1)):
            if value.size > 1 and factor.shape in ((1, a.shape[1]), (a.shape[0], 1)):
                if is_close(a * factor, j):
                    return f"a missing factor: {name}"
                if is_close(a, j * factor):
                    return f"a factor too much: {name}"
    return ""


def boundary(values: np.ndarray, wrong: np.ndarray) -> str:
    """Where exactly the elements on one side of a number are wrong."""
    if not wrong.any() or wrong.all() or (wrong.sum() < 2 and len(wrong) > 20):
        return ""
    off, fine = values[wrong], values[~wrong]
    if off.max() < fine.min():
        return f"it is wrong only where the input is at most {off.max():.4g}, right from {fine.min():.4g} on: a boundary, a mask?"
    if off.min() > fine.max():
        return f"it is wrong only where the input is at least {off.min():.4g}, right up to {fine.max():.4g}: a boundary, a mask?"
    return ""


def likeliest_cause(grad: np.ndarray, numeric: np.ndarray, values: np.ndarray | None = None, wrong: np.ndarray | None = None
                    ) -> str:
    """What the two arrays together look like, where more than they is not known."""
    if not grad.any():
        return "backward gives nothing: a None or a zero where a gradient is due?"
    ratio = constant_ratio(grad, numeric)
    if ratio is not None:
        return "the sign is wrong" if abs(ratio + 1) < 1e-3 else ratio_text(ratio, set(grad.shape))
    if grad.ndim >= 2 and grad.shape[-1] == grad.shape[-2] and is_close(grad.swapaxes(-1, -2), numeric):
        return "the gradient is transposed"
    if values is not None and wrong is not None and (text := boundary(values.reshape(-1), wrong.reshape(-1))):
        return text
    return UNKNOWN


class _Watching(Context):
    """A ctx that remembers what was put into it."""

    __slots__ = ("sums",)

    def append(self, x: Any) -> None:
        self.extend([x])

    def extend(self, values: Any) -> None:
        values = list(values)
        self.sums = [*getattr(self, "sums", []), *map(_sum, values)]
        super().extend(values)


def _sum(x: Any) -> int | None:
    return zlib.crc32(x.tobytes()) if isinstance(x, np.ndarray) else None


def _run(node: Tensor) -> tuple[_Watching, np.ndarray, list[Any]]:
    """An operation once more: its ctx, its result and the arrays it was given."""
    arrays = [x.value if isinstance(x, Tensor) else x for x in node.inputs]
    ctx = _Watching()
    ctx.needs_grad = node.ctx.needs_grad
    return ctx, np.asarray(node.operation.forward(ctx, *arrays, **node.attributes)), arrays


def _graph(root: Tensor) -> list[Tensor]:
    """root and what it was computed from by operations; nothing where backward used them up."""
    found: dict[Tensor, None] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.operation is not None and node not in found and node.ctx is not None and not node.operation.reuse_ctx:
            found[node] = None
            waiting += node.parents
    return list(found)


def _changed_after_saving(root: Tensor) -> str:
    for node in _graph(root):
        before = [_sum(x.value) if isinstance(x, Tensor) else None for x in node.inputs]
        ctx, _, _ = _run(node)
        name = node.operation.__name__
        for i, (x, was) in enumerate(zip(node.inputs, before)):
            if isinstance(x, Tensor) and _sum(x.value) != was:
                return f"{name}.forward writes into its input {i}"
        for i, (saved, was) in enumerate(zip(ctx, getattr(ctx, "sums", []))):
            if _sum(saved) != was:
                return f"{name}.forward changes in place what it had saved in ctx[{i}]; save a copy, or save it last"
    return ""


def _what_if_ctx_held(node: Tensor, subject: Subject, k: int, numeric: np.ndarray) -> str:
    """Of a single operation: which other array in which place of ctx makes backward right."""
    leaf = subject.leaves[k]
    if node not in _graph(node) or not any(x is leaf for x in node.inputs):
        return ""
    ctx, result, arrays = _run(node)
    position = next(i for i, x in enumerate(node.inputs) if x is leaf)
    known = [*((f"input {i}", x) for i, x in enumerate(arrays) if isinstance(x, np.ndarray)), ("the result", result)]
    for place, saved in enumerate(ctx):
        if not isinstance(saved, np.ndarray):
            continue
        held = next((name for name, x in known if np.array_equal(x, saved)), "another array")
        for name, array in [*known, (f"{held} transposed", np.swapaxes(saved, -1, -2) if saved.ndim > 1 else saved)]:
            if array.shape != saved.shape or np.array_equal(array, saved):
                continue
            other = _Watching(array if i == place else x for i, x in enumerate(ctx))
            other.needs_grad, other.inputs, other.owns_grad = ctx.needs_grad, node.inputs, False
            try:
                grad = np.asarray(node.operation.backward(other, subject.weights.copy())[position])
            except Exception:  # it is tried on what it was not written for
                continue
            if is_close(grad, numeric):
                return f"with {name} in place of {held} in ctx[{place}] backward is right: is the wrong array saved, or used?"
    return ""
