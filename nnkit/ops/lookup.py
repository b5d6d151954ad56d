"""Rows of a table by number: the operation under every embedding."""

import numpy as np

from nnkit.autograd import Operation, RowGrad, tensor_op


def check_ids(ids, n_rows: int) -> np.ndarray:
    """ids as an array of integers in 0..n_rows-1; TypeError or IndexError, with what was found, where they are not."""
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"embedding: ids must be integers, got {ids.dtype}")
    # As unsigned numbers negative ids are huge: one look finds both mistakes.
    if ids.size and ids.view(f"u{ids.itemsize}").max() >= n_rows:
        raise IndexError(f"embedding: ids from {ids.min()} to {ids.max()} do not fit a table of {n_rows} rows, 0..{n_rows - 1}")
    return ids


@tensor_op
class embedding(Operation):
    """table[ids]. table: (V, d), ids: integers of any shape; the result is ids' shape + (d,).

    The gradient is a RowGrad, only rows that were looked up, or with sparse=False an array. padding: a row that gets no
    gradient, or None.
    """

    @staticmethod
    def forward(ctx, table, ids, *, padding=None, sparse=True):
        ids = check_ids(ids, len(table))
        ctx.extend([ids, table.shape, padding, sparse])
        return np.take(table, ids, axis=0)

    @staticmethod
    def backward(ctx, grad_output):
        ids, shape, padding, sparse = ctx
        rows, values = ids.flatten(), grad_output.reshape(-1, *shape[1:])
        if padding is not None:
            rows, values = rows[rows != padding], values[rows != padding]
        grad = RowGrad(rows, values, shape)
        return [grad if sparse else grad.dense(), None]
