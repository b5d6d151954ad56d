"""A rank's part of a batch: every n-th of its items. Most recipes need not know of it.

The loss of a part is the mean over its own items. So that the gradients of all parts add up to that of the whole batch, each
counts by its share of `batch.count` (see `Trainer.share`): that is why `count` must be what the mean of the loss divides by.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from nnkit.errors import ConfigError


def part_of(batch: Any, index: int, of: int) -> Any:
    """The items index, index + of, index + 2 · of ... of a batch, as a batch; there may be none.

    A batch with a method `part(index, of)` says itself what they are. Of another one, each array is taken by its rows, of which
    all arrays have one an item; what has a method `part` by that; None stays None; `count` and `units`, where they are numbers
    that are stored, must be that of the items. ConfigError, with the reason, for a batch that is not so.
    """
    if of == 1:
        return batch
    if hasattr(batch, "part"):
        return batch.part(index, of)
    is_tuple = hasattr(batch, "_fields")
    values = batch._asdict() if is_tuple else getattr(batch, "__dict__", {})
    lengths = {name: len(value) for name, value in values.items() if isinstance(value, np.ndarray) and value.ndim}
    n_items = next(iter(lengths.values()), -1)
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if lengths.get(name) == n_items:
            taken[name] = np.ascontiguousarray(value[index::of])
        elif hasattr(value, "part"):
            taken[name] = value.part(index, of)
        elif name in ("count", "units") and value == n_items:
            taken[name] = len(range(index, n_items, of))
        elif value is not None:
            wrong = f"has {lengths[name]} rows where others have {n_items}" if name in lengths else f"is {value!r:.40}"
            wrong += f", where its arrays have {n_items} rows" if name in ("count", "units") else ""
            raise ConfigError(refusal(batch, of, f"{name} {wrong}"))
    if not taken:
        raise ConfigError(refusal(batch, of, "it has no arrays in its attributes"))
    if is_tuple:
        return batch._replace(**taken)
    part = copy.copy(batch)
    part.__dict__.update(taken)  # of a frozen dataclass, too
    return part


def check_parts(batch: Any, of: int) -> None:
    """ConfigError where a batch cannot be divided so, or has too few items, or where its parts do not have all of them."""
    counts = [part_of(batch, index, of).count for index in range(of)]
    if not math.isclose(sum(counts), batch.count):
        raise ConfigError(refusal(batch, of, f"its count is {batch.count:g}, those of its parts are {sum(counts):g} together"))
    if not min(counts):
        raise ConfigError(f"a step has {batch.count:g} items, too few for {of} ranks of MPI: some would have nothing to do; "
                          "start fewer of them, or raise training.batch_size")


def refusal(batch: Any, of: int, reason: str) -> str:
    return (f"the recipe's batches, {type(batch).__name__}, cannot be shared by {of} ranks of MPI ({reason}); give the class a "
            "method part(index, of), or train with one process")
