"""Layers of one's own in a config: found from the file that names them, checked by their hints, kept with the run."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training import config as configs
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe
from nnkit.training.sweeping import fingerprint

LAYERS = """\
from typing import Literal
from nnkit import nn
from start import START

class Highway(nn.Module):
    def __init__(self, in_features: int, depth: int = 1, scale: float | None = START, kind: Literal["a", "b"] = "a",
                 sizes: tuple[int, ...] = (), anything=None, strange: "Nowhere" = None, *, rng=None):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.maps = [nn.Linear(in_features, in_features, rng=rng) for _ in range(depth)]
        self.given = scale, sizes, anything, strange
    def forward(self, x):
        for one in self.maps:
            x = x + one(x)
        return x

class Widen(nn.Module):
    def __init__(self, in_features, times=2, told=True, rng=None):
        self.map = nn.Linear(in_features, times * in_features, rng=rng)
        if told:
            self.out_features = times * in_features
    def forward(self, x):
        return self.map(x)

class Affine(nn.Module):
    def __init__(self, in_features: int, out_features: int, rng=None):
        self.map = nn.Linear(in_features, out_features, rng=rng)
    def forward(self, x):
        return self.map(x)

class Both(nn.Module):
    def __init__(self, parts: list[nn.Module], behind: nn.Module | None = None):
        self.parts, self.behind = parts, behind
    def forward(self, x):
        x = sum(part(x) for part in self.parts)
        return x if self.behind is None else self.behind(x)

class Needs(nn.Module):
    def __init__(self, size: int):
        if size == 7:
            raise RuntimeError("not seven")
    def forward(self, x):
        return x

class NoForward(nn.Module):
    pass

class Other:
    pass

def function():
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder hw6 with layers.py, what that imports, and 60 points; the current folder is another one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnkit.training.session.safe_plot", lambda folder: "no picture")  # which takes longer than the rest
    (tmp_path / "hw6").mkdir()
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2)) + 2 * (np.arange(60) % 2)[:, None]
    rows = "".join(f"{a},{b},{'ab'[i % 2]}\n" for i, (a, b) in enumerate(points))
    for name, text in {"table.csv": rows, "layers.py": LAYERS, "start.py": "START = -1.0\n"}.items():
        (tmp_path / "hw6" / name).write_text(text, encoding="utf-8")
    return tmp_path / "hw6"


def write(folder, *layers, recipe="classifier", name="c.yaml"):
    path = folder / name
    lines = "".join(f"    - {layer}\n" for layer in layers)
    path.write_text(f"recipe: {recipe}\ndata: {{train: table.csv, dev: 0.1}}\ntraining: {{epochs: 2, batch_size: 18}}\n"
                    f"model:\n  layers:\n{lines}", encoding="utf-8")
    return path


def fit(path, *overrides):
    return nnkit.fit(path, overrides, quiet=True)


def recipe_of(path, *overrides):
    tree = configs.read_tree(path, overrides)
    recipe_class = load_recipe(recipe_file(tree))
    return recipe_class(configs.validate(tree, recipe_class.Config))


def model_of(path, *overrides):
    """The model that a training would start with."""
    return recipe_of(path, *overrides).build(np.random.default_rng(0))


def said_of(path, *overrides):
    with pytest.raises(nnkit.ConfigError) as error:
        fit(path, *overrides)
    assert "\n" not in str(error.value) and not list(path.parent.parent.glob("runs/*"))
    return str(error.value).replace(f"{path.parent}/", "").removeprefix("c.yaml:")


HIGHWAY = "{type: layers.py:Highway, depth: 2}"
NARROW = "{type: Linear, out_features: 6}"
LAST = "{type: Linear}"


