"""The Transformer's layers (Vaswani et al., 2017): encoder, decoder, and what tells them where in a sequence a vector stands.

Names, options, parameters and masks are PyTorch's, a mask's True being a place that must not be looked at.
"""

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import get_default_dtype
from nnkit.nn import init
from nnkit.nn.attention import MultiHeadAttention
from nnkit.nn.layers import Dropout, Linear
from nnkit.nn.module import Module
from nnkit.nn.normalization import LayerNorm


class TransformerEncoderLayer(Module):
    """Attention of a sequence to itself, then two Linear layers for each place alone; around both a residual and LayerNorm.

        x = norm1(x + attention(x))            with norm_first:  x = x + attention(norm1(x))
        y = norm2(x + feed_forward(x))                           y = x + feed_forward(norm2(x))

    feed_forward(x) = linear2(activation(linear1(x))), dim_feedforward wide in between. `layer(src, src_mask=None,
    src_key_padding_mask=None, is_causal=False)`. src, y: (length, batch, d_model), the batch in front with batch_first, or
    (length, d_model). Masks as in MultiHeadAttention; is_causal: no place sees a later one. activation: "relu" or "gelu".
    dropout: of the weights of attention, between the Linear layers, and of both results before they are added. ValueError for
    what does not fit, TypeError for masks that are not boolean.
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: str = "relu",
                 layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True, *,
                 rng: Any = None):
        rng = init.generator(rng)
        self.activation = known_activation(self, activation)
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, bias, batch_first, rng=rng)
        self.linear1 = Linear(d_model, dim_feedforward, bias, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=rng)
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2))
        self.dropout1, self.dropout2 = (Dropout(dropout, rng=rng) for _ in range(2))

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        def attend(x):
            return self.dropout1(attended(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal))

        def feed_forward(x):
            return self.dropout2(fed_forward(self, x))

        for norm, part in ((self.norm1, attend), (self.norm2, feed_forward)):
            src = src + part(norm(src)) if self.norm_first else norm(src + part(src))
        return src

    def __repr__(self):
        return described(self, self.self_attn)


class TransformerDecoderLayer(Module):
    """Attention of a sequence to itself, then to `memory`, the encoder's result, then two Linear layers for each place alone.

        x = norm1(x + attention(x, x))         with norm_first:  x = x + attention(norm1(x), norm1(x))
        x = norm2(x + attention(x, memory))                      x = x + attention(norm2(x), memory)
        y = norm3(x + feed_forward(x))                           y = x + feed_forward(norm3(x))

    `layer(tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
    tgt_is_causal=False, memory_is_causal=False)`. tgt, y: (length, batch, d_model), memory: (source, batch, d_model). Everything
    else as in TransformerEncoderLayer.
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: str = "relu",
                 layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True, *,
                 rng: Any = None):
        rng = init.generator(rng)
        self.activation = known_activation(self, activation)
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, bias, batch_first, rng=rng)
        self.multihead_attn = MultiHeadAttention(d_model, nhead, dropout, bias, batch_first, rng=rng)
        self.linear1 = Linear(d_model, dim_feedforward, bias, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=rng)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (Dropout(dropout, rng=rng) for _ in range(3))

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                tgt_is_causal=False, memory_is_causal=False):
        def attend(x):
            return self.dropout1(attended(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))

        def look(x):
            return self.dropout2(attended(self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal))

        def feed_forward(x):
            return self.dropout3(fed_forward(self, x))

        for norm, part in ((self.norm1, attend), (self.norm2, look), (self.norm3, feed_forward)):
            tgt = tgt + part(norm(tgt)) if self.norm_first else norm(tgt + part(tgt))
        return tgt

    def __repr__(self):
        return described(self, self.self_attn)


class PositionalEncoding(Module):
    """y = dropout(x + position), a vector for each place t of a sequence, without which attention knows of no order.

        position[t, 2i] = sin(t / 10000^(2i / d_model))        position[t, 2i + 1] = cos(t / 10000^(2i / d_model))

    With learned=True a parameter instead, `weight` (max_len, d_model), normal with deviation 0.02 at first (Devlin et al., 2019);
    the sines are computed and not saved. x, y: (length, batch, d_model), or (batch, length, d_model) with batch_first, or
    (length, d_model), of at most max_len places. ValueError for what does not fit.
    """

    def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 5000, learned: bool = False, batch_first: bool = False,
                 *, rng: Any = None):
        if d_model < 1 or max_len < 1:
            raise ValueError(f"PositionalEncoding: expected d_model and max_len of at least 1, got {d_model} and {max_len}")
        rng = init.generator(rng)
        self.d_model = d_model
        self.max_len = max_len
        self.learned = learned
        self.batch_first = batch_first
        self.weight = init.normal((max_len, d_model), 0.02, rng) if learned else sines(max_len, d_model)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, x):
        shape = np.shape(x)
        along = 1 if len(shape) == 3 and self.batch_first else 0
        if len(shape) not in (2, 3) or shape[-1] != self.d_model or shape[along] > self.max_len:
            whole = "(batch, length, {0})" if self.batch_first else "(length, batch, {0})"
            raise ValueError(f"{self!r}: expected an input of shape {whole.format(self.d_model)} or, for one sequence, "
                             f"(length, {self.d_model}), of at most {self.max_len} places, got {shape}")
        position = self.weight[:shape[along]]
        if len(shape) == 3 and not self.batch_first:
            position = position[:, None]
        return self.dropout(ops.add(x, position))

    def __repr__(self):
        options = f"{', learned=True' if self.learned else ''}{', batch_first=True' if self.batch_first else ''}"
        return f"PositionalEncoding({self.d_model}, dropout={self.dropout.p}, max_len={self.max_len}{options})"


def sines(length: int, d_model: int) -> np.ndarray:
    """(length, d_model): sines and cosines by turns, of ever longer waves."""
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, d_model, 2) / d_model)
    table = np.empty((length, d_model))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles[:, :d_model // 2])
    return table.astype(get_default_dtype(), copy=False)


def known_activation(layer: Module, name: str) -> str:
    if name not in ("relu", "gelu"):
        raise ValueError(f"{type(layer).__name__}: activation must be 'relu' or 'gelu', got {name!r}")
    return name


def attended(attention: MultiHeadAttention, x: Any, to: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
    return attention(x, to, to, padding, need_weights=False, attn_mask=mask, is_causal=is_causal)[0]


def fed_forward(layer: Any, x: Any) -> Any:
    activation = ops.relu if layer.activation == "relu" else ops.gelu
    return layer.linear2(layer.dropout(activation(layer.linear1(x))))


def described(layer: Any, attention: MultiHeadAttention) -> str:
    options = [f"{name}={value!r}" for name, usual, value in (
        ("dim_feedforward", 2048, layer.linear1.out_features), ("dropout", 0.1, layer.dropout.p),
        ("activation", "relu", layer.activation), ("layer_norm_eps", 1e-5, layer.norm1.eps),
        ("batch_first", False, attention.batch_first), ("norm_first", False, layer.norm_first),
        ("bias", True, layer.linear1.bias is not None)) if value != usual]
    return f"{type(layer).__name__}({', '.join([str(attention.embed_dim), str(attention.num_heads), *options])})"
