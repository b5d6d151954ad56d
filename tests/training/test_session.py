"""A run from config to files: what it writes, that it is the same twice, that it goes on to the bit, and how it fails."""

import itertools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import nnkit
from nnkit.optim import SGD
from nnkit.training import loop
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.metrics import read_metrics


def quietly(config, *overrides, **options):
    return nnkit.fit(config, list(overrides), quiet=True, **options)


def without_times(rows):
    return [{k: v for k, v in row.items() if k != "seconds" and not k.endswith("_per_second")} for row in rows]


def stop_after(monkeypatch, steps, number=signal.SIGINT):
    """As if the signal arrived during the given step."""
    after_step = loop.Trainer.after_step

    def stopping(self, batches):
        after_step(self, batches)
        if self.position.step == steps:
            signal.raise_signal(number)

    monkeypatch.setattr(loop.Trainer, "after_step", stopping)


def test_a_run_has_all_its_files(tiny):
    run = quietly(tiny)
    found = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert found == {"config.yaml", "config.source.yaml", "code/sgns.py", "run.json", "metrics.jsonl", "history.csv", "train.log",
                     "loss.png", "loss.svg", "checkpoints/last.npz", "checkpoints/last.prev.npz", "vectors.vec", "vocab.txt"}


def test_run_json_has_status_seed_versions_threads_and_speed(tiny):
    report = quietly(tiny).directory.read_run()
    assert report["status"] == "finished" and report["seed"] == 1 and report["words_per_second"] > 0
    assert report["numpy"] == np.__version__ and report["data"]["sha256"]
    assert all(pool["threads"] == 1 for pool in report["blas"])


def test_the_loss_falls(tiny):
    rows = [r for r in quietly(tiny, "training.epochs=12").metrics if r["event"] == "eval"]
    assert rows[-1]["train_loss"] < 0.98 * rows[0]["train_loss"]


@pytest.mark.case("trainer", 16)
@pytest.mark.case("wordvectors", 19)
@pytest.mark.case("autograd", 43)
def test_one_seed_gives_the_same_bits_twice_and_another_does_not(tiny):
    first, second, other = quietly(tiny), quietly(tiny), quietly(tiny, "seed=2")
    vectors = [(run.path / "vectors.vec").read_bytes() for run in (first, second, other)]
    assert vectors[0] == vectors[1] != vectors[2]
    assert without_times(first.metrics) == without_times(second.metrics)


@pytest.mark.case("autograd", 43)
def test_numpys_global_generator_is_left_alone(tiny):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quietly(tiny)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.case("trainer", 7)
def test_a_rerun_gets_the_next_folder(tiny):
    assert [quietly(tiny, "training.epochs=1").path.name for _ in range(2)] == ["tiny-001", "tiny-002"]


def test_the_runs_own_config_repeats_it(tiny):
    first = quietly(tiny)
    (tiny.parent / "tiny.yaml").unlink()
    second = quietly(first.path / "config.yaml")
    assert (first.path / "vectors.vec").read_bytes() == (second.path / "vectors.vec").read_bytes()


