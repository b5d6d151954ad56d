"""Optimizers and schedules."""

from nnkit.optim import schedules
from nnkit.optim.optimizer import Optimizer
from nnkit.optim.sgd import SGD

__all__ = ["SGD", "Optimizer", "schedules"]
