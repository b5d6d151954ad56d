"""record: define, then feed and run. A function is run once, its operations are kept as a flat list, and only they run again.

What remains is each operation's own forward and backward, called one after the other by a function that is written for
this list (program.py). A value that the function computed outside of operations would be replayed stale; it is found out by
running the function a second time on other numbers, in its inputs and in the Tensors it uses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnkit.autograd.anomaly import check_result
from nnkit.autograd.modes import mode, observed
from nnkit.autograd.operation import Operation, as_array, constant
from nnkit.autograd.program import Listing, RecordedContext, Step, as_result, write
from nnkit.autograd.tensor import Tensor, new_node


class RecordingError(RuntimeError):
    """The function cannot be replayed: part of what it does depends on its inputs outside of operations."""


class compare(Operation):
    """A comparison as an operation, which has no gradient."""

    @staticmethod
    def forward(ctx, *inputs, ufunc):
        return ufunc(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        return [None] * len(ctx.needs_grad)


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

    def as_index(self):
        if self.dtype == bool:
            raise RecordingError("getitem: how many elements x[mask] has depends on the numbers of the mask, and so cannot be "
                                 "recorded; use nnkit.ops.where, or multiply by the mask")
        return self


class Trace:
    """One run of the function, written down. Slots hold the inputs, then Tensors from outside, constants and results."""

    records = True

    def __init__(self, function: Callable[..., Any], arrays: Sequence[np.ndarray]):
        self.steps: list[Step] = []
        self.slots: list[np.ndarray] = list(arrays)
        self.inputs = [(a.shape, a.dtype) for a in arrays]
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
        if (module, module.training) not in self.modules:
            self.modules.append((module, module.training))

    def left(self, module: Any, inputs: tuple, options: dict[str, Any], result: Any) -> None:
        """It has returned: a gradient that ends in it ends in every replay."""
        check_result(module, (*inputs, *options.values()), result)

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
        value = as_result(as_array(operation.forward(ctx, *arrays, **attributes), operation), dtype if dtypes else None)
        nbytes = [getattr(a, "nbytes", 0) for a in (*arrays, value)]
        wants = True in needs and value.dtype.kind == "f" and mode.get().grad
        if not wants:
            ctx.needs_grad = (False,) * len(needs)
        self.slots.append(value)
        self.steps.append(Step(operation, reads, len(self.slots) - 1, attributes, ctx, value.dtype, nbytes))
        return Traced(value, self, len(self.slots) - 1, wants)

    def compare(self, ufunc: np.ufunc, inputs: tuple) -> Traced:
        return self.apply(compare, inputs, {"ufunc": ufunc})

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

    def write(self) -> None:
        """Make `run`, and give up what was computed on the way."""
        constants = {slot: value for slot, (_, value) in self.constants.items()}
        loss_shape = self.slots[self.results[0]].shape if self.loss_needs_grad else None
        self.listing = Listing(self.steps, self.inputs, self.modules, self.tensors, constants, self.results, loss_shape)
        self.notes: set[tuple[int, int]] = set()
        self.source, self._run = write(self.listing, self.notes)
        self.clear()
        self.slots = []

    def clear(self) -> None:
        for step in self.steps:
            step.ctx.clear()

    def run(self, inputs: tuple) -> tuple[np.ndarray, ...] | None:
        """The results, None for other shapes or dtypes, or where a module went into another mode."""
        if len(inputs) != len(self.inputs):
            return None
        try:
            results = self._run(*inputs)
        except BaseException:
            self.clear()
            raise
        if self.listing.mended is None and results is not None:
            self.listing.mended = self.notes
            self.source, self._run = write(self.listing, set())
        return results


class Recorded:
    """What `record` returns: call it with arrays. A new shape, dtype, or mode of a module is recorded anew."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self._traces: dict[tuple, Trace] = {}
        self._last: Trace | None = None

    def __call__(self, *inputs: Any) -> Any:
        """Forward and backward; returns what the function does, as Tensors. Parameters' `.grad` grow as in `backward`."""
        trace = self._last
        results = trace.run(inputs) if trace is not None else None
        if trace is None or results is None:
            trace, results = self._find(tuple(np.asarray(x.value if isinstance(x, Tensor) else x) for x in inputs))
        if trace.single:
            return new_node(results[0], (), None, None, None)
        return tuple([new_node(r, (), None, None, None) for r in results])

    @property
    def source(self) -> str:
        """The Python function that the last call ran."""
        return self._last.source if self._last is not None else ""

    def _find(self, arrays: tuple[np.ndarray, ...]) -> tuple[Trace, tuple[np.ndarray, ...]]:
        """The trace for such inputs, recorded now if there is none yet, and what it returns."""
        key = tuple([(a.shape, a.dtype.str) for a in arrays])
        trace = self._traces.get(key)
        results = trace.run(arrays) if trace is not None else None
        if trace is None or results is None:
            trace = self._traces[key] = self._record(arrays)
            results = trace.run(arrays)
            assert results is not None
        self._last = trace
        return trace, results

    def _record(self, arrays: Sequence[np.ndarray]) -> Trace:
        trace = Trace(self.function, arrays)
        other = second_trace(self.function, arrays, list(trace.tensors.values()))
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
        trace.write()
        return trace