@pytest.mark.case("trainer", 8)
@pytest.mark.parametrize("number, code", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143),
    pytest.param(getattr(signal, "SIGHUP", 1), 129, marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP"))])
def test_a_signal_saves_exports_and_says_so_in_the_exit_code(tiny, monkeypatch, number, code):
    stop_after(monkeypatch, 31, number)
    run = quietly(tiny)
    assert run.exit_code == code and run.directory.read_run()["status"] == "interrupted"
    assert load_checkpoint(run.path / "checkpoints/last.npz")[1]["position"]["step"] == 31
    assert (run.path / "vectors.vec").exists() and (run.path / "loss.png").exists()


@pytest.mark.case("trainer", 11)
@pytest.mark.case("trainer", 12)
@pytest.mark.case("trainer", 13)
@pytest.mark.case("autograd", 44)
@pytest.mark.parametrize("steps", [1, 31, 120])
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_bits(tiny, monkeypatch, steps):
    unbroken = quietly(tiny, "optimizer.momentum=0.5")
    assert unbroken.directory.read_run()["step"] > 120
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        broken = quietly(tiny, "optimizer.momentum=0.5")
    resumed = nnkit.resume(broken.path, quiet=True)
    assert resumed.directory.read_run()["status"] == "finished"
    (a, meta_a), (b, meta_b) = (load_checkpoint(run.path / "checkpoints/last.npz") for run in (unbroken, resumed))
    assert meta_a["position"] == meta_b["position"]
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert without_times(unbroken.metrics) == without_times(resumed.metrics)
    assert (unbroken.path / "vectors.vec").read_bytes() == (resumed.path / "vectors.vec").read_bytes()


def test_dropouts_generator_goes_on_after_a_resume(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savetxt("table.csv", np.c_[rng.normal(size=(90, 4)), rng.integers(0, 3, 90)], delimiter=",", fmt="%.4f")
    (tmp_path / "c.yaml").write_text(
        "recipe: classifier\ndata: {train: table.csv}\ntraining: {epochs: 4, batch_size: 7}\nmodel:\n  layers:\n"
        "    - {type: Linear, out_features: 9}\n    - {type: Dropout, p: 0.5}\n    - {type: Linear}\n", encoding="utf-8")
    unbroken = quietly("c.yaml")
    with monkeypatch.context() as patch:
        stop_after(patch, 17)
        broken = quietly("c.yaml")
    resumed = nnkit.resume(broken.path, quiet=True)
    for (name, a), (_, b) in zip(unbroken.model.named_parameters(), resumed.model.named_parameters()):
        np.testing.assert_array_equal(a.value, b.value, err_msg=name)


def test_resuming_a_finished_run_says_how_to_train_on(tiny):
    run = quietly(tiny)
    with pytest.raises(nnkit.UserError, match=r"has all its 3 epochs; .*training\.epochs=N"):
        nnkit.resume(run.path, quiet=True)
    assert run.directory.read_run()["status"] == "finished"
    longer = nnkit.resume(run.path, ["training.epochs=4"], quiet=True)
    assert longer.directory.read_run()["status"] == "finished"
    assert "epochs: 4\n" in (run.path / "config.yaml").read_text(encoding="utf-8")


def test_resuming_with_another_past_is_refused(tiny):
    run = quietly(tiny)
    with pytest.raises(nnkit.ConfigError, match=r"optimizer\.lr=1: a resumed run keeps its config"):
        nnkit.resume(run.path, ["optimizer.lr=1"], quiet=True)


def test_resuming_on_other_data_is_refused(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 31)
        run = quietly(tiny)
    (tiny.parent / "corpus.txt").write_text("something else entirely " * 30, encoding="utf-8")
    with pytest.raises(nnkit.DataError, match="the data is not what it was"):
        nnkit.resume(run.path, quiet=True)


@pytest.mark.case("trainer", 19)
@pytest.mark.case("wordvectors", 21)
def test_divergence_names_step_rate_and_tensor_and_keeps_the_last_finite_checkpoint(tiny, monkeypatch):
    steps = itertools.count()
    update = SGD.step

    def step(optimizer):
        optimizer.lr *= 1e39 if next(steps) == 20 else 1
        update(optimizer)

    monkeypatch.setattr(SGD, "step", step)
    said = r"step \d+: .*lr .*gradient norm [^0].*first bad tensor: .*last\.npz \(step \d+\)"
    with pytest.raises(nnkit.Diverged, match=said) as error:
        quietly(tiny, "training.epochs=40", "save.every=1 step")
    assert error.value.exit_code == 3
    run = nnkit.training.run_directory.RunDirectory.open("@last")
    assert run.read_run()["status"] == "diverged" and not (run.folder / "vectors.vec").exists()
    arrays, _ = load_checkpoint(run.path("checkpoints/last.npz"))
    assert all(np.isfinite(a).all() for a in arrays.values())


def test_a_mistake_in_the_data_leaves_no_folder_behind(tiny):
    (tiny.parent / "corpus.txt").write_text("", encoding="utf-8")
    with pytest.raises(nnkit.DataError, match=r"corpus\.txt"):
        quietly(tiny)
    assert list((tiny.parent / "runs").iterdir()) == []


@pytest.mark.case("trainer", 7)
def test_a_forced_run_that_fails_puts_the_earlier_one_back(tiny):
    quietly(tiny, out="kept")
    before = {p: p.read_bytes() for p in (tiny.parent / "kept").rglob("*") if p.is_file()}
    (tiny.parent / "corpus.txt").write_text("", encoding="utf-8")
    with pytest.raises(nnkit.DataError):
        quietly(tiny, out="kept", force=True)
    assert {p: p.read_bytes() for p in (tiny.parent / "kept").rglob("*") if p.is_file()} == before


def test_a_run_can_be_replaced_by_a_run_of_its_own_config(tiny):
    first = quietly(tiny, out="kept")
    before = (first.path / "vectors.vec").read_bytes()
    again = quietly(first.path / "config.yaml", out="kept", force=True)
    assert (again.path / "vectors.vec").read_bytes() == before and (again.path / "code/sgns.py").exists()


def test_an_overridden_key_is_seen_in_python_as_on_the_command_line(tiny):
    run = nnkit.fit(tiny, {"training.epochs": 1, "model.dim": 4, "name": "named"}, quiet=True)
    assert run.path.name == "named-001" and run.model.words.weight.shape[1] == 4


def test_on_log_gets_every_row_of_the_metrics(tiny):
    rows = []
    run = quietly(tiny, on_log=rows.append)
    assert rows == run.metrics == read_metrics(run.path / "metrics.jsonl")


def test_on_evaluate_gets_a_copy_of_the_row_of_each_evaluation(tiny):
    rows, times = [], []

    def keep(row):
        rows.append(dict(row))
        times.append(len(read_metrics(tiny.parent / "runs/tiny-001/metrics.jsonl")))
        row.clear()

    run = quietly(tiny, on_evaluate=keep)
    assert len(rows) == 3 and rows == [row for row in run.metrics if row["event"] == "eval"]
    assert times == [n for n, row in enumerate(run.metrics, 1) if row["event"] == "eval"]  # each is in the file by then


@pytest.mark.parametrize("name", ["on_log", "on_evaluate"])
def test_what_a_callback_raises_ends_the_training_and_comes_out(tiny, name):
    def fail(row):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        quietly(tiny, **{name: fail})
    run = nnkit.training.run_directory.RunDirectory.open("@last")
    assert run.read_run()["status"] == "failed" and run.read_run()["error"] == "mine"


def test_a_resumed_run_calls_on_evaluate_for_what_is_left(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 70)
        broken = quietly(tiny)
    rows = []
    run = nnkit.resume(broken.path, quiet=True, on_evaluate=rows.append)
    left = [row for row in run.metrics if row["event"] == "eval" and row["step"] > 70]
    assert rows == left and 0 < len(left) < 3


@pytest.mark.case("trainer", 18)
@pytest.mark.case("wordvectors", 1)
def test_the_logged_loss_is_the_mean_over_the_window_not_a_running_total(tiny):
    rows = [r["train_loss"] for r in quietly(tiny).metrics]
    assert max(rows) < 1.05 * 6 * np.log(2)  # the loss of a pair and five negatives, all at score 0


@pytest.mark.case("wordvectors", 20)
def test_the_learning_rate_falls_in_every_line_and_ends_at_its_floor(tiny):
    rates = [r["lr"] for r in quietly(tiny, "training.epochs=10", "log.every=1 step").metrics if r["event"] == "train"]
    assert all(a > b for a, b in zip(rates, rates[1:])) and 1e-4 <= rates[-1] < 1e-4 + 2 * 0.025 / len(rates)


def test_blas_threads_are_what_the_config_says_and_put_back_afterwards(tiny):
    from threadpoolctl import threadpool_info

    def threads():
        return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]

    before = threads()
    seen = []
    quietly(tiny, "training.blas_threads=1", on_log=lambda row: seen.append(threads()))
    assert set(map(tuple, seen)) == {(1,) * len(before)} and threads() == before


@pytest.mark.case("trainer", 24)
@pytest.mark.case("autograd", 47)
def test_a_picture_that_cannot_be_drawn_does_not_fail_the_run(tiny, monkeypatch):
    monkeypatch.setattr("nnkit.training.plots.plot_run", lambda *a, **k: 1 / 0)
    run = quietly(tiny)
    assert run.directory.read_run()["status"] == "finished"


def test_metrics_are_lines_of_strict_json(tiny):
    for line in (quietly(tiny).path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))


