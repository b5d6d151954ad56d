"""Recurrent networks: the whole loop over time as one operation, with its own way back through time.

Written in plain operations (`composed` below, where the equations are read most easily) a loop over 32 steps makes some 500
nodes of a graph. Here x W of all steps is one product before the loop, each step works in place in arrays that were made
beforehand, and the gradients of the weights are one product after the loop back. sequences.py has the order of the steps.

All three take x (length, batch, inputs) and states (batch, hidden), and return one array (length + states, batch, hidden):
h at every step, then the last h, then, of an LSTM, the last c. σ is computed as (1 + tanh(x/2)) / 2, so that one tanh in place
serves all gates; the weights of its inputs are halved beforehand, which costs no digit.
"""

import numpy as np

from nnkit.autograd import Operation, tensor_op
from nnkit.ops.activations import relu, sigmoid
from nnkit.ops.common import nested, numbers
from nnkit.ops.sequences import Steps, in_one_dtype, over_time


def weight_gradients(ctx, i, factor, grad):
    """Of a weight, which is input i, and of its bias, input i + 2: sums over all steps. None for what nobody wants.

    factor: (steps, k), what the weight was multiplied with; grad: (steps, gates · hidden), the gradient of product and bias.
    """
    weight = np.matmul(factor.T, grad, out=ctx.out(i)) if ctx.needs_grad[i] else None
    has_bias = len(ctx.needs_grad) > i + 2 and ctx.needs_grad[i + 2]
    return weight, np.add.reduce(grad, axis=0, out=ctx.out(i + 2)) if has_bias else None


def room(states, gates, steps, hidden, dtype):
    """Empty arrays for what forward keeps: `states` of (steps, hidden), and one of (steps, gates · hidden).

    They are one piece of memory: a C library that has once seen a large piece freed keeps as much for the next time. Several
    smaller ones go back to the system, which hands them out again page by page, and that takes a quarter of the time.
    """
    whole = np.empty((states + gates, steps, hidden), dtype)
    return whole[:states], whole[states:].reshape(steps, gates * hidden)


