"""One run or several as --smooth, --log and --x have it."""

import pytest
from plotted import make_run, svg_text

from nnkit import plot
from nnkit.training.curves import View
from nnkit.training.metrics import MetricsLog
from nnkit.training.plots import plot_run, plot_runs
from nnkit.training.run_directory import RunDirectory

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_smoothed_loss_lies_before_the_loss_as_it_was(figures):
    run = make_run()
    plot_run(run, ["x.svg"], View(smooth=0.9))
    raw, smooth, dev = figures[0].axes[0].lines[:3]
    assert raw.get_alpha() == 0.3 and smooth.get_alpha() == dev.get_alpha() == 1
    assert list(raw.get_ydata()) == [1 + 1 / step for step in range(1, 21)]
    assert (smooth.get_ydata()[1:] > raw.get_ydata()[1:]).all()
    assert any("moving average" in line and "0.9" in line for line in svg_text("x.svg"))
    assert raw.get_color() == smooth.get_color() != dev.get_color()


def test_of_several_runs_the_smoothed_losses_alone_are_drawn(figures):
    plot_runs([make_run(), make_run()], "x.svg", View(smooth=0.9))
    assert [len(axis.lines) for axis in figures[0].axes] == [2, 2]
    assert {"train_loss, smoothed by 0.9", "dev_loss"} <= set(svg_text("x.svg"))


@pytest.mark.parametrize("view, label, end", [
    (View(), "step (updates)", 20), (View(x="epochs"), "epoch, by its last values", 1),
    (View(x="seconds"), "seconds of training", 20 / 9)])
def test_the_axis_below_says_what_it_counts(figures, view, label, end):
    run = make_run()
    plot_run(run, ["x.svg"], view)
    plot_runs([run, make_run()], "y.svg", view)
    assert label in svg_text("x.svg") and label in svg_text("y.svg")
    assert [figure.axes[0].lines[0].get_xdata()[-1] for figure in figures] == pytest.approx([end, end])


def test_the_best_is_marked_where_its_step_is_on_the_axis(figures):
    plot_run(make_run(), ["x.svg"], View(x="seconds"))
    [ring] = [line for line in figures[0].axes[0].lines if line.get_markersize() == 8]
    assert ring.get_xdata() == pytest.approx([10 / 9]) and "best dev_loss 1 at step 10" in svg_text("x.svg")


@pytest.mark.parametrize("ratio", [1.3, 40, 1e5])
def test_a_logarithmic_axis_has_a_few_round_numbers_on_it(figures, ratio):
    run = RunDirectory.create("x")
    with MetricsLog(run.path("metrics.jsonl")) as log:
        for step in range(50):
            log.append({"event": "train", "step": step, "train_loss": 2 * ratio ** (-step / 49)})
    plot_run(run, ["x.png"], View(log=True))
    axis = figures[0].axes[0]
    low, high = axis.get_ylim()
    shown = [tick for tick in axis.get_yticks() if low <= tick <= high]
    assert axis.get_yscale() == "log" and 2 <= len(shown) <= 8
    assert all(len(f"{tick:g}") <= 6 for tick in shown)


def test_what_has_no_place_on_a_logarithmic_axis_is_counted_in_the_picture():
    run = make_run()
    with MetricsLog(run.path("metrics.jsonl")) as log:
        log.append({"event": "train", "epoch": 1, "step": 21, "train_loss": 0})
        log.append({"event": "eval", "epoch": 1, "step": 21, "dev_loss": -1})
    plot_run(run, ["x.svg"], View(log=True))
    assert {"train_loss: 1 value of 0 or less left out", "loss (mean per item), log"} <= set(svg_text("x.svg"))
    plot_runs([run, make_run()], "y.svg", View(log=True))
    assert {"train_loss (1 not above 0)", "dev_loss (1 not above 0)"} <= set(svg_text("y.svg"))


def test_the_command_takes_all_that_can_be_asked_for(capsys, figures):
    run = make_run(config="eval: {every: 1 epoch}")
    assert plot.main([run.id, "--smooth", "0.5", "--log", "--x", "epochs", "-o", "x.png"]) == 0
    assert capsys.readouterr() == ("x.png\n", "")
    axis = figures[0].axes[0]
    assert axis.get_yscale() == "log" and axis.lines[0].get_alpha() == 0.3 and axis.lines[0].get_xdata()[0] == 0.05


def test_options_may_stand_between_runs(capsys):
    runs = [make_run().id, make_run().id]
    assert plot.main([runs[0], "--x", "steps", runs[1], "-o", "x.png"]) == 0
    assert capsys.readouterr() == ("x.png\n", "")


@pytest.mark.parametrize("given", ["1", "-0.5", "much", "nan"])
def test_a_smoothing_that_cannot_be_is_one_line(capsys, given):
    make_run()
    assert plot.main(["@last", f"--smooth={given}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: smooth: expected a number from 0 to less than 1, got ") and err.count("\n") == 1


def test_a_run_that_lacks_what_is_asked_for_is_one_line(capsys):
    run = make_run()
    other = RunDirectory.create("old")
    with MetricsLog(other.path("metrics.jsonl")) as log:
        log.append({"event": "train", "step": 1, "train_loss": 1.0})
    assert plot.main([run.id, other.id, "--x", "seconds"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err == f"error: {other.path('metrics.jsonl')}: has no seconds beside its measures; draw it over steps\n"
