"""The activations: what stands between two layers. Each acts on every element alone."""

import numpy as np

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.common import nested
from nnkit.ops.error_function import normal_distribution


@tensor_op
class sigmoid(Operation):
    """1 / (1 + exp(-x)), in the form that never overflows"""

    @staticmethod
    def forward(ctx, x):
        e = np.exp(-np.abs(x))
        y = np.maximum(e, x >= 0) / (1 + e)  # 1 / (1 + e) for x >= 0, else e / (1 + e)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output * y * (1 - y)]

    @staticmethod
    def composed(x):
        # -|x| by branches, each with its own derivative at 0, where |x| has none and σ has
        e = np.exp(np.where(np.less(x, 0), x, np.negative(x)))
        return np.where(np.less(x, 0), e, 1) / (1 + e)


@tensor_op
class relu(Operation):
    """max(x, 0); the gradient at 0 is 0"""

    returns_new = True

    @staticmethod
    def forward(ctx, x):
        y = np.maximum(x, 0)
        ctx.append(y)
        return y

    @staticmethod
    def forward_into(ctx, out, x):
        y = np.maximum(x, 0, out=out)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [np.multiply(grad_output, y > 0, out=grad_output if ctx.owns_grad else None)]


@tensor_op
class leaky_relu(Operation):
    """x for x > 0, else negative_slope x; the gradient at 0 is negative_slope"""

    @staticmethod
    def forward(ctx, x, *, negative_slope=0.01):
        positive = np.greater(x, 0)
        ctx.extend([positive, negative_slope])
        return np.where(positive, x, negative_slope * x)

    @staticmethod
    def backward(ctx, grad_output):
        positive, negative_slope = ctx
        return [np.where(positive, grad_output, negative_slope * grad_output)]


@tensor_op
class elu(Operation):
    """x for x > 0, else alpha (exp(x) - 1) (Clevert et al., 2016); the gradient at 0 is alpha"""

    @staticmethod
    def forward(ctx, x, *, alpha=1.0):
        low = np.minimum(x, 0)  # exp of a large x would overflow in the branch that is not taken
        ctx.extend([x, low, alpha])
        return np.maximum(x, 0) + alpha * np.expm1(low)

    @staticmethod
    def backward(ctx, grad_output):
        x, low, alpha = ctx
        return [np.where(np.greater(x, 0), grad_output, grad_output * (alpha * np.exp(low)))]


@tensor_op
class gelu(Operation):
    """x Φ(x), Φ the normal distribution's (Hendrycks and Gimpel, 2016)

    approximate: "none", or "tanh" for x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2. ValueError for another.
    """

    @staticmethod
    def forward(ctx, x, *, approximate="none"):
        if approximate == "none":
            part = normal_distribution(x)
        elif approximate == "tanh":
            part = 0.5 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x)))
        else:
            raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
        ctx.extend([x, part, approximate])
        return x * part

    @staticmethod
    def backward(ctx, grad_output):
        x, part, approximate = ctx
        if approximate == "none":
            slope = np.exp(-0.5 * x * x) * (2 * np.pi) ** -0.5
        else:  # y = (1 + tanh u) / 2 has the derivative 2 y (1 - y) u'
            slope = part * (1 - part) * (2 * (2 / np.pi) ** 0.5 * (1 + 3 * 0.044715 * x * x))
        return [grad_output * (part + x * slope)]


@tensor_op
class silu(Operation):
    """x σ(x), also called swish (Elfwing et al., 2017)"""

    @staticmethod
    def forward(ctx, x):
        s = nested(sigmoid, x)
        ctx.extend([x, s])
        return x * s

    @staticmethod
    def backward(ctx, grad_output):
        x, s = ctx
        return [grad_output * (s * (1 + x * (1 - s)))]


@tensor_op
class softplus(Operation):
    """log(1 + exp(beta x)) / beta, a smooth max(x, 0), in the form that never overflows"""

    @staticmethod
    def forward(ctx, x, *, beta=1.0):
        ctx.extend([x, beta])
        return np.maximum(x, 0) + np.log1p(np.exp(-beta * np.absolute(x))) / beta

    @staticmethod
    def backward(ctx, grad_output):
        x, beta = ctx
        return [grad_output * nested(sigmoid, beta * x)]


@tensor_op
class log_sigmoid(Operation):
    """log σ(x) = -softplus(-x), exact where σ(x) rounds to 0 or 1"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.minimum(x, 0) - np.log1p(np.exp(-np.absolute(x)))

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * nested(sigmoid, -x)]
