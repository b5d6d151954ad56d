"""Rows of a table by number, one by one or summed by bags: the operations under every embedding."""

import numpy as np

from nnkit.autograd import Operation, RowGrad, tensor_op
from nnkit.autograd.rows import PAIRS, WORTH_COMPILING, compiled_rows, scatter_add_rows
from nnkit.ops.common import constant, nested, numbers
from nnkit.ops.indexing import scatter

SHORT = 1 << 12    # ids of a bag that may be added up one after the other in its own precision
FEW = 1 << 12      # numbers in the rows of a bag
LONGEST = 1 << 14  # ids of a bag whose rows are taken at once: those of a whole book would fill the memory


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
        return np.take(table, ids, axis=0, mode="clip")  # checked above; "raise" would check once more

    @staticmethod
    def backward(ctx, grad_output):
        ids, shape, padding, sparse = ctx
        rows, values = ids.flatten(), grad_output.reshape(-1, *shape[1:])
        if padding is not None:
            rows, values = rows[rows != padding], values[rows != padding]
        grad = RowGrad(rows, values, shape)
        return [grad if sparse else grad.dense(), None]

    @staticmethod
    def composed(table, ids, *, padding=None, sparse=True):
        ids = numbers(ids)
        rows = table[ids]
        if padding is None:
            return rows
        return np.where((ids == padding).reshape(ids.shape + (1,) * (table.ndim - 1)), constant(rows), rows)


class Bags:
    """Where each bag's ids lie: ids (n,), all of them in the order of their bags; bag (n,), the bag each is in; counts (bags,).

    `flat(x)` brings what has an entry for each id, weights, into the same order; `shaped(x)` is the way back.
    """

    def __init__(self, ids, n_rows, offsets, lengths):
        ids = np.asarray(ids)
        self.shape, self.kept = ids.shape, None
        if ids.ndim == 1 and offsets is not None and lengths is None:
            offsets = np.asarray(offsets)
            self.counts = np.diff(offsets, append=len(ids))
            if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or (self.counts < 0).any() or offsets[:1].any() or (
                    ids.size and not offsets.size):
                raise ValueError(f"embedding_bag: offsets must be ascending integers from 0 to the {len(ids)} ids, got {offsets}")
        elif ids.ndim == 2 and offsets is None:
            self.counts = np.full(len(ids), ids.shape[1]) if lengths is None else np.asarray(lengths)
            if lengths is not None:
                self.kept = np.arange(ids.shape[1]) < self.counts[:, None]
                if self.counts.shape != (len(ids),) or not (self.kept.sum(axis=1) == self.counts).all():
                    raise ValueError(f"embedding_bag: ids of shape {ids.shape} need {len(ids)} lengths from 0 to {ids.shape[1]}, "
                                     f"got {self.counts}")
        else:
            raise ValueError(f"embedding_bag: expected ids (n,) with offsets, or ids (bags, length) with or without lengths, "
                             f"got ids of shape {ids.shape}")
        self.ids = check_ids(self.flat(ids), n_rows)
        self.bag = np.repeat(np.arange(len(self.counts)), self.counts)

    def flat(self, x):
        return np.reshape(x, -1) if self.kept is None else x[self.kept]

    def shaped(self, x):
        return np.reshape(x, self.shape) if self.kept is None else nested(scatter, x, key=self.kept, shape=self.shape)

    def divisors(self, dtype):
        """(bags, 1): what a sum is divided by to be a mean; 1 for an empty bag, whose sum is 0."""
        return np.maximum(self.counts, 1).astype(dtype)[:, None]


