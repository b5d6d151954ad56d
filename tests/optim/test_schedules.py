"""Schedules: numbers that follow the progress of training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.optim import schedules

rates = st.floats(1e-6, 10)


@given(rates, st.floats(-1, 2))
def test_constant_is_constant(start, progress):
    assert schedules.constant(start)(progress) == start


@given(rates, rates)
def test_linear_reaches_both_ends_exactly_and_stays_there(start, end):
    schedule = schedules.linear(start, end)
    assert schedule(0) == schedule(-0.5) == start and schedule(1) == schedule(1.5) == end


@given(rates, rates, st.floats(0, 1))
def test_linear_is_a_straight_line(start, end, progress):
    assert schedules.linear(start, end)(progress) == pytest.approx(start + (end - start) * progress)
