"""The table of cases: every operation, and the inputs it is checked on. A new operation needs one row here and no other test.

    case(ops.tanh, normal(3, 4))                                      # an operation and its inputs
    case(ops.max, normal(3, 4), axis=[None, 0], keepdims=[False, True])   # a list of values: all combinations are cases
    elementwise(ops.tanh, normal())                                   # in many shapes: (3, 4), (), (0,), ...
    binary(ops.add, normal(), normal())                               # in many pairs of shapes that broadcast

An input is described, not given: a shape and how to draw it, so that every test draws its own in the precision it wants.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnkit import ops


@dataclass(frozen=True)
class Input:
    """An array to be drawn: its shape, and a function of (rng, shape). Floating ones come in the dtype that is asked for."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], Any]
    shape: tuple[int, ...] = ()
    floating: bool = True

    def array(self, rng: np.random.Generator, dtype: Any = np.float64) -> Any:
        x = np.asarray(self.draw(rng, self.shape))
        return x.astype(dtype) if self.floating else x


def normal(*shape: int) -> Input:
    return Input(lambda rng, shape: rng.standard_normal(shape), shape)


def uniform(*shape: int, low: float, high: float) -> Input:
    return Input(lambda rng, shape: rng.uniform(low, high, shape), shape)


def away_from_zero(*shape: int) -> Input:
    """0.2 to 2 on either side: for what has a kink at 0, or divides."""
    return Input(lambda rng, shape: rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape), shape)


def distinct(*shape: int) -> Input:
    """No two elements closer than 0.1: for what has a kink where they meet."""
    return Input(lambda rng, shape: rng.permutation(np.prod(shape, dtype=int)).reshape(shape) * 0.3 - 1 +
                 rng.uniform(-0.1, 0.1, shape), shape)


def zeros_among(*shape: int) -> Input:
    """Every third element is exactly 0, the others as `away_from_zero`."""
    return Input(lambda rng, shape: rng.uniform(0.2, 2, shape) *
                 (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 3 > 0), shape)


def integers(*shape: int, high: int) -> Input:
    return Input(lambda rng, shape: rng.integers(0, high, shape), shape, floating=False)


def exactly(*values: int) -> Input:
    return Input(lambda rng, shape: np.array(values), (len(values),), floating=False)


def booleans(*shape: int) -> Input:
    return Input(lambda rng, shape: rng.random(shape) < 0.5, shape, floating=False)


@dataclass(frozen=True)
class Fresh:
    """An attribute that is made anew for every call: a generator with the same seed."""

    make: Callable[[], Any]


