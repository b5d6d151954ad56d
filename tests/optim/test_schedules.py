"""Schedules: numbers that follow the progress of training."""

import json
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


@given(rates, st.floats(0, 2), st.integers(1, 60), st.integers(1, 60))
def test_step_falls_after_every_so_many_epochs_and_not_within(start, gamma, every, epochs):
    schedule = schedules.step(start, every / epochs, gamma)
    for epoch in range(epochs):
        for progress in (epoch / epochs, (epoch + 0.999) / epochs):
            assert schedule(progress) == start * gamma ** (epoch // every)
    assert schedule(-1) == start and schedule(2) == schedule(1)


@pytest.mark.parametrize("every, gamma", [(0, 0.5), (-1, 0.5), (math.nan, 0.5), (0.1, -1), (0.1, math.nan)])
def test_a_senseless_step_is_refused(every, gamma):
    with pytest.raises(ValueError, match="step: expected share above 0 and gamma of at least 0"):
        schedules.step(1.0, every, gamma)


ANY = st.sampled_from([schedules.constant(0.5), schedules.linear(0.5, 0.1), schedules.cosine(0.5, 0.1),
                       schedules.step(0.5, 0.3, 0.1), schedules.Plateau(0.5)])


@given(ANY, st.floats(0.01, 0.99), rates, st.floats(0, 1))
def test_warmup_rises_in_a_straight_line_and_the_whole_schedule_follows(schedule, share, start, where):
    warmed = schedules.warmup(schedule, share, start)
    assert warmed(0) == warmed(-1) == start
    assert warmed(share) == schedule(0) and warmed(1) == schedule(1)
    assert warmed(where * share) == pytest.approx(start + where * (schedule(0) - start))
    later = share + where * (1 - share)
    assert warmed(later) == schedule((later - share) / (1 - share))


@given(ANY, st.floats(0, 1))
def test_warmup_of_no_length_is_the_schedule(schedule, progress):
    assert schedules.warmup(schedule, 0)(progress) == schedule(progress)


@pytest.mark.parametrize("share", [-0.1, 1, 2, math.nan])
def test_a_senseless_warmup_is_refused(share):
    with pytest.raises(ValueError, match="warmup: expected a share from 0 to below 1"):
        schedules.warmup(schedules.constant(1.0), share)


@pytest.mark.parametrize("mode", ["min", "max"])
@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 3), st.floats(0.1, 0.9))
def test_a_plateau_is_more_than_patience_measurements_without_a_new_best(mode, measured, patience, factor):
    schedule = schedules.Plateau(1.0, factor, patience, threshold=0, mode=mode)
    signed = [-x if mode == "max" else x for x in measured]
    begin, falls = 0, 0
    for n in range(len(signed)):  # begin: what is better before it resets the count, as does a fall
        if n == 0 or signed[n] < min(signed[:n]):
            begin = n + 1
        fell = n + 1 - begin > patience
        if fell:
            begin, falls = n + 1, falls + 1
        assert schedule.observe(measured[n]) is fell
        assert schedule(n / 30) == pytest.approx(factor ** falls)


def test_a_plateau_ends_where_it_is_told_and_says_when_nothing_falls_any_more():
    schedule = schedules.Plateau(1.0, 0.5, patience=0, end=0.3)
    assert [schedule.observe(1.0) for _ in range(4)] == [False, True, True, False]
    assert schedule(0.5) == 0.3
    low = schedules.Plateau(0.1, 0.5, patience=0, end=0.3)  # an end above the start is no reason to rise
    assert not any(low.observe(1.0) for _ in range(3)) and low(1) == 0.1


@pytest.mark.parametrize("best, barely, clearly, mode", [(2.0, 1.9, 1.7, "min"), (-2.0, -2.1, -2.3, "min"),
                                                         (2.0, 2.1, 2.3, "max"), (-2.0, -1.9, -1.7, "max")])
