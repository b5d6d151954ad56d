"""Module and the layers.

The layers that most models do without are imported when they are first asked for, as nnkit.data does it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnkit.nn import init
from nnkit.nn.layers import Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from nnkit.nn.module import Module
from nnkit.nn.saving import load_into, save

if TYPE_CHECKING:
    from nnkit.nn.activations import ELU, GELU, LeakyReLU, LogSigmoid, LogSoftmax, SiLU, Softmax, Softplus
    from nnkit.nn.attention import MultiHeadAttention
    from nnkit.nn.bags import EmbeddingBag
    from nnkit.nn.convolution import Conv1d, MaxOverTime, MaxPool1d
    from nnkit.nn.normalization import BatchNorm1d, LayerNorm, RMSNorm
    from nnkit.nn.paths import Flatten, Highway, Identity, Residual
    from nnkit.nn.recurrent import GRU, LSTM, RNN
    from nnkit.nn.transformer import PositionalEncoding, TransformerDecoderLayer, TransformerEncoderLayer

_FILES = {
    "activations": ("ELU", "GELU", "LeakyReLU", "LogSigmoid", "LogSoftmax", "SiLU", "Softmax", "Softplus"),
    "attention": ("MultiHeadAttention",),
    "bags": ("EmbeddingBag",),
    "convolution": ("Conv1d", "MaxOverTime", "MaxPool1d"),
    "normalization": ("BatchNorm1d", "LayerNorm", "RMSNorm"),
    "paths": ("Flatten", "Highway", "Identity", "Residual"),
    "recurrent": ("GRU", "LSTM", "RNN"),
    "transformer": ("PositionalEncoding", "TransformerDecoderLayer", "TransformerEncoderLayer"),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}

__all__ = ["ELU", "GELU", "GRU", "LSTM", "RNN", "BatchNorm1d", "Conv1d", "Dropout", "Embedding", "EmbeddingBag", "Flatten",
           "Highway", "Identity", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MaxOverTime", "MaxPool1d",
           "Module", "MultiHeadAttention", "PositionalEncoding", "RMSNorm", "ReLU", "Residual", "Sequential", "SiLU", "Sigmoid",
           "Softmax", "Softplus", "Tanh", "TransformerDecoderLayer", "TransformerEncoderLayer", "init", "load_into", "save"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"nnkit.nn.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnkit.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