@dataclass(frozen=True)
class Case:
    operation: Callable
    inputs: tuple[Input, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.operation.operation.__name__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        parts = ["x".join(map(str, x.shape)) or "number" for x in self.inputs]
        parts += [f"{k}={v}".replace(" ", "") for k, v in self.attributes.items() if not isinstance(v, Fresh)]
        return f"{self.name}({','.join(parts)})"

    def arrays(self, dtype: Any = np.float64, seed: int = 0) -> list[Any]:
        rng = np.random.default_rng(seed)
        return [x.array(rng, dtype) for x in self.inputs]

    def plain(self) -> dict[str, Any]:
        return {k: v.make() if isinstance(v, Fresh) else v for k, v in self.attributes.items()}

    def __call__(self, *inputs: Any) -> Any:
        return self.operation(*inputs, **self.plain())


CASES: list[Case] = []
BINARY: list[tuple[Callable, Input, Input]] = []


def case(operation: Callable, *inputs: Input, **attributes: Any) -> None:
    choices = [v if isinstance(v, list) else [v] for v in attributes.values()]
    CASES.extend(Case(operation, inputs, dict(zip(attributes, values))) for values in itertools.product(*choices))


SHAPES = [(3, 4), (), (1,), (0,), (2, 0, 3), (2, 1, 3)]
PAIRS = [((3, 4), (3, 4)), ((1,), (5, 4)), ((4, 1), (1, 4)), ((3,), (2, 3)), ((), (2,)), ((), ()), ((2, 1, 3), (4, 1)),
         ((0,), (1,)), ((3, 0), (3, 1))]


def elementwise(operation: Callable, x: Input, **attributes: Any) -> None:
    for shape in SHAPES:
        case(operation, replace(x, shape=shape), **attributes)


def binary(operation: Callable, a: Input, b: Input) -> None:
    """Every pair of shapes both ways round."""
    BINARY.append((operation, a, b))
    for one, other in dict.fromkeys(pair for p in PAIRS for pair in (p, p[::-1])):
        case(operation, replace(a, shape=one), replace(b, shape=other))


# Arithmetic
binary(ops.add, normal(), normal())
binary(ops.subtract, normal(), normal())
binary(ops.multiply, normal(), normal())
binary(ops.divide, normal(), away_from_zero())
binary(ops.power, uniform(low=0.3, high=2), uniform(low=-2, high=3))
elementwise(ops.negative, normal())
elementwise(ops.absolute, away_from_zero())
elementwise(ops.sign, away_from_zero())

# Elementwise
elementwise(ops.exp, normal())
elementwise(ops.log, uniform(low=0.1, high=3))
elementwise(ops.sqrt, uniform(low=0.1, high=3))
elementwise(ops.square, normal())
elementwise(ops.expm1, normal())
elementwise(ops.log1p, uniform(low=-0.8, high=3))
elementwise(ops.sin, normal())
elementwise(ops.cos, normal())
elementwise(ops.erf, uniform(low=-6, high=6))
elementwise(ops.erfc, uniform(low=-6, high=6))
elementwise(ops.tanh, normal())
elementwise(ops.sigmoid, normal())
elementwise(ops.relu, away_from_zero())
elementwise(ops.leaky_relu, away_from_zero(), negative_slope=[0.01, 0.3])
elementwise(ops.elu, away_from_zero(), alpha=[1.0, 0.5])
elementwise(ops.gelu, normal(), approximate=["none", "tanh"])
elementwise(ops.silu, normal())
elementwise(ops.softplus, normal(), beta=[1.0, 2.5])
elementwise(ops.log_sigmoid, normal())
elementwise(ops.clip, distinct(), min=[None, -0.4], max=[0.8])
case(ops.clip, distinct(3, 4), min=-0.4)
case(ops.clip, distinct(3, 1), min=np.array([-0.4, 0.5]), max=np.array([[0.8], [1.1], [2]]))
binary(ops.maximum, uniform(low=0, high=1), uniform(low=1.1, high=2))
binary(ops.maximum, normal(), normal())
binary(ops.minimum, uniform(low=0, high=1), uniform(low=1.1, high=2))
binary(ops.minimum, normal(), normal())
case(ops.where, booleans(3, 4), normal(3, 4), normal(3, 4))
case(ops.where, booleans(3, 1), normal(4), normal())
case(ops.where, booleans(), normal(2, 3), normal(1, 3))
case(ops.where, booleans(2, 0), normal(2, 0), normal(1))
elementwise(ops.dropout, normal(), p=[0.0, 0.4], rng=Fresh(lambda: np.random.default_rng(3)))

# Reductions
for reduction in (ops.sum, ops.mean):
    case(reduction, normal(3, 4), axis=[None, 0, -1, (0, 1), ()], keepdims=[False, True])
    case(reduction, normal(2, 3, 2), axis=[1, (0, 2), (-1, 0)], keepdims=[False, True])
    case(reduction, normal(), axis=None, keepdims=[False, True])
    case(reduction, normal(3, 0), axis=0)
case(ops.sum, normal(0, 3), axis=[None, 0, 1])
for correction in (0, 1):
    case(ops.var, normal(3, 4), axis=[None, 0, -1, (0, 1)], keepdims=[False, True], correction=correction)
    case(ops.var, normal(2, 3, 2), axis=[1, (0, -1)], keepdims=[False, True], correction=correction)
    case(ops.var, normal(3, 0), axis=0, correction=correction)
case(ops.var, normal(), axis=None)
case(ops.norm, normal(3, 4), axis=[None, 0, -1, (0, 1)], keepdims=[False, True])
case(ops.norm, normal(2, 3, 2), axis=[1, (0, -1)], keepdims=[False, True])
case(ops.norm, away_from_zero())
case(ops.norm, normal(0, 3), axis=[None, 0, 1], keepdims=[False, True])
case(ops.cumsum, normal(3, 4), axis=[None, 0, -1])
case(ops.cumsum, normal(2, 3, 2), axis=1)
case(ops.cumsum, normal(), axis=[None, 0])
case(ops.cumsum, normal(0, 3), axis=[None, 0, 1])
for factor in (away_from_zero, zeros_among):
    case(ops.prod, factor(3, 4), axis=[None, 0, -1, (0, 1), ()], keepdims=[False, True])
    case(ops.prod, factor(2, 3, 2), axis=[1, (0, -1), (-1, 0)], keepdims=[False, True])
    case(ops.prod, factor(), axis=None, keepdims=[False, True])
case(ops.prod, normal(0, 3), axis=[None, 0, 1], keepdims=[False, True])
for extreme in (ops.max, ops.min):
    case(extreme, distinct(3, 4), axis=[None, 0, -1, (0, 1)], keepdims=[False, True])
    case(extreme, distinct(2, 3, 2), axis=[1, (0, 2)], keepdims=[False, True])
    case(extreme, distinct(), axis=None)
    case(extreme, distinct(3, 0), axis=0)
case(ops.logsumexp, normal(3, 4), axis=[None, 0, -1, (0, 1)], keepdims=[False, True])
case(ops.logsumexp, normal(3, 0), axis=0, keepdims=[False, True])  # along axis 1 it is -inf, which has no difference quotient
case(ops.softmax, normal(3, 4), axis=[None, 0, -1, (0, 1)])
for shape in [(0, 4), (3, 0), (2, 0, 3)]:
    case(ops.softmax, normal(*shape), axis=[None, 0, 1, -1])
    case(ops.log_softmax, normal(*shape), axis=[None, 0, 1, -1])
case(ops.log_softmax, normal(3, 4), axis=[None, 0, -1, (0, 1)])

# Shaping
case(ops.reshape, normal(3, 4), shape=[(4, 3), (2, -1), 12, (2, 1, 6)])
case(ops.reshape, normal(), shape=(1, 1))
case(ops.reshape, normal(0, 3), shape=(3, 0))
case(ops.transpose, normal(2, 3, 4), axes=[None, (1, 0, 2), (2, 0, 1), (-1, 0, -2)])
case(ops.transpose, normal())
case(ops.transpose, normal(0, 2))
case(ops.swapaxes, normal(2, 3, 4), axis1=[0, -1], axis2=[1, -1])
case(ops.expand_dims, normal(2, 3), axis=[0, 1, -1, (0, 2)])
case(ops.expand_dims, normal(), axis=0)
case(ops.squeeze, normal(1, 3, 1), axis=[None, 0, -1, (0, 2)])
case(ops.squeeze, normal(1, 1))
case(ops.broadcast_to, normal(3, 1), shape=[(3, 4), (2, 3, 2), (3, 0)])
case(ops.broadcast_to, normal(), shape=[(), (2, 3)])
case(ops.concatenate, normal(2, 3), normal(2, 3), axis=[0, 1, -1])
case(ops.concatenate, normal(2, 3), normal(0, 3), normal(1, 3))
case(ops.concatenate, normal(4))
case(ops.stack, normal(2, 3), normal(2, 3), axis=[0, 1, 2, -1, -2])
case(ops.stack, normal(2), normal(2), normal(2))
case(ops.stack, normal(), normal())
case(ops.stack, normal(0, 3), axis=[0, -1])
case(ops.pad, normal(2, 3), pad_width=[0, 2, (1, 2), ((1, 0), (0, 2)), ((3,), (1,))], constant_values=[0, 2.5])
case(ops.pad, normal(4), pad_width=(0, 1))
case(ops.pad, normal(0, 3), pad_width=((2, 0), (0, 1)))
case(ops.flip, normal(2, 3, 2), axis=[None, 0, -1, (0, 2)])
case(ops.flip, normal(), axis=None)
case(ops.flip, normal(0, 3), axis=[None, 0])
case(ops.getitem, normal(4, 3), key=[1, -1, slice(1, 3), slice(None, None, -2), (1, 2), (slice(None), 0), (Ellipsis, -1),
                                     (None, slice(2)), (), np.array([0, 2, 0, 0]), (np.array([0, 0, 3]), np.array([1, 1, 2])),
                                     (slice(None), np.array([2, 2])), np.array([True, False, True, True]),
                                     np.array([], int), [1, 1], True])
case(ops.getitem, normal(4, 3), integers(5, high=4), key=(None, slice(None, None, 2)), places=(0,))
case(ops.getitem, normal(4, 3), integers(2, 1, high=4), integers(5, high=3), key=(None, None), places=(0, 1))
case(ops.getitem, normal(4, 3), booleans(4, 3), key=(None,), places=(0,))
case(ops.getitem, normal(), key=[(), Ellipsis, None])
case(ops.getitem, normal(0, 3), key=slice(None))
for key, n in [(slice(1, 3), 2), (slice(None, None, -2), 2), (np.array([0, 2, 0, 0]), 4), (np.array([-1, 3]), 2),
               (np.array([True, False, True, True]), 3), (np.array([], int), 0)]:
    case(ops.scatter, normal(n, 3), key=key, shape=(4, 3))
case(ops.scatter, normal(3), key=[1, (np.array([0, 0, 3]), np.array([1, 1, 2])), (slice(1, 4), 0)], shape=(4, 3))
case(ops.scatter, normal(), key=(), shape=())

# Linear algebra
EINSUMS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("i,i", [(3,), (3,)]), ("i,j->ij", [(2,), (3,)]),
    ("ij->ji", [(2, 3)]), ("ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]), ("ij->ij", [(2, 3)]), ("->", [()]),
    ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("iij->j", [(3, 3, 2)]), ("iii->i", [(2, 2, 2)]), ("iijj->ij", [(2, 2, 3, 3)]),
    ("ii,i->i", [(3, 3), (3,)]), ("iij,jk->ik", [(3, 3, 2), (2, 4)]), ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij,k->i", [(2, 3), (4,)]), ("bij,bjk->bik", [(4, 2, 3), (4, 3, 2)]), ("bi,ij,bj->b", [(4, 2), (2, 3), (4, 3)]),
    ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]), ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
    ("...ij,...jk", [(5, 2, 3), (1, 3, 4)]), ("...i->...", [(2, 3, 4)]), ("i...->...i", [(2, 3, 4)]),
    ("...,...->...", [(4, 1), (3,)]), ("...,i", [(), (3,)]), ("ij...,j...->i...", [(2, 3, 4), (3, 1)]),
    ("...ii->...i", [(2, 3, 3)]), ("ij,ij->ij", [(3, 1), (3, 4)]), ("ij,jk->ik", [(2, 1), (3, 4)]),
    (" i j , j -> i ", [(2, 3), (3,)]), ("ij,jk->ik", [(2, 0), (0, 3)]), ("ij,jk->ik", [(0, 2), (2, 3)]),
    (",ij->ij", [(), (2, 3)])]

