"""Optimizer: the loop over parameters, once, so that an optimizer itself is its state and its update."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from nnkit.autograd import RowGrad, Tensor
from nnkit.autograd.memory import LARGE, is_unshared
from nnkit.autograd.tensor import next_serial

PIECE = 1 << 18  # bytes: what an update makes of one is in the processor's cache when it is read again


class Optimizer:
    """Base class. A subclass writes `init_state` and `update`; its hyper-parameters are the keywords of `defaults`.

    params: Tensors (a generator is fine), or groups [{"params": [...], "lr": 0.1}, ...] with their own hyper-parameters.
    ValueError for no parameter, a parameter twice, an unknown hyper-parameter, one outside of `limits`; TypeError for what
    wants no gradient. `groups` holds what is in force, `own` what each group was given for itself.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {}  # of hyper-parameters: from the first to below the second

    def __init__(self, params: Iterable[Any], **defaults: Any):
        given = list(params)
        groups = given if given and all(isinstance(g, dict) for g in given) else [{"params": given}]
        self.defaults = {name: plain(value) for name, value in defaults.items()}
        self.groups: list[dict[str, Any]] = []
        self.own: list[dict[str, Any]] = []
        seen: set[int] = set()
        for group in groups:
            unknown = set(group) - set(defaults) - {"params"}
            if unknown:
                raise ValueError(f"{type(self).__name__}: unknown {', '.join(sorted(unknown))}; known: {', '.join(defaults)}")
            if "params" not in group:
                raise ValueError(f"{type(self).__name__}: a group has no params")
            members = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
            for p in members:
                if not isinstance(p, Tensor) or not p.requires_grad or not p.is_leaf:
                    raise TypeError(f"{type(self).__name__}: expected leaf Tensors that require a gradient, got {p!r}")
                if id(p) in seen:
                    raise ValueError(f"{type(self).__name__}: a parameter is given twice: {p!r}")
                seen.add(id(p))
            own = {name: plain(value) for name, value in group.items() if name != "params"}
            for name, value in {**self.defaults, **own}.items():
                self.check(name, value)
            self.own.append(own)
            self.groups.append({**self.defaults, **own, "params": members})
        if not seen:
            raise ValueError(f"{type(self).__name__}: no parameters to train")
        self._params = [p for group in self.groups for p in group["params"]]
        self._large = [p for p in self._params if p.value.nbytes >= LARGE]
        # the hyper-parameters that update asks for, in its order: by position they cost a third of what they cost by name
        self._asked = self._asked_by(self.update)
        first = self._asked_by(self.init_state)
        self.state = [[self.init_state(p.value, *(group[name] for name in first)) for p in group["params"]]
                      for group in self.groups]
        self._optional = {f"{g}.{i}.{k}" for g, states in enumerate(self.state) for i, state in enumerate(states)
                          for k, s in state.items() if s is None}

    def _asked_by(self, function: Callable[..., Any]) -> list[str]:
        return [name for name in inspect.signature(function).parameters if name in self.defaults]

    # What a subclass writes

    def init_state(self, value: np.ndarray, *hyper: Any) -> dict[str, Any]:
        """What is remembered of one parameter between steps: arrays of value's shape, or numbers.

        It gets the hyper-parameters that it names. None stands for zeros of value's shape that not every setting needs:
        `update` puts them in their place when it does.
        """
        return {}

    def update(self, value: np.ndarray, grad: np.ndarray, state: dict[str, Any], *hyper: Any) -> None:
        """One step of one parameter: change `value` and `state` in place, leave `grad` as it is.

        It gets the hyper-parameters that it names: `def update(self, value, grad, state, lr, eps)`. Each number must be
        updated by itself alone, for `value` may be a part of a parameter, and `grad` and the arrays of `state` the same part.
        """
        raise NotImplementedError

    # How it is called

    def update_rows(self, value: np.ndarray, grad: RowGrad, state: dict[str, Any], *hyper: Any) -> None:
        """One step of the rows that a RowGrad names: the dense update on just these rows and their state.

        Some rows at a time, for what `update` makes of them is then small, and stays in the cache.
        """
        grad = grad.coalesce()
        before = dict(state)  # of what is a number, each piece begins with that of the last step
        length = max(1, PIECE * len(value) // max(1, value.nbytes))
        for start in range(0, max(1, len(grad.rows)), length):
            rows = grad.rows[start:start + length]
            part = value[rows]
            part_state = {k: s[rows] if isinstance(s, np.ndarray) else s for k, s in before.items()}
            self.update(part, grad.values[start:start + length], part_state, *hyper)
            value[rows] = part
            for k, s in part_state.items():
                if not isinstance(s, np.ndarray):
                    state[k] = s
                    continue
                if state[k] is None:
                    state[k] = np.zeros_like(value)
                state[k][rows] = s

    def update_large(self, value: np.ndarray, grad: np.ndarray, state: dict[str, Any], *hyper: Any) -> None:
        """One step of a large array in pieces: what `update` makes on its way is then small, and stays in the cache."""
        arrays = {k: s for k, s in state.items() if isinstance(s, np.ndarray)}
        if not all(a.flags.c_contiguous for a in (value, grad, *arrays.values())):
            self.update(value, grad, state, *hyper)
            return
        numbers = {k: s for k, s in state.items() if k not in arrays}
        flat, flat_grad, arrays = value.reshape(-1), grad.reshape(-1), {k: s.reshape(-1) for k, s in arrays.items()}
        length = PIECE // value.itemsize
        for start in range(0, value.size, length):
            piece = slice(start, start + length)
            part_state = {**numbers, **{k: s[piece] for k, s in arrays.items()}}
            self.update(flat[piece], flat_grad[piece], part_state, *hyper)
            for k in numbers:
                if not isinstance(part_state[k], np.ndarray):
                    state[k] = part_state[k]
                    continue
                if state[k] is None:
                    state[k] = np.zeros_like(value)
                state[k].reshape(-1)[piece] = part_state[k]

    # What everybody calls

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        update = self.update
        for group, own, states in zip(self.groups, self.own, self.state):
            if own and own.get("lr") == 0 == group["lr"]:
                continue  # frozen: 0 times a gradient that is not finite would be NaN, and -0.0 would become 0.0
            hyper = [group[name] for name in self._asked]
            for p, state in zip(group["params"], states):
                grad = p.grad
                if grad is None:
                    continue
                value = p.value
                if type(grad) is RowGrad:
                    self.update_rows(value, grad, state, *hyper)
                elif value.nbytes < LARGE:
                    update(value, grad, state, *hyper)
                else:
                    self.update_large(value, grad, state, *hyper)
                p.written = next_serial()

    def zero_grad(self) -> None:
        """Every parameter's gradient is None again. Its memory is kept for the next one, unless somebody else has the array."""
        for p in self._large:
            grad, p.grad = p.grad, None
            if type(grad) is np.ndarray and is_unshared(grad):
                p.spare = grad
        for p in self._params:
            p.grad = None

    # Hyper-parameters

    def check(self, name: str, value: Any) -> None:
        """ValueError where a hyper-parameter is outside of its limits, or no number where it must be one."""
        if name in self.limits:
            low, high = self.limits[name]
            if not (isinstance(value, (int, float)) and low <= value < high):  # so that NaN is outside, too
                raise ValueError(f"{type(self).__name__}: expected {low} <= {name} < {high}, got {value!r}")

    def set(self, **values: Any) -> None:
        """Change hyper-parameters between two steps, as schedules do: `optimizer.set(momentum=0.95)`.

        A group that was given a value of its own keeps it, and an lr of its own keeps its ratio to the optimizer's lr: with
        lr=0.1 and a group of {"lr": 0.01}, `set(lr=0.5)` is 0.05 for that group, and one of {"lr": 0} does not move: not a bit of
        it or of its state changes, whatever its gradients and its decay.
        Where all groups have their own, the first one's is the optimizer's (of lr, the first that is not 0).
        ValueError for an unknown name, a value outside of its limits, or a ratio to lr=0.
        """
        for name, value in values.items():
            if name not in self.defaults:
                raise ValueError(f"{type(self).__name__}: unknown {name}; known: {', '.join(self.defaults)}")
            value = plain(value)
            self.check(name, value)
            if not any(self.own):  # before every step: the short way
                for group in self.groups:
                    group[name] = value
                continue
            leader = self._leader(name)
            first = self.own[leader].get(name, self.defaults[name])
            for i, (group, own) in enumerate(zip(self.groups, self.own)):
                if i == leader or name not in own:
                    group[name] = value
                elif name == "lr" and own[name]:
                    if not first:
                        raise ValueError(f"{type(self).__name__}: a group's lr={own[name]} has no ratio to lr=0; "
                                         "give the optimizer an lr above 0")
                    group[name] = value * (own[name] / first)

    def get(self, name: str) -> Any:
        """The value of the groups that have none of their own, which `set` changes. KeyError for an unknown name."""
        return self.groups[self._leader(name)][name]

    def _leader(self, name: str) -> int:
        """The place of the group whose value is the optimizer's: the first without one of its own."""
        for i, own in enumerate(self.own):
            if name not in own:
                return i
        return next((i for i, own in enumerate(self.own) if name == "lr" and own[name]), 0)

    @property
    def lr(self) -> float:
        """The learning rate of the groups that have none of their own; setting it is `set(lr=...)`, by which groups that do
        have one keep their ratio to it."""
        return self.get("lr")

    @lr.setter
    def lr(self, value: float) -> None:
        self.set(lr=value)

    # State

    def state_arrays(self) -> dict[str, np.ndarray]:
        """State by name, `group.parameter.key`, for a checkpoint. What is None is left out."""
        return {f"{g}.{i}.{k}": np.asarray(s) for g, states in enumerate(self.state) for i, state in enumerate(states)
                for k, s in state.items() if s is not None}

    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave. ValueError where names or shapes differ, and then nothing is changed."""
        places = {f"{g}.{i}.{k}": (p.value, state, k) for g, (group, states) in enumerate(zip(self.groups, self.state))
                  for i, (p, state) in enumerate(zip(group["params"], states)) for k in state}
        if not places.keys() - self._optional <= arrays.keys() <= places.keys() or any(
                saved.shape != (value.shape if state[k] is None else np.shape(state[k]))
                for name, saved in arrays.items() for value, state, k in [places[name]]):
            raise ValueError(f"{type(self).__name__}: the saved state does not fit these parameters")
        for name, (value, state, k) in places.items():
            if name not in arrays:
                state[k] = None
            elif isinstance(state[k], np.ndarray):
                state[k][...] = arrays[name]
            elif state[k] is None:
                state[k] = arrays[name].astype(value.dtype)
            else:
                state[k] = arrays[name].item()


def plain(value: Any) -> Any:
    """A scalar of NumPy's as Python's own: float64 times a float32 array would be a float64 array."""
    return value.item() if isinstance(value, np.generic) else value
