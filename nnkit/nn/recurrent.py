"""RNN, LSTM and GRU: PyTorch's layers, with `lengths` in place of packed sequences.

The equations, and the loop over time, are in nnkit/ops/recurrent.py. A layer here holds the weights, runs one layer over the
outputs of the other, both directions of each, and brings inputs and states into the shape that they are asked in.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit import ops
from nnkit.autograd import Tensor
from nnkit.nn import init
from nnkit.nn.module import Module

PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Recurrent(Module):
    """What RNN, LSTM and GRU have in common. A subclass says how many gates and states it has, and runs its operation.

    Layer k has weight_ih_lk (inputs, gates · hidden_size), weight_hh_lk (hidden_size, gates · hidden_size) and, with bias,
    bias_ih_lk and bias_hh_lk (gates · hidden_size,); its reverse direction the same with `_reverse` at the end. These are
    PyTorch's names, gates in PyTorch's order; the weights are PyTorch's transposed, as in x W. All are uniform in
    ±1/sqrt(hidden_size) at first.
    """

    gates = 1
    states: tuple[str, ...] = ("h_0",)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, *, rng: Any = None):
        name = type(self).__name__
        if input_size < 1 or hidden_size < 1 or num_layers < 1:
            raise ValueError(f"{name}: expected input_size, hidden_size and num_layers of at least 1, got {input_size}, "
                             f"{hidden_size} and {num_layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"{name}: dropout must be at least 0 and less than 1, got {dropout}")
        if dropout and num_layers == 1:
            warnings.warn(f"{name}: dropout={dropout} is between layers, and of one layer does nothing", stacklevel=2)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        rng = init.generator(rng)
        if dropout:
            self.rng = rng
        columns = self.gates * hidden_size
        for layer in range(num_layers):
            rows = input_size if layer == 0 else hidden_size * self._directions
            for end in self._ends(layer):
                shapes = (rows, columns), (hidden_size, columns), (columns,), (columns,)
                for part, shape in zip(PARTS[:4 if bias else 2], shapes):
                    setattr(self, part + end, init.uniform(shape, hidden_size ** -0.5, rng))

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _ends(self, layer: int) -> list[str]:
        """How the names of a layer's parameters end, one for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][:self._directions]

    def _operation(self, *inputs: Any, **attributes: Any) -> Tensor:
        raise NotImplementedError

    def _run(self, x: Any, hx: Sequence[Any] | None, lengths: Any) -> tuple[Tensor, list[Tensor]]:
        """The output, and the last of each state. x in any of the shapes that the layers take; hx: one array for each state."""
        x = x if isinstance(x, Tensor) else np.asarray(x)
        alone = x.ndim == 2
        self._check_input(x, lengths)
        if alone:
            x = ops.expand_dims(x, axis=1)
        elif self.batch_first:
            x = ops.swapaxes(x, axis1=0, axis2=1)
        length, batch = x.shape[:2]
        starts = self._starts(hx, None if alone else batch)
        ends: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = ops.dropout(x, p=self.dropout, rng=self.rng)
            directions = []
            for reverse, end in enumerate(self._ends(layer)):
                parameters = [getattr(self, part + end, None) for part in PARTS]
                made = self._operation(x, *(start[len(ends)] for start in starts), *parameters, lengths, reverse=bool(reverse),
                                       name=repr(self))
                directions.append(made[:length])
                ends.append(made[length:])
            x = directions[0] if len(directions) == 1 else ops.concatenate(*directions, axis=-1)
        last = ops.stack(*ends, axis=1)  # (states, layers · directions, batch, hidden)
        if alone:
            return x[:, 0], [last[i, :, 0] for i in range(len(starts))]
        return ops.swapaxes(x, axis1=0, axis2=1) if self.batch_first else x, [last[i] for i in range(len(starts))]

    def _check_input(self, x: Any, lengths: Any) -> None:
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size or not x.shape[1 if x.ndim == 3 and self.batch_first else 0]:
            whole = "(batch, length, {0})" if self.batch_first else "(length, batch, {0})"
            raise ValueError(f"{self!r}: expected an input of shape {whole.format(self.input_size)} or, for one sequence, "
                             f"(length, {self.input_size}), of at least one step, got {x.shape}")
        if lengths is not None and x.ndim == 2:
            raise ValueError(f"{self!r}: lengths are for a batch, and the input is one sequence, {x.shape}; cut it instead")

    def _starts(self, hx: Sequence[Any] | None, batch: int | None) -> list[Any]:
        """For each state: (layers · directions, batch, hidden), given or zeros. batch None: they are given without that axis."""
        count = self.num_layers * self._directions
        if hx is None:
            return [np.zeros((count, 1 if batch is None else batch, self.hidden_size))] * len(self.states)
        expected = (count, self.hidden_size) if batch is None else (count, batch, self.hidden_size)
        starts = [h if isinstance(h, Tensor) else np.asarray(h) for h in hx]
        for name, h in zip(self.states, starts):
            if h.shape != expected:
                raise ValueError(f"{self!r}: expected {name} of shape {expected}, got {h.shape}")
        return [ops.expand_dims(h, axis=1) for h in starts] if batch is None else starts

    def __repr__(self) -> str:
        options = [f"{name}={value!r}" for name, usual, value in (
            ("num_layers", 1, self.num_layers), ("nonlinearity", "tanh", getattr(self, "nonlinearity", "tanh")),
            ("bias", True, self.bias), ("batch_first", False, self.batch_first), ("dropout", 0, self.dropout),
            ("bidirectional", False, self.bidirectional)) if value != usual]
        return f"{type(self).__name__}({', '.join([str(self.input_size), str(self.hidden_size), *options])})"


