"""record: define, then feed and run. A function is run once, its operations are kept as a flat list, and only they run again.

What a dynamic graph does at every step, Python calls from module to module, nodes, the search for an order, is done once.
What remains is each operation's own forward and backward, in memory that is kept. A value that the function computed
outside of operations would be replayed stale; it is found out by running the function a second time on other numbers. What
that cannot find: a parameter's `.value` that the function reads itself, and a whole number alone in its array, which
has no other order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from nnkit.autograd.engine import call_hooks, check_count, fitted, ones
from nnkit.autograd.modes import mode, observed
from nnkit.autograd.operation import FLOAT64, Context, Operation, constant
from nnkit.autograd.rows import RowGrad, add_grads
from nnkit.autograd.tensor import Tensor, new_node


class RecordingError(RuntimeError):
    """The function cannot be replayed: part of what it does depends on its inputs outside of operations."""


class compare(Operation):
    """A comparison as an operation, which has no gradient."""

    @staticmethod
    def forward(ctx, a, b, *, ufunc):
        return ufunc(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        return [None, None]


class Traced(Tensor):
    """What the function gets while it is recorded: a Tensor whose numbers cannot be read, for they change at every run."""

    __slots__ = ("array", "slot", "trace")

    def __init__(self, array: np.ndarray, trace: Trace, slot: int, requires_grad: bool):
        super().__init__(array, requires_grad=requires_grad)
        self.array, self.trace, self.slot = array, trace, slot

    @property
    def value(self) -> np.ndarray:
        raise RecordingError("while a function is recorded its inputs' numbers cannot be read, for they are different at every "
                             "run; compute with operations")

    @value.setter
    def value(self, array: np.ndarray) -> None:
        pass  # of the constructor; `array` has it

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)

    def __len__(self):
        return len(self.array)

    def __repr__(self):
        return f"Traced(shape={self.shape}, dtype={self.dtype})"

    __hash__ = object.__hash__

    def __eq__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.equal})
    def __ne__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.not_equal})
    def __lt__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.less})
    def __le__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.less_equal})
    def __gt__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.greater})
    def __ge__(self, other): return self.trace.apply(compare, (self, other), {"ufunc": np.greater_equal})


class RecordedContext(Context):
    """A ctx that is used again at every run, and keeps the memory of the gradients that its operation made."""

    __slots__ = ("buffers",)

    def __init__(self, needs_grad: tuple[bool, ...], inputs: tuple):
        self.needs_grad, self.inputs, self.owns_grad = needs_grad, inputs, False
        self.buffers: list[np.ndarray | None] = [None] * len(needs_grad)

    def out(self, i: int) -> np.ndarray | None:
        tensor = self.inputs[i]
        if isinstance(tensor, Tensor):
            spare, tensor.spare = tensor.spare, None
            return spare
        return self.buffers[i]


class Step:
    """One operation of the list: what it reads (the numbers of its inputs' slots), where its result goes, its ctx.

    inputs(slots) are what it reads, forward(*inputs) is it with its ctx and attributes; wanted are the (input, slot) that
    get a gradient: all that a run would ask again at every step, looked up once.
    """

    __slots__ = ("attributes", "ctx", "dtype", "forward", "inputs", "operation", "reads", "result", "wanted")

    def __init__(self, operation: Any, reads: list[int], result: int, attributes: dict[str, Any], ctx: RecordedContext,
                 dtype: np.dtype):
        self.operation, self.reads, self.result, self.attributes, self.ctx = operation, reads, result, attributes, ctx
        self.dtype = dtype
        self.forward = partial(operation.forward, ctx, **attributes)
        self.inputs = itemgetter(*reads) if len(reads) > 1 else lambda slots: (slots[reads[0]],)
        self.wanted = [(i, slot) for i, slot in enumerate(reads) if ctx.needs_grad[i]]


class Trace:
    """One run of the function, written down. Slots hold the inputs, then Tensors from outside, constants and results."""

    records = True

    def __init__(self, function: Callable[..., Any], arrays: list[np.ndarray]):
        self.steps: list[Step] = []
        self.slots: list[np.ndarray] = list(arrays)
        self.tensors: dict[int, Tensor] = {}    # slots that are read through a Tensor at every run
        self.constants: dict[int, tuple[str, Any]] = {}
        self.modules: list[tuple[Any, bool]] = []
        self._slot_of: dict[Tensor, int] = {}
        inputs = [Traced(a, self, i, False) for i, a in enumerate(arrays)]
        with observed(self):
            result = function(*inputs)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        for r in results:
            if not isinstance(r, Traced):
                raise RecordingError(f"the function returned {r!r}, which does not depend on its inputs by operations")
        self.single = not isinstance(result, (tuple, list))
        self.results = [r.slot for r in results]
        self.loss_needs_grad = results[0].requires_grad
        if self.loss_needs_grad and results[0].size != 1:
            raise RecordingError(f"the function returned a result of shape {results[0].shape}; its first result is the loss, "
                                 "a single number")

    # What operations call while the function runs

    def entered(self, module: Any) -> None:
        """A module was called: in another mode (train, eval) it would have done something else."""
        self.modules.append((module, module.training))

    def apply(self, operation: Any, inputs: tuple, attributes: dict[str, Any]) -> Traced:
        reads, arrays, needs = [], [], []
        dtypes = [x.dtype for x in inputs if isinstance(x, Tensor) and x.dtype.kind == "f"]
        dtype = np.result_type(*dtypes) if dtypes else np.dtype(np.float32)
        for x in inputs:
            slot = self._read(operation, x, dtype)
            reads.append(slot)
            arrays.append(self.slots[slot])
            needs.append(isinstance(x, Tensor) and x.requires_grad)
        ctx = RecordedContext(tuple(needs), tuple(self.tensors.get(slot) for slot in reads))
        value = as_result(operation.forward(ctx, *arrays, **attributes), dtype if dtypes else None)
        wants = True in needs and value.dtype.kind == "f" and mode.get().grad
        if not wants:
            ctx.needs_grad = (False,) * len(needs)
        self.slots.append(value)
        self.steps.append(Step(operation, reads, len(self.slots) - 1, attributes, ctx, value.dtype))
        return Traced(value, self, len(self.slots) - 1, wants)

    def _read(self, operation: Any, x: Any, dtype: np.dtype) -> int:
        if isinstance(x, Traced):
            return x.slot
        if isinstance(x, Tensor):
            if x not in self._slot_of:
                if not x.is_leaf:
                    raise RecordingError(f"{operation.__name__}: {x!r} was computed outside of the recorded function, which "
                                         "would not compute it again")
                self._slot_of[x] = len(self.slots)
                self.tensors[len(self.slots)] = x
                self.slots.append(x.value)
            return self._slot_of[x]
        x = constant(x, dtype)
        self.constants[len(self.slots)] = operation.__name__, x
        self.slots.append(x)
        return len(self.slots) - 1

    # Running it again

    def is_current(self) -> bool:
        return all(module.training is training for module, training in self.modules)

    def run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        slots = self.slots
        slots[:len(arrays)] = arrays
        for slot, tensor in self.tensors.items():
            slots[slot] = tensor.value
        for step in self.steps:
            step.ctx.clear()
            value = step.forward(*step.inputs(slots))
            if type(value) is not np.ndarray or value.dtype is not step.dtype:
                value = as_result(value, step.dtype)
            slots[step.result] = value
        if self.loss_needs_grad:
            self._backward()
        return [slots[i] for i in self.results]

    def _backward(self) -> None:
        slots, tensors = self.slots, self.tensors
        loss = self.results[0]
        grads: dict[int, tuple[Any, bool]] = {loss: (ones(slots[loss].shape, slots[loss].dtype), True)}
        for step in reversed(self.steps):
            if not step.wanted or step.result not in grads:
                continue
            operation, ctx = step.operation, step.ctx
            grad, ctx.owns_grad = grads.pop(step.result)
            if type(grad) is RowGrad:
                grad = grad.dense()
            given_all = operation.backward(ctx, grad)
            if type(given_all) is not list or len(given_all) != len(ctx.needs_grad):
                check_count(operation, given_all, ctx.needs_grad)
            for i, slot in step.wanted:
                given = given_all[i]
                if given is None:
                    continue
                new, value = operation.returns_new, slots[slot]
                if type(given) is not np.ndarray or given.shape != value.shape or given.dtype is not value.dtype:
                    given, new = fitted(given, value, operation, i, new, ctx.owns_grad)
                elif new and slot not in tensors:
                    ctx.buffers[i] = given
                before = grads.get(slot)
                grads[slot] = (given, new) if before is None else (add_grads(before[0], given), True)
        for slot, (grad, owned) in grads.items():
            tensor = tensors[slot]
            if tensor.hooks is not None:
                grad, owned = call_hooks(tensor, grad), False
            if tensor.grad is not None:
                tensor.grad = add_grads(tensor.grad, grad)
            else:
                tensor.grad = grad if owned else grad.copy()


def as_result(value: Any, dtype: np.dtype | None) -> np.ndarray:
    """What an operation returned, as an array; float64 by accident beside float32 is brought back."""
    value = np.asarray(value)
    return value.astype(dtype, copy=False) if dtype is not None and value.dtype is FLOAT64 else value


class Recorded:
    """What `record` returns: call it with arrays. A new shape, dtype, or mode of a module is recorded anew."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self._traces: dict[tuple, Trace] = {}

    def __call__(self, *inputs: Any) -> Any:
        """Forward and backward; returns what the function does, as Tensors. Parameters' `.grad` grow as in `backward`."""
        arrays = [x.value if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
        key = tuple([(a.shape, a.dtype.str) for a in arrays])
        trace = self._traces.get(key)
        if trace is None or not trace.is_current():
            trace = self._traces[key] = self._record(arrays)
        results = [new_node(r.copy() if r.size == 1 else r, (), None, None, None) for r in trace.run(arrays)]
        return results[0] if trace.single else tuple(results)

    def _record(self, arrays: list[np.ndarray]) -> Trace:
        trace, other = Trace(self.function, arrays), Trace(self.function, [changed(a) for a in arrays])
        same = len(trace.steps) == len(other.steps)
        for a, b in zip(trace.steps, other.steps):
            if a.operation is not b.operation or a.reads != b.reads:
                raise RecordingError(f"{a.operation.__name__}: on other numbers the function runs {b.operation.__name__} here; "
                                     "what is recorded must not depend on the values of its inputs")
            for name, value in a.attributes.items():
                if not same_value(value, b.attributes.get(name)):
                    raise RecordingError(f"{a.operation.__name__}: {name}= depends on the values of the inputs, or is drawn at "
                                         "random; it would be replayed stale")
        if not same:
            raise RecordingError("on other numbers the function runs other operations; it cannot be recorded")
        for slot, (name, value) in trace.constants.items():
            if not same_value(value, other.constants.get(slot, (name, None))[1]):
                raise RecordingError(f"{name}: it takes a constant that depends on the inputs, or is drawn at random, outside of "
                                     "operations; it would be replayed stale")
        return trace


def record(function: Callable[..., Any]) -> Recorded:
    """A function of arrays that returns a loss (or a tuple that begins with it), recorded at its first call.

    `step = record(lambda x, y: losses.cross_entropy(model(x), y))`; then `loss = step(x, y)` is forward and backward at once,
    quicker than the dynamic graph where arrays are small. Results other than single numbers are the recording's own
    memory: the next call may write into them. RecordingError where a replay would not be what the function does.
    """
    return Recorded(function)


def changed(array: np.ndarray) -> np.ndarray:
    """Other numbers of the same kind: the same ones in another order, and floats a little smaller."""
    other = array.reshape(-1)[::-1].reshape(array.shape)
    return other * array.dtype.type(0.9) if array.dtype.kind == "f" else other.copy()


def same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        return type(a) is type(b) and bool(np.array_equal(a, b, equal_nan=isinstance(a, (float, np.ndarray))))
    except TypeError:  # what NumPy cannot compare, compares itself
        return bool(a == b)
