"""What -v says, and that nobody else has to read it."""

import re

import pytest

import nnkit
from nnkit.train import main
from nnkit.training.config import read_tree
from nnkit.training.console import Console
from nnkit.training.details import config_lines


def test_every_value_that_was_set_has_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("seed: 3\ntraining: {epochs: 2}\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text("include: base.yaml\nrecipe: x\nlayers:\n  - {type: Linear}\n", encoding="utf-8")
    assert list(config_lines(read_tree("c.yaml", ["training.epochs=5"]))) == [
        "config  seed: 3   [base.yaml:1:7]", "config  training.epochs: 5   [command line: training.epochs=5]",
        "config  recipe: x   [c.yaml:2:9]", "config  layers: [{type: Linear}]   [c.yaml:4:3]"]


def test_v_tells_of_the_config_the_versions_the_parameters_and_the_checkpoints(tiny, capsys):
    assert main([str(tiny), "training.epochs=1", "-v"]) == 0
    out, err = capsys.readouterr()
    run = nnkit.training.run_directory.RunDirectory.open("@last")
    size = run.path("checkpoints/last.npz").stat().st_size
    assert out == f"{run}\n"
    assert "config  training.epochs: 1   [command line: training.epochs=1]" in err and f"[{tiny}:3:" in err
    assert re.search(r"with    Python [\d.]+, NumPy \S+, openblas .*, 1 thread, ", err) or "NumPy" in err
    assert "model   words.weight   (40, 8) float32, 320 numbers\n" in err
    assert re.search(rf"saved   {re.escape(str(run.path('checkpoints/last.npz')))}   {size:,} bytes in [\d.]+ s\n", err)
    log = run.path("train.log").read_text(encoding="utf-8")
    assert all(line in log for line in err.splitlines())


def test_without_v_there_are_no_details(tiny, capsys):
    assert main([str(tiny), "training.epochs=1"]) == 0
    said = capsys.readouterr().err
    assert said and not re.search("^(config|with|saved) ", said, re.MULTILINE)


def test_quiet_and_verbose_together_are_refused(tiny, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tiny), "-q", "-v"])
    assert ended.value.code == 2 and "not allowed with argument" in capsys.readouterr().err
    with pytest.raises(ValueError, match="quiet and verbose exclude each other"):
        Console(quiet=True, verbose=True)