def test_a_run_that_was_killed_before_its_last_files_gets_them_on_resume(tiny, monkeypatch):
    run = quietly(tiny)
    vectors = (run.path / "vectors.vec").read_bytes()
    (run.path / "vectors.vec").unlink()
    run.directory.update_run(status="running")
    resumed = nnkit.resume(run.path, quiet=True)
    assert (run.path / "vectors.vec").read_bytes() == vectors and resumed.directory.read_run()["status"] == "finished"
    assert resumed.exit_code == 0 and without_times(resumed.metrics) == without_times(run.metrics)


def test_a_run_without_a_checkpoint_says_how_to_start_anew(tiny, monkeypatch):
    monkeypatch.setattr(loop.Trainer, "save", lambda self: None)
    run = quietly(tiny)
    with pytest.raises(nnkit.UserError, match=r"before its first checkpoint .* start anew: nnkit train .*config\.yaml"):
        nnkit.resume(run.path, quiet=True)


def test_a_run_that_a_process_trains_is_neither_resumed_nor_replaced(tiny):
    if nnkit.training.run_directory.fcntl is None:
        pytest.skip("this system has no flock")
    run = quietly(tiny, out="taken")
    with run.directory.claimed():
        for again in (lambda: nnkit.resume("taken", ["training.epochs=4"], quiet=True),
                      lambda: quietly(tiny, out="taken", force=True)):
            with pytest.raises(nnkit.UserError, match="another process is training here"):
                again()
    assert run.directory.read_run()["status"] == "finished" and (run.path / "vectors.vec").exists()
    assert nnkit.resume("taken", ["training.epochs=4"], quiet=True).exit_code == 0


