"""Ranks under MPI, as people start them: mpiexec on one machine. Equal curves, one voice, and an end to all when one ends."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.metrics import read_metrics

MPIEXEC = shutil.which("mpiexec", path=os.path.dirname(sys.executable))
HAS_MPI = MPIEXEC is not None and importlib.util.find_spec("mpi4py") is not None
pytestmark = [pytest.mark.mpi, pytest.mark.skipif(not HAS_MPI, reason="no mpi4py and mpiexec beside this Python: pip install "
                                                  "-e '.[mpi]'")]
RECIPE = Path(__file__).parent / "recipes/ranked.py"
LATEST = 30  # seconds for all to end; alone on a machine it is two or three


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(f"recipe: {RECIPE.as_posix()}\ntraining: {{epochs: 3}}\nlog: {{every: 1 step}}\n"
                                     "optimizer: {type: SGD, lr: 0.5, momentum: 0.5}\n", encoding="utf-8")
    return tmp_path


def command(ranks, *words):
    return [MPIEXEC, "-n", str(ranks), sys.executable, "-m", "nnkit.train", *words]


def run(ranks, *words, code=0, **environment):
    """What N ranks printed, once all have ended with the code."""
    ended = subprocess.run(command(ranks, *words), capture_output=True, text=True, timeout=LATEST, stdin=subprocess.DEVNULL,
                           env=os.environ | environment)
    assert ended.returncode == code, ended.stderr
    return ended


def state(run):
    return load_checkpoint(f"{run}/checkpoints/last.npz")


def measured(run):
    return [{k: v for k, v in row.items() if k != "seconds" and not k.endswith("per_second")}
            for row in read_metrics(f"{run}/metrics.jsonl")]


def told(run):
    return json.loads(Path(run, "run.json").read_text(encoding="utf-8"))


def test_two_and_three_ranks_train_as_one_and_one_of_them_speaks(folder):
    for ranks in (1, 2, 3):
        ended = run(ranks, "c.yaml", "--out", f"r{ranks}")
        assert ended.stdout == f"r{ranks}\n" and ended.stderr.count("epoch 3/3") == 1
    assert "ranks" not in told("r1") and told("r3")["ranks"] == 3
    assert "ranks   3, each with training.blas_threads: 1\n" in Path("r3/train.log").read_text(encoding="utf-8")
    (one, _), (curve) = state("r1"), measured("r1")
    for ranks in (2, 3):
        for name, value in state(f"r{ranks}")[0].items():
            np.testing.assert_allclose(value, one[name], rtol=0, atol=1e-10, err_msg=name)
        assert [row["step"] for row in measured(f"r{ranks}")] == [row["step"] for row in curve]
        for key in ("train_loss", "dev_loss"):
            np.testing.assert_allclose([row[key] for row in measured(f"r{ranks}") if key in row],
                                       [row[key] for row in curve if key in row], rtol=0, atol=1e-10)
    assert {path.name for path in Path("r2").iterdir()} == {path.name for path in Path("r1").iterdir()}


def test_the_train_command_starts_ranks_itself(folder):
    ended = subprocess.run([sys.executable, "-m", "nnkit", "train", "c.yaml", "training.epochs=1", "--ranks", "2", "--out", "r"],
                           capture_output=True, text=True, timeout=LATEST)
    assert ended.returncode == 0 and told("r")["ranks"] == 2, ended.stderr


def test_a_stopped_run_goes_on_to_the_bit_with_as_many_ranks_and_with_a_notice_with_others(folder):
    more = ["model.dropout=0.5", "save.every=2 steps"]
    run(2, "c.yaml", *more, "--out", "whole")
    ended = run(2, "c.yaml", *more, "data.trouble=int", "--out", "a", code=130)
    assert state("a")[1]["position"]["step"] == 4 and "resume  nnkit train --resume a\n" in ended.stderr
    config = Path("a/config.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("trouble: int", "trouble: ''"), encoding="utf-8")
    shutil.copytree("a", "b")
    run(2, "--resume", "a")
    (whole, of_whole), (resumed, of_resumed) = state("whole"), state("a")
    assert measured("a") == measured("whole") and of_resumed["generators_of_others"] == of_whole["generators_of_others"]
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert "trained by 2 ranks and goes on with 3 ranks" in run(3, "--resume", "b").stderr
    assert told("b")["status"] == "finished" and measured("b")[:4] == measured("whole")[:4] and measured("b") != measured("whole")


@pytest.mark.parametrize("trouble, code, said", [("raise", 1, "ValueError: a mistake of the recipe"),
                                                 ("early", 1, "ValueError: a mistake of the recipe"),
                                                 ("drift", 1, "out.bias is not the same on rank 0 and rank 1 of 2"),
                                                 ("nan", 3, "error: step 4: train_loss is nan")])
def test_what_ends_one_rank_ends_all_with_its_reason(folder, trouble, code, said):
    ended = run(2, "c.yaml", f"data.trouble={trouble}", "--out", "r", code=code)
    assert ended.stderr.count(said) == 1, ended.stderr
    assert ("rank 1 of 2: " in ended.stderr) == (trouble in ("raise", "early"))
    if trouble == "early":
        assert not Path("r").exists()
    else:
        assert told("r")["status"] == ("diverged" if trouble == "nan" else "failed") and told("r")["error"] in ended.stderr


def test_a_rank_that_is_killed_takes_the_others_with_it(folder):
    run(2, "c.yaml", "data.trouble=kill", "save.every=2 steps", "--out", "r", code=9)
    assert state("r")[1]["position"]["step"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_mpiexec_ends_in_one_checkpoint(folder, number):
    process = subprocess.Popen(command(2, "c.yaml", "training.epochs=10000", "--out", "r", "data.pause=0.01"), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log, until = Path("r/metrics.jsonl"), time.monotonic() + LATEST
    while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=LATEST)
    assert process.returncode == 128 + number, said
    assert told("r")["status"] == "interrupted" and state("r")[1]["position"]["step"] == measured("r")[-1]["step"]
    assert said.count("interrupted") == 1 and "resume  nnkit train --resume r" in said


@pytest.mark.parametrize("words, said", [
    (["training.epochs=x"], "training.epochs: expected a whole number, got 'x'"),
    (["training.workers=2"], "training.workers: 2: 2 ranks of MPI train already"),
    (["training.batch_size=1"], "a step has 1 items, too few for 2 ranks of MPI"),
    (["model.norm=true"], "norm is BatchNorm1d(6), which takes the mean of a whole batch")])
def test_a_mistake_is_told_once_and_leaves_no_folder(folder, words, said):
    ended = run(2, "c.yaml", *words, "--out", "r", code=2)
    assert ended.stderr.count(said) == 1 and "Traceback" not in ended.stderr, ended.stderr
    assert not Path("r").exists() and ended.stdout == ""


def test_mpiexec_of_another_mpi_is_found_out(folder):
    # what such a one leaves: a process that was told of two, and an MPI library that finds itself alone
    for launcher, rank, said in (("OMPI_COMM_WORLD", 0, 1), ("OMPI_COMM_WORLD", 1, 0), ("PMI", 0, 1)):
        environment = os.environ | {f"{launcher}_RANK": str(rank), f"{launcher}_SIZE": "2"}
        ended = subprocess.run([sys.executable, "-m", "nnkit.train", "c.yaml", "--out", "r"], capture_output=True, text=True,
                               timeout=LATEST, env=environment)
        assert ended.returncode == 2 and ended.stderr.count("mpiexec is of another MPI") == said, ended.stderr
    assert not Path("r").exists()


# Ranks that each have a part of a text (see test_text_ranks.py)

STOPPED = ("import nnkit, os\n"
           "nnkit.fit('w.yaml', {options}, out='a', on_log=lambda row: row['step'] > 9 and os.kill(os.getpid(), 15))\n")


@pytest.fixture
def words(folder):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{i}" for i in rng.integers(0, 30, 20)) for _ in range(200)]
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "w.yaml").write_text("recipe: sgns\ndata: {train: corpus.txt, subsample: 0}\nmodel: {dim: 4}\ntraining: {epochs: "
                                   "2, blocks: 8}\nschedule: {type: linear}\nlog: {every: 1 step}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("options", [[], ["training.exchange=average", "training.average_every=2"]])
def test_word_vectors_go_on_to_the_bit_with_as_many_ranks_and_with_a_notice_with_others(words, options):
    cache = {"NNKIT_CACHE": str(words / "cache")}
    run(2, "w.yaml", *options, "--out", "whole", **cache)
    assert len(list((words / "cache/corpora").iterdir())) == 2  # the text was encoded once
    stopped = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-c", STOPPED.format(options=options)], capture_output=True,
                             text=True, timeout=LATEST, env=os.environ | cache)
    position = state("a")[1]["position"]
    assert stopped.returncode == 0 and position["epoch"] == 0 and 9 < position["step"] < 16, stopped.stderr
    shutil.copytree("a", "b")
    run(2, "--resume", "a", **cache)
    assert measured("a") == measured("whole") and told("a")["status"] == "finished"
    for name, value in state("whole")[0].items():
        np.testing.assert_array_equal(state("a")[0][name], value, err_msg=name)
    if options:
        assert "trained by 2 ranks and goes on with 3 ranks" in run(3, "--resume", "b", **cache).stderr
        assert told("b")["status"] == "finished" and measured("b")[-1]["epoch"] == 2
