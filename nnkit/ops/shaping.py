"""Operations that move elements and compute nothing: another shape, another order, a whole of parts."""

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
class stack(Operation):
    """Any number of arrays of one shape along a new axis: stack(a, b, c, axis=-1)"""

    @staticmethod
    def forward(ctx, *arrays, axis=0):
        ctx.extend([len(arrays), axis])
        return np.stack(arrays, axis=axis)

    @staticmethod
    def backward(ctx, grad_output):
        count, axis = ctx
        before = (slice(None),) * (axis % grad_output.ndim)
        return [grad_output[before + (i,)] for i in range(count)]


@tensor_op
class pad(Operation):
    """x with pad_width more elements, of constant_value, before and after each axis

    pad_width: as np.pad has it, (before, after) for each axis, or one such pair or one number for all axes.
    """

    @staticmethod
    def forward(ctx, x, *, pad_width, constant_values=0):
        widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
        ctx.append(tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape)))
        return np.pad(x, widths, constant_values=constant_values)

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx
        return [grad_output[inside]]


@tensor_op
class flip(Operation):
    """The elements in reverse order along axis (an int, a tuple, or None for all)"""

    @staticmethod
    def forward(ctx, x, *, axis=None):
        ctx.append(axis)
        return np.flip(x, axis)

    @staticmethod
    def backward(ctx, grad_output):
        (axis,) = ctx
        return [np.flip(grad_output, axis)]