# Linear algebra
for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
             ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
             ((1, 2, 3), (4, 3, 2))]:
    case(ops.matmul, normal(*a), normal(*b))
for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (4, 3, 2)),
             ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((), (2, 3)), ((2,), ()), ((), ())]:
    case(ops.dot, normal(*a), normal(*b))
for a, b in [((2,), (3,)), ((2, 3), (2, 2)), ((), (3,)), ((), ()), ((0,), (3,)), ((2,), (0, 2))]:
    case(ops.outer, normal(*a), normal(*b))
for subscripts, shapes in EINSUMS:
    case(ops.einsum, *(normal(*shape) for shape in shapes), subscripts=subscripts)
for shape in [(2, 3), (3,), (2, 4, 3), (0, 3)]:
    case(ops.linear, normal(*shape), normal(3, 4), normal(4))
    case(ops.linear, normal(*shape), normal(3, 4))

# Lookup
case(ops.embedding, normal(5, 3), integers(4, high=3), sparse=[True, False], padding=[None, 4])  # 4: not among the ids
case(ops.embedding, normal(5, 2), integers(2, 3, high=5))
case(ops.embedding, normal(5), integers(7, high=5))
case(ops.embedding, normal(5, 2, 2), integers(3, high=5))
case(ops.embedding, normal(5, 3), integers(high=5))
case(ops.embedding, normal(5, 3), integers(0, high=5))
for offsets in ([0, 2, 3], [0, 0, 2, 6], [0], [0, 4, 4, 6, 6], [0, 2, 4]):
    case(ops.embedding_bag, normal(5, 3), integers(6, high=5), offsets=np.array(offsets), mode=["sum", "mean"])
    case(ops.embedding_bag, normal(5, 3), integers(6, high=5), normal(6), offsets=np.array(offsets), mode=["sum", "mean"])
