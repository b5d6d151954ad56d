"""nnkit runs, show and list: what there is, said so that a person and a spreadsheet can read it."""

import csv
import io

import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training.config import public_paths
from nnkit.training.recipe import load_recipe, shipped_folder

CONFIG = """\
recipe: sgns
data: {train: corpus.txt, min_count: 1}
model: {dim: 4, window: 2}
training: {epochs: 2, blocks: 2, block_length: 8, shared_negatives: 4}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("a b c d e f\n" * 40, encoding="utf-8")
    (tmp_path / "small.yaml").write_text(CONFIG, encoding="utf-8")
    return "small.yaml"


def test_runs_says_what_each_came_to_and_in_what_they_differ(config, capsys):
    nnkit.fit(config, {"optimizer.lr": 0.1, "eval.monitor": "-train_loss"}, quiet=True)
    nnkit.fit(config, {"optimizer.lr": 0.2, "model.dim": 5}, quiet=True)
    with pytest.raises(nnkit.UserError):
        nnkit.fit(config, {"optimizer.lr": 1e39}, quiet=True)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "status", "epochs", "best", "train_loss", "seconds", "differs", "in"]
    assert lines[3].startswith("small-001  finished  2/2") and "-train_loss " in lines[3] and "lr=0.1" in lines[3]
    assert "small-002  finished  2/2" in lines[2] and "dim=5" in lines[2]
    assert main(["runs", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["run"] for row in rows][-2:] == ["small-002", "small-001"] and rows[-1]["epochs"] == "2/2"


def test_a_damaged_run_does_not_hide_the_others(config, capsys):
    run = nnkit.fit(config, quiet=True)
    nnkit.fit(config, quiet=True)
    run.directory.path("metrics.jsonl").write_text("{broken\n{}\n", encoding="utf-8")
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "small-001  broken" in out and "small-002  finished" in out


def test_a_folder_without_runs_is_said_to_be_one(config, capsys):
    assert main(["runs", "elsewhere"]) == 1
    assert "elsewhere: holds no runs; nnkit train CONFIG" in capsys.readouterr().err


def test_show_has_every_key_with_its_place_and_help(config, capsys):
    assert main(["show", config, "optimizer.lr=0.1"]) == 0
    out = capsys.readouterr().out
    shown = [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    keys = public_paths(load_recipe(shipped_folder("recipes") / "sgns.py").Config)
    assert shown == [key.path for key in keys if key.type in ("", "constant") and "[]" not in key.path]
    assert "model.dim: 4   (default 100)\n    numbers in a vector   [small.yaml:3:14]" in out
    assert "optimizer.lr: 0.1   (default 0.025)\n" in out and "[command line: optimizer.lr=0.1]" in out
    assert "model.negatives: 5\n    random words against every true one\n" in out


def test_show_of_a_run_tells_what_came_of_it(config, capsys):
    run = nnkit.fit(config, quiet=True)
    assert main(["show", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert "status" in out and "finished" in out and "model.dim: 4" in out


def test_show_answers_a_mistake_as_train_does(config, capsys):
    assert main(["show", config, "model.dmi=3"]) == 2
    assert "command line: model.dmi=3: unknown key 'dmi' in model; did you mean 'dim'?" in capsys.readouterr().err


@pytest.mark.parametrize("kind, some", [
    ("recipes", ["sgns", "cbow", "classifier", "language_model"]),
    ("layers", ["Linear(in_features, out_features, bias=True", "Dropout("]),
    ("losses", ["cross_entropy(logits, classes, *, weight=None"]), ("optimizers", ["SGD(params, lr", "AdamW(params"]),
    ("ops", ["matmul(", "relu(x)", "softmax("]),
])
def test_list_has_what_there_is_each_with_a_line_of_help(kind, some, capsys):
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    names, texts = lines[::2], lines[1::2]
    assert all(any(name.startswith(one) for name in names) for one in some)
    assert len(names) == len(set(names)) and all(text.startswith("    ") and text.strip() for text in texts)


@pytest.mark.parametrize("kind", ["recipes", "layers", "losses", "optimizers", "ops"])
def test_list_says_where_each_is_defined_from_the_folder_of_nnkit(kind, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    root = shipped_folder("recipes").parent
    for signature, text in zip(lines[::2], lines[1::2]):
        help_, _, place = text.removesuffix("]").rpartition("   [")
        file, _, line = place.partition(":")
        assert help_.strip() and (root / file).is_file()
        if kind != "recipes":
            name = signature.partition("(")[0]
            defined = (root / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
            assert defined.partition("(")[0].partition(":")[0] in (f"class {name}", f"def {name}")


LAYERS = """\
from nnkit import nn

class Plain(nn.Module):
    def __init__(self, depth=2, *, rng=None): pass
    def forward(self, x): return x

class Shift(nn.Linear):
    \"\"\"x W + b, and one more\"\"\"
"""


def test_list_has_layers_of_ones_own_of_a_file_or_one_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/layers.py").write_text(LAYERS, encoding="utf-8")
    plain = ["Plain(depth=2, *, rng=None)", "    [mine/layers.py:3]"]
    shift = ["Shift(in_features, out_features, bias=True, *, rng=None)", "    x W + b, and one more   [mine/layers.py:7]"]
    for name, expected in (("", [*plain, *shift]), (":Shift", shift)):
        assert main(["list", "layers", f"mine/layers.py{name}"]) == 0
        assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize("words, code, said", [
    (["layers", "layres.py"], 2, "error: no such file: {0}/layres.py; did you mean 'layers.py'?"),
    (["layers", "layers.py:Plian"], 2, "error: {0}/layers.py has no class 'Plian'; did you mean 'Plain'?"),
    (["layers", "layers"], 2, "error: layers: expected a file of Python, layers.py, or a class in one, layers.py:Highway"),
    (["layers", "empty.py"], 1, "error: empty.py: there is no layer in it; a layer is a class that extends nnkit.nn.Module"),
    (["layers", "broken.py"], 2, "error: {0}/broken.py:2: ZeroDivisionError: division by zero"),
    (["ops", "layers.py"], 2, "error: layers.py: only layers are listed of a file: nnkit list layers layers.py"),
])
def test_what_list_cannot_do_is_said_in_a_line(tmp_path, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(tmp_path)
    for name, text in {"layers.py": LAYERS, "empty.py": "x = 1\n", "broken.py": "x = 1\n1 / 0\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["list", *words]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith(said.format(tmp_path)) and printed.err.count("\n") == 1 and not printed.out
