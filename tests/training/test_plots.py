"""Pictures are drawn on any machine and from any run, and never fail a training."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from plotted import make_run, png_size, svg_text

from nnkit import plot
from nnkit.errors import ConfigError, UserError
from nnkit.training import drawing
from nnkit.training.comparing import differences
from nnkit.training.metrics import MetricsLog
from nnkit.training.plots import plot_run, plot_runs, safe_plot
from nnkit.training.run_directory import RunDirectory

mpl = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_gets_a_png_and_an_svg_and_nothing_else_is_left():
    run = make_run()
    before = set(os.listdir(run))
    assert plot_run(run) == [run.path("loss.png"), run.path("loss.svg")]
    assert set(os.listdir(run)) - before == {"loss.png", "loss.svg"}
    assert png_size(run.path("loss.png"))[0] == 960


def test_a_picture_names_the_run_its_curves_its_axes_and_its_best():
    run = make_run(dev_acc=0.5, perplexity=90.0)
    plot_run(run)
    text = svg_text(run.path("loss.svg"))
    for expected in ("sgns-001", "train", "dev", "dev_acc", "perplexity", "loss (mean per item)", "step (updates)",
                     "lr", "best dev_loss 1 at step 10"):
        assert expected in text


def test_the_best_that_run_json_names_is_marked_where_its_measure_is_drawn(figures):
    run = make_run(dev_acc=0.5)
    run.update_run(best={"metric": "dev_acc", "value": 0.5, "step": 15})
    plot_run(run, ["x.svg"])
    assert "best dev_acc 0.5 at step 15" in svg_text("x.svg")
    rings = [[line.get_xdata()[0] for line in axis.lines if line.get_markersize() == 8] for axis in figures[0].axes]
    assert rings == [[], [15], []]


@pytest.mark.parametrize("best", [None, 3, {}, {"metric": "gone", "step": 1, "value": 1}, {"metric": "dev_loss"}])
def test_a_best_that_cannot_be_used_is_replaced_by_the_lowest_dev_loss(best):
    run = make_run()
    run.update_run(best=best)
    plot_run(run, ["x.svg"])
    assert "best dev_loss 1 at step 10" in svg_text("x.svg")


@pytest.mark.parametrize("every", [1, 2])
def test_a_run_of_one_point_shows_it(figures, every):
    plot_run(make_run(steps=1, every=every))
    points = [line for axis in figures[0].axes for line in axis.lines
              if set(line.get_xdata()) == {1} and line.get_linestyle() == "-"]
    assert len(points) >= 2 and all(line.get_marker() == "o" for line in points)
    assert all(float(tick).is_integer() for tick in figures[0].axes[-1].get_xticks())


def test_one_evaluation_does_not_narrow_the_axis_to_itself(figures):  # panels share it: the train curve was cut off
    run = RunDirectory.create("few")
    rows = [f'{{"event": "train", "step": {step}, "lr": 1, "train_loss": 2}}' for step in range(100, 1001, 100)]
    rows.append('{"event": "eval", "step": 1000, "dev_loss": 3, "dev_ppl": 20}')
    run.path("metrics.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    plot_run(run, ["x.svg"])
    plot_runs([run, run], "y.svg")
    for figure in figures:
        assert all(axis.get_xlim()[0] < 101 and axis.get_xlim()[1] > 999 for axis in figure.axes)


def test_a_hundred_thousand_points_are_thinned_out(figures):
    run = RunDirectory.create("long")
    line = '{{"event": "train", "step": {0}, "train_loss": {0}}}\n'
    run.path("metrics.jsonl").write_text("".join(line.format(step) for step in range(100_000)), encoding="utf-8")
    plot_run(run, ["x.svg"])
    (curve,) = figures[0].axes[0].lines
    assert len(curve.get_xdata()) == 2000
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata())
    assert os.path.getsize("x.svg") < 200_000


def test_the_names_of_curves_that_end_together_do_not_lie_on_each_other(figures):
    plot_run(make_run(dev_a=0.5, dev_b=0.5, dev_c=0.5, dev_d=0.501))
    figure = figures[0]
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_loss_over_many_powers_of_ten_is_drawn_on_a_logarithmic_scale(figures):
    for last in (0.5, 0.001):
        run = RunDirectory.create("x")
        with MetricsLog(run.path("metrics.jsonl")) as log:
            log.append({"event": "train", "step": 1, "train_loss": 2.0})
            log.append({"event": "train", "step": 2, "train_loss": last})
        plot_run(run)
    assert [figure.axes[0].get_yscale() for figure in figures] == ["linear", "log"]


@pytest.mark.parametrize("last", [1e30, 1e300, -1e308])
def test_a_diverged_run_is_drawn_up_to_where_it_was_finite(last):
    run = make_run(steps=4)
    with MetricsLog(run.path("metrics.jsonl")) as log:
        log.append({"event": "train", "step": 5, "train_loss": last})
        log.append({"event": "train", "step": 6, "train_loss": None})
    plot_run(run)


@pytest.mark.parametrize("name", ["$x_1$ 日本", "_a^{$x_{$", "x" * 200, "&amp;'"])
def test_a_run_of_any_name_is_drawn_without_a_warning(name):
    run = make_run(name)
    plot_run(run, ["x.png", "x.svg", "x.pdf"])
    plot_runs([run, make_run(config="optimizer: {lr: '$'}")], "y.svg")
    assert "…" in "".join(svg_text("x.svg")) or run.id in svg_text("x.svg")


def test_letters_that_cannot_stand_in_an_svg_are_replaced(tmp_path):
    folder = tmp_path / "a\x01\udce9b"
    os.rename(make_run(), folder)
    plot_run(folder, ["x.svg"])
    assert "a??b" in svg_text("x.svg")


def test_a_run_without_metrics_is_a_clear_error():
    run = RunDirectory.create("sgns")
    with pytest.raises(UserError, match=r"metrics\.jsonl.*yet"):
        plot_run(run)
    run.path("metrics.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"metrics\.jsonl.*yet"):
        plot_run(run)


def test_the_same_curves_give_the_same_bytes():
    run = make_run()
    for name in ("a", "b"):
        plot_run(run, [f"{name}.png", f"{name}.svg", f"{name}.pdf"])
    for kind in ("png", "svg", "pdf"):
        with open(f"a.{kind}", "rb") as a, open(f"b.{kind}", "rb") as b:
            assert a.read() == b.read()


def test_a_matplotlibrc_of_the_user_changes_neither_the_picture_nor_itself():
    run = make_run()
    with mpl.rc_context({"figure.facecolor": "black", "text.usetex": True, "savefig.bbox": "tight"}):
        plot_run(run)
        assert mpl.rcParams["text.usetex"] is True
    assert png_size(run.path("loss.png"))[0] == 960


def test_a_comparison_names_each_run_and_what_its_config_differs_in():
    config = "name: {0}\nseed: 1\nmodel: {{dim: {0}, layers: [{{type: Linear}}]}}\noptimizer: {{lr: {1}}}\n"
    runs = [make_run(config=config.format(dim, lr)) for dim, lr in [(100, 0.5), (200, 0.25)]]
    assert str(plot_runs(runs, "compare.svg")) == "compare.svg"
    text = svg_text("compare.svg")
    assert "sgns-001   dim=100  lr=0.5" in text and "sgns-002   dim=200  lr=0.25" in text
    assert {"train_loss", "dev_loss"} <= set(text)


def test_keys_that_end_alike_are_written_whole():
    runs = [make_run(config=f"a: {{size: {size}}}\nb: {{size: {size}}}\n") for size in (1, 2)]
    plot_runs(runs, "compare.svg")
    assert "sgns-001   a.size=1  b.size=1" in svg_text("compare.svg")


def test_a_key_is_whole_where_another_that_does_not_differ_ends_alike_and_values_are_as_yaml_has_them():
    one = {"eval.every": None, "save.every": 1, "model.direct": True}
    other = {"eval.every": 5, "save.every": 1, "model.direct": False}
    assert differences([one, other]) == [{"eval.every": "null", "direct": "true"}, {"eval.every": "5", "direct": "false"}]


def test_a_config_that_cannot_be_read_costs_the_comparison_nothing_but_its_words():
    runs = [make_run(config="seed: 1"), make_run(config="{"), make_run(config="seed: 2")]
    plot_runs(runs, "compare.svg")
    assert {"sgns-001   seed=1", "sgns-002", "sgns-003   seed=2"} <= set(svg_text("compare.svg"))


def test_runs_of_one_id_in_two_places_are_told_apart(tmp_path):
    here = make_run()
    there = tmp_path / "old" / "sgns-001"
    there.parent.mkdir()
    os.rename(here, there)
    plot_runs([there, make_run()], "compare.svg")
    assert str(there) in svg_text("compare.svg")


def test_every_run_of_a_comparison_has_a_look_of_its_own(figures):
    plot_runs([make_run() for _ in range(15)], "compare.png")
    looks = {(line.get_color(), line.get_linestyle()) for line in figures[0].axes[0].lines}
    assert len(looks) == 15
    assert len(figures[0].legends[0].get_texts()) == 15


def test_runs_that_measure_different_things_are_compared_in_what_they_have(figures):
    plot_runs([make_run(every=100), make_run(dev_acc=0.5)], "compare.png")
    assert [(axis.get_title(loc="left"), len(axis.lines)) for axis in figures[0].axes] == [
        ("train_loss", 2), ("dev_loss", 1), ("dev_acc", 1)]


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.png.gz"])
def test_an_unknown_kind_of_picture_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
        plot_run(make_run(), [name])


def test_a_picture_that_cannot_be_written_is_a_clear_error():
    with pytest.raises(UserError, match=r"missing.x\.png: cannot be written: there is no folder missing"):
        plot_run(make_run(), ["missing/x.png"])


@pytest.mark.case("trainer", 24)
def test_a_training_gets_a_hint_line_and_no_exception(monkeypatch):
    run = make_run()
    assert safe_plot(run) is None

    def broken(*_):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(drawing, "draw", broken)
    hint = safe_plot(run)
    assert hint == f"no picture: RuntimeError: two lines (later: nnkit plot {run})"
    assert "yet" in str(safe_plot(RunDirectory.create("empty")))


@pytest.mark.case("trainer", 24)
@pytest.mark.case("autograd", 47)
def test_without_matplotlib_there_is_a_hint_line(monkeypatch, capsys):
    run = make_run()
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    hint = safe_plot(run)
    assert hint is not None and "pip install matplotlib" in hint and "\n" not in hint
    assert plot.main([run.id]) == 1
    assert capsys.readouterr().err.startswith("error: matplotlib cannot be imported")


@pytest.mark.case("trainer", 24)
@pytest.mark.case("autograd", 47)
def test_a_machine_without_a_display_draws_and_pyplot_is_never_imported():
    run = make_run()
    program = ("import sys\nimport nnkit.plot\nassert 'matplotlib' not in sys.modules\n"
               "code = nnkit.plot.main(sys.argv[1:])\nassert 'matplotlib.pyplot' not in sys.modules\nsys.exit(code)")
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"} | {"MPLBACKEND": "TkAgg"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", program, run.id], env=environment, capture_output=True,
                          text=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{run.path('loss.png')}\n", "")
    png_size(run.path("loss.png"))


def test_the_command_draws_one_run_into_its_folder(capsys):
    run = make_run()
    run.path("loss.png").write_bytes(b"old")
    assert plot.main(["@last"]) == 0
    assert capsys.readouterr() == (f"{run.path('loss.png')}\n", "")
    png_size(run.path("loss.png"))


def test_the_command_draws_several_runs_into_this_folder(capsys, tmp_path):
    runs = [make_run(), make_run()]
    assert plot.main([runs[0].id, str(runs[1])]) == 0
    assert capsys.readouterr().out == "compare.png\n"
    png_size(tmp_path / "compare.png")


def test_the_command_draws_where_it_is_told(capsys, tmp_path):
    make_run()
    assert plot.main(["sgns-001", "-o", "here.svg"]) == 0
    assert capsys.readouterr().out == "here.svg\n"
    assert "sgns-001" in svg_text(tmp_path / "here.svg")


@pytest.mark.parametrize(("arguments", "code"), [(["sgns-009"], 1), (["sgns-001", "-o", "x.jpg"], 2)])
def test_the_command_says_in_a_line_what_is_wrong(capsys, arguments, code):
    make_run()
    assert plot.main(arguments) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1


def test_a_command_line_without_a_run_exits_2(capsys):
    with pytest.raises(SystemExit) as exit_:
        plot.main([])
    assert exit_.value.code == 2


def test_drawing_leaves_the_warning_filters_as_they_were():
    before = list(warnings.filters)
    plot_run(make_run())
    assert warnings.filters == before
