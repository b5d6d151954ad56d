"""Products of matrices, and the affine map that every layer starts with."""

import numpy as np

from nnkit.autograd import Operation, tensor_op


@tensor_op
class matmul(Operation):
    """a @ b as NumPy has it: (..., n, k) @ (..., k, m), vectors too; leading axes broadcast."""

    returns_new = True

    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return np.matmul(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        if a.ndim == 1 and b.ndim == 1:
            return [grad_output * b, grad_output * a]
        rows = a if a.ndim > 1 else np.expand_dims(a, 0)          # (1, k)
        columns = b if b.ndim > 1 else np.expand_dims(b, 1)       # (k, 1)
        if a.ndim == 1:
            grad_output = np.expand_dims(grad_output, -2)
        if b.ndim == 1:
            grad_output = np.expand_dims(grad_output, -1)
        grad_a = grad_b = None
        if ctx.needs_grad[0]:
            grad_a = np.matmul(grad_output, np.swapaxes(columns, -1, -2))
            grad_a = grad_a if a.ndim > 1 else np.sum(grad_a, axis=tuple(range(grad_a.ndim - 1)))
        if ctx.needs_grad[1]:
            grad_b = np.matmul(np.swapaxes(rows, -1, -2), grad_output)
            if b.ndim == 1:
                grad_b = np.sum(np.squeeze(grad_b, axis=-1), axis=tuple(range(grad_b.ndim - 2)))
        return [grad_a, grad_b]


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
    def backward(ctx, grad_output):
        x, weight, has_bias = ctx
        grad_x = np.matmul(grad_output, weight.T) if ctx.needs_grad[0] else None
        if grad_output.ndim != 2:
            x, grad_output = x.reshape(-1, weight.shape[0]), grad_output.reshape(-1, weight.shape[1])
        grad_weight = np.matmul(x.T, grad_output, out=ctx.out(1)) if ctx.needs_grad[1] else None
        grad_bias = np.add.reduce(grad_output, axis=0, out=ctx.out(2)) if has_bias and ctx.needs_grad[2] else None
        return [grad_x, grad_weight, grad_bias][:len(ctx.needs_grad)]
