"""training.workers: N from the outside: every item once an epoch, for any N and over a stop; refusals; how it fails."""

import collections
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit.training import fitting
from nnkit.training import workers as workers_module
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.run_directory import RunDirectory
from nnkit.training.signals import StopRequest
from nnkit.training.workers import WorkersTrainer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")

RECIPE = Path(__file__).parent / "recipes/tally.py"
CONFIG = f"""\
recipe: {RECIPE}
name: tally
data: {{items: 62, tally: tally.txt}}
training: {{epochs: 3, workers: 2}}
optimizer: {{lr: 0.1}}
schedule: {{type: linear, end: 0.001}}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tally.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "tally.yaml"


def quietly(config, *overrides, **options):
    return nnkit.fit(config, list(overrides), quiet=True, **options)


def batches(epoch=None):
    """(epoch, worker, process, items) of each step, in the order they were begun."""
    rows = [list(map(int, line.split())) for line in Path("tally.txt").read_text(encoding="utf-8").splitlines()]
    return [(e, me, pid, tuple(items)) for e, me, pid, *items in rows if epoch in (None, e)]


def items(epoch):
    return collections.Counter(i for *_, of_a_batch in batches(epoch) for i in of_a_batch)


def stop_at(monkeypatch, steps, number=signal.SIGINT):
    """As if the signal arrived when the trainer sees that so many steps are done."""
    take_stock = WorkersTrainer.take_stock

    def stopping(self):
        take_stock(self)
        if self.position.step >= steps and not getattr(self, "was_stopped", False):
            self.was_stopped = True
            signal.raise_signal(number)

    monkeypatch.setattr(WorkersTrainer, "take_stock", stopping)


def status(folder="@last"):
    return RunDirectory.open(folder).read_run()["status"]


@pytest.mark.parametrize("workers, n", [(2, 62), (3, 62), (3, 2), (4, 1)])
def test_every_item_is_trained_once_an_epoch_also_where_workers_have_nothing_to_do(config, workers, n):
    run = quietly(config, f"training.workers={workers}", f"data.items={n}")
    for epoch in range(3):
        assert items(epoch) == dict.fromkeys(range(n), 1)
    assert len({pid for _, _, pid, _ in batches()} | {os.getpid()}) == min(workers, n) + 1
    assert run.exit_code == 0 and status() == "finished"
    assert run.directory.read_run()["step"] == len(batches())


def test_the_model_that_comes_back_is_the_one_that_the_workers_trained(config):
    run = quietly(config, "data.items=64", "schedule={type: constant}")
    first = run.recipe.build(np.random.default_rng([1, 0])).weight.value
    expected = 1 + (first - 1.0) * (1 - 0.1 * 2 / 8) ** 3  # three steps on every row, of a mean over 8 numbers
    np.testing.assert_allclose(run.model.weight.value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(load_checkpoint(run.path / "checkpoints/last.npz")[0]["model/weight"], run.model.weight.value)


def test_workers_see_other_batches_than_each_other_in_every_epoch(config):
    quietly(config)
    orders = [tuple(b for _, me, _, b in batches(epoch) if me == worker) for epoch in range(3) for worker in range(2)]
    assert len(set(orders)) == 6


@pytest.mark.case("wordvectors", 20)
def test_the_rate_falls_in_every_row_and_ends_at_its_floor_for_many_epochs(config, monkeypatch):
    done = []
    take_stock = WorkersTrainer.take_stock
    monkeypatch.setattr(WorkersTrainer, "take_stock", lambda self: (take_stock(self), done.append(self.progress())) and None)
    rows = quietly(config, "training.epochs=20", "log.every=1 step", "data={items: 61, tally: tally.txt, pause: 0.01}",
                   "training.workers=3").metrics
    rates = [row["lr"] for row in rows]
    assert len(rates) > 20 and all(a >= b - 1e-12 for a, b in zip(rates, rates[1:]))
    assert rates[0] < 0.1 and min(rates) >= 0.001 and rates[-1] == pytest.approx(0.001)
    for row in rows:  # in a straight line over all steps, and not epoch by epoch
        assert row["lr"] == pytest.approx(0.1 - 0.099 * row["step"] / rows[-1]["step"], abs=0.099 / 20 / 2)
    assert max(done) <= 1 and all(b >= a - 1e-12 for a, b in zip(done, done[1:]))


def test_no_line_is_lost_while_all_stand_still(config, monkeypatch):
    """Steps that ended between the order to stand still and its being obeyed were never asked whether a line was due."""
    seen, is_due = [], WorkersTrainer.is_due

    def asked(self, what):
        if what == "log":
            seen.append(self.position.step)
        return is_due(self, what)

    monkeypatch.setattr(WorkersTrainer, "is_due", asked)
    rows = quietly(config, "log.every=4 steps", "save.every=3 steps", "eval.every=4 steps", "data.pause=0.01").metrics
    for event in ("train", "eval"):
        written = {row["step"] // 4 for row in rows if row["event"] == event}
        assert written == {step // 4 for step in seen if step >= 4} | {12}  # all of those, and the end


def test_a_worker_that_is_late_keeps_the_others_waiting(config):
    quietly(config, "data.trouble=late")
    assert {me for _, me, _, _ in batches()} == {0, 1}
    assert all(items(epoch) == dict.fromkeys(range(62), 1) for epoch in range(3))


# Stop and go on

@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resume_goes_on_with_each_worker_at_its_own_step(config, monkeypatch, number, code):
    with monkeypatch.context() as patch:
        stop_at(patch, 20, number)
        run = quietly(config, "data.pause=0.02")
    assert run.exit_code == code and status() == "interrupted"
    position = load_checkpoint(run.path / "checkpoints/last.npz")[1]["position"]
    assert position["step"] == len(batches()) == sum(at["steps"] for at in position["workers"]) < 48
    resumed = nnkit.resume(run.path, quiet=True)
    assert resumed.exit_code == 0 and status() == "finished" and resumed.directory.read_run()["step"] == 48
    for epoch in range(3):  # none left out, none twice
        assert items(epoch) == dict.fromkeys(range(62), 1)


def test_a_run_goes_on_from_a_save_in_the_middle_of_an_epoch(config, monkeypatch):
    fail_at_save(monkeypatch, 2)
    with pytest.raises(OSError, match="as if killed"):
        quietly(config, "save.every=5 steps", "data.pause=0.02")
    monkeypatch.undo()
    os.chdir(config.parent)
    run = RunDirectory.open("@last")
    position = load_checkpoint(run.path("checkpoints/last.npz"))[1]["position"]
    assert 0 < position["step_in_epoch"] < 16
    Path("tally.txt").unlink()
    assert nnkit.resume(run, quiet=True).directory.read_run()["step"] == 48
    assert len(batches()) == 48 - position["step"] and set(items(0).values()) == {1}
    rest = collections.Counter(me for _, me, _, _ in batches(0))
    assert [at["step"] + rest[i] for i, at in enumerate(position["workers"]) if at["epoch"] == 0] == [8, 8]
    assert all(items(epoch) == dict.fromkeys(range(62), 1) for epoch in (1, 2))


def fail_at_save(monkeypatch, number):
    save, calls = WorkersTrainer.save, []

    def saving(self):
        calls.append(1)
        if len(calls) == number:
            raise OSError("as if killed")
        save(self)

    monkeypatch.setattr(WorkersTrainer, "save", saving)


def test_a_run_that_lacks_only_its_last_files_trains_no_further(config):
    run = quietly(config)
    before = run.model.weight.value.copy()
    run.directory.update_run(status="running")
    Path("tally.txt").unlink()
    resumed = nnkit.resume(run.path, quiet=True)
    assert status() == "finished" and not Path("tally.txt").exists()
    np.testing.assert_array_equal(resumed.model.weight.value, before)


def test_a_finished_run_trains_on_with_more_epochs(config):
    run = quietly(config)
    assert nnkit.resume(run.path, ["training.epochs=4"], quiet=True).directory.read_run()["step"] == 64
    assert all(items(epoch) == dict.fromkeys(range(62), 1) for epoch in range(4))


def test_the_number_of_workers_stays_as_it_is_in_a_resumed_run(config, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        run = quietly(config, "data.pause=0.02")
    with pytest.raises(nnkit.ConfigError, match=r"training\.workers=3: a resumed run keeps its config"):
        nnkit.resume(run.path, ["training.workers=3"], quiet=True)
    text = (run.path / "config.yaml").read_text(encoding="utf-8")
    (run.path / "config.yaml").write_text(text.replace("workers: 2", "workers: 3"), encoding="utf-8")
    with pytest.raises(nnkit.ConfigError, match=r"training\.workers: 3: .* was trained with 2; a resumed run keeps their number"):
        nnkit.resume(run.path, quiet=True)


# What is refused

@pytest.mark.parametrize("overrides, reason", [
    (["optimizer.momentum=0.5"], r"training\.workers: 2: the optimizer keeps a state .*optimizer\.momentum: 0"),
    (["training.workers=300"], r"training\.workers: .*256"),
])
def test_what_cannot_be_shared_is_refused_before_there_is_a_folder(config, overrides, reason):
    with pytest.raises(nnkit.ConfigError, match=reason) as error:
        quietly(config, *overrides)
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_a_recipe_without_tables_is_refused_with_its_line_before_data_is_read(config):
    Path("c.yaml").write_text("recipe: classifier\ndata: {train: table.csv}\ntraining: {workers: 2}\n", encoding="utf-8")
    with pytest.raises(nnkit.ConfigError, match=r"training\.workers: 2: \w+ has no tables .*training\.workers: 1") as error:
        quietly("c.yaml")
    assert error.value.exit_code == 2 and str(error.value).startswith("c.yaml:3:21: ") and not Path("runs").exists()


def test_windows_is_refused(config, monkeypatch):
    monkeypatch.setattr(fitting.sys, "platform", "win32")
    with pytest.raises(nnkit.ConfigError, match="needs Linux or macOS"):
        quietly(config)


def test_no_room_for_the_tables_is_one_line(config, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(nnkit.UserError, match=r"no room .*\(No space left on device\).*training\.workers: 1"):
        quietly(config)


# How it fails

@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """No temporary file, none in memory and no process is left once the test is over."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    in_memory = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    yield
    assert os.listdir(tmp_path / "temporary") == []
    left = set(os.listdir("/dev/shm")) - in_memory if os.path.isdir("/dev/shm") else set()
    assert not [name for name in left if name.startswith(("nnkit", "tmp"))]
    for pid in map(int, Path("tally.txt.processes").read_text(encoding="utf-8").split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("trouble, how", [
    ("kill", r"worker 1 of 2 was killed by SIGKILL, perhaps for want of memory"),
    ("raise", r"worker 1 of 2 ended with code 1: \S+Error: mean requires at least one data point \(.*/code/tally\.py:\d+\)"),
])
def test_a_worker_that_ends_ends_the_run_with_a_line_and_the_way_on(config, nothing_left, trouble, how):
    with pytest.raises(nnkit.UserError, match=f"{how}; --resume .*tally-001 goes on from step 16, which was saved") as error:
        quietly(config, f"data.trouble={trouble}")
    assert error.value.exit_code == 1 and "\n" not in str(error.value) and status() == "failed"
    position = load_checkpoint(RunDirectory.open("@last").path("checkpoints/last.npz"))[1]["position"]
    assert (position["epoch"], position["step"]) == (1, 16)


def test_a_worker_that_ends_before_anything_is_saved_says_so(config, nothing_left):
    with pytest.raises(nnkit.UserError, match="nothing was saved before"):
        quietly(config, "data.trouble=kill", "save.every=2 epochs")


@pytest.mark.case("wordvectors", 21)
def test_a_loss_that_is_not_finite_in_one_worker_ends_all_with_the_last_finite_state(config, nothing_left):
    said = r"step \d+: the loss of worker 1 is not finite \(lr 0\.0\d+.*last\.npz \(step 16\)"
    with pytest.raises(nnkit.Diverged, match=said) as error:
        quietly(config, "data.trouble=nan")
    assert error.value.exit_code == 3 and status() == "diverged"


def test_a_worker_that_cannot_be_started_is_one_line(config, monkeypatch):
    monkeypatch.setattr(workers_module.subprocess, "Popen", lambda *_, **__: (_ for _ in ()).throw(OSError(11, "no more")))
    with pytest.raises(nnkit.UserError, match=r"worker 0 cannot be started \(no more\); set a smaller training\.workers"):
        quietly(config)


def test_ctrl_c_is_blocked_in_a_worker_from_its_first_moment(config, monkeypatch):
    """A worker that was still importing when Ctrl-C came ended, and took the run with it before it could save."""
    Path("early").mkdir()
    Path("early/sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'nnkit.training.worker' in sys.orig_argv:\n"
        "    os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path("early").resolve()))
    assert quietly(config).exit_code == 0


def test_the_trainers_own_signals_are_as_before(config):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT)
    quietly(config, "training.epochs=1")
    assert before == (signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT))


def test_it_works_in_a_thread(config):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(quietly(config)))
    thread.start()
    thread.join(60)
    assert [run.exit_code for run in runs] == [0] and items(2) == dict.fromkeys(range(62), 1)


def test_a_worker_imports_what_the_trainer_can_import(config, monkeypatch):
    """The recipe found a module on the trainer's own path, and no worker did."""
    Path("elsewhere").mkdir()
    Path("elsewhere/on_the_path.py").write_text("from nnkit.training import Recipe\n", encoding="utf-8")
    Path("mine.py").write_text("import on_the_path\n" + RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path("elsewhere").resolve()))
    assert quietly(config, "recipe=./mine.py").exit_code == 0


def test_a_stop_that_was_asked_for_before_the_first_step_trains_nothing(config, monkeypatch):
    enter = StopRequest.__enter__

    def stopped(self):
        enter(self)
        signal.raise_signal(signal.SIGTERM)
        return self

    monkeypatch.setattr(StopRequest, "__enter__", stopped)
    run = quietly(config, "data.pause=0.01")
    assert run.exit_code == 143 and status() == "interrupted"