for lengths in (None, np.array([4, 0, 2]), np.array([4, 4, 4]), np.array([0, 0, 0])):
    for weights in ((), (normal(3, 4),)):
        case(ops.embedding_bag, normal(5, 2), integers(3, 4, high=5), *weights, lengths=lengths, mode=["sum", "mean"],
             sparse=[True, False])
case(ops.embedding_bag, normal(5, 3), integers(0, high=5), offsets=[np.array([], int), np.array([0, 0])])
case(ops.embedding_bag, normal(5, 3), integers(0, 4, high=5))
case(ops.embedding_bag, normal(5, 3), integers(2, 0, high=5), mode="mean")

# Recurrent
for operation, gates, n_states, options in [(ops.rnn, 1, 1, {"nonlinearity": ["tanh", "relu"]}), (ops.lstm, 4, 2, {}),
                                            (ops.gru, 3, 1, {})]:
    inputs = [normal(3, 2, 1), *[normal(2, 2)] * n_states, normal(1, 2 * gates), normal(2, 2 * gates)]
    case(operation, *inputs, **options)
    case(operation, *inputs, normal(2 * gates), normal(2 * gates), reverse=True)
    case(operation, *inputs, normal(2 * gates), normal(2 * gates), exactly(1, 3), reverse=[False, True], **options)
