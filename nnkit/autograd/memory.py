"""When an array's memory may be used again: when nobody else has the array.

A large array that is made anew at every step costs as much as the product that fills it: the C library returns its memory to
the system, which hands it out again page by page. A small one costs less than asking.
"""

from sys import getrefcount

import numpy as np

LARGE = 1 << 16  # bytes


def is_unshared(array: np.ndarray | None) -> bool:
    """Whether the name in the caller's hands is the only reference to `array`, and to its memory."""
    return getrefcount(array) == OF_ONE_NAME and array is not None and array.base is None


def _references_of_one_name() -> int:
    array = np.empty(0)
    return _seen_inside(array)


def _seen_inside(array: np.ndarray) -> int:
    return getrefcount(array)


OF_ONE_NAME = _references_of_one_name()  # what Python itself adds differs between its versions
