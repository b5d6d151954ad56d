"""What is drawn of the rows: which rows make a curve, where their points are, and what smoothing does to them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import ConfigError, UserError
from nnkit.training.curves import Curves, View, common_axis, measures, points_of, smoothed, thinned, with_epochs
from nnkit.training.metrics import MetricsLog

EVERY_EPOCH = {"eval.every": "1 epoch", "log.every": "100 steps"}


def train(step, epoch=1, **more):
    return {"event": "train", "epoch": epoch, "step": step, "seconds": 0.5 * step, "lr": 0.1, "train_loss": 1 / step, **more}


def evaluation(step, epoch=1, **more):
    return {**train(step, epoch), "event": "eval", **more}


def run(folder, rows, config=""):
    with MetricsLog(folder / "metrics.jsonl") as log:
        for row in rows:
            log.append(row)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    return folder


# Which rows

def test_what_is_drawn_are_the_logged_losses_and_what_only_evaluations_measure():
    evaluated = evaluation(1, dev_loss=2.0, best=True, grad_norm=1.0, words_per_second=9)
    found = measures([train(1, grad_norm=3.0), evaluated, train(2)])
    assert list(found) == ["train_loss", "dev_loss"]
    assert [list(column) for column in found["train_loss"]] == [[1, 2], [1, 0.5]]


def test_a_loss_that_was_not_finite_is_not_drawn():
    assert measures([train(1), train(2) | {"train_loss": None}])["train_loss"][0].tolist() == [1]
    assert measures([train(1) | {"train_loss": None}]) == {}


def test_the_curve_of_the_train_loss_is_of_one_kind_of_row():
    rows = [{"event": "train", "step": s, "train_loss": 1.0} for s in (100, 200, 300)]
    rows += [{"event": "eval", "step": s, "train_loss": 2.0} for s in (150, 300)]
    assert points_of(rows, "train_loss")[1].tolist() == [1, 1, 1]
    assert points_of(rows[2:], "train_loss")[1].tolist() == [2, 2]


@settings(deadline=None)
@given(size=st.integers(1, 5000), most=st.integers(1, 300))
def test_thinned_points_are_averages_of_all_the_points(size, most):
    steps = np.arange(size, dtype=np.float64)
    thin_steps, thin_values = thinned((steps, 3 * steps), most)
    assert len(thin_steps) == min(size, most)
    np.testing.assert_allclose(thin_values, 3 * thin_steps)
    assert (np.diff(thin_steps) > 0).all()
    # bins differ by one point at most, so the mean of the whole curve moves by less than half a bin
    assert abs(thin_steps.mean() - steps.mean()) <= max(0.5 * size / most, 1e-9)


# Smoothing

values = st.lists(st.integers(-10**6, 10**6).map(lambda n: n / 997), min_size=1, max_size=40).map(np.array)
weights = st.floats(0, 1, exclude_max=True)


@given(y=values, smooth=weights)
def test_a_smoothed_value_is_the_weighted_mean_of_those_up_to_it(y, smooth):
    expected = [np.average(y[:t + 1], weights=smooth ** np.arange(t, -1.0, -1.0)) for t in range(len(y))]
    np.testing.assert_allclose(smoothed(y, smooth), expected, rtol=1e-9, atol=1e-9 * np.abs(y).max())


@given(y=values, smooth=st.floats(0.01, 0.99))
def test_it_is_the_moving_average_divided_by_its_bias(y, smooth):
    average, expected = 0.0, []
    for t, value in enumerate(y, 1):
        average = smooth * average + (1 - smooth) * value
        expected.append(average / (1 - smooth ** t))
    np.testing.assert_allclose(smoothed(y, smooth), expected, rtol=1e-7, atol=1e-7 * np.abs(y).max())


@given(y=values)
def test_smoothing_by_0_leaves_the_curve_as_it_is(y):
    np.testing.assert_array_equal(smoothed(y, 0.0), y)


@given(value=st.integers(-10**6, 10**6), smooth=weights)
def test_a_level_curve_stays_level_from_its_first_point_on(value, smooth):
    np.testing.assert_allclose(smoothed(np.full(9, value / 997), smooth), value / 997, rtol=1e-12)


@pytest.mark.parametrize("smooth", [-0.1, 1, 1.5, math.nan, math.inf])
def test_a_weight_that_is_no_weight_is_refused(smooth):
    with pytest.raises(ConfigError, match="smooth: expected a number from 0 to less than 1, got"):
        View(smooth=smooth)


def test_only_the_train_loss_is_smoothed_and_is_kept_as_it_was(tmp_path):
    rows = [train(step, train_loss=float(step % 2)) for step in range(1, 9)] + [evaluation(s, dev_loss=s % 2) for s in (1, 2, 3)]
    run(tmp_path, rows)
    plain, smooth = (Curves.read(tmp_path, View(smooth=beta)) for beta in (0, 0.5))
    np.testing.assert_array_equal(smooth.raw[1], plain.points["train_loss"][1])
    np.testing.assert_array_equal(smooth.points["dev_loss"][1], plain.points["dev_loss"][1])
    assert np.ptp(smooth.points["train_loss"][1][1:]) < 0.7 and plain.raw is None


# Over epochs and seconds

def test_between_ends_of_epochs_that_are_known_a_step_is_a_fraction():
    rows = [train(100), train(200), evaluation(200), train(250, 2), train(300, 2), evaluation(300, 2), train(350, 3)]
    placed, fractions = with_epochs(rows, EVERY_EPOCH)
    assert fractions and [row["epochs"] for row in placed] == [0.5, 1, 1, 1.5, 2, 2, 2.5]


def test_a_log_line_at_the_end_of_every_other_epoch_is_a_mark_as_well():
    rows = [evaluation(30), train(80, 2), evaluation(90, 3), train(160, 4)]
    placed, fractions = with_epochs(rows, {"eval.every": "30 steps", "log.every": "2 epochs"})
    assert fractions and [row["epochs"] for row in placed] == [0.75, 2, 2.25, 4]


def test_the_log_line_of_a_run_that_patience_ended_is_no_end_of_an_epoch():
    """Its step counted as the whole epoch, and all places on the axis of epochs were too far to the right."""
    rows = [evaluation(4), evaluation(8), train(15), evaluation(16, 2), evaluation(20, 2), train(20, 2)]
    placed, fractions = with_epochs(rows, {"eval.every": "4 steps", "log.every": "1 epoch"})
    assert fractions and [row["epochs"] for row in placed] == [4 / 15, 8 / 15, 1, 16 / 15, 4 / 3, 4 / 3]


def test_where_no_end_is_known_an_epoch_is_drawn_whole_by_its_last_rows():
    rows = [train(100), evaluation(150, dev_loss=1), train(200), train(300, 2), evaluation(300, 2, dev_loss=2), train(400, 2)]
    placed, fractions = with_epochs(rows, {"eval.every": "150 steps", "log.every": "100 steps"})
    assert not fractions
    assert [(row["event"], row["step"], row["epochs"]) for row in placed] == [
        ("train", 200, 1), ("eval", 150, 1), ("train", 400, 2), ("eval", 300, 2)]
    assert with_epochs(rows, {})[1] is False


steps_and_epochs = st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=6), min_size=1, max_size=6)


@given(epochs=steps_and_epochs, cut=st.integers(0, 5))
def test_a_row_lies_in_its_own_epoch_and_the_order_stays(epochs, cut):
    rows, step = [], 0
    for number, lengths in enumerate(epochs, 1):
        for length in lengths:
            step += length
            rows.append(train(step, number))
        rows.append(evaluation(step, number))
    rows = rows[:len(rows) - min(cut, len(rows) - 1)]  # a run that is still in an epoch
    placed, fractions = with_epochs(rows, EVERY_EPOCH)
    assert all(row["epoch"] - 1 <= row["epochs"] <= row["epoch"] for row in placed)
    if fractions:
        found = [row["epochs"] for row in placed]
        assert found == sorted(found) and all(row["epochs"] == row["epoch"] for row in placed if row["event"] == "eval")


@pytest.mark.parametrize("longest, label, last", [(299, "seconds", 299), (600, "minutes", 10), (36000, "hours", 10)])
def test_seconds_are_counted_in_what_people_read_and_for_all_runs_alike(tmp_path, longest, label, last):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, seconds in zip(folders, (longest, 30)):
        folder.mkdir()
        run(folder, [train(1, seconds=seconds)])
    view = View(x="seconds")
    curves = [Curves.read(folder, view) for folder in folders]
    assert common_axis(view, curves).startswith(f"{label} of training")
    assert curves[0].points["train_loss"][0] == [last] and curves[1].points["train_loss"][0][0] < last


@pytest.mark.parametrize("view, without, said", [
    (View(x="seconds"), "seconds", "has no seconds beside its measures; draw it over steps"),
    (View(x="epochs"), "epoch", "has no epochs beside its measures; draw it over steps"),
    (View(smooth=0.5), "train_loss", "has no train_loss to smooth"),
])
def test_a_run_that_lacks_a_column_is_named(tmp_path, view, without, said):
    row = {key: value for key, value in evaluation(1, dev_acc=0.5).items() if key != without}
    with pytest.raises(UserError, match=rf"metrics\.jsonl: {said}$"):
        Curves.read(run(tmp_path, [row]), view)


def test_an_axis_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="x: expected steps, epochs, seconds, got 'days'"):
        View(x="days")


# A logarithmic axis

def test_what_has_no_logarithm_is_left_out_and_counted(tmp_path):
    rows = [train(step, train_loss=loss) for step, loss in enumerate([1, 0, -1, 2.0], 1)]
    rows += [evaluation(9, dev_loss=0.5, dev_acc=0)]
    curves = Curves.read(run(tmp_path, rows), View(log=True))
    assert curves.points["train_loss"][1].tolist() == [1, 2] and curves.left_out == {"train_loss": 2}
    assert curves.points["dev_acc"][1].tolist() == [0]
    smooth = Curves.read(tmp_path, View(log=True, smooth=0.5))
    assert smooth.left_out == {"train_loss": 2} and smooth.raw[1].tolist() == [1, 2]
    assert (smooth.points["train_loss"][1] > 0).all()


@pytest.mark.parametrize("row, said", [
    (train(1, train_loss=-1), "train_loss is never above 0"), (evaluation(1, train_loss=None, dev_acc=1), "has no loss")])
def test_a_run_without_a_loss_above_0_is_named(tmp_path, row, said):
    with pytest.raises(UserError, match=rf"metrics\.jsonl: {said}, and a logarithmic axis"):
        Curves.read(run(tmp_path, [row]), View(log=True))
