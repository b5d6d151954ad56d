"""Products of matrices, and the affine map that every layer starts with."""

import math

import numpy as np

from nnkit.autograd import Operation, tensor_op


def misfit(a, b):
    """What to say where the axis that a @ b sums over is not as long in b; "" where something else is wrong."""
    first, second = np.shape(a), np.shape(b)
    if not first or not second:
        return f"matmul: got shapes {first} and {second}, and a number is no matrix; multiply with *"
    columns, rows = first[-1], second[-2:][0]
    if columns == rows:
        return ""
    return (f"matmul: shapes {first} and {second} do not fit: the last axis of the first is {columns} long, so the second must "
            f"have {columns} rows, not {rows}")


@tensor_op
class matmul(Operation):
    """a @ b as NumPy has it: (..., n, k) @ (..., k, m), vectors too; leading axes broadcast."""

    returns_new = True

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        try:
            return np.matmul(a, b)
        except ValueError as error:  # NumPy speaks of core dimensions
            raise ValueError(misfit(a, b) or str(error)) from None

    @staticmethod
    def forward_into(ctx, out, a, b):
        ctx.extend([a, b])
        return np.matmul(a, b, out=out)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        grad_a = grad_b = None
        if b.ndim <= 2:
            # One matrix for all rows of a: (batch·n, k)ᵀ @ (batch·n, m) sums over the batch as it multiplies, in one product.
            # A product for each of the batch would be a (batch, k, m) array, for the engine to sum afterwards.
            n, k, m = math.prod(a.shape[:-1]), a.shape[-1], b.shape[1] if b.ndim == 2 else 1
            grad_rows = np.reshape(grad_output, (n, m))
            if ctx.needs_grad[0]:
                grad_a = np.reshape(np.matmul(grad_rows, np.reshape(b, (k, m)).T), a.shape)
            if ctx.needs_grad[1]:
                grad_b = np.reshape(np.matmul(np.reshape(a, (n, k)).T, grad_rows), b.shape)
            return [grad_a, grad_b]
        rows = a
        if a.ndim == 1:
            rows, grad_output = np.expand_dims(a, 0), np.expand_dims(grad_output, -2)
        if ctx.needs_grad[0]:
            grad_a = np.matmul(grad_output, np.swapaxes(b, -1, -2))
            grad_a = np.squeeze(grad_a, axis=-2) if a.ndim == 1 else grad_a
        if ctx.needs_grad[1]:  # laid out as b is: where b is some c.mT, the gradient of c is in order
            if isinstance(b, np.ndarray) and b.strides[-1] > b.strides[-2]:
                grad_b = np.swapaxes(np.matmul(np.swapaxes(grad_output, -1, -2), rows), -1, -2)
            else:
                grad_b = np.matmul(np.swapaxes(rows, -1, -2), grad_output)
        return [grad_a, grad_b]


@tensor_op
class dot(Operation):
    """np.dot: the sum over the last axis of a and the last but one of b (or its only one); a number on either side multiplies"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.dot(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        if np.ndim(a) == 0 or np.ndim(b) == 0:
            return [grad_output * b, grad_output * a]
        # b as a matrix: the axis that is summed first, all others behind it
        first = b.ndim - 2 if b.ndim > 1 else 0
        order = [first, *(axis for axis in range(b.ndim) if axis != first)]
        moved = np.transpose(b, order)
        n, k, m = math.prod(a.shape[:-1]), a.shape[-1], math.prod(moved.shape[1:])
        grad_rows = np.reshape(grad_output, (n, m))
        grad_a = np.reshape(np.matmul(grad_rows, np.reshape(moved, (k, m)).T), a.shape) if ctx.needs_grad[0] else None
        grad_b = None
        if ctx.needs_grad[1]:
            grad_b = np.reshape(np.matmul(np.reshape(a, (n, k)).T, grad_rows), moved.shape)
            grad_b = np.transpose(grad_b, np.argsort(order))
        return [grad_a, grad_b]


@tensor_op
class outer(Operation):
    """a_i b_j for every pair of elements of a and b, both flattened; (a.size, b.size)"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.outer(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        return [np.reshape(np.matmul(grad_output, np.reshape(b, -1)), np.shape(a)) if ctx.needs_grad[0] else None,
                np.reshape(np.matmul(np.reshape(a, -1), grad_output), np.shape(b)) if ctx.needs_grad[1] else None]


@tensor_op
class linear(Operation):
    """x W + b. x: (..., n), W: (n, m), b: (m,) or None; (..., m)"""

    returns_new = True

    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.extend([x, weight, bias is not None])
        y = np.matmul(x, weight)
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def forward_into(ctx, out, x, weight, bias=None):
        ctx.extend([x, weight, bias is not None])
        y = np.matmul(x, weight, out=out)
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def backward(ctx, grad_output):
        x, weight, has_bias = ctx
        grad_x = np.matmul(grad_output, weight.T, out=ctx.out(0)) if ctx.needs_grad[0] else None
        if grad_output.ndim != 2:
            x, grad_output = x.reshape(-1, weight.shape[0]), grad_output.reshape(-1, weight.shape[1])
        grad_weight = np.matmul(x.T, grad_output, out=ctx.out(1)) if ctx.needs_grad[1] else None
        grad_bias = np.add.reduce(grad_output, axis=0, out=ctx.out(2)) if has_bias and ctx.needs_grad[2] else None
        return [grad_x, grad_weight, grad_bias][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, weight, bias=None):
        y = np.matmul(x, weight)
        return y if bias is None else y + bias
