"""Runs that are used: the weights that were asked for, the numbers of the log, and only the run's folder left of it all."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training import loop
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.metrics import read_metrics

CONFIG = """\
recipe: classifier
data: {train: table.csv}
model: {layers: [{type: Linear, out_features: 8}, {type: Tanh}, {type: Dropout, p: 0.5}, {type: Linear}]}
training: {epochs: 6, batch_size: 9}
optimizer: {lr: 1.5}
"""

HELD_OUT = """\
import numpy as np
from nnkit import losses, nn
from nnkit.training import Recipe, RunConfig
from helper import ROWS


class Batch:
    count = units = ROWS


class Line(Recipe):
    Config = RunConfig
    units_per_epoch = ROWS
    x = np.arange(ROWS, dtype=np.float32)[:, None]

    def build(self, rng):
        return nn.Linear(1, 1, rng=rng)

    def batches(self, epoch, rng, start=0):
        yield from [Batch()][start:]

    def loss(self, model, batch):
        return losses.mean_squared_error(model(self.x), 2 * self.x)

    def evaluate(self, model):
        return {"dev_loss": float(self.loss(model, None))}
"""


def write_table(path, n=90, seed=0):
    """Points in three clouds that overlap, with the names of their columns."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    points = rng.normal(size=(n, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[classes]
    rows = [f"{1000 * a},{b},{'żxy'[c]}" for (a, b), c in zip(points.tolist(), classes)]
    path.write_text("\n".join(["wide,high,kind", *rows]) + "\n", encoding="utf-8")


def fitted(folder, *overrides):
    """A run of the config above, in `folder`, which is the current one while it is trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_table(folder / "table.csv")
        (folder / "c.yaml").write_text(CONFIG, encoding="utf-8")
        run = nnkit.fit("c.yaml", list(overrides), quiet=True)
        return folder / run.path


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The folder of a run whose best model is not its last: by a judge who takes the largest loss, which is an early one."""
    return fitted(tmp_path_factory.mktemp("judged"), "eval.monitor=+dev_loss")


@pytest.fixture
def copied(judged, tmp_path, monkeypatch):
    """The folder of the same run at another place, of which alone something is left; it is in the current folder."""
    monkeypatch.chdir(tmp_path)
    run = shutil.copytree(judged, tmp_path / "moved")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace(str(judged.parent.parent), str(tmp_path / "gone")), encoding="utf-8")
    write_table(tmp_path / "new.csv", n=300, seed=1)
    return run


def evaluations(run):
    return [row for row in read_metrics(run / "metrics.jsonl") if row["event"] == "eval"]


def error(capsys, code, *words):
    """The line that a command which ends with this code says, besides the one on its checkpoint."""
    assert main([str(word) for word in words]) == code
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if ".npz: epoch" not in line]
    assert captured.out == "" and len(lines) == 1 and lines[0].startswith("error: "), captured.err
    return lines[0]


@pytest.mark.case("trainer", 20)
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_evaluating_a_run_gives_the_numbers_of_its_log_to_the_digit(judged, capsys, checkpoint):
    rows = evaluations(judged)
    row = rows[-1] if checkpoint == "last" else max(rows, key=lambda row: row["dev_loss"])
    logged = {"dev_loss": row["dev_loss"], "dev_acc": row["dev_acc"]}
    trained = nnkit.load(judged, checkpoint)
    assert trained.evaluate() == trained.evaluate() == logged
    assert main(["evaluate", str(judged), "--checkpoint", checkpoint]) == 0
    assert capsys.readouterr().out.startswith(f"dev_loss {row['dev_loss']}\ndev_acc {row['dev_acc']}\n\nclass ")


@pytest.mark.case("trainer", 14)
def test_best_is_what_is_used_where_there_is_one_and_it_is_said(judged, capsys):
    best, last = (load_checkpoint(judged / f"checkpoints/{name}.npz") for name in ("best", "last"))
    assert best[1]["step"] < last[1]["position"]["step"]
    used, other = nnkit.load(judged), nnkit.load(judged, "last")
    for trained, (arrays, _) in ((used, best), (other, last)):
        assert not trained.model.training and not any(module.training for module in trained.model.modules())
        for name, value in trained.model.state_dict().items():
            np.testing.assert_array_equal(value, arrays[f"model/{name}"])
    assert main(["evaluate", str(judged)]) == 0
    said = capsys.readouterr().err
    assert f"best.npz: epoch {best[1]['epoch']}, step {best[1]['step']}" in said and f"dev_loss {best[1]['best']:.4f}" in said
    assert said.count("\n") == 1


def test_a_run_without_a_monitor_is_used_as_it_was_last(tmp_path, capsys):
    run = fitted(tmp_path, "training.epochs=1")
    assert nnkit.load(run).weights.path.name == "last.npz"
    assert "has no best checkpoint" in error(capsys, 1, "evaluate", run, "--checkpoint", "best")


