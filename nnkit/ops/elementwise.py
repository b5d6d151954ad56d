"""Operations that act on each element alone: the functions of a pocket calculator. The activations have their own file."""

import numpy as np

from nnkit.autograd import Operation, tensor_op


@tensor_op
class exp(Operation):
    """e ** x"""

    @staticmethod
    def forward(ctx, x):
        y = np.exp(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output * y]


@tensor_op
class expm1(Operation):
    """e ** x - 1, exact for small x"""

    @staticmethod
    def forward(ctx, x):
        y = np.expm1(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output * (y + 1)]


@tensor_op
class log(Operation):
    """Natural logarithm of x > 0"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output / x]


@tensor_op
class log1p(Operation):
    """Natural logarithm of 1 + x, exact for small x; x > -1"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.log1p(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output / (1 + x)]


@tensor_op
class sqrt(Operation):
    """Square root of x > 0"""

    @staticmethod
    def forward(ctx, x):
        y = np.sqrt(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output / (2 * y)]


@tensor_op
class square(Operation):
    """x ** 2"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.square(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [2 * grad_output * x]


@tensor_op
class sin(Operation):
    """Sine of x in radians"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.sin(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * np.cos(x)]


@tensor_op
class cos(Operation):
    """Cosine of x in radians"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.cos(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [-grad_output * np.sin(x)]


@tensor_op
class tanh(Operation):
    """Hyperbolic tangent"""

    @staticmethod
    def forward(ctx, x):
        y = np.tanh(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output * (1 - y * y)]


@tensor_op
class maximum(Operation):
    """The larger of a and b; where they are equal, each gets half of the gradient."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.maximum(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        share = grad_output * np.equal(a, b) * 0.5
        return [grad_output * np.greater(a, b) + share, grad_output * np.greater(b, a) + share]


@tensor_op
class minimum(Operation):
    """The smaller of a and b; where they are equal, each gets half of the gradient."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.minimum(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        share = grad_output * np.equal(a, b) * 0.5
        return [grad_output * np.less(a, b) + share, grad_output * np.less(b, a) + share]


@tensor_op
class clip(Operation):
    """x between min and max (numbers or arrays without a gradient, or None for no bound)

    The gradient is 1 inside and on the bounds, as in PyTorch, and 0 outside.
    """

    @staticmethod
    def forward(ctx, x, *, min=None, max=None):
        y = np.clip(x, min, max)
        ctx.extend([x, y])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        x, y = ctx
        return [grad_output * np.equal(x, y)]


@tensor_op
class where(Operation):
    """a where condition holds, b elsewhere. condition: booleans, without a gradient."""

    @staticmethod
    def forward(ctx, condition, a, b):
        ctx.append(condition)
        return np.where(condition, a, b)

    @staticmethod
    def backward(ctx, grad_output):
        (condition,) = ctx
        return [None, np.where(condition, grad_output, 0) if ctx.needs_grad[1] else None,
                np.where(condition, 0, grad_output) if ctx.needs_grad[2] else None]


@tensor_op
class dropout(Operation):
    """x with each element kept with probability 1 - p and then divided by 1 - p, else 0.

    p: 0 <= p < 1. rng: the generator that the mask is drawn from.
    """

    reuse_ctx = True

    @staticmethod
    def forward(ctx, x, *, p, rng):
        kept = rng.random(x.shape, dtype=np.float32) >= p
        mask = kept * x.dtype.type(1 / (1 - p))
        ctx.append(mask)
        return x * mask

    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx
        return [grad_output * mask]
