"""The error function, which NumPy does not have: the normal distribution's, and so the exact GELU's.

For y >= 0, (1 + 2 y) exp(y²) erfc(y) lies between 1 and 1.25 and is smooth to infinity. So one polynomial in
t = (y - K) / (y + K), which runs from -1 to 1, serves the whole half-line, and every element takes the same few steps
(M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 <= x < ∞", Mathematics of
Computation 36 (1981)). The coefficients below are those of the Chebyshev series for K = 3.5, computed with 60 digits, cut
off where it is below the rounding of the precision, and written in powers of t. For erf near 0, where 1 - erfc would lose
digits: the rational function of W. J. Cody, Mathematics of Computation 23 (1969).
"""

import numpy as np

from nnkit.autograd import Operation, Tensor, tensor_op
from nnkit.ops.common import nested

K = 3.5
# Highest power first.
TAIL = {
    np.dtype(np.float32): [
        -6.252239498328185e-5, 4.488069200329125e-4, -3.686756885180334e-4, -4.0896859863240095e-3, 1.9137132114516182e-2,
        -4.888711373670462e-2, 8.797246909850051e-2, -1.1507481506339556e-1, 9.752040332370798e-2, -1.055685396626276e-2,
        -1.400092261762679e-1, 1.2423492622446575],
    np.dtype(np.float64): [
        6.9218472424089395e-9, 9.974108937015176e-10, -7.964393647370803e-8, -9.400597527840396e-9, 5.776043883970019e-7,
        -4.2033418093875594e-8, -3.7926480612187637e-6, 2.3264484905380665e-6, 2.42478383463427e-5, -4.2781267582158006e-5,
        -1.2150735579328694e-4, 5.643841044907852e-4, -3.0226912344206617e-4, -4.215019844978531e-3, 1.9099331128772476e-2,
        -4.882332583523347e-2, 8.798315380941167e-2, -1.1508959815975195e-1, 9.751909515384956e-2, -1.0555596332228639e-2,
        -1.400091801376261e-1, 1.2423492448711544],
}
SMALL = ([1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3],
         [1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3])
NEAR = 0.46875
SPLIT = {np.dtype(np.float32): 2.0 ** 12 + 1, np.dtype(np.float64): 2.0 ** 27 + 1}
BLOCK = 65_536  # bytes at a time: a few arrays of that size stay in the cache


def polynomial(coefficients, x):
    """Horner's rule, in x's own precision and one array."""
    value = coefficients[0] * x
    for c in coefficients[1:-1]:
        value += c
        value *= x
    value += coefficients[-1]
    return value


def gauss(x, scale):
    """exp(-scale x²), right to the last bits: x² is rounded, and a large x would multiply that error by itself."""
    square = x * x
    high = x * SPLIT[x.dtype]  # the upper half of the digits of x, by T. J. Dekker (1971): its square is exact
    high -= high - x
    lost = high * high
    lost -= square
    low = x - high
    low *= high + x  # x² - high² = (x - high) (x + high)
    lost += low
    lost *= scale
    square *= -scale
    value = np.exp(square, out=square)
    value -= lost * value
    return value


def erfc_of_positive(y, gauss_of_y):
    """1 - erf(y) for y >= 0, right to the last bits however small it is."""
    t = y + K
    np.divide(-2 * K, t, out=t)
    t += 1
    value = polynomial(TAIL[y.dtype], t)
    value *= gauss_of_y
    value /= 1 + 2 * y
    return value


def by_blocks(function, x):
    """function(array) of an array of any shape, layout and dtype, block by block."""
    x = np.asarray(x)
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    flat = np.ascontiguousarray(x, dtype).reshape(-1)
    result = np.empty_like(flat)
    n = BLOCK // flat.itemsize
    for start in range(0, flat.size, n):
        result[start:start + n] = function(flat[start:start + n])
    return result.reshape(x.shape)


# What by_blocks is given: functions of a flat array of float32 or float64.

def erfc_of(x):
    y = np.minimum(np.abs(x), 30)  # from there on it is zero in float64; a larger square might overflow
    value = erfc_of_positive(y, gauss(y, 1.0))
    return np.abs(np.multiply(x < 0, 2, dtype=x.dtype) - value)  # 2 - value, or value: quicker than np.where


def erf_of(x):
    y = np.abs(x)
    small = np.minimum(y, NEAR)
    square = small * small
    near = polynomial(SMALL[0], square) / polynomial(SMALL[1], square) * small
    y = np.minimum(y, 30)
    return np.copysign(np.where(y <= NEAR, near, 1 - erfc_of_positive(y, gauss(y, 1.0))), x)


def phi_of(x):
    y = np.minimum(np.abs(x), 42)
    value = erfc_of_positive(y * 0.5 ** 0.5, gauss(y, 0.5))
    value *= 0.5
    return np.abs((x > 0) - value)


def normal_distribution(x):
    """Φ(x) = erfc(-x / √2) / 2, the normal distribution's, of an array; of a Tensor where it is differentiated again."""
    return 0.5 * nested(erfc, x * -(0.5 ** 0.5)) if isinstance(x, Tensor) else by_blocks(phi_of, x)


@tensor_op
class erf(Operation):
    """The error function, 2/√π times the integral of exp(-t²) from 0 to x"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return nested(erf, x) if isinstance(x, Tensor) else by_blocks(erf_of, x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * np.exp(-x * x) * (2 / np.pi ** 0.5)]


@tensor_op
class erfc(Operation):
    """1 - erf(x), exact where that would round to zero"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return nested(erfc, x) if isinstance(x, Tensor) else by_blocks(erfc_of, x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * np.exp(-x * x) * (-2 / np.pi ** 0.5)]
