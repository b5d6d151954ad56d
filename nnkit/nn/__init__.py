"""Module and the layers."""

from nnkit.nn import init
from nnkit.nn.activations import ELU, GELU, LeakyReLU, LogSigmoid, LogSoftmax, SiLU, Softmax, Softplus
from nnkit.nn.attention import MultiHeadAttention
from nnkit.nn.bags import EmbeddingBag
from nnkit.nn.convolution import Conv1d, MaxOverTime, MaxPool1d
from nnkit.nn.layers import Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from nnkit.nn.module import Module
from nnkit.nn.normalization import BatchNorm1d, LayerNorm, RMSNorm
from nnkit.nn.paths import Flatten, Highway, Identity, Residual
from nnkit.nn.recurrent import GRU, LSTM, RNN
from nnkit.nn.saving import load_into, save
from nnkit.nn.transformer import PositionalEncoding, TransformerDecoderLayer, TransformerEncoderLayer

__all__ = ["ELU", "GELU", "GRU", "LSTM", "RNN", "BatchNorm1d", "Conv1d", "Dropout", "Embedding", "EmbeddingBag", "Flatten",
           "Highway", "Identity", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MaxOverTime", "MaxPool1d",
           "Module", "MultiHeadAttention", "PositionalEncoding", "RMSNorm", "ReLU", "Residual", "Sequential", "SiLU", "Sigmoid",
           "Softmax", "Softplus", "Tanh", "TransformerDecoderLayer", "TransformerEncoderLayer", "init", "load_into", "save"]
