"""The activations as modules, so that they can stand in a Sequential or a config. ReLU, Tanh and Sigmoid are in layers.py.

Each acts on every element alone and keeps the shape, but Softmax and LogSoftmax, which act along one axis.
"""

from nnkit import ops
from nnkit.nn.module import Module


class LeakyReLU(Module):
    """x for x > 0, else negative_slope · x"""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def __repr__(self):
        return f"LeakyReLU({self.negative_slope})"


class ELU(Module):
    """x for x > 0, else alpha · (exp(x) - 1) (Clevert et al., 2016)"""

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def forward(self, x):
        return ops.elu(x, alpha=self.alpha)

    def __repr__(self):
        return f"ELU({self.alpha})"


class GELU(Module):
    """x Φ(x), Φ being the normal distribution's (Hendrycks and Gimpel, 2016)

    approximate: "none", or "tanh" for the formula with tanh that comes close. ValueError for another.
    """

    def __init__(self, approximate: str = "none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x):
        return ops.gelu(x, approximate=self.approximate)

    def __repr__(self):
        return f"GELU({'' if self.approximate == 'none' else 'approximate=' + repr(self.approximate)})"


class SiLU(Module):
    """x σ(x), also called swish (Elfwing et al., 2017)"""

    def forward(self, x):
        return ops.silu(x)


class Softplus(Module):
    """log(1 + exp(beta · x)) / beta, a smooth max(x, 0); exact for every x, so that there is no threshold as in PyTorch"""

    def __init__(self, beta: float = 1.0):
        if not beta > 0:
            raise ValueError(f"Softplus: beta must be above 0, got {beta}")
        self.beta = beta

    def forward(self, x):
        return ops.softplus(x, beta=self.beta)

    def __repr__(self):
        return f"Softplus({self.beta})"


class LogSigmoid(Module):
    """log σ(x) = -log(1 + exp(-x)), exact where σ(x) rounds to 0 or 1"""

    def forward(self, x):
        return ops.log_sigmoid(x)


class Softmax(Module):
    """exp(x) / Σ exp(x), the sum being along the axis dim; the last one unless told otherwise

    For a loss give its logits to `losses.cross_entropy`, which does this itself and better.
    """

    def __init__(self, dim: int = -1):
        self.dim = dim

    def forward(self, x):
        return ops.softmax(x, axis=self.dim)

    def __repr__(self):
        return f"Softmax(dim={self.dim})"


class LogSoftmax(Module):
    """x - log Σ exp(x), the sum being along the axis dim; the last one unless told otherwise. `losses.nll_loss` takes it."""

    def __init__(self, dim: int = -1):
        self.dim = dim

    def forward(self, x):
        return ops.log_softmax(x, axis=self.dim)

    def __repr__(self):
        return f"LogSoftmax(dim={self.dim})"