def record(function: Callable[..., Any]) -> Recorded:
    """A function of arrays that returns a loss (or a tuple that begins with it), recorded at its first call.

    `step = record(lambda x, y: losses.cross_entropy(model(x), y))`; then `loss = step(x, y)` is forward and backward at once,
    quicker than the dynamic graph where arrays are small; `step.source` is the program that runs. RecordingError where a replay
    would not be what the function does.
    """
    return Recorded(function)


def second_trace(function: Callable[..., Any], arrays: Sequence[np.ndarray], tensors: list[Tensor]) -> Trace:
    """The function once more on other numbers: in its inputs, and in all Tensors that it can be seen to reach."""
    tensors = list({id(t): t for t in [*tensors, *reachable_tensors(function)] if t.is_leaf}.values())
    values = [t.value for t in tensors]
    permuted = [changed(a) for a in arrays]
    shifted = [shifted_by_one(a) if same_value(a, b) else b for a, b in zip(arrays, permuted)]
    try:
        for t in tensors:
            t.value = changed(t.value)
        try:
            return Trace(function, shifted)
        except (IndexError, ValueError):  # a number that is not an index there; then there may be no other
            return Trace(function, permuted)
    finally:
        for t, value in zip(tensors, values):
            t.value = value


def reachable_tensors(thing: Any, depth: int = 3) -> Iterator[Tensor]:
    """The Tensors in a function's closure, in the globals that it names, in what it is bound to; those of a Module."""
    if isinstance(thing, Tensor):
        yield thing
    elif hasattr(thing, "named_parameters"):
        yield from [t for _, t in [*thing.named_parameters(), *thing.named_buffers()]]
    elif depth and isinstance(thing, (list, tuple, dict)):
        for part in list(thing.values()) if isinstance(thing, dict) else thing:
            yield from reachable_tensors(part, depth - 1)
    elif depth and inspect.ismethod(thing):
        yield from reachable_tensors(thing.__self__, depth - 1)
        yield from reachable_tensors(thing.__func__, depth - 1)
    elif depth and inspect.isfunction(thing):
        closed = inspect.getclosurevars(thing)
        for part in [*closed.nonlocals.values(), *closed.globals.values(), *(thing.__defaults__ or ())]:
            yield from reachable_tensors(part, depth - 1)


def changed(array: np.ndarray) -> np.ndarray:
    """Other numbers of the same kind: the same ones in another order, and floats a little different too."""
    other = array.reshape(-1)[::-1].reshape(array.shape)
    return (other * 0.9 + 0.01).astype(array.dtype) if array.dtype.kind == "f" and array.size < 1_000_000 else other


def shifted_by_one(array: np.ndarray) -> np.ndarray:
    """For whole numbers that another order leaves as they are, such as one alone."""
    if array.dtype.kind == "b":
        return ~array
    return array - 1 if array.size and array.min() > 0 else array + 1


def same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, (tuple, list)) and type(a) is type(b):  # the key of x[:, [0, 2]]: parts of many kinds
        return len(a) == len(b) and all(map(same_value, a, b))
    try:
        return type(a) is type(b) and bool(np.array_equal(a, b, equal_nan=isinstance(a, (float, np.ndarray))))
    except TypeError:  # what NumPy cannot compare, compares itself
        return bool(a == b)
