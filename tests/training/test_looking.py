"""What a run shows of itself: history, best, curves, and what a notebook makes of it."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from plotted import make_run, png_size

import nnkit
from nnkit.errors import ConfigError, UserError
from nnkit.training.console import Console, in_notebook
from nnkit.training.looking import Best, History, SeenRun
from nnkit.training.using import TrainedRun


class Seen(SeenRun):
    def __init__(self, directory):
        self.directory = directory


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Seen(make_run())


def test_history_has_equally_long_arrays_of_the_rows_of_history_csv(tiny):
    run = nnkit.fit(tiny, quiet=True)
    columns = run.path.joinpath("history.csv").read_text(encoding="utf-8").splitlines()
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert {len(values) for values in run.history.values()} == {len(columns) - 1}
    column = columns[0].split(",").index("train_loss")
    assert run.history["train_loss"].tolist() == [float(line.split(",")[column]) for line in columns[1:]]


def test_history_has_nan_where_a_row_has_no_number():
    history = History.of([{"event": "eval", "epoch": 1, "step": 5, "dev_loss": 2.0, "best": True, "note": "x"},
                          {"event": "train", "epoch": 2, "step": 9, "train_loss": None}])
    assert set(history) == {"epoch", "step", "dev_loss"}
    np.testing.assert_array_equal(history["dev_loss"], [2, np.nan])


def test_a_measure_that_is_not_there_is_answered_with_those_that_are(seen):
    with pytest.raises(UserError, match=r"no 'dev_ac'; it has epoch, step, seconds, lr, train_loss, dev_loss$"):
        seen.history["dev_ac"]
    assert "dev_ac" not in seen.history


def test_best_and_the_line_of_a_run(seen):
    assert seen.best is None and seen.status == "running"
    seen.directory.update_run(status="finished", step=1200,
                              best={"monitor": "-dev_loss", "metric": "dev_loss", "value": 1.0, "epoch": 1, "step": 10})
    assert seen.best == Best("dev_loss", 1.0, 1, 10) and seen.best.step == 10
    path = f"Seen({seen.path}"
    assert repr(seen) == f"{path}, finished, 1,200 steps, best dev_loss 1.0000 in epoch 1, step 10)"
    shutil.rmtree(seen.path)
    assert repr(seen) == f"{path}, of which run.json cannot be read)"  # a debugger must be able to show it


def test_curves_are_shown_or_written(seen, tmp_path):
    picture = seen.plot(smooth=0.5, x="seconds")
    (tmp_path / "shown.png").write_bytes(picture._repr_png_())
    assert png_size(seen.plot(tmp_path / "written.png")) == png_size(tmp_path / "shown.png")
    assert seen.plot(tmp_path / "written.png").read_bytes() != picture.png  # not smoothed
    with pytest.raises(ConfigError, match="smooth: expected a number"):
        seen.plot(smooth=1)
    with pytest.raises(ConfigError, match="x: expected steps, epochs, seconds, got 'days'"):
        seen.plot(x="days")


def test_a_notebook_shows_the_line_and_the_curves_or_why_there_are_none(seen, tmp_path):
    assert 'src="data:image/png;base64,iVBOR' in seen._repr_html_()
    named = Seen(make_run("a&b", steps=0))
    assert "a&amp;b" in named._repr_html_() and "a&b" not in named._repr_html_().replace("a&amp;b", "")
    assert "<img" not in named._repr_html_() and named._repr_html_().count("<p>") == 2


def test_run_and_loaded_run_are_seen_alike(tiny):
    run = nnkit.fit(tiny, quiet=True)
    assert isinstance(run, SeenRun) and run.status == "finished" and repr(run).startswith(f"Run({run.path}, finished, ")
    assert issubclass(TrainedRun, SeenRun)


@pytest.mark.parametrize("shell, expected", [(SimpleNamespace(kernel=None), True), (SimpleNamespace(), False), (None, False)])
def test_a_kernel_is_a_notebook_and_ipython_on_a_terminal_is_none(monkeypatch, capsys, shell, expected):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is expected
    Console().say("here")
    said = capsys.readouterr()
    assert (said.out if expected else said.err) == "here\n" and (said.err if expected else said.out) == ""


@pytest.mark.parametrize("kernel", [True, False])
def test_the_command_line_of_a_kernel_is_not_recorded(tiny, monkeypatch, kernel):
    monkeypatch.setattr("nnkit.training.session.in_notebook", lambda: kernel)
    monkeypatch.setattr("sys.argv", ["kernel", "-f", "kernel.json"])
    run = nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    assert run.directory.read_run().get("argv") == (None if kernel else ["-f", "kernel.json"])
