"""Forward and backward of one layer: nnkit against PyTorch, eager.

Usage: bench_layers.py [--seconds 2.0] [--threads 1] [--layers LSTM ...]

Both have float32 and the same sizes, and run in turn in this one process; the input wants no gradient, as that of a first layer,
but for LayerNorm's. Printed are median microseconds and the ratio to nnkit: above 1, nnkit is faster. `composed` is the same
written in plain operations, one node of the graph for each.
"""
import argparse

from bench_step import medians, torch  # first: it puts OpenBLAS's variables out of the way before NumPy is loaded

import numpy as np  # isort: skip
from threadpoolctl import threadpool_limits

from nnkit import Tensor, nn, ops


def forward_backward(layer, *inputs, **options):
    """A step of either library: the sum of what the layer gives, and its gradients."""
    def step():
        layer.zero_grad()
        result = layer(*inputs, **options)
        (result[0] if isinstance(result, tuple) else result).sum().backward()
    return step


def recurrent(kind, batch=32, length=32, size=128):
    """RNN, LSTM or GRU: size numbers in and size out."""
    x = np.random.default_rng(0).standard_normal((length, batch, size), dtype=np.float32)
    layer, states = getattr(nn, kind)(size, size, rng=0), 2 if kind == "LSTM" else 1
    plain, start = getattr(ops, kind.lower()).operation.composed, np.zeros((batch, size), np.float32)

    def composed():
        layer.zero_grad()
        plain(x, *[start] * states, *layer.parameters())[:length].sum().backward()

    steps = {"nnkit": forward_backward(layer, x), "composed": composed}
    if torch is not None:
        steps["torch"] = forward_backward(getattr(torch.nn, kind)(size, size), torch.from_numpy(x))
    return f"{kind}, batch {batch}, length {length}, hidden {size}", steps


def attention(batch=16, length=64, heads=4, size=128):
    """Self-attention whose weights nobody asks for; `composed`: with them, in single operations."""
    x = np.random.default_rng(0).standard_normal((batch, length, size), dtype=np.float32)
    layer = nn.MultiHeadAttention(size, heads, batch_first=True, rng=0)
    steps = {"nnkit": forward_backward(layer, x, x, x, need_weights=False), "composed": forward_backward(layer, x, x, x)}
    if torch is not None:
        theirs, t = torch.nn.MultiheadAttention(size, heads, batch_first=True), torch.from_numpy(x)
        steps["torch"] = forward_backward(theirs, t, t, t, need_weights=False)
    return f"attention, batch {batch}, length {length}, {heads} heads, {size}", steps


def layer_norm(batch=16, length=64, size=128):
    """LayerNorm behind something that wants a gradient, as it always stands."""
    x = np.random.default_rng(0).standard_normal((batch, length, size), dtype=np.float32)
    layer, plain, leaf = nn.LayerNorm(size), ops.layer_norm.operation.composed, Tensor(x)

    def composed():
        layer.zero_grad()
        plain(leaf, layer.weight, layer.bias).sum().backward()

    steps = {"nnkit": forward_backward(layer, leaf), "composed": composed}
    if torch is not None:
        steps["torch"] = forward_backward(torch.nn.LayerNorm(size), torch.tensor(x, requires_grad=True))
    return f"LayerNorm, batch {batch}, length {length}, {size}", steps


# name: a function that gives a line's title and its contestants, "nnkit" among them
LAYERS = {**{kind: lambda kind=kind: recurrent(kind) for kind in ("LSTM", "GRU", "RNN")}, "attention": attention,
          "LayerNorm": layer_norm}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each contestant")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    a = parser.parse_args()
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__ if torch is not None else 'not installed: left out'}")
    for threads in a.threads:
        if torch is not None:
            torch.set_num_threads(threads)
        with threadpool_limits(threads):
            print(f"\n{threads} thread(s)    us forward and backward         nnkit  others: / nnkit")
            for name in a.layers:
                title, steps = LAYERS[name]()
                us = medians(steps, a.seconds)
                others = "   ".join(f"{other} {t:8.0f}: {t / us['nnkit']:.2f}" for other, t in us.items() if other != "nnkit")
                print(f"{title:42} {us['nnkit']:9.0f}  {others}")


if __name__ == "__main__":
    main()
