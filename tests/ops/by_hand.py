"""Sequences as in a textbook, in NumPy: one alone, cut to its length, one step, head or place after the other."""

import numpy as np


def sigma(x):
    return 1 / (1 + np.exp(-x))


def recurrence(step, x, states, lengths, reverse):
    length, batch, _ = x.shape
    y = np.zeros((length + len(states), *states[0].shape))
    for k in range(batch):
        now, n = [state[k] for state in states], length if lengths is None else lengths[k]
        for t in reversed(range(n)) if reverse else range(n):
            now = step(x[t, k], *now)
            y[t, k] = now[0]
        y[length:, k] = now
    return y


def rnn(x, h, w, u, b=0, d=0, lengths=None, nonlinearity="tanh", reverse=False):
    bend = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}[nonlinearity]
    return recurrence(lambda x, h: [bend(x @ w + b + h @ u + d)], x, [h], lengths, reverse)


def lstm(x, h, c, w, u, b=0, d=0, lengths=None, reverse=False):
    def step(x, h, c):
        i, f, g, o = np.split(x @ w + b + h @ u + d, 4)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        return sigma(o) * np.tanh(c), c

    return recurrence(step, x, [h, c], lengths, reverse)


def gru(x, h, w, u, b=0, d=0, lengths=None, reverse=False):
    def step(x, h):
        (r, z, n), (q_r, q_z, q_n) = np.split(x @ w + b, 3), np.split(h @ u + d, 3)
        z = sigma(z + q_z)
        return [(1 - z) * np.tanh(n + sigma(r + q_r) * q_n) + z * h]

    return recurrence(step, x, [h], lengths, reverse)


def masked_softmax(x, *masks, causal=False):
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        seen = [j for j in range(x.shape[-1]) if not (causal and j > place[-1])
                and not any(np.broadcast_to(mask, x.shape)[(*place, j)] for mask in masks)]
        if seen:
            y[place][seen] = np.exp(x[place][seen]) / np.exp(x[place][seen]).sum()
    return y


def attention(q, k, v, *masks, heads=1, causal=False):
    queries, keys, values = (np.array(np.split(x, heads, axis=2)) for x in (q, k, v))  # (heads, batch, length, n)
    scores = np.einsum("hbin,hbjn->bhij", queries, keys) / queries.shape[3] ** 0.5
    return np.concatenate(list(np.einsum("bhij,hbjm->hbim", masked_softmax(scores, *masks, causal=causal), values)), axis=2)


def convolution(x, w, b=0, stride=1, padding=0, dilation=1):
    reach = dilation * (len(w) - 1)
    ends = {"valid": (0, 0), "same": (reach // 2, reach - reach // 2)}.get(padding, (padding, padding))
    x = np.pad(x, ((0, 0), (0, 0), ends))
    places = range(0, x.shape[2] - reach, stride)
    return np.stack([sum(x[:, :, t + k * dilation] @ w[k] for k in range(len(w))) + b for t in places], axis=2)


def max_over_time(x, lengths=None):
    lengths = [x.shape[2]] * len(x) if lengths is None else lengths
    return np.array([one[:, :n].max(axis=1) for one, n in zip(x, lengths)]).reshape(x.shape[:2])


def max_pool(x, kernel_size, stride=None, padding=0, dilation=1):
    x, reach = np.pad(x, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf), dilation * (kernel_size - 1) + 1
    places = range(0, x.shape[2] - reach + 1, stride or kernel_size)
    return np.stack([x[:, :, t:t + reach:dilation].max(axis=2) for t in places], axis=2)
