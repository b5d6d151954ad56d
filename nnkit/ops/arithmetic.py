"""Arithmetic of two arrays that broadcast against each other. The engine sums a gradient back to its input's shape."""

import numpy as np

from nnkit.autograd import Operation, tensor_op


@tensor_op
class add(Operation):
    """a + b"""

    @staticmethod
    def forward(ctx, a, b):
        return np.add(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output, grad_output]


@tensor_op
class subtract(Operation):
    """a - b"""

    @staticmethod
    def forward(ctx, a, b):
        return np.subtract(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output, -grad_output if ctx.needs_grad[1] else None]


@tensor_op
class multiply(Operation):
    """a * b, element by element"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.multiply(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        return [grad_output * b if ctx.needs_grad[0] else None,
                grad_output * a if ctx.needs_grad[1] else None]


@tensor_op
class divide(Operation):
    """a / b, element by element"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.divide(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        return [grad_output / b if ctx.needs_grad[0] else None,
                -grad_output * a / (b * b) if ctx.needs_grad[1] else None]


@tensor_op
class power(Operation):
    """a ** b. Where a gradient for b is wanted, a must be positive (at a = 0 it is taken as 0)."""

    @staticmethod
    def forward(ctx, a, b):
        y = np.power(a, b)
        ctx.extend([a, b, y])
        return y

    @staticmethod
    def backward(ctx, grad_output):
        a, b, y = ctx
        by_base = by_exponent = None
        if ctx.needs_grad[0]:
            # a ** 0 is 1 for every a: its derivative is 0, at a = 0 too, where 0 * 0 ** -1 would be NaN
            if type(b) in (int, float, bool):
                by_base = grad_output * b * np.power(a, b - 1 if b else 1)
            else:
                base = np.where(np.equal(b, 0), np.where(np.equal(a, 0), 1, a), a)
                by_base = grad_output * b * np.power(base, b - 1)
        if ctx.needs_grad[1]:
            by_exponent = grad_output * y * np.log(np.where(np.equal(a, 0), 1, a))
        return [by_base, by_exponent]


@tensor_op
class negative(Operation):
    """-x"""

    @staticmethod
    def forward(ctx, x):
        return np.negative(x)

    @staticmethod
    def backward(ctx, grad_output):
        return [-grad_output]


@tensor_op
class absolute(Operation):
    """|x|; the gradient at 0 is 0"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.absolute(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * np.sign(x)]


@tensor_op
class sign(Operation):
    """-1, 0 or 1; the gradient is 0 everywhere"""

    @staticmethod
    def forward(ctx, x):
        return np.sign(x)

    @staticmethod
    def backward(ctx, grad_output):
        return [np.zeros_like(grad_output)]
