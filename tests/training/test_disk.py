"""Disks that are full, fill up or cannot be written to: found before a training has cost anything, or ended with one line.

A small disk is a tmpfs, which only root may mount, and not everywhere; where it cannot be had a limit on the size of files
(RLIMIT_FSIZE) still stands for a disk that fills up.
"""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

import nnkit
from nnkit.errors import UserError
from nnkit.training import checkpoints
from nnkit.training.checkpoints import check_room, load_checkpoint, save_checkpoint
from nnkit.training.config import to_scalar
from nnkit.training.metrics import read_metrics

CONFIG = """\
recipe: classifier
data: {train: table.csv}
model: {layers: [{type: Linear, out_features: 2000}, {type: ReLU}, {type: Linear}]}
training: {epochs: 2, batch_size: 8}
optimizer: {type: SGD, lr: 0.1, momentum: 0.9}
log: {every: 1 step}
save: {every: 1 step}
"""
LIMITED = ("import resource, sys; from nnkit.train import main; limit = int(sys.argv[1]); "
           "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); sys.exit(main(sys.argv[2:]))")
WEIGHTS = (2 * 2000 + 2000 + 2000 * 3 + 3) * 4  # bytes; the momentum is as many
CHECKPOINT = 2 * WEIGHTS
SMALL = 18_000  # bytes of a checkpoint with 200 units; half of it is what is not arrays


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of the config, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = "".join(f"{a},{b},{'xyz'[int(a > 0) + int(b > 0)]}\n" for a, b in rng.normal(size=(100, 2)))
    (tmp_path / "table.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "c.yaml"


@pytest.fixture
def disk(tmp_path):
    """disk(size) is a folder on a disk of so many bytes, disk(read_only=True) one that nobody can write to, root neither."""
    if sys.platform != "linux":
        pytest.skip("a tmpfs is Linux's")
    mounted = []

    def mount(size=1_000_000, read_only=False):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        options = f"size={size}{',ro' if read_only else ''}"
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if made.returncode:
            folder.rmdir()
            pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def command(*words, cwd):
    return started("-m", "nnkit.train", *words, cwd=cwd)


def started(*words, cwd):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *map(str, words)], cwd=cwd, text=True, encoding="utf-8", **pipes)


def only_line(process, code):
    """The one line that a quiet command says, which ends with this code."""
    _, said = process.communicate(timeout=120)
    lines = said.splitlines()
    assert process.returncode == code and len(lines) == 1 and "Traceback" not in said, said
    return lines[0]


def end_is_that_of_an_unbroken_run(broken, unbroken):
    resumed = nnkit.resume(broken, quiet=True)
    assert resumed.directory.read_run()["status"] == "finished"
    one, other = (load_checkpoint(path / "checkpoints/last.npz")[0] for path in (resumed.path, unbroken.path))
    assert one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert [row["step"] for row in resumed.metrics] == [row["step"] for row in unbroken.metrics]


def test_a_disk_too_small_for_the_checkpoints_is_refused_at_the_start_in_one_line(config, disk):
    small = disk(2 * CHECKPOINT)
    line = only_line(command("-q", config, "--out", small / "run", cwd=config.parent), 1)
    assert line.startswith(f"error: {small / 'run/checkpoints'}: the checkpoints need 0.3 MB of disk, 0.")
    assert line.endswith("are free; make room, or give a folder on another disk with --out")
    assert not (small / "run").exists()


def test_a_disk_that_fills_up_ends_the_training_with_one_line_and_the_last_checkpoint_goes_on(config, disk):
    unbroken = nnkit.fit(config, {"training.epochs": 40}, quiet=True)
    folder = disk(8 * CHECKPOINT)
    process = command("-q", config, "training.epochs=40", "--out", folder / "run", cwd=config.parent)
    until = time.monotonic() + 60
    while not (folder / "run/checkpoints/last.prev.npz").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    with pytest.raises(OSError, match="No space left"), open(folder / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    line = only_line(process, 1)
    assert "No space left on device" in line and "whole" in line
    (folder / "filler").unlink()
    assert load_checkpoint(folder / "run/checkpoints/last.npz")[1]["position"]["step"] < read_metrics(
        unbroken.path / "metrics.jsonl")[-1]["step"]
    end_is_that_of_an_unbroken_run(folder / "run", unbroken)


@pytest.mark.parametrize("limit, said", [
    (SMALL + 15_000, "File too large; what was saved before is whole: make room, then --resume the run"),  # metrics.jsonl
    (SMALL - 3_000, "checkpoints/last.npz: cannot be saved (File too large); the last checkpoint saved is whole"),
])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")
def test_a_file_that_may_not_grow_is_a_disk_that_is_full(config, limit, said):
    few = {"training.epochs": 40, "model.layers": [{"type": "Linear", "out_features": 200}, {"type": "ReLU"}, {"type": "Linear"}]}
    unbroken = nnkit.fit(config, few, quiet=True)
    assert abs((unbroken.path / "checkpoints/last.npz").stat().st_size - SMALL) < 2_000
    overrides = [f"{key}={to_scalar(value)}" for key, value in few.items()]
    process = started("-c", LIMITED, limit, "-q", config, *overrides, "--out", "run", cwd=config.parent)
    assert only_line(process, 1).endswith(said)
    run = config.parent / "run"
    if limit > SMALL:
        assert 0 < load_checkpoint(run / "checkpoints/last.npz")[1]["position"]["step"] < unbroken.metrics[-1]["step"]
        end_is_that_of_an_unbroken_run(run, unbroken)
    else:
        assert not list((run / "checkpoints").iterdir())  # and nothing half written


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_data_is_read(config, disk):
    folder = disk(read_only=True)
    (config.parent / "table.csv").unlink()
    line = only_line(command("-q", config, cwd=folder), 1)
    assert line == ("error: runs: cannot make the run's folder there (Read-only file system); go to a folder you may write to, "
                    "or give one with --out")
    assert "Read-only file system" in only_line(command("-q", config, "--out", folder / "run", cwd=config.parent), 1)


def test_a_run_that_can_no_longer_be_written_to_is_not_resumed(config, disk):
    folder = disk(8 * CHECKPOINT)
    run = nnkit.fit(config, out=folder / "run", quiet=True)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    line = only_line(command("-q", "--resume", run.path, "training.epochs=3", cwd=config.parent), 1)
    assert line == f"error: {run.path}: cannot be written to (Read-only file system)"


def test_a_file_in_the_place_of_runs_is_named(config):
    (config.parent / "runs").write_bytes(b"mine")
    line = only_line(command("-q", config, cwd=config.parent), 1)
    assert line.startswith("error: runs: cannot make the run's folder there (File exists); go to a folder")


def test_room_is_asked_for_three_checkpoints_but_for_those_that_are_there(tmp_path, monkeypatch):
    free = 30_000_000

    class Usage:
        def __init__(self, folder):
            self.free = free

    monkeypatch.setattr(checkpoints.shutil, "disk_usage", Usage)
    check_room(tmp_path, 10_000_000)
    with pytest.raises(UserError, match=r"the checkpoints need 33\.0 MB of disk, 30\.0 MB are free; make room"):
        check_room(tmp_path, 11_000_000)
    with pytest.raises(UserError, match=r"the checkpoints need 6\.0 GB of disk"):
        check_room(tmp_path, 2_000_000_000)
    save_checkpoint(tmp_path / "last.npz", {"w": np.zeros(1_000_000)}, {})
    check_room(tmp_path, 11_000_000)
