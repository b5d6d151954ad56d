"""The operations, one small class each, one family a file, under the names that NumPy gives them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nnkit.autograd import Tensor, dispatch
from nnkit.ops import (
    activations,
    arithmetic,
    attention,
    contraction,
    convolution,
    cumulative,
    elementwise,
    error_function,
    indexing,
    linear_algebra,
    lookup,
    losses,
    margins,
    normalization,
    recurrent,
    reductions,
    shaping,
)
from nnkit.ops.numpy_names import NUMPY_FUNCTIONS

if TYPE_CHECKING:  # a type checker takes a class under a decorator for a class, not for the function that it becomes
    def __getattr__(name: str) -> Callable[..., Tensor]: ...
else:
    from nnkit.ops.activations import elu, gelu, leaky_relu, log_sigmoid, relu, sigmoid, silu, softplus
    from nnkit.ops.arithmetic import absolute, add, divide, multiply, negative, power, sign, subtract
    from nnkit.ops.attention import dot_product_attention, masked_softmax
    from nnkit.ops.contraction import einsum
    from nnkit.ops.convolution import conv1d, max_over_time, max_pool1d
    from nnkit.ops.cumulative import cumsum, prod
    from nnkit.ops.elementwise import (
        clip,
        cos,
        dropout,
        exp,
        expm1,
        log,
        log1p,
        maximum,
        minimum,
        sin,
        sqrt,
        square,
        tanh,
        where,
    )
    from nnkit.ops.error_function import erf, erfc
    from nnkit.ops.indexing import getitem, scatter, split
    from nnkit.ops.linear_algebra import dot, linear, matmul, outer
    from nnkit.ops.lookup import embedding, embedding_bag
    from nnkit.ops.losses import binary_cross_entropy_with_logits, cross_entropy, nll_loss
    from nnkit.ops.margins import cosine_embedding_loss, multi_margin_loss
    from nnkit.ops.normalization import batch_norm, layer_norm, rms_norm
    from nnkit.ops.recurrent import gru, lstm, rnn
    from nnkit.ops.reductions import log_softmax, logsumexp, max, mean, min, norm, softmax, sum, var
    from nnkit.ops.shaping import (
        broadcast_to,
        concatenate,
        expand_dims,
        flip,
        pad,
        reshape,
        squeeze,
        stack,
        swapaxes,
        transpose,
    )

FAMILIES = (arithmetic, elementwise, error_function, activations, reductions, cumulative, shaping, indexing, linear_algebra,
            contraction, lookup, losses, margins, normalization, recurrent, attention, convolution)


def all_operations() -> dict[str, Callable]:
    """Every operation by name, from the families above."""
    return {name: value for family in FAMILIES for name, value in vars(family).items()
            if hasattr(value, "operation") and value.operation.__name__ == name}


dispatch.install(all_operations(), NUMPY_FUNCTIONS)

__all__ = ["absolute", "add", "all_operations", "batch_norm", "binary_cross_entropy_with_logits", "broadcast_to", "clip",
           "concatenate", "conv1d", "cos", "cosine_embedding_loss", "cross_entropy", "cumsum", "divide", "dot",
           "dot_product_attention", "dropout", "einsum", "elu", "embedding", "embedding_bag", "erf", "erfc", "exp", "expand_dims",
           "expm1", "flip", "gelu", "getitem", "gru", "layer_norm", "leaky_relu", "linear", "log", "log1p", "log_sigmoid",
           "log_softmax", "logsumexp", "lstm", "masked_softmax", "matmul", "max", "max_over_time", "max_pool1d", "maximum",
           "mean", "min", "minimum", "multi_margin_loss", "multiply", "negative", "nll_loss", "norm", "outer", "pad", "power",
           "prod", "relu", "reshape", "rms_norm", "rnn", "scatter", "sigmoid", "sign", "silu", "sin", "softmax", "softplus",
           "split", "sqrt", "square", "squeeze", "stack", "subtract", "sum", "swapaxes", "tanh", "transpose", "var", "where"]
