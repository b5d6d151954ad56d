"""Initial values: the moments that the papers ask for, from the fans of a weight (in, out), by the generator that is given."""

import inspect

import numpy as np
import pytest

from nnkit import default_dtype, nn

init = nn.init
SHAPE = (400, 100)
RULES = {"xavier_uniform": (2 / 500) ** 0.5, "xavier_normal": (2 / 500) ** 0.5, "kaiming_uniform": (2 / 400) ** 0.5,
         "kaiming_normal": (2 / 400) ** 0.5, "orthogonal": 400 ** -0.5}


@pytest.mark.parametrize("name", RULES)
def test_mean_and_deviation_are_those_of_the_rule(name):
    values = getattr(init, name)(SHAPE, rng=0).value
    assert values.std() == pytest.approx(RULES[name], rel=0.01) and abs(values.mean()) < RULES[name] / 50
    if name.endswith("uniform"):
        assert np.abs(values).max() == pytest.approx(3 ** 0.5 * RULES[name], rel=1e-3)
    else:
        assert np.abs(values).max() > 2.5 * RULES[name]


@pytest.mark.parametrize("name", RULES)
def test_values_are_trainable_leaves_of_the_default_dtype_by_the_generator_that_is_given(name):
    rule = getattr(init, name)
    for dtype in (np.float32, np.float64):
        with default_dtype(dtype):
            t = rule((4, 3), rng=1)
        assert t.dtype == dtype and t.shape == (4, 3) and t.requires_grad and t.is_leaf
    np.testing.assert_array_equal(rule((4, 3), rng=5).value, rule((4, 3), rng=np.random.default_rng(5)).value)
    rng = np.random.default_rng(5)
    assert (rule((4, 3), rng=rng).value != rule((4, 3), rng=rng).value).any()


def test_fan_out_and_gain_are_as_asked():
    assert init.kaiming_normal(SHAPE, mode="fan_out", rng=0).value.std() == pytest.approx((2 / 100) ** 0.5, rel=0.01)
    assert init.kaiming_normal(SHAPE, a=1.0, rng=0).value.std() == pytest.approx((1 / 400) ** 0.5, rel=0.01)
    assert init.xavier_normal(SHAPE, gain=3.0, rng=0).value.std() == pytest.approx(3 * RULES["xavier_normal"], rel=0.01)


def test_the_places_of_a_kernel_count_in_both_fans():
    assert init.fans((3, 4, 5)) == (12, 15)
    assert init.xavier_normal((3, 100, 200), rng=0).value.std() == pytest.approx((2 / 900) ** 0.5, rel=0.01)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 3, 4), (2, 2, 8)])
def test_orthogonal_rows_or_columns_whichever_are_fewer(shape):
    with default_dtype(np.float64):
        w = init.orthogonal(shape, gain=2.0, rng=0).value.reshape(-1, shape[-1])
    small = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_point_everywhere():
    corners = [init.orthogonal((2, 2), rng=seed).value[0, 0] for seed in range(400)]
    assert abs(np.mean(corners)) < 0.15 and min(corners) < -0.9 and max(corners) > 0.9


@pytest.mark.parametrize("call, said", [
    (lambda: init.xavier_uniform((3,)), r"\(..., in, out\)"), (lambda: init.kaiming_normal((0, 3)), "at least 1"),
    (lambda: init.orthogonal((3,)), "two axes"), (lambda: init.kaiming_uniform((2, 3), mode="fan"), "mode must be 'fan_in' or"),
    (lambda: init.kaiming_uniform((2, 3), nonlinearity="relo"), "no nonlinearity named 'relo'; known: linear"),
    (lambda: init.calculate_gain(""), "known: ")])
def test_what_means_nothing_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_every_rule_has_a_docstring():
    assert all(inspect.getdoc(getattr(init, name)) for name in RULES)
