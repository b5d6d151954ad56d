"""The error function, which NumPy does not have: the normal distribution's, and so the exact GELU's.

Rational approximations of W. J. Cody, "Rational Chebyshev approximation for the error function", Mathematics of
Computation 23 (1969): one for small |x|, one for the middle and one for the tail, each good to the last bits of float64.
"""

import numpy as np

from nnkit.autograd import Operation, Tensor, tensor_op
from nnkit.ops.common import nested

# Numerators and denominators, highest power first.
SMALL = ([1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3],
         [1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3])
MIDDLE = ([2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
           8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3],
          [1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
           3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3])
TAIL = ([1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2,
         6.58749161529837803e-4],
        [1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
         2.33520497626869185e-3])


def ratio(coefficients, x):
    """Numerator / denominator by Horner's rule, in x's own precision."""
    values = []
    for polynomial in coefficients:
        value = polynomial[0] * x
        for c in polynomial[1:-1]:
            value = (value + c) * x
        values.append(value + polynomial[-1])
    return values[0] / values[1]


def erfc_of_positive(y):
    """1 - erf(y) for y > 0.46875, right to the last bits however small it is."""
    y = np.minimum(y, 30)  # from there on it is zero in float64; a larger square might overflow
    coarse = np.trunc(y * 16) / 16  # its square is exact: exp(-y * y) would lose what y * y rounds
    gauss = np.exp(-coarse * coarse) * np.exp(-(y - coarse) * (y + coarse))
    result = np.empty_like(y)
    middle = y <= 4
    result[middle] = ratio(MIDDLE, y[middle])
    y = y[~middle]
    inverse = 1 / (y * y)
    result[~middle] = (1 / np.sqrt(np.pi, dtype=y.dtype) - inverse * ratio(TAIL, inverse)) / y
    return gauss * result


def error_function(x, complement):
    """erf(x), or with complement erfc(x) = 1 - erf(x), of an array of any shape."""
    flat = x.reshape(-1)
    size = np.abs(flat)
    small = size <= 0.46875
    result = np.empty_like(flat)
    near = flat[small]
    erf_near = near * ratio(SMALL, near * near)
    result[small] = 1 - erf_near if complement else erf_near
    far = erfc_of_positive(size[~small])
    if complement:
        result[~small] = np.where(flat[~small] < 0, 2 - far, far)
    else:
        result[~small] = np.copysign(1 - far, flat[~small])
    return result.reshape(x.shape)


@tensor_op
class erf(Operation):
    """The error function, 2/√π times the integral of exp(-t²) from 0 to x"""

    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return nested(erf, x) if isinstance(x, Tensor) else error_function(x, complement=False)

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
        return nested(erfc, x) if isinstance(x, Tensor) else error_function(x, complement=True)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx
        return [grad_output * np.exp(-x * x) * (-2 / np.pi ** 0.5)]