case(ops.lstm, normal(2, 0, 1), normal(0, 2), normal(0, 2), normal(1, 8), normal(2, 8))

# Losses
for shape in [(6,), (2, 3), (), (0, 2)]:
    case(ops.binary_cross_entropy_with_logits, away_from_zero(*shape), uniform(*shape, low=0, high=1),
         reduction=["none", "sum", "mean"])
    case(ops.binary_cross_entropy_with_logits, away_from_zero(*shape), uniform(*shape, low=0, high=1),
         uniform(*shape, low=0, high=2), reduction=["none", "sum", "mean"])
case(ops.binary_cross_entropy_with_logits, normal(2, 3), integers(2, 3, high=2), reduction="mean")
case(ops.binary_cross_entropy_with_logits, normal(2, 3), booleans(2, 3), reduction="mean")
case(ops.cross_entropy, normal(4, 3), integers(4, high=3), reduction=["none", "sum", "mean"])
case(ops.cross_entropy, normal(1, 1), integers(1, high=1), reduction=["none", "sum", "mean"])
case(ops.cross_entropy, normal(0, 3), integers(0, high=3), reduction=["none", "sum", "mean"])
case(ops.cross_entropy, normal(5, 3), integers(5, high=3), weight=[None, np.array([0.5, 0, 2])], label_smoothing=[0.0, 0.3],
     ignore_index=[None, 2, -100], reduction=["none", "sum", "mean"])
case(ops.cross_entropy, normal(2, 3), integers(2, high=1), label_smoothing=[0.0, 1.0], ignore_index=0, reduction=["none", "sum"])
case(ops.cross_entropy, normal(0, 3), integers(0, high=3), weight=np.ones(3), label_smoothing=0.1, ignore_index=0,
     reduction=["none", "sum", "mean"])
case(ops.nll_loss, normal(5, 3), integers(5, high=3), weight=[None, np.array([0.5, 0, 2])], ignore_index=[None, 2, -100],
     reduction=["none", "sum", "mean"])
