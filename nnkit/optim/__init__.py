"""Optimizers and schedules."""

from nnkit.optim import schedules
from nnkit.optim.clipping import RepeatedRows, repeated_rows
from nnkit.optim.optimizer import Optimizer
from nnkit.optim.sgd import SGD

__all__ = ["SGD", "Optimizer", "RepeatedRows", "repeated_rows", "schedules"]
