"""Weights and curves in the files of other tools, read back by their own libraries."""

import sys
from pathlib import Path

import numpy as np
import pytest

from nnkit.errors import UserError
from nnkit.training.checkpoints import save_checkpoint
from nnkit.training.exporting import scalars, write_safetensors, write_tensorboard
from nnkit.training.metrics import MetricsLog
from nnkit.training.run_directory import RunDirectory
from nnkit.training.using import Weights

START = 1_600_000_000.25


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose best checkpoint is not its last, with two log lines and two evaluations."""
    monkeypatch.chdir(tmp_path)
    run = RunDirectory.create("demo")
    run.update_run(started="2020-09-13T12:26:40.250000Z")
    weights = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # in Fortran's order
               "layer.bias": np.array(0.1), "seen": np.array([7, 8])}
    for name, shift, meta in (("last", 0, {"position": {"epoch": 2, "step": 4, "step_in_epoch": 0}}),
                              ("best", 1, {"epoch": 1, "step": 2})):
        arrays = {f"model/{key}": array + shift for key, array in weights.items()} | {"optimizer/x": np.ones(2)}
        save_checkpoint(run.path(f"checkpoints/{name}.npz"), arrays, meta)
    with MetricsLog(run.path("metrics.jsonl")) as log:
        for step in (2, 4):
            row = {"epoch": step // 2, "step": step, "seconds": step / 8, "lr": 0.1 * step, "train_loss": 1 / step}
            log.append({"event": "train", **row, "words_per_second": 9})
            dev = {"dev_loss": None if step == 4 else 0.5, "dev_acc": 0.25, "best": True}
            log.append({"event": "eval", **row, "train_loss": 5, **dev})
    return run


def tensors(path):
    numpy = pytest.importorskip("safetensors.numpy")
    return numpy.load(path.read_bytes())


@pytest.mark.parametrize("name, shift, step", [(None, 1, "2"), ("best", 1, "2"), ("last", 0, "4")])
def test_weights_come_back_to_the_bit_by_the_names_of_the_parameters(run, tmp_path, name, shift, step):
    safetensors = pytest.importorskip("safetensors")
    weights, path = Weights.read(run, name), tmp_path / "model.safetensors"
    write_safetensors(run, weights, path)
    read = tensors(path)
    assert set(read) == {"layer.weight", "layer.bias", "seen"}
    for key, array in weights.arrays.items():
        assert (read[key].dtype, read[key].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[key], array)
    assert read["layer.weight"][2, 0] == 2 + shift
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata()["run"] == "demo-001" and file.metadata()["step"] == step


def events(path):
    """(tag, step, wall time, value) of an event file: 8 bytes of length, 4 of a checksum, the event, 4 of a checksum."""
    pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    data, found = path.read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        event = pb2.Event.FromString(data[12:12 + size])
        found += [(value.tag, event.step, event.wall_time, value.simple_value) for value in event.summary.value]
        data = data[16 + size:]
    return found


def test_curves_come_back_by_tag_step_time_and_value(run, tmp_path):
    pytest.importorskip("tensorboardX")
    path = write_tensorboard(run, tmp_path)
    times = {2: START + 0.25, 4: START + 0.5}
    expected = [("train/loss", 2, 0.5), ("train/loss", 4, 0.25), ("dev/loss", 2, 0.5), ("dev/acc", 2, 0.25), ("dev/acc", 4, 0.25),
                ("lr", 2, 0.2), ("lr", 4, 0.4), ("words_per_second", 2, 9), ("words_per_second", 4, 9)]
    found = events(path)
    assert sorted((tag, step) for tag, step, _, _ in found) == sorted((tag, step) for tag, step, _ in expected)
    values = {(tag, step): value for tag, step, _, value in found}
    assert all(values[tag, step] == np.float32(value) for tag, step, value in expected)
    assert all(time == times[step] for _, step, time, _ in found)


def test_a_second_export_replaces_the_first_and_leaves_nothing_else(run, tmp_path):
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "logs"
    folder.mkdir()
    first, second = write_tensorboard(run, folder), write_tensorboard(run, folder)
    assert first == second and list(folder.iterdir()) == [first]
    assert first.name == "events.out.tfevents.1600000000.demo-001" and len(events(first)) == 9


def test_a_number_of_a_recipe_has_a_curve_of_its_own_name():
    rows = [{"event": "eval", "step": 1, "seconds": 2, "test_top_5": 1, "perplexity": 9.0, "grad": True, "note": "x"},
            {"event": "eval", "perplexity": 8.0}]
    assert list(scalars(rows)) == [("test/top_5", 1, 2, 1), ("perplexity", 1, 2, 9.0)]


def test_a_run_that_measured_nothing_is_named(run, tmp_path):
    pytest.importorskip("tensorboardX")
    run.path("metrics.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"metrics\.jsonl: has no numbers to export yet"):
        write_tensorboard(run, tmp_path)


@pytest.mark.parametrize("library", ["safetensors", "tensorboardX"])
def test_without_the_library_the_line_says_what_to_install(run, tmp_path, monkeypatch, library):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    before = set(Path(tmp_path).iterdir())
    with pytest.raises(UserError, match=rf"^{library} cannot be imported \(.*\); pip install 'nnkit\[export\]'$"):
        if library == "safetensors":
            write_safetensors(run, Weights.read(run, None), tmp_path / "x")
        else:
            write_tensorboard(run, tmp_path)
    assert set(Path(tmp_path).iterdir()) == before
