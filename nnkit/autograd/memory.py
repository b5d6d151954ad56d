"""When an array's memory may be used again: when nobody else has the array.

A large array that is made anew at every step costs as much as the product that fills it: the C library returns its memory to
the system, which hands it out again page by page. A small one costs less than asking.
"""

from sys import getrefcount

import numpy as np

LARGE = 1 << 16  # bytes
KEPT = 1 << 22  # bytes: up to this size an array's memory stays with the process, of which at most twice as much lies idle


def keep_freed_memory() -> None:
    """Have the C library keep the memory of freed arrays for the next ones, as far as it goes by what it sees.

    glibc asks the system for each array of more than 128 kB, and gives it back, until a larger one was freed: then it takes those
    up to that size for usual. An array that is never written to takes no memory to show it. (Other C libraries do not mind.)
    """
    np.empty(KEPT, np.uint8)


def is_unshared(array: np.ndarray | None) -> bool:
    """Whether the name in the caller's hands is the only reference to `array`, and to its memory."""
    return getrefcount(array) == OF_ONE_NAME and array is not None and array.base is None


def _references_of_one_name() -> int:
    array = np.empty(0)
    return _seen_inside(array)


def _seen_inside(array: np.ndarray) -> int:
    return getrefcount(array)


OF_ONE_NAME = _references_of_one_name()  # what Python itself adds differs between its versions
