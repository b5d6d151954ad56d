"""nnkit export as a person starts it, but for the forms of word vectors, which are with the commands about them."""

import csv

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training.checkpoints import load_checkpoint
from nnkit.vectors import WordVectors

CONFIG = """\
recipe: classifier
data: {train: table.csv}
training: {epochs: 2}
model: {layers: [{type: Linear}]}
eval: {monitor: +dev_acc}
"""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The folder of a small run."""
    folder = tmp_path_factory.mktemp("classifier")
    rng = np.random.default_rng(0)
    np.savetxt(folder / "table.csv", np.c_[rng.normal(size=(60, 4)), rng.integers(0, 2, 60)], delimiter=",", fmt="%.4f")
    (folder / "c.yaml").write_text(CONFIG, encoding="utf-8")
    return nnkit.fit(folder / "c.yaml", out=folder / "run", quiet=True).path


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    """The current folder, with vectors.npz in it."""
    monkeypatch.chdir(tmp_path)
    WordVectors(["a\tb", "c"], np.array([[1, 2], [3, 0.1]], np.float32)).save("vectors.npz")
    return tmp_path


def export(*words):
    return main(["export", *map(str, words)])


def refused(capsys, code, *words):
    assert export(*words) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


def test_the_weights_of_a_run_go_into_its_folder(classifier, capsys):
    safetensors = pytest.importorskip("safetensors.numpy")
    for words, name in (([], "best"), (["--checkpoint", "last"], "last")):
        assert export(classifier, "--to", "safetensors", *words) == 0
        captured = capsys.readouterr()
        assert captured.out == f"{classifier / 'model.safetensors'}\n" and f"{name}.npz: epoch" in captured.err
        read = safetensors.load((classifier / "model.safetensors").read_bytes())
        arrays, _ = load_checkpoint(classifier / f"checkpoints/{name}.npz")
        assert {f"model/{key}" for key in read} == {key for key in arrays if key.startswith("model/")}
        assert all(array.tobytes() == arrays[f"model/{key}"].tobytes() for key, array in read.items())


def test_the_curves_of_a_run_go_into_its_folder_or_another(classifier, capsys, tmp_path):
    pytest.importorskip("tensorboardX")
    for words, folder in (([], classifier), (["-o", tmp_path / "new/logs"], tmp_path / "new/logs")):
        assert export(classifier, "--to", "tensorboard", *words) == 0
        [path] = folder.glob("events.out.tfevents.*")
        assert capsys.readouterr() == (f"{path}\n", "")


def test_the_metrics_of_a_run_become_a_table(classifier, capsys, tmp_path):
    assert export(classifier, "--to", "tsv", "-o", tmp_path / "tables") == 0
    assert capsys.readouterr() == (f"{tmp_path / 'tables/metrics.tsv'}\n", "")
    with open(tmp_path / "tables/metrics.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    evaluated = [row for row in rows if row["event"] == "eval"]
    assert [row["step"] for row in evaluated] == ["2", "4"] and all(float(row["dev_loss"]) > 0 for row in evaluated)


def test_word_vectors_of_a_file_become_the_tables_of_the_projector(vectors, capsys):
    assert export("vectors.npz", "--to", "tsv", "-o", "tables") == 0
    assert capsys.readouterr().out.split() == [str(vectors.joinpath("tables", n).relative_to(vectors))
                                               for n in ("vectors.tsv", "metadata.tsv")]
    assert (vectors / "tables/metadata.tsv").read_bytes() == b"a\\tb\nc\n"
    np.testing.assert_array_equal(np.loadtxt("tables/vectors.tsv", np.float32), [[1, 2], [3, np.float32(0.1)]])


def test_a_run_of_word_vectors_has_all_three_tables(vectors, capsys):
    (vectors / "runs/w-001").mkdir(parents=True)
    (vectors / "runs/w-001/run.json").write_text("{}", encoding="utf-8")
    (vectors / "runs/w-001/metrics.jsonl").write_text('{"event": "train", "step": 1}\n', encoding="utf-8")
    (vectors / "runs/w-001/vectors.vec").write_text("1 2\nking 1 2\n", encoding="utf-8")
    assert export("@last", "--to", "tsv") == 0
    assert sorted(path.name for path in (vectors / "runs/w-001").glob("*.tsv")) == ["metadata.tsv", "metrics.tsv", "vectors.tsv"]


def test_mistakes_are_one_line(classifier, vectors, capsys):
    assert "--to word2vec needs a file to write; give it with -o" in refused(capsys, 2, classifier, "--to", "word2vec")
    assert "--to tsv needs a folder to write; give it with -o" in refused(capsys, 2, "vectors.npz", "--to", "tsv")
    for form in ("safetensors", "tensorboard"):
        assert f"vectors.npz: is a file; --to {form} is for runs" in refused(capsys, 1, "vectors.npz", "--to", form, "-o", "x")
    assert "no such run" in refused(capsys, 1, "nothing", "--to", "tensorboard")
    assert "--checkpoint chooses weights" in refused(capsys, 2, classifier, "--to", "tsv", "--checkpoint", "last")
    pytest.importorskip("tensorboardX")
    said = refused(capsys, 1, classifier, "--to", "tensorboard", "-o", "vectors.npz")
    assert "is a file; --to tensorboard writes into a folder" in said
    pytest.importorskip("safetensors")
    assert main(["export", str(classifier), "--to", "safetensors", "-o", "none/x"]) == 1
    assert "error: none" in (said := capsys.readouterr().err) and "x: cannot be written (No such file or directory)" in said
