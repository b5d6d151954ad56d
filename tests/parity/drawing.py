"""How inputs are drawn: hypothesis chooses shapes, axes and a seed, and the seed's generator the numbers."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, broadcastable_shapes, mutually_broadcastable_shapes

seeds = st.integers(0, 2 ** 32 - 1)


def numbers(draw, shape, kind="any"):
    """float64 of that shape. "any": normal, or halves of whole numbers, among which there are zeros and equal ones."""
    rng = np.random.default_rng(draw(seeds))
    if kind == "any":
        kind = draw(st.sampled_from(["normal", "halves"]))
    if kind == "halves":
        return np.asarray(rng.integers(-4, 5, shape) / 2)
    if kind == "positive":
        return np.asarray(rng.uniform(0.3, 3, shape))
    if kind == "nonzero":
        return np.asarray(rng.uniform(0.3, 3, shape) * rng.choice([-1.0, 1.0], shape))
    return np.asarray(rng.standard_normal(shape))


def integers(draw, shape, high, low=0):
    return np.asarray(np.random.default_rng(draw(seeds)).integers(low, high, shape))


def shapes(draw, min_dims=0, max_dims=3, min_side=0):
    """Numbers of shape (), empty ones and up to three axes."""
    if min_dims == 0 and draw(st.integers(0, 5)) == 0:
        return ()
    return draw(array_shapes(min_dims=max(1, min_dims), max_dims=max_dims, min_side=min_side, max_side=4))


def one(kind="any", **attributes):
    """One input of any shape. attributes: values to choose from."""
    def sample(draw):
        return [numbers(draw, shapes(draw), kind)], {k: draw(st.sampled_from(v)) for k, v in attributes.items()}
    return sample


def two(first="any", second="any"):
    """Two inputs that broadcast against each other; or a plain number in place of one."""
    def sample(draw):
        a, b = draw(mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=4, max_dims=3)).input_shapes
        arrays = [numbers(draw, a, first), numbers(draw, b, second)]
        replaced = draw(st.sampled_from([None, None, None, 0, 1]))
        if replaced is not None:
            arrays[replaced] = float(numbers(draw, (), "positive"))
        return arrays, {}
    return sample


def axes_of(draw, ndim, tuples=True, none=True):
    """An axis, counted from either end, a tuple of them, or None."""
    if ndim == 0:
        return None
    choices = [st.integers(-ndim, ndim - 1)]
    if none:
        choices.append(st.none())
    if tuples:
        some = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True)
        choices.append(some.map(lambda axes: tuple(a - ndim if a % 2 else a for a in axes)))
    return draw(st.one_of(choices))


def reduction(kind="any", keepdims=True, tuples=True, empty=False, at_least=1, none=True, **attributes):
    """One input and axes to reduce; empty: the axes that are reduced may be of length 0, otherwise at_least that long."""
    def sample(draw):
        shape = list(shapes(draw, min_dims=0 if none else 1, min_side=at_least - 1))
        axis = axes_of(draw, len(shape), tuples, none)
        for a in range(len(shape)) if axis is None else np.atleast_1d(axis):
            shape[a] = shape[a] if empty else max(shape[a], at_least)
        if at_least > 1 and not shape:
            shape = [at_least]
        given = {k: draw(st.sampled_from(v)) for k, v in attributes.items()}
        if keepdims:
            given["keepdims"] = draw(st.booleans())
        return [numbers(draw, tuple(shape), kind)], {"axis": axis, **given}
    return sample


def products(draw):
    """Two arrays for matmul: vectors, matrices, and batches of them that broadcast; lengths of 0 among them."""
    n, k, m = (draw(st.integers(0, 4)) for _ in range(3))
    a, b = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    vectors = draw(st.sampled_from(["", "", "a", "b", "ab"]))
    a = (k,) if "a" in vectors else (*a, n, k)
    b = (k,) if "b" in vectors else (*b, k, m)
    return [numbers(draw, a), numbers(draw, b)], {}


def loss_options(draw, classes, n_classes):
    """Options of cross_entropy under which some of these classes count, so that there is a mean."""
    weight = draw(st.sampled_from([None, numbers(draw, n_classes, "positive")]))
    known = sorted(set(np.ravel(classes).tolist()))
    ignored = draw(st.sampled_from([None, -100, *(known if len(known) > 1 else [])]))
    return {"weight": weight, "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])), "ignore_index": ignored}


def larger(draw, shape):
    """A shape that `shape` broadcasts to."""
    other = draw(broadcastable_shapes(shape, min_dims=len(shape), max_dims=4, min_side=0 if 0 in shape else 1, max_side=3))
    return np.broadcast_shapes(shape, other)


def keys(draw, shape):
    """A key for x[key]: slices, numbers, None and Ellipsis; or integer arrays with repeats; or booleans."""
    kind = draw(st.sampled_from(["basic", "rows", "mask", "first mask", "apart"]))
    if kind == "mask" or (kind != "basic" and 0 in shape):
        return np.asarray(np.random.default_rng(draw(seeds)).random(shape) < 0.5)
    if kind == "first mask" and shape:
        return np.random.default_rng(draw(seeds)).random(shape[0]) < 0.5
    if kind == "apart" and len(shape) > 1:  # two arrays of indices, which broadcast; a slice may stand between
        first, last = integers(draw, (3, 1), shape[0], -shape[0]), integers(draw, 2, shape[-1], -shape[-1])
        return (first, Ellipsis, last)
    if kind == "rows" and shape:
        axis = draw(st.integers(0, len(shape) - 1))
        wanted = draw(array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=5))
        return (slice(None),) * axis + (integers(draw, wanted, shape[axis], -shape[axis]),)
    parts = []
    for n in shape[:draw(st.integers(0, len(shape)))]:
        whole = st.integers(-n, n - 1) if n else st.nothing()
        # only steps forward: PyTorch has no others
        parts.append(draw(st.one_of(st.builds(slice, st.none() | st.integers(-n, n), st.none() | st.integers(-n, n),
                                              st.none() | st.integers(1, 3)), whole)))
    if draw(st.booleans()):
        parts.append(Ellipsis)
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts)


def reshapes(draw):
    shape = shapes(draw)
    wanted = list(draw(st.permutations(shape)))
    if draw(st.booleans()):
        wanted = [int(np.prod(shape))]
    if wanted and 0 not in wanted and draw(st.booleans()):
        wanted[draw(st.integers(0, len(wanted) - 1))] = -1
    return [numbers(draw, shape)], {"shape": tuple(wanted)}


def transposes(draw):
    shape = shapes(draw)
    order = tuple(a - len(shape) if a % 2 else a for a in draw(st.permutations(range(len(shape)))))
    return [numbers(draw, shape)], {"axes": draw(st.sampled_from([None, order]))}


def swaps(draw):
    shape = shapes(draw, min_dims=1)
    return [numbers(draw, shape)], {name: axes_of(draw, len(shape), False, False) for name in ("axis1", "axis2")}


def expands(draw):
    shape = shapes(draw)
    return [numbers(draw, shape)], {"axis": draw(st.integers(-len(shape) - 1, len(shape)))}


def squeezes(draw):
    shape = list(shapes(draw))
    shape.insert(draw(st.integers(0, len(shape))), 1)
    ones = [a for a, n in enumerate(shape) if n == 1]
    return [numbers(draw, tuple(shape))], {"axis": draw(st.sampled_from([None, ones[0], ones[-1] - len(shape), tuple(ones)]))}


def broadcasts(draw):
    shape = shapes(draw, max_dims=2)
    return [numbers(draw, shape)], {"shape": larger(draw, shape)}


def joined(new_axis):
    def sample(draw):
        shape = shapes(draw, min_dims=0 if new_axis else 1)
        ndim = len(shape) + new_axis
        axis = draw(st.integers(-ndim, ndim - 1))
        arrays = []
        for _ in range(draw(st.integers(1, 4))):
            part = list(shape)
            if not new_axis:
                part[axis] = draw(st.integers(0, 3))
            arrays.append(numbers(draw, tuple(part)))
        return arrays, {"axis": axis}
    return sample


def pads(draw):
    shape = shapes(draw, min_dims=1)
    widths = tuple(tuple(pair) for pair in integers(draw, (len(shape), 2), 3).tolist())
    return [numbers(draw, shape)], {"pad_width": widths, "constant_values": draw(st.sampled_from([0, 2.5]))}


def flips(draw):
    shape = shapes(draw)
    return [numbers(draw, shape)], {"axis": axes_of(draw, len(shape))}
