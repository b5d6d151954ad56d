"""Optimizer: the loop over parameters, once, so that an optimizer itself is its state and its update."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnkit.autograd import RowGrad, Tensor
from nnkit.autograd.memory import LARGE, is_unshared
from nnkit.autograd.tensor import next_serial


class Optimizer:
    """Base class. A subclass writes `init_state` and `update`; its hyper-parameters are the keywords of `defaults`.

    params: Tensors (a generator is fine), or groups [{"params": [...], "lr": 0.1}, ...] with their own hyper-parameters.
    ValueError for no parameter, a parameter twice, an unknown hyper-parameter; TypeError for what wants no gradient.
    """

    def __init__(self, params: Iterable[Any], **defaults: Any):
        given = list(params)
        groups = given if given and all(isinstance(g, dict) for g in given) else [{"params": given}]
        self.groups: list[dict[str, Any]] = []
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
            self.groups.append({**defaults, **group, "params": members})
        if not seen:
            raise ValueError(f"{type(self).__name__}: no parameters to train")
        self._params = [p for group in self.groups for p in group["params"]]
        self._large = [p for p in self._params if p.value.nbytes >= LARGE]
        self._scratch: np.ndarray | None = None
        # the hyper-parameters that update asks for, in its order: by position they cost a third of what they cost by name
        self._asked = [name for name in inspect.signature(self.update).parameters if name in defaults]
        self.state = [[self.init_state(p.value) for p in group["params"]] for group in self.groups]

    # What a subclass writes

    def init_state(self, value: np.ndarray) -> dict[str, Any]:
        """What is remembered of one parameter between steps: arrays of value's shape, or numbers."""
        return {}

    def update(self, value: np.ndarray, grad: np.ndarray, state: dict[str, Any], *hyper: Any) -> None:
        """One step of one parameter: change `value` and `state` in place, leave `grad` as it is.

        It gets the hyper-parameters that it names: `def update(self, value, grad, state, lr, eps)`.
        """
        raise NotImplementedError

    def update_rows(self, value: np.ndarray, grad: RowGrad, state: dict[str, Any], *hyper: Any, **named: Any) -> None:
        """One step of the rows that a RowGrad names: the dense update on just these rows and their state."""
        grad = grad.coalesce()
        part = value[grad.rows]
        part_state = {k: s[grad.rows] if isinstance(s, np.ndarray) else s for k, s in state.items()}
        self.update(part, grad.values, part_state, *hyper, **named)
        value[grad.rows] = part
        for k, s in part_state.items():
            if isinstance(s, np.ndarray):
                state[k][grad.rows] = s
            else:
                state[k] = s

    # What everybody calls

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        update = self.update
        for group, states in zip(self.groups, self.state):
            hyper = [group[name] for name in self._asked]
            for p, state in zip(group["params"], states):
                grad = p.grad
                if grad is None:
                    continue
                if type(grad) is RowGrad:
                    self.update_rows(p.value, grad, state, **dict(zip(self._asked, hyper)))
                else:
                    update(p.value, grad, state, *hyper)
                p.written = next_serial()

    def zero_grad(self) -> None:
        """Every parameter's gradient is None again. Its memory is kept for the next one, unless somebody else has the array."""
        for p in self._large:
            grad, p.grad = p.grad, None
            if type(grad) is np.ndarray and is_unshared(grad):
                p.spare = grad
        for p in self._params:
            p.grad = None

    def scratch(self, like: np.ndarray) -> np.ndarray:
        """For `out=` in the middle of the update of a large array: an array like that, in memory all parameters share."""
        if self._scratch is None or self._scratch.size < like.size or self._scratch.dtype != like.dtype:
            self._scratch = np.empty(like.size, like.dtype)
        return self._scratch[:like.size].reshape(like.shape)

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return self.groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.groups:
            group["lr"] = value

    def state_arrays(self) -> dict[str, np.ndarray]:
        """State by name, `group.parameter.key`, for a checkpoint."""
        return {f"{g}.{i}.{k}": np.asarray(s)
                for g, states in enumerate(self.state) for i, state in enumerate(states) for k, s in state.items()}

    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave. ValueError where names or shapes differ."""
        own = self.state_arrays()
        if own.keys() != arrays.keys() or any(own[k].shape != arrays[k].shape for k in own):
            raise ValueError(f"{type(self).__name__}: the saved state does not fit these parameters")
        for name, saved in arrays.items():
            g, i, key = name.split(".")
            state = self.state[int(g)][int(i)]
            if isinstance(state[key], np.ndarray):
                state[key][...] = saved
            else:
                state[key] = saved.item()