case(ops.nll_loss, normal(0, 3), integers(0, high=3), reduction=["none", "sum", "mean"])


def signs(*shape: int) -> Input:
    """1 or -1, by turns."""
    return Input(lambda rng, shape: 1 - 2 * (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2), shape, floating=False)


case(ops.multi_margin_loss, distinct(4, 3), integers(4, high=3), p=[1, 2], margin=[1.0, 0.4],
     weight=[None, np.array([0.5, 0, 2])], reduction=["none", "sum", "mean"])
case(ops.multi_margin_loss, normal(1, 1), integers(1, high=1), reduction=["none", "mean"])
case(ops.multi_margin_loss, normal(0, 3), integers(0, high=3), reduction=["none", "sum", "mean"])
for shape in [(4,), (2, 3), (), (0,)]:
    case(ops.cosine_embedding_loss, normal(*shape, 3), normal(*shape, 3), signs(*shape), margin=[0.0, 0.2, -0.5],
         reduction=["none", "sum", "mean"])

# Normalization
for parameters in ((), (normal(4),), (normal(4), normal(4))):
    for shape in [(3, 4), (4,), (2, 3, 4), (0, 4)]:
        case(ops.layer_norm, normal(*shape), *parameters)
    if len(parameters) < 2:
        for shape in [(3, 4), (4,), (2, 3, 4), (0, 4)]:
            case(ops.rms_norm, normal(*shape), *parameters, eps=[None, 0.1])
for parameters in ((), (normal(3, 4),), (normal(3, 4), normal(3, 4))):
    case(ops.layer_norm, normal(2, 3, 4), *parameters, axes=2, eps=[1e-5, 0.1])
case(ops.rms_norm, normal(2, 3, 4), normal(3, 4), axes=2)
for parameters in ((), (normal(3),), (normal(3), normal(3))):
    for shape in [(5, 3), (2, 3, 4), (1, 3, 2)]:
        case(ops.batch_norm, normal(*shape), *parameters, eps=[1e-5, 0.1])

# Attention


def mask(*shape: int, share: float = 0.4, dead: bool = False) -> Input:
    """Booleans, True with this probability; dead: everywhere in the first row."""
    return Input(lambda rng, shape: (rng.random(shape) < share) | (dead & (np.arange(shape[-2])[:, None] == 0)), shape,
                 floating=False)


for masks in ((), (mask(3, 5),), (mask(2, 1, 3, 5, dead=True),), (mask(2, 2, 3, 5), mask(2, 1, 1, 5))):
    arrays = [normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 6)]
    case(ops.dot_product_attention, *arrays, *masks, heads=2, causal=[False, True])
    case(ops.masked_softmax, normal(2, 2, 3, 5), *masks, causal=[False, True])
case(ops.dot_product_attention, normal(1, 2, 3), normal(1, 2, 3), normal(1, 2, 3))
case(ops.dot_product_attention, normal(0, 2, 3), normal(0, 2, 3), normal(0, 2, 3), causal=True)
case(ops.dot_product_attention, normal(2, 3, 2), normal(2, 0, 2), normal(2, 0, 4), heads=2)

# Convolution
for bias in ((), (normal(4),)):
    case(ops.conv1d, normal(2, 3, 7), normal(3, 3, 4), *bias, stride=[1, 2, 3], padding=[0, 2], dilation=[1, 2])
    case(ops.conv1d, normal(2, 3, 5), normal(2, 3, 4), *bias, padding=["same", "valid"], dilation=[1, 3])
case(ops.conv1d, normal(2, 1, 3), normal(1, 1, 1))
case(ops.conv1d, normal(0, 2, 5), normal(3, 2, 4))
case(ops.max_over_time, distinct(2, 3, 5))
case(ops.max_over_time, distinct(2, 3, 5), exactly(1, 4))
case(ops.max_over_time, normal(0, 3, 5))
case(ops.max_pool1d, distinct(2, 3, 7), kernel_size=[2, 3], stride=[None, 1], padding=[0, 1], dilation=[1, 2])
case(ops.max_pool1d, normal(0, 3, 5), kernel_size=2)
