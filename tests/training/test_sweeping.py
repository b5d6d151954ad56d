"""nnkit sweep: every combination once, gone on with after a stop, and a table that says what the runs say."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnkit
from nnkit.commands.sweep import main, say
from nnkit.training import sweeping
from nnkit.training.run_directory import RunDirectory
from nnkit.training.sweep_table import mean_and_deviation, measure
from nnkit.training.sweeping import Sweep, read_values, split_values

RECIPE = """\
import time
from pathlib import Path
import numpy as np
from nnkit import losses, nn
from nnkit.errors import DataError
from nnkit.training import Recipe, RunConfig


class Batch:
    def __init__(self, x):
        self.x, self.count, self.units = x, len(x), len(x)


class Line(Recipe):
    Config = RunConfig
    measures = ("dev_loss",)

    def __init__(self, config):
        super().__init__(config)
        if config.seed == 13:
            raise DataError("line.txt: no such file")
        self.x = np.random.default_rng(config.seed).standard_normal((8, 3)).astype(np.float32)
        self.units_per_epoch = len(self.x)

    def build(self, rng):
        return nn.Linear(3, 1, rng=rng)

    def batches(self, epoch, rng, start=0):
        for first in range(4 * start, 8, 4):
            if Path("slow").exists():
                time.sleep(0.05)
            yield Batch(self.x[first:first + 4])

    def loss(self, model, batch):
        return losses.mean_squared_error(model(batch.x), batch.x[:, :1])

    def evaluate(self, model):
        return {"dev_loss": float(losses.mean_squared_error(model(self.x), self.x[:, :1]))}