def test_the_error_of_an_earlier_try_goes_when_the_run_goes_on(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "check_parameters", lambda self: None)
        patch.setattr("nnkit.training.session.write_history", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            quietly(tiny, out="tried")
    run = nnkit.training.run_directory.RunDirectory.open("tried")
    assert run.read_run()["error"] == "division by zero"
    nnkit.resume("tried", quiet=True)
    assert run.read_run()["status"] == "finished" and "error" not in run.read_run()


def test_a_folder_that_could_not_be_begun_is_not_left_behind(tiny, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nnkit.training.run_directory.RunDirectory, "write_json", full)
    with pytest.raises(nnkit.UserError, match="No space left"):
        quietly(tiny, out="begun")
    assert not (tiny.parent / "begun").exists()


@pytest.mark.case("autograd", 45)
def test_a_checkpoint_is_read_by_numpy_alone_without_pickle_and_says_format_and_config(tiny):
    path = quietly(tiny).path / "checkpoints/last.npz"
    program = ("import json, sys, numpy as np; f = np.load(sys.argv[1], allow_pickle=False); "
               "meta = json.loads(str(f['meta'])); print(meta['format'], meta['meta']['config']['model']['dim'], "
               "f['model/words.weight'].shape[1])")
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["2", "8", "8"]


def test_the_last_steps_are_no_line_of_their_own_where_they_have_few_losses(tiny, tmp_path):
    """The curve ended in a jump: three losses of the last 29 steps."""
    plain = nnkit.fit(tiny, ["log.every=100 steps"], out=tmp_path / "plain", quiet=True)
    steps = plain.metrics[-1]["step"]
    assert steps % 100 and plain.metrics[-1]["event"] == "train"
    rare = ["log.every=200 steps", "log.loss_every=2", "training.epochs=21"]
    sparse = nnkit.fit(tiny, rare, out=tmp_path / "sparse", quiet=True)
    lines = [row["step"] for row in sparse.metrics if row["event"] == "train"]
    assert sparse.metrics[-1]["step"] % 200 and lines and all(step % 200 == 0 for step in lines)
