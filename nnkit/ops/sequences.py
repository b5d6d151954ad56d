"""Sequences of different lengths in one array: in which order a loop over time takes them.

Sorted by length, the sequences that are still running at a step are the first n. So each step works on the first n rows of the
states and of everything else, and what lies after the end of a sequence is neither computed nor read. This file has no
operation of its own; recurrent.py is built on it.
"""

from typing import Any

import numpy as np


class Steps:
    """The steps of a loop over time: `slices`, (rows, n) for each step that has anything to do, in the order of the loop.

    Packed arrays, (steps, k), hold the real steps alone: those of time 0, longest sequence first, then those of time 1 and so on.
    `packed(x)` makes one of an array (length, batch, k), `padded` is the way back, with zeros after the ends; `sorted(h)` brings
    a state (batch, hidden) into the same order, as a copy, and `unsorted` back. Without lengths there is nothing to move.

    ValueError for arrays that do not belong together, or lengths out of range; TypeError for lengths that are no integers.
    """

    def __init__(self, name, gates, x, states, weights, lengths, reverse):
        if x.ndim != 3 or weights[1].ndim != 2 or not len(x):
            raise ValueError(f"{name}: expected x (length, batch, inputs) of at least one step and weights of two axes, got "
                             f"{x.shape} and {weights[1].shape}")
        self.length, self.batch, inputs = x.shape
        self.hidden = len(weights[1])
        columns = gates * self.hidden
        expected = [(inputs, columns), (self.hidden, columns), (columns,), (columns,)]
        if weights[2] is None and weights[3] is None:
            weights, expected = weights[:2], expected[:2]
        expected += [(self.batch, self.hidden)] * len(states)
        found = [np.shape(array) for array in (*weights, *states)]  # () of a bias that is None alone
        if found != expected:
            raise ValueError(f"{name}: with x of shape {x.shape} expected weights and states of shapes "
                             f"{', '.join(map(str, expected))}, got {', '.join(map(str, found))}")
        self.order = self.back = self.places = None
        counts = np.full(self.length, self.batch)
        if lengths is not None:
            lengths = checked_lengths(name, lengths, self.batch, self.length)
            if (lengths < self.length).any():
                self.order = np.argsort(-lengths, kind="stable")
                self.back = np.argsort(self.order)
                running = np.arange(self.length)[:, None] < lengths[self.order]
                self.places = (np.arange(self.length)[:, None] * self.batch + self.order)[running]
                counts = running.sum(axis=1)
        ends = np.cumsum(counts).tolist()
        self.slices = [(slice(end - n, end), n) for end, n in zip(ends, counts.tolist()) if n]
        if reverse:  # sequences join from the longest to the shortest, each at its own last step
            self.slices.reverse()

    def packed(self, x):
        x = np.reshape(x, (self.length * self.batch, x.shape[2]))
        return x if self.places is None else x[self.places]

    def padded(self, x):
        if self.places is None:
            return x.reshape(self.length, self.batch, x.shape[1])
        y = np.zeros((self.length, self.batch, x.shape[1]), x.dtype)
        y.reshape(-1, x.shape[1])[self.places] = x
        return y

    def sorted(self, h):
        return h.copy() if self.order is None else h[self.order]

    def unsorted(self, h):
        return h if self.back is None else h[self.back]

    def result(self, after, *states):
        """(length + states, batch, hidden): h at every step, with zeros after the ends, and the last states."""
        y = np.empty((self.length + len(states), self.batch, self.hidden), after.dtype)
        y[:self.length] = self.padded(after)
        for i, state in enumerate(states, self.length):
            y[i] = self.unsorted(state)
        return y


def checked_lengths(name, lengths, batch, longest):
    """lengths as an array (batch,) of integers from 1 to longest; TypeError or ValueError, with what was found, otherwise."""
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"{name}: lengths must be integers, got {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(f"{name}: expected {batch} lengths, one for each sequence of the batch, got an array of shape "
                         f"{lengths.shape}")
    wrong = np.flatnonzero((lengths < 1) | (lengths > longest))
    if wrong.size:
        raise ValueError(f"{name}: expected lengths from 1 to {longest}, the steps of the input, got {lengths[wrong[0]]} for "
                         f"sequence {wrong[0]}")
    return lengths


def in_one_dtype(*arrays):
    """The arrays, None among them, in the dtype that the floating ones have together."""
    dtype = np.result_type(*(a.dtype for a in arrays if a is not None and a.dtype.kind == "f"))
    return [None if a is None else a.astype(dtype, copy=False) for a in arrays]


def over_time(step, x, states, lengths, reverse):
    """The same loop in plain operations: every step is computed for all sequences, and kept for those that are still running.

    step(x_t, *states) -> the new states, of which the first is h. What Steps and the loops of recurrent.py are compared with.
    """
    outputs: list[Any] = [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        if lengths is None:
            states = step(x[t], *states)
            outputs[t] = states[0]
        else:
            running = (t < lengths)[:, None]
            new = step(np.where(running, x[t], 0), *states)  # nothing that lies after an end, for NaN times 0 would be NaN
            outputs[t] = np.where(running, new[0], 0)
            states = [np.where(running, after, before) for after, before in zip(new, states)]
    return np.stack([*outputs, *states])
