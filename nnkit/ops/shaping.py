"""Operations that move elements and compute nothing: another shape, another order, a part, a whole of parts."""

import numpy as np

from nnkit.autograd import Operation, tensor_op


@tensor_op
class reshape(Operation):
    """The same elements in another shape; one entry of shape may be -1."""

    @staticmethod
    def forward(ctx, x, *, shape):
        ctx.append(x.shape)
        return np.reshape(x, shape)

    @staticmethod
    def backward(ctx, grad_output):
        (shape,) = ctx
        return [np.reshape(grad_output, shape)]


@tensor_op
class transpose(Operation):
    """The axes in the order axes gives, or reversed"""

    @staticmethod
    def forward(ctx, x, *, axes=None):
        ctx.append(None if axes is None else np.argsort([a % x.ndim for a in axes]))
        return np.transpose(x, axes)

    @staticmethod
    def backward(ctx, grad_output):
        (back,) = ctx
        return [np.transpose(grad_output, back)]


@tensor_op
class swapaxes(Operation):
    """Two axes change places."""

    @staticmethod
    def forward(ctx, x, *, axis1, axis2):
        ctx.extend([axis1, axis2])
        return np.swapaxes(x, axis1, axis2)

    @staticmethod
    def backward(ctx, grad_output):
        axis1, axis2 = ctx
        return [np.swapaxes(grad_output, axis1, axis2)]


@tensor_op
class expand_dims(Operation):
    """A new axis of length 1 at axis (an int or a tuple)"""

    @staticmethod
    def forward(ctx, x, *, axis):
        ctx.append(x.shape)
        return np.expand_dims(x, axis)

    @staticmethod
    def backward(ctx, grad_output):
        (shape,) = ctx
        return [np.reshape(grad_output, shape)]


@tensor_op
class squeeze(Operation):
    """Without the axes of length 1, or without those that axis names"""

    @staticmethod
    def forward(ctx, x, *, axis=None):
        ctx.append(x.shape)
        return np.squeeze(x, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        (shape,) = ctx
        return [np.reshape(grad_output, shape)]


@tensor_op
class broadcast_to(Operation):
    """x repeated to fill shape; the engine sums the gradient back."""

    @staticmethod
    def forward(ctx, x, *, shape):
        return np.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output]


@tensor_op
class concatenate(Operation):
    """Any number of arrays one after the other along axis: concatenate(a, b, c, axis=-1)"""

    @staticmethod
    def forward(ctx, *arrays, axis=0):
        ctx.extend([[a.shape[axis] for a in arrays], axis])
        return np.concatenate(arrays, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        lengths, axis = ctx
        return np.split(grad_output, np.cumsum(lengths)[:-1], axis=axis)


@tensor_op
class getitem(Operation):
    """x[key]: slices, integers, arrays of integers (repeats add up in the gradient) or of booleans"""

    @staticmethod
    def forward(ctx, x, *, key):
        ctx.extend([x, key])
        return x[key]

    @staticmethod
    def backward(ctx, grad_output):
        x, key = ctx
        grad = np.zeros_like(x, dtype=grad_output.dtype)
        if all(part is None or part is Ellipsis or isinstance(part, (int, slice))
               for part in (key if isinstance(key, tuple) else (key,))):
            grad[key] = grad_output  # no element is named twice
        else:
            np.add.at(grad, key, grad_output)
        return [grad]