def bag_sums(table: np.ndarray, bags: Bags, factors: np.ndarray | None) -> np.ndarray:
    """(bags, d): the sum of each bag's rows, each times its factor where there are factors, (n,)."""
    counts, size = bags.counts, len(bags.ids) * table.shape[1]
    sums = np.zeros((len(counts), table.shape[1]), np.result_type(table, *([] if factors is None else [factors])))
    # one bag alone is no reason to wait for numba; and a sum row by row of very many rows is not exact enough
    if (len(counts) > 1 and size >= WORTH_COMPILING and counts.max() <= SHORT and sums.dtype == table.dtype in PAIRS
            and table.flags.c_contiguous and compiled_rows() is not None):
        scatter_add_rows(sums, bags.bag, table, index=bags.ids, factors=factors)
        return sums
    ends = np.cumsum(counts)
    if size < FEW * len(counts):  # of small bags each is too little work for a product of its own
        filled, rows = counts > 0, np.take(table, bags.ids, axis=0)
        sums[filled] = np.add.reduceat(rows if factors is None else rows * factors[:, None], (ends - counts)[filled], axis=0)
        return sums
    ones = np.ones(min(LONGEST, counts.max(initial=0)), table.dtype)
    for bag, (end, length) in enumerate(zip(ends.tolist(), counts.tolist())):
        for begin in range(end - length, end, LONGEST):
            ids = bags.ids[begin:min(begin + LONGEST, end)]
            sums[bag] += (ones[:len(ids)] if factors is None else factors[begin:begin + len(ids)]) @ np.take(table, ids, axis=0)
    return sums


@tensor_op
class embedding_bag(Operation):
    """The sum or the mean of the rows table[i] for all ids i of a bag; (bags, d). Zeros for an empty bag.

    table: (V, d). ids: (n,) integers with offsets, the ascending places at which each bag begins; or (bags, length), of
    which the first lengths[b] count, or all. weights: of ids' shape, a factor for each row, or None; the mean divides by the
    number of ids, not by the weights. mode: "sum" or "mean". The gradient of the table is a RowGrad (one value a bag,
    unless the weights want a gradient, too), or with sparse=False an array.
    """

    @staticmethod
    def forward(ctx, table, ids, weights=None, *, offsets=None, lengths=None, mode="sum", sparse=True):
        if mode not in ("sum", "mean"):
            raise ValueError(f"embedding_bag: mode must be 'sum' or 'mean', got {mode!r}")
        bags = Bags(ids, len(table), offsets, lengths)
        factors = None
        if weights is not None:
            if weights.shape != bags.shape:
                raise ValueError(f"embedding_bag: weights of shape {weights.shape} for ids of shape {bags.shape}")
            factors = bags.flat(weights)
            factors = factors if factors.dtype.kind == "f" else factors.astype(table.dtype)
        sums = bag_sums(table, bags, factors)
        if mode == "mean":
            sums /= bags.divisors(sums.dtype)
        ctx.extend([table, bags, factors, mode, sparse])
        return sums

    @staticmethod
    def backward(ctx, grad_output):
        table, bags, factors, mode, sparse = ctx
        if mode == "mean":
            grad_output = grad_output / bags.divisors(grad_output.dtype)
        grad = grad_weights = None
        if factors is None:
            grad = RowGrad(bags.ids, grad_output, table.shape, bags.bag)
        elif len(ctx.needs_grad) < 3 or not ctx.needs_grad[2]:
            grad = RowGrad(bags.ids, grad_output, table.shape, bags.bag, factors)
        else:  # weights that are trained may have moved when the table's gradient is read
            spread = grad_output[bags.bag]
            grad_weights = bags.shaped(np.einsum("nd,nd->n", spread, np.take(table, bags.ids, axis=0)))
            if ctx.needs_grad[0]:
                spread *= factors[:, None]
                grad = RowGrad(bags.ids, spread, table.shape)
        return [grad if sparse or grad is None else grad.dense(), None, grad_weights][:len(ctx.needs_grad)]

    @staticmethod
    def composed(table, ids, weights=None, *, offsets=None, lengths=None, mode="sum", sparse=True):
        bags = Bags(numbers(ids), len(table), offsets, lengths)
        rows = table[bags.ids]
        if weights is not None:
            rows = rows * np.expand_dims(bags.flat(weights), 1)
        sums = nested(scatter, rows, key=bags.bag, shape=(len(bags.counts), table.shape[1]))
        return sums / bags.divisors(table.dtype) if mode == "mean" else sums
