"""MultiHeadAttention: PyTorch's MultiheadAttention, with boolean masks, of which True is a place that must not be looked at.

The equation, and the way back, are in nnkit/ops/attention.py. The layer here holds the weights, brings inputs and masks into the
shape that they are asked in, and takes the longer way, in single operations, where the weights are asked for or dropped.
"""

from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.nn import init
from nnkit.nn.layers import Linear
from nnkit.nn.module import Module
from nnkit.ops.attention import apart, attention_weights, together


class MultiHeadAttention(Module):
    """Every head looks at all places at once and takes a mean of them (Vaswani et al., 2017); n = embed_dim / num_heads:

        Q, K, V = query W_q + b_q, key W_k + b_k, value W_v + b_v
        y = [softmax(Q_h K_hᵀ / √n + mask) V_h for every head h] W_out + b_out

    `output, weights = layer(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
    average_attn_weights=True, is_causal=False)`. query, output: (length, batch, embed_dim), key and value: (source, batch,
    embed_dim), the batch in front with batch_first; or all three without a batch. weights: (batch, length, source), the mean of
    the heads; (batch, heads, length, source) with average_attn_weights=False; None with need_weights=False, which is quicker.

    Masks are boolean, True = not allowed, as PyTorch's: attn_mask (length, source) or (batch · num_heads, length, source), and
    key_padding_mask (batch, source), which from lengths is `np.arange(source) >= lengths[:, None]`. is_causal: place j is also
    hidden from every place before it; PyTorch wants a mask with it, here it is enough. Where every key is masked, heads give
    zeros, and the output is b_out; PyTorch gives NaN. dropout: the share of the weights that is dropped in training.

    Parameters, under PyTorch's names, transposed as in x W: in_proj_weight (embed_dim, 3 · embed_dim), which is W_q, W_k, W_v
    side by side, and out_proj.weight (embed_dim, embed_dim); with bias in_proj_bias, out_proj.bias. in_proj_weight is Xavier
    uniform at first, biases are 0. ValueError for what does not fit, TypeError for masks that are not boolean.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, batch_first: bool = False, *,
                 rng: Any = None):
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"MultiHeadAttention: expected an embed_dim that num_heads divides, got {embed_dim} and {num_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"MultiHeadAttention: dropout must be at least 0 and less than 1, got {dropout}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        rng = init.generator(rng)
        if dropout:
            self.rng = rng
        self.in_proj_weight = init.xavier_uniform((embed_dim, 3 * embed_dim), rng=rng)
        self.in_proj_bias = init.zeros((3 * embed_dim,)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=rng)
        if bias:
            self.out_proj.bias = init.zeros((embed_dim,))

    def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
                is_causal=False):
        inputs = [x if isinstance(x, Tensor) else np.asarray(x) for x in (query, key, value)]
        self._check_inputs(*(x.shape for x in inputs))
        alone = inputs[0].ndim == 2
        if alone:
            inputs = [ops.expand_dims(x, axis=0) for x in inputs]
        elif not self.batch_first:
            inputs = [ops.swapaxes(x, axis1=0, axis2=1) for x in inputs]
        batch, length = inputs[0].shape[:2]
        masks = self._masks(key_padding_mask, attn_mask, batch, length, inputs[1].shape[1], alone)
        q, k, v = self._projected(inputs)
        weights: Any = None
        if need_weights or (self.dropout and self.training):
            weights = attention_weights(q, k, *masks, heads=self.num_heads, causal=is_causal)
            if self.dropout and self.training:
                weights = ops.dropout(weights, p=self.dropout, rng=self.rng)
            y = together(ops.matmul(weights, apart(v, self.num_heads)))
        else:
            y = ops.dot_product_attention(q, k, v, *masks, heads=self.num_heads, causal=is_causal)
        y = self.out_proj(y)
        y = y[0] if alone else y if self.batch_first else ops.swapaxes(y, axis1=0, axis2=1)
        if not need_weights:
            return y, None
        weights = ops.mean(weights, axis=1) if average_attn_weights else weights
        return y, weights[0] if alone else weights

    def _projected(self, inputs: list[Any]) -> list[Tensor]:
        n, bias = self.embed_dim, self.in_proj_bias
        thirds = [slice(i * n, (i + 1) * n) for i in range(3)]
        return [ops.linear(x, self.in_proj_weight[:, third], None if bias is None else bias[third])
                for x, third in zip(inputs, thirds)]

    def _check_inputs(self, query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...]) -> None:
        n, at = self.embed_dim, 0 if self.batch_first else 1
        if (len(query) not in (2, 3) or not len(query) == len(key) == len(value) or {query[-1], key[-1], value[-1]} != {n}
                or key != value or (len(query) == 3 and query[at] != key[at])):
            form = "(batch, {}, {})" if self.batch_first else "({}, batch, {})"
            raise ValueError(f"{self!r}: expected query {form.format('length', n)}, key and value {form.format('source', n)} or, "
                             f"for one sequence, (length, {n}) and (source, {n}), got {query}, {key} and {value}")

    def _masks(self, padding: Any, mask: Any, batch: int, length: int, source: int, alone: bool) -> list[Any]:
        """The masks, each in a shape that broadcasts to (batch, heads, length, source)."""
        masks = []
        if mask is not None:
            mask = self._checked("attn_mask", mask, [(length, source), (batch * self.num_heads, length, source)])
            masks.append(mask if mask.ndim == 2 else ops.reshape(mask, shape=(batch, self.num_heads, length, source)))
        if padding is not None:
            padding = self._checked("key_padding_mask", padding, [(source,) if alone else (batch, source)])
            masks.append(ops.reshape(padding, shape=(batch, 1, 1, source)))
        return masks

    def _checked(self, name: str, mask: Any, expected: list[tuple[int, ...]]) -> Any:
        mask = mask if isinstance(mask, Tensor) else np.asarray(mask)
        if mask.dtype != bool:
            raise TypeError(f"{self!r}: expected a boolean {name}, True where a place must not be looked at, got {mask.dtype}"
                            + ("; of one that is added, 0 and -inf, take mask != 0" if mask.dtype.kind == "f" else ""))
        if mask.shape not in expected:
            raise ValueError(f"{self!r}: expected {name} of shape {' or '.join(map(str, expected))}, got {mask.shape}")
        return mask

    def __repr__(self):
        options = [f"{name}={value!r}" for name, usual, value in (
            ("dropout", 0, self.dropout), ("bias", True, self.in_proj_bias is not None), ("batch_first", False, self.batch_first))
            if value != usual]
        return f"MultiHeadAttention({', '.join([str(self.embed_dim), str(self.num_heads), *options])})"
