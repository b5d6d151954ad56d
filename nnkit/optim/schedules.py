"""Schedules: a hyper-parameter as a function of progress, 0 at the start of training and 1 at its end."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(start: float) -> Schedule:
    """start, always."""
    return lambda progress: start


def linear(start: float, end: float) -> Schedule:
    """From start to end in a straight line; before 0 and after 1 it stays at the ends."""
    def schedule(progress: float) -> float:
        progress = min(max(progress, 0.0), 1.0)
        return start * (1 - progress) + end * progress
    return schedule


def cosine(start: float, end: float) -> Schedule:
    """From start to end along half a cosine, slowly at first and at last (Loshchilov & Hutter, 2017, eq. 5, without restarts).

        end + (start - end) · (1 + cos(π · progress)) / 2; before 0 and after 1 it stays at the ends
    """
    def schedule(progress: float) -> float:
        share = (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2
        return start * share + end * (1 - share)
    return schedule