class RNN(Recurrent):
    """h_t = tanh(x_t W_ih + b_ih + h_(t-1) W_hh + b_hh), or relu in place of tanh (Elman, 1990); PyTorch's RNN.

    `output, h_n = layer(x, hx=None, lengths=None)`. x: (length, batch, input_size), or (batch, length, input_size) with
    batch_first, or (length, input_size) for one sequence. output: h of the last layer at every step, in x's shape with
    hidden_size at the end, twice that with bidirectional: forward, then backward. hx, which is h_0, and h_n: (num_layers ·
    directions, batch, hidden_size), the first h, 0 where hx is None, and the last h of every layer and direction.

    lengths: (batch,) integers from 1 to length, how many steps of each sequence are real. After them output is 0, h_n is that
    of the last real step, and the reverse direction begins there. dropout: the share of each layer's outputs, but the last
    layer's, that is dropped in training; rng draws it, and the initial weights, whose names and shapes are in `Recurrent`.
    ValueError for other shapes, or lengths out of range, TypeError for lengths that are no integers; both name the layer.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, *, rng: Any = None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng=rng)

    def _operation(self, *inputs: Any, **attributes: Any) -> Tensor:
        return ops.rnn(*inputs, nonlinearity=self.nonlinearity, **attributes)

    def forward(self, x, hx=None, lengths=None):
        output, (h_n,) = self._run(x, None if hx is None else (hx,), lengths)
        return output, h_n


class LSTM(Recurrent):
    """The long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000); PyTorch's LSTM.

        i, f, g, o = x_t W_ih + b_ih + h_(t-1) W_hh + b_hh
        c_t = σ(f) c_(t-1) + σ(i) tanh(g)        h_t = σ(o) tanh(c_t)

    `output, (h_n, c_n) = layer(x, hx=None, lengths=None)`. hx: a pair (h_0, c_0); c_0 and c_n are shaped as h_0 and h_n.
    Everything else as in RNN.
    """

    gates = 4
    states = ("h_0", "c_0")

    def _operation(self, *inputs: Any, **attributes: Any) -> Tensor:
        return ops.lstm(*inputs, **attributes)

    def forward(self, x, hx=None, lengths=None):
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise ValueError(f"{self!r}: expected a pair (h_0, c_0), got {type(hx).__name__}")
        output, (h_n, c_n) = self._run(x, hx, lengths)
        return output, (h_n, c_n)


class GRU(Recurrent):
    """The gated recurrent unit (Cho et al., 2014), its reset gate r after the product, as in PyTorch's GRU.

        a_r, a_z, a_n = x_t W_ih + b_ih          q_r, q_z, q_n = h_(t-1) W_hh + b_hh
        r = σ(a_r + q_r)        z = σ(a_z + q_z)        n = tanh(a_n + r q_n)
        h_t = (1 - z) n + z h_(t-1)

    `output, h_n = layer(x, hx=None, lengths=None)`. Everything else as in RNN.
    """

    gates = 3

    def _operation(self, *inputs: Any, **attributes: Any) -> Tensor:
        return ops.gru(*inputs, **attributes)

    def forward(self, x, hx=None, lengths=None):
        output, (h_n,) = self._run(x, None if hx is None else (hx,), lengths)
        return output, h_n
