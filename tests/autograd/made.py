"""Operations that tests make to order."""

from nnkit import Operation, tensor_op


def make_op(backward_of, name="strange", inputs=1, **flags):
    """An operation that adds its inputs, with the backward that is given."""
    def forward(ctx, *arrays):
        return sum(arrays[1:], arrays[0] + 0.0)

    return tensor_op(type(name, (Operation,), {"forward": staticmethod(forward), "backward": staticmethod(backward_of), **flags}))
