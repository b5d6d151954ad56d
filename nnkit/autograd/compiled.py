"""Adding rows into a table in machine code, for who has installed nnkit[fast]: a loop that NumPy has no quick form of.

Imported when the first large sum of rows needs it, for numba itself takes most of a second. The compiled code is kept on disk
(`__pycache__`, or where NUMBA_CACHE_DIR says), so that only the first run on a machine pays for compiling. The additions
are made in the order of the rows and round as NumPy's do: the same bits with and without.
"""

from numba import njit


@njit(cache=True, nogil=True)
def fit(places, size):
    """Whether all of them are in -size..size-1. Machine code would write behind the table."""
    for i in range(places.shape[0]):
        if places[i] < -size or places[i] >= size:
            return False
    return True


@njit(cache=True, nogil=True)
def add_rows(table, rows, values, scale):
    """table[rows[i]] += scale * values[i]. table (V, d), rows (n,), values (n, d), scale: a number of their dtype.

    False, and nothing is added, if a row does not fit.
    """
    if not fit(rows, table.shape[0]):
        return False
    for i in range(rows.shape[0]):
        row = rows[i]
        for j in range(table.shape[1]):
            table[row, j] += scale * values[i, j]
    return True


@njit(cache=True, nogil=True)
def add_shared_rows(table, rows, values, index, scale):
    """table[rows[i]] += scale * values[index[i]]. values: (m, d), index: (n,). False, as above, if one of either does not fit."""
    if not fit(rows, table.shape[0]) or not fit(index, values.shape[0]):
        return False
    for i in range(rows.shape[0]):
        row, source = rows[i], index[i]
        for j in range(table.shape[1]):
            table[row, j] += scale * values[source, j]
    return True


@njit(cache=True, nogil=True)
def add_weighted_rows(table, rows, values, index, factors):
    """table[rows[i]] += factors[i] * values[index[i]]. factors: (n,) of the table's dtype. False, as above, if one of rows and
    index does not fit."""
    if not fit(rows, table.shape[0]) or not fit(index, values.shape[0]):
        return False
    for i in range(rows.shape[0]):
        row, source, factor = rows[i], index[i], factors[i]
        for j in range(table.shape[1]):
            table[row, j] += factor * values[source, j]
    return True
