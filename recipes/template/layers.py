"""A worked example to change, or to write your own beside: an operation, and a layer that is built on it.

`pytest hw6` says after every change whether backward still is the derivative of forward.
"""

from typing import Any

import numpy as np

from nnkit import Operation, nn, tensor_op


@tensor_op
class gate(Operation):
    """a · σ(b), where σ(b) = 1 / (1 + exp(-b)) says how much of a passes: between nothing and all of it.

    a, b: of one shape, or of two that broadcast. With s = σ(b), whose derivative is s (1 - s):

        ∂/∂a = s          ∂/∂b = a · s (1 - s)
    """

    @staticmethod
    def forward(ctx, a, b):
        s = 0.5 * (1 + np.tanh(0.5 * b))  # the same as σ(b), but exp(-b) overflows where b is far below 0
        ctx.extend([a, s])                # ctx is a list: what backward needs, and forward has at hand
        return a * s

    @staticmethod
    def backward(ctx, grad_output):
        a, s = ctx
        # grad_output is how the loss changes with the result. The chain rule makes of it, for each input of forward in
        # its order, how the loss changes with that input. Broadcasting and adding over paths are not your concern.
        return [grad_output * s, grad_output * a * s * (1 - s)]


class GatedLinear(nn.Module):
    """y = (x W + b) · σ(x V + c): one linear map makes features, the other decides which of them pass (Dauphin et al., 2017).

    x: (..., in_features), y: (..., out_features). W, V are (in_features, out_features) and b, c (out_features,), all uniform
    in ±1/sqrt(in_features) at first, as those of Linear. ValueError where x does not fit.
    """

    # A config names these arguments: {type: layers.py:GatedLinear, out_features: 100}. in_features is what the layer before
    # it gives and may be left out there, rng is supplied; the types are what a config's values are checked by.
    def __init__(self, in_features: int, out_features: int, *, rng: Any = None):
        rng = nn.init.generator(rng)  # one generator for both: of the same seed they would begin as the same numbers
        self.features = nn.Linear(in_features, out_features, rng=rng)  # parameters in attributes are found by looking
        self.gates = nn.Linear(in_features, out_features, rng=rng)

    def forward(self, x):
        return gate(self.features(x), self.gates(x))

    def __repr__(self):  # what the log of a training shows of it
        return f"GatedLinear({self.features.in_features}, {self.features.out_features})"