@tensor_op
class rnn(Operation):
    """h_t = tanh(x_t W_ih + b_ih + h_(t-1) W_hh + b_hh) for every step t (Elman, 1990); (length + 1, batch, hidden)

    The last of them is the state after each sequence's last step. x: (length, batch, inputs), h_0: (batch, hidden),
    W_ih: (inputs, hidden), W_hh: (hidden, hidden), biases: (hidden,) or both None. lengths: (batch,) integers from 1 to length,
    or None for all: after its own length a sequence's h is 0. reverse: from the last step to the first. nonlinearity: "tanh" or
    "relu". name: what errors call it. ValueError for what does not fit, TypeError for lengths that are no integers.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, h_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, nonlinearity="tanh",
                reverse=False, name="rnn"):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"{name}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        x, h_0, weight_ih, weight_hh, bias_ih, bias_hh = in_one_dtype(x, h_0, weight_ih, weight_hh, bias_ih, bias_hh)
        steps = Steps(name, 1, x, (h_0,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, reverse)
        inputs, h = steps.packed(x), steps.sorted(h_0)
        after = np.matmul(inputs, weight_ih)
        if bias_ih is not None:
            after += bias_ih + bias_hh
        before, product = np.empty_like(after), np.empty_like(h)
        for rows, n in steps.slices:
            before[rows] = h[:n]
            a = after[rows]
            a += np.matmul(h[:n], weight_hh, out=product[:n])
            if nonlinearity == "tanh":
                np.tanh(a, out=a)
            else:
                np.maximum(a, 0, out=a)
            h[:n] = a
        ctx.extend([steps, inputs, before, after, weight_ih, weight_hh, nonlinearity])
        return steps.result(after, h)

    @staticmethod
    def backward(ctx, grad_output):
        steps, inputs, before, after, weight_ih, weight_hh, nonlinearity = ctx
        d_after, d_h = steps.packed(grad_output[:-1]), steps.sorted(grad_output[-1])
        d_a, back = np.empty_like(after), np.ascontiguousarray(weight_hh.T)
        for rows, n in reversed(steps.slices):
            a, d = after[rows], d_a[rows]
            np.add(d_h[:n], d_after[rows], out=d)
            if nonlinearity == "tanh":
                d *= 1 - a * a
            else:
                d *= a > 0
            np.matmul(d, back, out=d_h[:n])
        d_weight_ih, d_bias_ih = weight_gradients(ctx, 2, inputs, d_a)
        d_weight_hh, d_bias_hh = weight_gradients(ctx, 3, before, d_a)
        d_x = steps.padded(np.matmul(d_a, weight_ih.T)) if ctx.needs_grad[0] else None
        return [d_x, steps.unsorted(d_h), d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, None][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, h_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, nonlinearity="tanh", reverse=False,
                 name="rnn"):
        def step(x, h):
            a = np.matmul(x, weight_ih) + np.matmul(h, weight_hh)
            a = a if bias_ih is None else a + bias_ih + bias_hh
            return [np.tanh(a) if nonlinearity == "tanh" else nested(relu, a)]

        return over_time(step, x, [h_0], None if lengths is None else numbers(lengths), reverse)


@tensor_op
class lstm(Operation):
    """The long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000); (length + 2, batch, hidden)

        i, f, g, o = x_t W_ih + b_ih + h_(t-1) W_hh + b_hh
        c_t = σ(f) c_(t-1) + σ(i) tanh(g)        h_t = σ(o) tanh(c_t)

    The result is h of every step, then h and c after each sequence's last step. x: (length, batch, inputs), h_0 and c_0:
    (batch, hidden), W_ih: (inputs, 4 hidden), W_hh: (hidden, 4 hidden), biases: (4 hidden,) or both None. lengths, reverse,
    name and errors as in rnn.
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, h_0, c_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, reverse=False, name="lstm"):
        x, h_0, c_0, weight_ih, weight_hh, bias_ih, bias_hh = in_one_dtype(
            x, h_0, c_0, weight_ih, weight_hh, bias_ih, bias_hh)
        steps = Steps(name, 4, x, (h_0, c_0), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, reverse)
        size = steps.hidden
        half, is_tanh = np.full(4 * size, 0.5, x.dtype), np.zeros(4 * size, x.dtype)
        half[2 * size:3 * size] = is_tanh[2 * size:3 * size] = 1
        inputs, h, c = steps.packed(x), steps.sorted(h_0), steps.sorted(c_0)
        (h_before, c_before, tanh_c, after), gates = room(4, 4, len(inputs), size, x.dtype)
        np.matmul(inputs, weight_ih * half, out=gates)
        if bias_ih is not None:
            gates += (bias_ih + bias_hh) * half
        weight = weight_hh * half
        product, shift, new = np.empty((len(h), 4 * size), x.dtype), 1 - half, np.empty_like(h)
        for rows, n in steps.slices:
            h_before[rows], c_before[rows] = h[:n], c[:n]
            a = gates[rows]
            a += np.matmul(h[:n], weight, out=product[:n])
            np.tanh(a, out=a)
            a *= half  # 0.5 and 0.5 make tanh(x/2) σ(x); 1 and 0 leave tanh(g)
            a += shift
            i, f, g, o = (a[:, k * size:(k + 1) * size] for k in range(4))
            c[:n] *= f
            c[:n] += np.multiply(i, g, out=new[:n])
            np.multiply(o, np.tanh(c[:n], out=tanh_c[rows]), out=h[:n])
            after[rows] = h[:n]
        ctx.extend([steps, inputs, h_before, c_before, tanh_c, gates, weight_ih, weight_hh, is_tanh])
        return steps.result(after, h, c)

    @staticmethod
    def backward(ctx, grad_output):
        steps, inputs, h_before, c_before, tanh_c, gates, weight_ih, weight_hh, is_tanh = ctx
        size = steps.hidden
        d_after, d_h, d_c = steps.packed(grad_output[:-2]), steps.sorted(grad_output[-2]), steps.sorted(grad_output[-1])
        d_gates, back = np.empty_like(gates), np.ascontiguousarray(weight_hh.T)
        slope, other, part = np.empty((len(d_h), 4 * size), gates.dtype), np.empty_like(gates[:len(d_h)]), np.empty_like(d_h)
        for rows, n in reversed(steps.slices):
            a, d = gates[rows], d_gates[rows]
            i, f, g, o = (a[:, k * size:(k + 1) * size] for k in range(4))
            d_i, d_f, d_g, d_o = (d[:, k * size:(k + 1) * size] for k in range(4))
            dh, dc, p, t = d_h[:n], d_c[:n], part[:n], tanh_c[rows]
            dh += d_after[rows]
            np.multiply(dh, t, out=d_o)
            np.multiply(t, t, out=p)  # c_t leads to h_t by σ(o) (1 - tanh²(c_t))
            np.subtract(1, p, out=p)
            p *= o
            p *= dh
            dc += p
            np.multiply(dc, g, out=d_i)
            np.multiply(dc, c_before[rows], out=d_f)
            np.multiply(dc, i, out=d_g)
            dc *= f
            np.add(a, is_tanh, out=slope[:n])  # y (1 - y) where y is σ, (y + 1) (1 - y) where it is tanh
            slope[:n] *= np.subtract(1, a, out=other[:n])
            d *= slope[:n]
            np.matmul(d, back, out=dh)
        d_weight_ih, d_bias_ih = weight_gradients(ctx, 3, inputs, d_gates)
        d_weight_hh, d_bias_hh = weight_gradients(ctx, 4, h_before, d_gates)
        d_x = steps.padded(np.matmul(d_gates, weight_ih.T)) if ctx.needs_grad[0] else None
        return [d_x, steps.unsorted(d_h), steps.unsorted(d_c), d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh,
                None][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, h_0, c_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, reverse=False, name="lstm"):
        def step(x, h, c):
            a = np.matmul(x, weight_ih) + np.matmul(h, weight_hh)
            i, f, g, o = np.split(a if bias_ih is None else a + bias_ih + bias_hh, 4, axis=-1)
            c = nested(sigmoid, f) * c + nested(sigmoid, i) * np.tanh(g)
            return [nested(sigmoid, o) * np.tanh(c), c]

        return over_time(step, x, [h_0, c_0], None if lengths is None else numbers(lengths), reverse)


