"""Optimizers, schedules, and gradients made shorter."""

from nnkit.optim import schedules
from nnkit.optim.adagrad import Adagrad
from nnkit.optim.adam import Adam, AdamW
from nnkit.optim.clipping import RepeatedRows, clip_grad_norm, clip_grad_value, grad_norm, repeated_rows
from nnkit.optim.optimizer import Optimizer
from nnkit.optim.rmsprop import RMSProp
from nnkit.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSProp", "RepeatedRows", "clip_grad_norm", "clip_grad_value",
           "grad_norm", "repeated_rows", "schedules"]
