"""Layers beside PyTorch's: how ours and theirs are made with the same options, and an input for both. Those without parameters
are drawn with their options as well. A layer that PyTorch has not is put together from its functions."""

import math

import torch
from drawing import integers, numbers, seeds, shapes
from hypothesis import strategies as st

from nnkit import nn


def activation(name, **options):
    """options: values to choose from, by the names that both sides have."""
    def made(draw):
        given = {k: draw(st.sampled_from(v)) for k, v in options.items()}
        theirs = {**given, "threshold": 500} if name == "Softplus" else given  # PyTorch cuts Softplus to x where x > 20
        return getattr(nn, name)(**given), getattr(torch.nn, name)(**theirs), numbers(draw, shapes(draw))
    return made


def along_an_axis(name):
    def made(draw):
        shape = shapes(draw, min_dims=1, min_side=1)
        dim = draw(st.integers(-len(shape), len(shape) - 1))
        return getattr(nn, name)(dim), getattr(torch.nn, name)(dim), numbers(draw, shape)
    return made


def flatten(draw):
    shape = shapes(draw, min_dims=2, min_side=1)
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(shape) - 1)] * 2)))
    options = draw(st.sampled_from([{}, {"start_dim": start}, {"start_dim": start, "end_dim": end - len(shape)}]))
    return nn.Flatten(**options), torch.nn.Flatten(**options), numbers(draw, shape)


def normalized(draw):
    shape = draw(st.sampled_from([(3,), (4,), (2, 3), (1, 2, 2)]))
    given = shape[0] if len(shape) == 1 and draw(st.booleans()) else shape
    return given, numbers(draw, (*shapes(draw, max_dims=2), *shape), "normal")


def layer_norm(draw):
    shape, x = normalized(draw)
    options = draw(st.sampled_from([{}, {"eps": 0.1}, {"elementwise_affine": False}, {"bias": False}]))
    return nn.LayerNorm(shape, **options), torch.nn.LayerNorm(shape, **options, dtype=torch.float64), x


def rms_norm(draw):
    shape, x = normalized(draw)
    options = draw(st.sampled_from([{}, {"eps": 0.1}, {"elementwise_affine": False}]))
    return nn.RMSNorm(shape, **options), torch.nn.RMSNorm(shape, **options, dtype=torch.float64), x


def batch_norm(draw):
    n = draw(st.integers(1, 4))
    options = draw(st.sampled_from([{}, {"eps": 0.1}, {"affine": False}, {"bias": False}, {"track_running_stats": False}]))
    length = draw(st.sampled_from([(), (1,), (3,)]))
    x = numbers(draw, (draw(st.integers(2, 5)), n, *length), "normal")
    return nn.BatchNorm1d(n, **options), torch.nn.BatchNorm1d(n, **options, dtype=torch.float64), x


class Residual(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


class Highway(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.transform, self.gate = torch.nn.Linear(n, n), torch.nn.Linear(n, n)

    def forward(self, x):
        t = torch.sigmoid(self.gate(x))
        return t * torch.relu(self.transform(x)) + (1 - t) * x


def residual(draw):
    n = draw(st.integers(1, 4))
    ours = nn.Residual(nn.Sequential(nn.Linear(n, n, rng=draw(seeds)), nn.Tanh()))
    theirs = Residual(torch.nn.Sequential(torch.nn.Linear(n, n), torch.nn.Tanh())).double()
    return ours, theirs, numbers(draw, (*shapes(draw, max_dims=2), n))


def highway(draw):
    n = draw(st.integers(1, 4))
    return nn.Highway(n, rng=draw(seeds)), Highway(n).double(), numbers(draw, (*shapes(draw, max_dims=2), n))


def embedding_bag(draw):
    n, d = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    padding = draw(st.none() | st.integers(-n, n - 1))
    mode = draw(st.sampled_from(["mean", "sum"]))
    ours = nn.EmbeddingBag(n, d, mode, draw(st.booleans()), padding_idx=padding, rng=draw(seeds))
    theirs = torch.nn.EmbeddingBag(n, d, mode=mode, padding_idx=padding, dtype=torch.float64)
    return ours, theirs, integers(draw, (draw(st.integers(1, 4)), draw(st.integers(1, 4))), n)


def convolution(draw):
    channels, out, kernel_size, stride, dilation = (draw(st.integers(1, 3)) for _ in range(5))
    options = {"stride": stride, "padding": draw(st.sampled_from([0, 2, "valid"])), "dilation": dilation,
               "bias": draw(st.booleans())}
    x = numbers(draw, (draw(st.integers(1, 3)), channels, dilation * (kernel_size - 1) + draw(st.integers(1, 4))))
    return (nn.Conv1d(channels, out, kernel_size, **options, rng=draw(seeds)),
            torch.nn.Conv1d(channels, out, kernel_size, **options, dtype=torch.float64), x)


def max_over_time(draw):
    x = numbers(draw, tuple(draw(st.integers(1, 4)) for _ in range(3)), "normal")
    return nn.MaxOverTime(), torch.nn.Sequential(torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()), x


def max_pool(draw):
    kernel_size = draw(st.integers(1, 3))
    options = {"stride": draw(st.none() | st.integers(1, 3)), "dilation": draw(st.integers(1, 2)),
               "padding": draw(st.integers(0, kernel_size // 2))}
    x = numbers(draw, (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(5, 8))))
    return nn.MaxPool1d(kernel_size, **options), torch.nn.MaxPool1d(kernel_size, **options), x


class Positions(torch.nn.Module):
    """As in PyTorch's tutorials: (length, batch, n)."""

    def __init__(self, n):
        super().__init__()
        t = torch.arange(9, dtype=torch.float64)[:, None]
        wave = torch.exp(torch.arange(0, n, 2, dtype=torch.float64) * (-math.log(10000.0) / n))
        self.table = torch.zeros(9, 1, n, dtype=torch.float64)
        self.table[:, 0, 0::2] = torch.sin(t * wave)
        self.table[:, 0, 1::2] = torch.cos(t * wave)

    def forward(self, x):
        return x + self.table[:len(x)]


def positions(draw):
    n = 2 * draw(st.integers(1, 3))
    x = numbers(draw, (draw(st.integers(1, 9)), draw(st.integers(1, 3)), n))
    return nn.PositionalEncoding(n, dropout=0.0, max_len=9), Positions(n), x


LAYERS = {"LeakyReLU": activation("LeakyReLU", negative_slope=[0.01, 0.3]), "ELU": activation("ELU", alpha=[1.0, 0.5]),
          "GELU": activation("GELU", approximate=["none", "tanh"]), "SiLU": activation("SiLU"),
          "Softplus": activation("Softplus", beta=[1.0, 2.5]), "LogSigmoid": activation("LogSigmoid"),
          "Identity": activation("Identity"), "Softmax": along_an_axis("Softmax"), "LogSoftmax": along_an_axis("LogSoftmax"),
          "Flatten": flatten, "LayerNorm": layer_norm, "RMSNorm": rms_norm, "BatchNorm1d": batch_norm, "Residual": residual,
          "Highway": highway, "EmbeddingBag": embedding_bag, "Conv1d": convolution, "MaxOverTime": max_over_time,
          "MaxPool1d": max_pool,           "PositionalEncoding": positions}
DEFAULTS = {name: getattr(torch.nn, name) for name in LAYERS if hasattr(torch.nn, name)}
