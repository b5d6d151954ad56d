"""The operations that the homeworks share."""

import numpy as np
from edugrad.tensor import Operation, tensor_op


@tensor_op
class log(Operation):
    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output / ctx[-1]]


@tensor_op
class exp(Operation):
    @staticmethod
    def forward(ctx, x):
        result = np.exp(x)
        ctx.append(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output * ctx[-1]]


@tensor_op
class multiply(Operation):
    """Elementwise; both of one shape."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.append(a)
        ctx.append(b)
        return a * b

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        return grad_output * b, grad_output * a


@tensor_op
class scale(Operation):
    """By a constant, given as by=."""

    @staticmethod
    def forward(ctx, x, by=1.0):
        ctx.append(by)
        return by * x

    @staticmethod
    def backward(ctx, grad_output):
        return [ctx.pop() * grad_output]


@tensor_op
class sum_along_columns(Operation):
    """[n, m] -> [n]"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x.shape[1])
        return x.sum(axis=1)

    @staticmethod
    def backward(ctx, grad_output):
        return [np.stack([grad_output] * ctx[-1], axis=1)]


@tensor_op
class lookup_rows(Operation):
    """One row of the table for every index. The indices have no gradient, which is to say zeros."""

    @staticmethod
    def forward(ctx, table, indices):
        ctx.append(table.shape)
        ctx.append(indices)
        return table[indices]

    @staticmethod
    def backward(ctx, grad_output):
        shape, indices = ctx
        table_grad = np.zeros(shape)
        np.add.at(table_grad, indices, grad_output)
        return [table_grad, np.zeros(indices.shape)]


@tensor_op
class softmax_rows(Operation):
    """[n, m] -> [n, m]"""

    @staticmethod
    def forward(ctx, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        ctx.append(probs)
        return probs

    @staticmethod
    def backward(ctx, grad_output):
        probs = ctx[-1]
        inner = (grad_output * probs).sum(axis=1, keepdims=True)
        return [probs * (grad_output - inner)]


@tensor_op
class concat(Operation):
    """Any number of [n, m_i] -> [n, sum of m_i]"""

    @staticmethod
    def forward(ctx, *arrays):
        ctx.append(np.cumsum([a.shape[1] for a in arrays])[:-1])
        return np.concatenate(arrays, axis=1)

    @staticmethod
    def backward(ctx, grad_output):
        return np.split(grad_output, ctx[-1], axis=1)
