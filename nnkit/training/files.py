"""What a run's files may be called, and values that JSON can hold."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

LONGEST_NAME = 200  # bytes; file systems allow 255, and a run's number follows


def name_mistake(name: str) -> str:
    """Why no folder can be called `name`, on whatever system it is looked at later; "" where nothing is wrong with it."""
    if not name or name[0] in ".@-" or not name.isprintable() or re.search(r'[/\\:*?"<>|]', name):
        return f"{name[:60]!r} cannot name a folder; use letters, digits, '-' and '_'"
    if len(name.encode()) > LONGEST_NAME:
        return f"{name[:40]!r}... has {len(name.encode())} bytes, a folder's name may have {LONGEST_NAME}; take a shorter one"
    return ""


def plain(value: Any) -> Any:
    """`value` as strict JSON holds it: NumPy numbers and arrays become Python's, NaN and infinity None, paths text."""
    if isinstance(value, np.floating):
        value = float(value)  # tolist() would leave a longdouble as it is
    elif isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