"""


@pytest.fixture
def line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.py").write_text(RECIPE, encoding="utf-8")
    config = tmp_path / "line.yaml"
    config.write_text("recipe: line.py\ntraining: {epochs: 2}\neval: {monitor: -dev_loss}\n", encoding="utf-8")
    return config


@pytest.mark.parametrize("text, values", [
    ("0.1,0.3, 1", ["0.1", "0.3", "1"]), ("[a,b],[c]", ["[a,b]", "[c]"]), ("", [""]), ("'a,b',c", ["'a,b'", "c"]),
    ('{type: SGD, lr: 1},{type: Adam, betas: [0.9, 0.99]}', ["{type: SGD, lr: 1}", "{type: Adam, betas: [0.9, 0.99]}"]),
    ("it's,that's", ["it's", "that's"]), ('["a]",b],c', ['["a]",b]', "c"]), ("a=b,c", ["a=b", "c"])])
def test_values_are_parted_at_commas_outside_of_brackets_and_quotes(text, values):
    assert split_values(text) == values


@given(st.lists(st.recursive(st.integers() | st.text("ab,[]{}' ", max_size=4), lambda inner: st.lists(inner, max_size=3)),
                min_size=1, max_size=4))
def test_any_values_that_are_written_out_are_parted_again(values):
    written = [json.dumps(value) for value in values]
    assert split_values(",".join(written)) == [text.strip() for text in written]


@pytest.mark.parametrize("override, why", [
    ("optimizer.lr=1,,2", "nothing stands beside a comma"), ("seed=1,2,1", "a value comes twice"), ("seed", "write key=value"),
    ("=1,2", "write key=value")])
def test_values_that_cannot_be_are_refused(override, why):
    with pytest.raises(nnkit.ConfigError, match=why):
        read_values([override])


def test_a_mistake_in_any_combination_is_found_before_anything_is_made(line, tmp_path):
    with pytest.raises(nnkit.ConfigError, match=r"optimizer\.lr: expected a number"):
        Sweep(line, ["seed=1,2", "optimizer.lr=0.1,fast"])
    assert not (tmp_path / "runs").exists()


# The table

def finished(trial, **facts):
    trial.folder.mkdir(exist_ok=True)
    RunDirectory(trial.folder).write_json("run.json", {"status": "finished", **facts})


@pytest.mark.parametrize("sign", "+-")
def test_the_table_has_mean_and_deviation_over_seeds_and_the_best_run_first(line, sign):
    sweep = Sweep(line, ["optimizer.lr=0.1,0.3,1", "seed=1,2,3", "training.epochs=4"])
    assert [trial.folder.name for trial in sweep.trials] == [f"{n:02d}" for n in range(1, 10)]
    values = [0.4, 0.1, 0.7, 0.8, 0.9, 0.8, 0.3, 0.2, 0.15]
    for trial, value in zip(sweep.trials, values):
        finished(trial, best={"monitor": f"{sign}dev_acc", "value": value})
    rows = [("0.1", values[:3]), ("0.3", values[3:6]), ("1", values[6:])]
    rows.sort(key=lambda row: statistics.fmean(row[1]), reverse=sign == "+")
    pick = max if sign == "+" else min
    assert sweep.table() == [["lr", "dev_acc mean ± sd (n)", "best run"]] + [
        [lr, f"{statistics.fmean(found):.4f} ± {statistics.stdev(found):.4f} (3)",
         str(sweep.folder / f"{1 + values.index(pick(found)):02d}")] for lr, found in rows]


def test_without_a_monitor_the_last_training_loss_is_compared_and_one_value_has_no_deviation(line):
    sweep = Sweep(line, ["optimizer.lr=0.1,0.3", "eval.monitor=null"])
    for trial, loss in zip(sweep.trials, [0.5, 0.25]):
        finished(trial)
        rows = [{"train_loss": 9.0}, {"train_loss": loss}, {"dev_loss": 1.0, "train_loss": None}]
        (trial.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    head, *rows = [row[:2] for row in sweep.table()]
    assert head == ["lr", "train_loss mean ± sd (n)"] and rows == [["0.3", "0.2500 (1)"], ["0.1", "0.5000 (1)"]]


def test_runs_that_are_judged_by_different_measures_are_compared_by_their_loss(line):
    sweep = Sweep(line, ["eval.monitor=-dev_loss,-train_loss"])
    for trial in sweep.trials:
        finished(trial, best={"monitor": trial.settings["eval.monitor"], "value": 1.0})
    assert measure(sweep.trials) == ("train_loss", -1)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_the_deviation_is_that_of_a_sample(values):
    assert mean_and_deviation(values) == f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f} ({len(values)})"


# Folders

def test_each_sweep_gets_a_folder_and_one_that_is_named_goes_on_or_grows(line, tmp_path):
    first, second = Sweep(line, ["seed=1,2"]), Sweep(line, ["seed=1,2"])
    assert [str(sweep.folder) for sweep in (first, second)] == ["runs/line-sweep-001", "runs/line-sweep-002"]
    wider = Sweep(line, ["seed=3,2"], first.folder)
    assert [(trial.folder.name, trial.settings) for trial in wider.trials] == [("02", {"seed": "2"}), ("03", {"seed": "3"})]
    with open(line, "a", encoding="utf-8") as config:
        config.write("name: other\n")
    with pytest.raises(nnkit.ConfigError, match="has changed since"):
        Sweep(line, ["seed=1,2"], first.folder)


def test_a_folder_that_holds_something_else_is_left_alone(line, tmp_path):
    with pytest.raises(nnkit.ConfigError, match="is no sweep"):
        Sweep(line, ["seed=1,2"], tmp_path)
    assert not (tmp_path / "sweep.json").exists()


def test_a_damaged_sweep_json_is_named(line, tmp_path):
    folder = Sweep(line, ["seed=1"]).folder
    (folder / "sweep.json").write_text("{", encoding="utf-8")
    with pytest.raises(nnkit.UserError, match=r"sweep\.json: is damaged"):
        Sweep(line, ["seed=1"], folder)


def test_threads_are_shared_unless_the_user_has_said_how_many(monkeypatch):
    for name in sweeping.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert [sweeping.child_environment(jobs)["OPENBLAS_NUM_THREADS"] for jobs in (1, 3, 16)] == ["8", "2", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OPENBLAS_NUM_THREADS" not in sweeping.child_environment(2)


# Whole sweeps, in processes

def test_all_combinations_are_trained_and_the_same_command_does_nothing_more(line, tmp_path, capsys):
    words = [str(line), "--jobs", "2", "optimizer.lr=0.1,1e30", "seed=1,13", "--out", "out"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    head, best, other = out.splitlines()
    alone = nnkit.fit(line, ["optimizer.lr=0.1", "seed=1"], quiet=True).directory.read_run()["best"]["value"]
    assert head.split("   ")[0].strip() == "lr" and best.split()[:3] == ["0.1", f"{alone:.4f}", "(1)"]
    assert "02 failed: line.txt: no such file" in best and "out/01" in best.replace(os.sep, "/")
    assert other.split()[:3] == ["1e30", "-", "-"] and "03 diverged: step" in other and "04 failed" in other
    assert err.count("/4   ") == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("0[13]/*")}
    assert main(words) == 1
    again = capsys.readouterr()
    assert again.out == out and "2 of them are done" in again.err and again.err.count("/4   ") == 2
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("0[13]/*")}


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_all_of_them_after_saving_and_the_command_it_names_goes_on(line, tmp_path, capsys):
    (tmp_path / "slow").touch()
    words = [str(line), "seed=1,2,3", "training.epochs=100", "optimizer={type: SGD}", "--jobs", "2", "--out", "out"]
    program = "import sys; from nnkit.commands.sweep import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, encoding="utf-8") as process:
        until = time.monotonic() + 60
        runs = [tmp_path / "out/01", tmp_path / "out/02"]
        while not all((run / "checkpoints/last.npz").exists() for run in runs) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "") and "Traceback" not in err, err
    assert "0 of 3 runs are done" in err and err.endswith(f"go on   nnkit sweep {line} seed=1,2,3 training.epochs=100 "
                                                          "'optimizer={type: SGD}' --jobs 2 --out out\n")
    steps = []
    for run in runs:
        facts = RunDirectory(run).read_run()
        steps.append(facts["step"])
        assert facts["status"] == "interrupted" and facts["step"] > 0
        with RunDirectory(run).claimed():  # no process is left in it
            pass
    assert not (tmp_path / "out/03").exists()
    (tmp_path / "slow").unlink()
    assert main(words) == 0
    assert "(3)" in capsys.readouterr().out
    for run, step in zip(runs, steps):
        facts = RunDirectory(run).read_run()
        assert (facts["status"], facts["step"]) == ("finished", 200)
        assert f"resume  from step {step}" in (run / "train.log").read_text(encoding="utf-8")


def test_no_process_is_left_where_the_sweep_itself_fails(line, tmp_path):
    (tmp_path / "slow").touch()
    sweep = Sweep(line, ["seed=1,13", "training.epochs=1000"])

    def say(text):
        if "failed" in text:  # the second; the first trains on
            raise RuntimeError("stop")
    with pytest.raises(RuntimeError):
        sweep.run(2, say)
    for trial in sweep.trials:
        if trial.folder.exists():
            with RunDirectory(trial.folder).claimed():
                pass


def test_usage_errors_end_with_2(line, capsys):
    for words in (["--jobs", "0", "seed=1"], [], ["--verbose", "seed=1"]):
        with pytest.raises(SystemExit) as usage:
            main([str(line), *words])
        assert usage.value.code == 2
    assert main([str(line), "sed=1,2"]) == 2
    assert "did you mean 'seed'?" in capsys.readouterr().err


def test_what_a_config_includes_is_of_the_sweep_too(line, tmp_path):
    """The table compared runs of two epochs with runs of nine."""
    (tmp_path / "inc.yaml").write_text(f"include: {line.name}\n", encoding="utf-8")
    Sweep(tmp_path / "inc.yaml", ["seed=1,2"], tmp_path / "s")
    line.write_text(line.read_text(encoding="utf-8") + "log: {every: 7 steps}\n", encoding="utf-8")
    with pytest.raises(nnkit.ConfigError, match="has changed since it began"):
        Sweep(tmp_path / "inc.yaml", ["seed=1,2,3"], tmp_path / "s")


@pytest.mark.parametrize("overrides, said", [
    (["eval.monitor=+acc,-dev_loss"], r"eval\.monitor: Line measures no acc"),
    (["name=../elsewhere", "seed=1,2"], "cannot name a folder"),
    (["seed=1,01"], "a value comes twice"),
])
def test_more_mistakes_that_are_found_before_anything_is_made(line, tmp_path, overrides, said):
    with pytest.raises(nnkit.ConfigError, match=said):
        Sweep(line, overrides)
    assert not list(tmp_path.glob("runs/*")) and not list(tmp_path.glob("*sweep*"))


def test_a_reader_that_is_gone_does_not_end_the_trainings(monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

        flush = write

    monkeypatch.setattr(sys, "stderr", Closed())
    say("a line")