def test_better_is_better_by_a_share_of_the_best(best, barely, clearly, mode):
    for measured, fell in ((barely, True), (clearly, False)):
        schedule = schedules.Plateau(1.0, patience=0, threshold=0.1, mode=mode)
        schedule.observe(best)
        assert schedule.observe(measured) is fell


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_better(bad):
    schedule = schedules.Plateau(1.0, patience=1)
    assert [schedule.observe(x) for x in (bad, bad, 1.0, bad, bad)] == [False, True, False, False, True]


@given(st.lists(st.floats(0, 1), max_size=20), st.lists(st.floats(0, 1), max_size=20))
def test_a_plateau_that_is_saved_as_json_and_put_back_goes_on_as_it_would(before, after):
    one, other = schedules.Plateau(0.1, 0.3, 1), schedules.Plateau(0.1, 0.3, 1)
    for x in before:
        one.observe(x)
    other.observe(0.5)
    other.load_state(json.loads(json.dumps(one.state())))
    assert [(one.observe(x), one(0)) for x in after] == [(other.observe(x), other(0)) for x in after]


def test_the_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="Plateau: expected a state of value, best, waited, got one of value"):
        schedules.Plateau(0.1).load_state({"value": 1})


@pytest.mark.parametrize("options", [{"factor": 0}, {"factor": 1}, {"factor": math.nan}, {"patience": -1}, {"threshold": -1},
                                     {"end": -1}, {"mode": "least"}])
def test_a_senseless_plateau_is_refused(options):
    with pytest.raises(ValueError, match="Plateau: expected"):
        schedules.Plateau(0.1, **options)


# Counted in steps, and several at once

@given(ANY, st.integers(1, 99), st.floats(0, 1))
def test_a_warmup_of_steps_is_that_of_a_share_once_their_number_is_known(schedule, steps, where):
    counted, shared = schedules.StepWarmup(schedule, steps), schedules.warmup(schedule, steps / 100)
    for step in range(101):
        counted.tell(step, step / 100)
        assert counted(step / 100) == pytest.approx(shared(step / 100), abs=1e-12)
    assert counted(1.0) == schedule(1.0)


def test_a_warmup_that_ends_with_the_training_or_after_it_divides_by_nothing():
    for steps in (10, 11):
        schedule = schedules.StepWarmup(schedules.linear(1.0, 0.0), steps)
        for step in range(11):
            schedule.tell(step, step / 10)
        assert schedule(1.0) == pytest.approx(10 / steps)


@pytest.mark.parametrize("steps", [0, -1, math.nan])
def test_a_warmup_of_no_steps_is_refused(steps):
    with pytest.raises(ValueError, match="StepWarmup: expected steps above 0, got"):
        schedules.StepWarmup(schedules.constant(1.0), steps)


def several():
    plateau = schedules.Plateau(0.9, 0.5, 0)
    warming = schedules.StepWarmup(schedules.cosine(0.1, 0.01), 30)
    return schedules.Schedules({"lr": warming, "momentum": plateau, "eps": schedules.linear(1, 0)}, {"momentum": plateau},
                               {"lr": warming})


@given(st.integers(0, 60), st.lists(st.floats(0, 1), max_size=5))
def test_several_schedules_go_on_from_json_to_the_bit(stop, measured):
    one, other = several(), several()
    for step in range(stop):
        one.at(step / 70, step)
    for value in measured:
        one.observe(value)
    other.load_state(json.loads(json.dumps(one.state(7))), 7)
    for step in range(stop, 70):
        assert one.at(step / 70, step) == other.at(step / 70, step)
        one.observe(step), other.observe(step)
    assert one.state(7) == other.state(7)


def test_in_a_longer_training_a_counted_warmup_keeps_the_place_of_its_end():
    one, other = several(), several()
    one.at(0.5, 30)
    other.load_state(one.state(10), 20)
    assert other.warmups["lr"].began == 0.25 and one.at(0.5, 31)["lr"] == other.at(0.25, 31)["lr"] == 0.1
