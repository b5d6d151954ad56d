"""Schedules: numbers that follow the progress of training."""

import math

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


@given(rates, rates)
def test_cosine_reaches_both_ends_exactly_and_stays_there(start, end):
    schedule = schedules.cosine(start, end)
    assert schedule(0) == schedule(-0.5) == start and schedule(1) == schedule(1.5) == end


@given(rates, rates, st.floats(0, 1), st.floats(0, 1))
def test_cosine_only_ever_goes_towards_its_end(start, end, one, other):
    schedule = schedules.cosine(start, end)
    earlier, later = schedule(min(one, other)), schedule(max(one, other))
    rounding = 1e-15 * max(start, end)
    assert earlier >= later - rounding if start >= end else earlier <= later + rounding


@given(rates, rates, st.floats(0, 1))
def test_cosine_is_half_a_period_of_the_cosine(start, end, progress):
    expected = (start + end) / 2 + (start - end) / 2 * math.cos(math.pi * progress)
    assert schedules.cosine(start, end)(progress) == pytest.approx(expected, abs=1e-15 * max(start, end))