def test_nothing_but_the_folder_is_needed(copied, capsys):
    assert main(["evaluate", "moved", "new.csv"]) == 0
    measured = dict(line.split() for line in capsys.readouterr().out.partition("\n\n")[0].splitlines())
    table = (copied.parent / "new.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows, kinds = zip(*(line.rsplit(",", 1) for line in table))
    (copied.parent / "rows.csv").write_text("wide,high\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert main(["predict", "moved", "rows.csv"]) == 0
    answers = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row for _, _, row in answers] == list(rows)
    right = sum(kind == answer[0] for kind, answer in zip(kinds, answers))
    assert measured["n"] == "300" and float(measured["test_acc"]) == right / 300 > 0.5
    assert all(1 / 3 <= float(share) <= 1 for _, share, _ in answers)


@pytest.mark.parametrize("change, said", [
    (lambda table: table.unlink(), "no such file"),
    (lambda table: write_table(table, seed=2), "the data is not what it was in the training"),
])
def test_without_its_data_a_run_says_that_a_file_is_to_be_given(tmp_path, capsys, change, said):
    run = fitted(tmp_path, "training.epochs=1")
    change(tmp_path / "table.csv")
    line = error(capsys, 1, "evaluate", run)
    assert said in line and "give a FILE" in line


def test_a_run_that_was_stopped_can_be_used_and_one_that_was_killed_says_how(tmp_path, monkeypatch, capsys):
    after_step = loop.Trainer.after_step

    def stopping(self, batches):
        after_step(self, batches)
        if self.position.step == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop.Trainer, "after_step", stopping)
    run = fitted(tmp_path)
    trained = nnkit.load(run)
    assert (trained.weights.epoch, trained.weights.step) == (2, 12) and len(trained.predict([[0, 0], [2000, 0]])) == 2
    (run / "labels.txt").unlink()  # a kill leaves no time to write it
    line = error(capsys, 1, "predict", run, tmp_path / "table.csv")
    assert "labels.txt: no such file" in line and "this one is interrupted: nnkit train --resume" in line


def test_files_of_another_run_do_not_fit(copied, capsys):
    (copied / "labels.txt").write_text("x\ny\n", encoding="utf-8")
    assert "best.npz: does not fit the run's recipe" in error(capsys, 1, "evaluate", "moved", "new.csv")


@pytest.mark.parametrize("words, said", [(["evaluate", "moved", "--checkpoint", "last", "new.csv"], "test_loss "),
                                         (["predict", "moved", "--proba", "rows.csv"], "\t1000,2\n")])
def test_options_may_stand_before_the_file(copied, capsys, words, said):
    """A FILE that may be left out was taken as left out at the first option, and then called unrecognized."""
    (copied.parent / "rows.csv").write_text("1000,2\n", encoding="utf-8")
    assert main(words) == 0
    assert said in capsys.readouterr().out


def test_a_closed_standard_input_is_one_line(copied, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after `<&-`
    assert error(capsys, 1, "predict", "moved") == "error: stdin: is closed; give a FILE"


def test_standard_input_is_read_and_a_closed_pipe_is_no_traceback(copied):
    words = [sys.executable, "-m", "nnkit", "predict", "moved"]
    options = {"env": {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii"}, "timeout": 100}
    result = subprocess.run([*words, "-"], input=b"\xef\xbb\xbf3000,0\r\n-1000,-1\n", capture_output=True, **options)
    assert result.returncode == 0, result.stderr
    assert [line.split(b"\t")[2] for line in result.stdout.splitlines()] == [b"3000,0", b"-1000,-1"]
    assert result.stdout.splitlines()[1].decode("utf-8").startswith("ż")
    result = subprocess.run(words, input=b"1,2\n1,\xff\n", capture_output=True, **options)
    assert result.returncode == 1 and b"stdin:2: byte 2 (0xff)" in result.stderr and b"Traceback" not in result.stderr
    (copied.parent / "many.csv").write_text("1000,2\n" * 50_000, encoding="utf-8")
    with subprocess.Popen([*words, "many.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=options["env"]) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(100) == 0 and said.count(b"\n") == 1, said


def test_word_vectors_have_commands_of_their_own(tiny, capsys):
    run = nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    for words in (["evaluate", run.path], ["predict", run.path, tiny]):
        line = error(capsys, 1, *words)
        assert all(command in line for command in ("nnkit neighbors", "nnkit analogy", "nnkit similarity"))


def test_a_recipe_that_can_only_train_is_measured_where_its_data_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.py").write_text(HELD_OUT, encoding="utf-8")
    (tmp_path / "helper.py").write_text("ROWS = 4\n", encoding="utf-8")
    (tmp_path / "line.yaml").write_text("recipe: line.py\noptimizer: {lr: 0.05}\n", encoding="utf-8")
    run = nnkit.fit("line.yaml", quiet=True)
    (tmp_path / "line.py").unlink()
    (tmp_path / "helper.py").unlink()
    assert nnkit.load(run.path).evaluate() == {"dev_loss": evaluations(run.path)[-1]["dev_loss"]}
    assert main(["evaluate", str(run.path)]) == 0 and capsys.readouterr().out.count("\n") == 1  # no classes, no tables
    line = error(capsys, 1, "predict", run.path, "line.yaml")
    assert "Line cannot be used without its data" in line and "nnkit evaluate" in line


def test_one_text_is_no_list_of_inputs(judged):
    with pytest.raises(TypeError, match="expected a list of inputs"):
        nnkit.load(judged).predict("1,2")
    with pytest.raises(ValueError, match="'best' or 'last'"):
        nnkit.load(judged, "newest")