@tensor_op
class gru(Operation):
    """The gated recurrent unit (Cho et al., 2014), its reset gate after the product, as in PyTorch; (length + 1, batch, hidden)

        a_r, a_z, a_n = x_t W_ih + b_ih          q_r, q_z, q_n = h_(t-1) W_hh + b_hh
        r = σ(a_r + q_r)        z = σ(a_z + q_z)        n = tanh(a_n + r q_n)
        h_t = (1 - z) n + z h_(t-1)

    Shapes, lengths, reverse, name and errors as in rnn; weights (inputs, 3 hidden) and (hidden, 3 hidden), biases (3 hidden,).
    """

    returns_new = True

    @staticmethod
    def forward(ctx, x, h_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, reverse=False, name="gru"):
        x, h_0, weight_ih, weight_hh, bias_ih, bias_hh = in_one_dtype(x, h_0, weight_ih, weight_hh, bias_ih, bias_hh)
        steps = Steps(name, 3, x, (h_0,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, reverse)
        size = steps.hidden
        half = np.full(3 * size, 0.5, x.dtype)
        half[2 * size:] = 1
        inputs, h = steps.packed(x), steps.sorted(h_0)
        (before, q_n, after), gates = room(3, 3, len(inputs), size, x.dtype)
        np.matmul(inputs, weight_ih * half, out=gates)
        if bias_ih is not None:
            gates += bias_ih * half
            bias_hh = bias_hh * half
        weight = weight_hh * half
        product, new = np.empty((len(h), 3 * size), x.dtype), np.empty_like(h)
        for rows, n in steps.slices:
            before[rows] = h[:n]
            a, q = gates[rows], np.matmul(h[:n], weight, out=product[:n])
            if bias_hh is not None:
                q += bias_hh
            rz, a_n, p = a[:, :2 * size], a[:, 2 * size:], new[:n]
            rz += q[:, :2 * size]
            np.tanh(rz, out=rz)
            rz *= 0.5
            rz += 0.5
            q_n[rows] = q[:, 2 * size:]
            a_n += np.multiply(rz[:, :size], q_n[rows], out=p)
            np.tanh(a_n, out=a_n)
            np.subtract(h[:n], a_n, out=p)
            p *= rz[:, size:]
            np.add(a_n, p, out=h[:n])  # n + z (h - n)
            after[rows] = h[:n]
        ctx.extend([steps, inputs, before, q_n, gates, weight_ih, weight_hh])
        return steps.result(after, h)

    @staticmethod
    def backward(ctx, grad_output):
        steps, inputs, before, q_n, gates, weight_ih, weight_hh = ctx
        size = steps.hidden
        d_after, d_h = steps.packed(grad_output[:-1]), steps.sorted(grad_output[-1])
        d_q, d_n, back = np.empty_like(gates), np.empty_like(q_n), np.ascontiguousarray(weight_hh.T)
        product = np.empty_like(d_h)
        for rows, n in reversed(steps.slices):
            a, d, dh, da = gates[rows], d_q[rows], d_h[:n], d_n[rows]
            r, z, new = (a[:, k * size:(k + 1) * size] for k in range(3))
            d_r, d_z, d_qn = (d[:, k * size:(k + 1) * size] for k in range(3))
            dh += d_after[rows]
            np.subtract(1, z, out=da)
            np.subtract(before[rows], new, out=d_z)
            d_z *= z
            d_z *= da
            d_z *= dh
            da *= dh
            da *= 1 - new * new
            np.multiply(da, r, out=d_qn)
            np.multiply(d_qn, q_n[rows], out=d_r)
            d_r *= 1 - r
            dh *= z
            dh += np.matmul(d, back, out=product[:n])
        d_weight_hh, d_bias_hh = weight_gradients(ctx, 3, before, d_q)
        d_q[:, 2 * size:] = d_n  # now it is the gradient of a, whose part in n has no factor r
        d_weight_ih, d_bias_ih = weight_gradients(ctx, 2, inputs, d_q)
        d_x = steps.padded(np.matmul(d_q, weight_ih.T)) if ctx.needs_grad[0] else None
        return [d_x, steps.unsorted(d_h), d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, None][:len(ctx.needs_grad)]

    @staticmethod
    def composed(x, h_0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, lengths=None, *, reverse=False, name="gru"):
        def step(x, h):
            a, q = np.matmul(x, weight_ih), np.matmul(h, weight_hh)
            if bias_ih is not None:
                a, q = a + bias_ih, q + bias_hh
            (a_r, a_z, a_n), (q_r, q_z, q_n) = np.split(a, 3, axis=-1), np.split(q, 3, axis=-1)
            r, z = nested(sigmoid, a_r + q_r), nested(sigmoid, a_z + q_z)
            return [(1 - z) * np.tanh(a_n + r * q_n) + z * h]

        return over_time(step, x, [h_0], None if lengths is None else numbers(lengths), reverse)