def test_a_run_is_used_and_resumed_from_its_folder_when_the_files_are_gone(folder, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/layers.py").write_text(LAYERS.replace("x = x + one(x)", "x = x - one(x)"), encoding="utf-8")
    (tmp_path / "other/start.py").write_text("START = -2.0\n", encoding="utf-8")
    path = write(folder, NARROW, HIGHWAY, "{type: Residual, layer: [{type: Tanh}, {type: ../other/layers.py:Highway}]}", LAST)
    run = fit(path)
    first, second = run.model.layers[1], run.model.layers[2].layer.layers[1]
    assert type(first) is not type(second) and (first.given[0], second.given[0]) == (-1, -2)
    code = sorted(file.relative_to(run.path / "code").as_posix() for file in (run.path / "code").rglob("*.py"))
    assert code == ["classifier.py", "hw6/layers.py", "hw6/start.py", "other/layers.py", "other/start.py"]
    answers = nnkit.load(run.path).predict([[1, 2], [-1, 0]])
    for gone in (folder / "layers.py", folder / "start.py"):
        gone.unlink()
    shutil.rmtree(tmp_path / "other")
    moved = shutil.move(run.path, tmp_path / "moved")
    assert nnkit.load(moved).predict([[1, 2], [-1, 0]]) == answers
    longer = nnkit.resume(moved, ["training.epochs=3"], quiet=True)
    assert "type: code/hw6/layers.py:Highway" in (longer.path / "config.yaml").read_text(encoding="utf-8")
    for command in (["evaluate", str(moved)], ["show", str(moved)], ["check", str(longer.path / "config.yaml")]):
        assert main(command) == 0, capsys.readouterr().err
    assert model_of(longer.path / "config.yaml")[2].layer[1].given[0] == -2


def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(folder):
    path = write(folder, NARROW, HIGHWAY, LAST)
    whole = fit(path, "training.epochs=3", "schedule.type=constant")
    part = fit(path, "training.epochs=2", "schedule.type=constant")
    (folder / "layers.py").write_text(LAYERS.replace("x = x + one(x)", "x = x - one(x)"), encoding="utf-8")
    longer = nnkit.resume(part.path, ["training.epochs=3"], quiet=True)
    for name, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(value, longer.model.state_dict()[name], err_msg=name)


def test_a_path_is_relative_to_the_file_that_has_it_and_on_the_command_line_to_the_current_folder(folder, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base/layers.py").write_text(LAYERS.replace("x = x + one(x)", "x = x - one(x)"), encoding="utf-8")
    (tmp_path / "base/start.py").write_text("START = -3.0\n", encoding="utf-8")
    base = write(tmp_path / "base", NARROW, "{type: layers.py:Highway}", LAST, name="base.yaml")
    base.write_text(base.read_text(encoding="utf-8").replace("table.csv", "../hw6/table.csv"), encoding="utf-8")
    (folder / "c.yaml").write_text("include: ../base/base.yaml\nseed: 2\n", encoding="utf-8")
    assert model_of(folder / "c.yaml")[1].given[0] == -3
    for name in ("hw6/layers.py", folder / "layers.py"):
        assert model_of(folder / "c.yaml", f"model.layers.1.type={name}:Highway")[1].given[0] == -1


def test_an_edited_file_is_read_anew(folder):
    path = write(folder, NARROW, HIGHWAY, LAST)
    assert model_of(path)[1].given[0] == -1
    (folder / "start.py").write_text("START = -1.625\n", encoding="utf-8")
    assert model_of(path)[1].given[0] == -1.625


def test_a_file_may_have_the_name_of_a_module_of_python(folder):
    (folder / "random.py").write_text("from nnkit import nn\nclass Same(nn.Module):\n    def forward(self, x): return x\n",
                                      encoding="utf-8")
    import random
    run = fit(write(folder, "{type: random.py:Same}", LAST))
    assert type(run.model.layers[0]).__name__ == "Same" and sys.modules["random"] is random
    assert nnkit.load(run.path).predict([[1, 2]])


def test_arguments_are_typed_by_their_hints_and_others_taken_as_they_are(folder):
    given = "scale: 2, kind: b, sizes: [1, 2], anything: [1, {a: b}], strange: x"
    layer = model_of(write(folder, NARROW, f"{{type: layers.py:Highway, {given}}}", LAST))[1]
    assert layer.given == (2, (1, 2), [1, {"a": "b"}], "x")


def test_layers_inside_of_ones_own_and_one_that_ends_the_network(folder):
    both = "{type: layers.py:Both, parts: [{type: Tanh}, {type: layers.py:Affine}], behind: [{type: LayerNorm}, {type: ReLU}]}"
    layers = model_of(write(folder, NARROW, both, "{type: layers.py:Both, parts: [{type: Identity}]}",
                            "{type: layers.py:Widen}", "{type: layers.py:Affine}")).layers
    inside = layers[1]
    assert [type(part).__name__ for part in inside.parts] == ["Tanh", "Affine"] and inside.parts[1].map.out_features == 6
    assert len(inside.behind) == 2 and layers[2].behind is None
    assert layers[4].map.weight.shape == (12, 2)


@pytest.mark.parametrize("layer, said", [
    ("{type: layer.py:Highway}", "6:14: model.layers[0]: no such file: layer.py; did you mean 'layers.py'?"),
    ("{type: hw/layers.py:Highway}", "6:14: model.layers[0]: no such file: hw/layers.py; a path is relative to the file that"),
    ("{type: layers.py:Hihgway}", "6:14: model.layers[0]: layers.py has no class 'Hihgway'; did you mean 'Highway'? the layers "
     "in it are Highway, Widen, Affine, Both, Needs, NoForward"),
    ("{type: layers.py}", "6:14: model.layers[0]: layers.py is named without a class; write layers.py:Highway; the layers"),
    ("{type: start.py:Start}", "6:14: model.layers[0]: start.py has no class 'Start'; there is no layer in it, which is a"),
    ("{type: layers.py:Other}", "6:14: model.layers[0]: layers.py: Other is a class that does not extend nnkit.nn.Module; write "
     "class Other(nn.Module)"),
    ("{type: layers.py:function}", "6:14: model.layers[0]: layers.py: function is of type function, and no class"),
    ("{type: layers.py:NoForward}", "6:14: model.layers[0]: layers.py: NoForward has no forward; write def forward(self, x)"),
    ("{type: layers:Highway}", "6:14: model.layers[0]: no layer named 'layers:Highway'; did you mean 'Highway'? known layers"),
    ("{type: '$NNKIT_DATA/x.py:Highway'}", "6:14: model.layers[0]: $NNKIT_DATA is not set"),
    ("{type: layers.py:Highway, dpeth: 2}", "6:33: model.layers[0]: Highway has no argument 'dpeth'; did you mean 'depth'?"),
    ("{type: layers.py:Highway, rng: 2}", "6:33: model.layers[0]: Highway has no argument 'rng'"),
    ("{type: layers.py:Highway, depth: 1.5}", "6:40: model.layers[0]: Highway.depth: expected int, got 1.5"),
    ("{type: layers.py:Highway, scale: x}", "6:40: model.layers[0]: Highway.scale: expected float or null, got 'x'"),
    ("{type: layers.py:Highway, kind: c}", "6:39: model.layers[0]: Highway.kind: expected 'a' or 'b', got 'c'"),
    ("{type: layers.py:Highway, sizes: [1, x]}", "6:40: model.layers[0]: Highway.sizes: expected int, got 'x'"),
    ("{type: layers.py:Highway, depth: 0}", "6:33: model.layers[0]: layers.py:9: ValueError: depth must be at least 1, got 0"),
    ("{type: layers.py:Needs}", "6:7: model.layers[0]: Needs needs size"),
    ("{type: layers.py:Needs, size: 7}", "6:7: model.layers[0]: layers.py:41: RuntimeError: not seven"),
    ("{type: layers.py:Both, parts: {type: Tanh}}", "6:37: model.layers[0]: Both.parts: expected a list of layers, got {"),
    ("{type: layers.py:Both, parts: [{type: Tahn}]}", "6:45: model.layers[0]: Both.parts[0]: no layer named 'Tahn'"),
    ("{type: Residual, layer: [{type: layers.py:Highway, dpeth: 2}]}", "6:58: model.layers[0]: Residual.layer[0]: Highway has"),
    ("{type: Residual, layer: {type: layers.py:Highway, depth: 0}}", "6:57: model.layers[0].layer: layers.py:9: ValueError"),
    ("{type: layers.py:Highway, in_features: 3}", "6:33: model.layers[0]: in_features is 3, but 2 come in; leave it out"),
    ("{type: layers.py:Widen, told: false}", "6:7: model.layers[0]: Widen makes 4 features of 2, and 2 were expected; set "
     "self.out_features = 4 in its __init__"),
])
def test_a_mistake_is_one_line_at_its_place(folder, monkeypatch, layer, said):
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    path = write(folder, layer, LAST)
    assert said_of(path).startswith(said)


@pytest.mark.parametrize("text, said", [
    ("from nnkit import nn\nclass Highway(nn.Module\n", "broken.py:2: SyntaxError"),
    ("import nothing_there\n", "broken.py:1: ModuleNotFoundError: No module named 'nothing_there'"),
    ("x = 1\n1 / 0\n", "broken.py:2: ZeroDivisionError"), ("raise SystemExit(3)\n", "broken.py:1: SystemExit"),
])
def test_a_file_that_cannot_be_run_is_named_with_its_line(folder, text, said):
    (folder / "broken.py").write_text(text, encoding="utf-8")
    line = said_of(write(folder, "{type: broken.py:Highway}", LAST))
    assert line.startswith(f"6:14: model.layers[0]: {said}") and "(broken.py, line" not in line  # its place is there once


def test_what_is_wrong_without_the_data_is_said_before_it_is_read(folder):
    (folder / "table.csv").unlink()
    for layer, said in [("{type: Dropout, p: -1}", "6:23: model.layers[0]: Dropout: p must be at least 0"),
                        ("{type: layers.py:Needs, size: 7}", "6:7: model.layers[0]: layers.py:41: RuntimeError: not seven")]:
        assert said_of(write(folder, layer, LAST)).startswith(said)


def test_a_sweep_knows_when_what_a_layer_imports_has_changed(folder):
    path = write(folder, NARROW, HIGHWAY, LAST)
    before = fingerprint(path)
    assert fingerprint(path) == before
    (folder / "start.py").write_text("START = -1.625\n", encoding="utf-8")
    assert fingerprint(path) != before


def test_ones_own_linear_layer_first_on_texts_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.py").write_text("from nnkit import nn\nclass Negative(nn.Linear):\n"
                                        "    def forward(self, x): return super().forward(x) * -1\n", encoding="utf-8")
    (tmp_path / "t.tsv").write_text("".join(f"{'ab'[i % 2]}\t{'up down'.split()[i % 2]} w{i % 3}\n" for i in range(40)),
                                    encoding="utf-8")
    (tmp_path / "c.yaml").write_text("recipe: classifier\ndata: {train: t.tsv, dev: 0.1, min_count: 1}\ntraining: {epochs: 1}\n"
                                     "model: {layers: [{type: layers.py:Negative}]}\n", encoding="utf-8")
    recipe = recipe_of(tmp_path / "c.yaml")
    x, model = recipe.batch("dev", np.arange(2)).x, recipe.build(np.random.default_rng(0))
    expected = -(x.dense(recipe.inputs.n_features) @ model[0].weight.value + model[0].bias.value)
    np.testing.assert_allclose(model(x).value, expected, rtol=1e-5)


def test_a_run_is_asked_by_another_process_in_another_folder(folder, tmp_path):
    run = fit(write(folder, NARROW, HIGHWAY, LAST))
    (folder / "layers.py").unlink()
    asked = subprocess.run([sys.executable, "-m", "nnkit", "predict", str(tmp_path / run.path), "-"], cwd="/", input="1,2\n",
                           capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert asked.returncode == 0 and asked.stdout.count("\n") == 1, asked.stderr
