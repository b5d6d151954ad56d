"""Module and the layers."""

from nnkit.nn import init
from nnkit.nn.layers import Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from nnkit.nn.module import Module
from nnkit.nn.saving import load_into, save

__all__ = ["Dropout", "Embedding", "Linear", "Module", "ReLU", "Sequential", "Sigmoid", "Tanh", "init", "load_into", "save"]
