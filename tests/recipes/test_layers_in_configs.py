"""The layers of nnkit.nn in a config: widths that may be left out, layers inside of a Residual, and what a run keeps of them."""

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, nn
from nnkit.__main__ import main
from nnkit.training.components import OF_OTHERS, build_layers, check_layer, known_layers

LAYERS = """
    - {type: Linear, out_features: 6}
    - {type: BatchNorm1d, momentum: null}
    - {type: GELU, approximate: tanh}
    - {type: Residual, layer: [{type: LayerNorm}, {type: Linear, out_features: 8}, {type: SiLU}, {type: Linear}]}
    - {type: Residual, layer: {type: RMSNorm, eps: 1e-6}}
    - {type: Highway, gate_bias: -2}
    - {type: Linear}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """60 points in two clouds, 54 of them to train on."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2)) + 2 * (np.arange(60) % 2)[:, None]
    (tmp_path / "table.csv").write_text("".join(f"{a},{b},{'ab'[i % 2]}\n" for i, (a, b) in enumerate(points)), encoding="utf-8")
    path = tmp_path / "c.yaml"
    path.write_text("recipe: classifier\ndata: {train: table.csv, dev: 0.1}\n"
                    f"training: {{epochs: 3, batch_size: 18}}\nmodel:\n  layers:{LAYERS}", encoding="utf-8")
    return path


def test_a_run_trains_and_saves_and_is_used_by_its_running_averages(config, capsys):
    run = nnkit.fit(config, {"training.epochs": 6}, quiet=True)
    losses = [r["dev_loss"] for r in run.metrics if r["event"] == "eval"]
    assert losses[-1] < losses[0]
    with np.load(run.path / "checkpoints" / "last.npz") as saved:
        assert saved["model/layers.1.num_batches_tracked"] == 6 * 3 and (saved["model/layers.1.running_var"] != 1).all()
    said = []
    for rows in ("0.5,1\n", "0.5,1\n30,40\n-9,2\n"):  # each by itself, whatever is beside it
        (config.parent / "rows.csv").write_text(rows, encoding="utf-8")
        assert main(["predict", str(run.path), "rows.csv"]) == 0
        said.append(capsys.readouterr().out.splitlines())
    assert len(said[1]) == 3 and said[0] == said[1][:1]


def test_running_averages_go_on_where_a_run_is_resumed(config):
    whole = nnkit.fit(config, {"training.epochs": 3, "schedule.type": "constant"}, quiet=True)
    part = nnkit.fit(config, {"training.epochs": 2, "schedule.type": "constant"}, quiet=True)
    longer = nnkit.resume(part.path, ["training.epochs=3"], quiet=True)
    with (np.load(whole.path / "checkpoints" / "last.npz") as a, np.load(longer.path / "checkpoints" / "last.npz") as b):
        for name in a.files:
            if name.startswith("model/"):
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_every_derivative_of_such_a_model_is_checked(config, capsys):
    assert main(["check", str(config), "--gradcheck"]) == 0
    assert "backward and the difference quotient agree" in capsys.readouterr().out


def test_a_last_batch_of_one_is_a_line_without_a_traceback(config, capsys):
    assert main(["train", str(config), "training.batch_size=53"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("command line: training.batch_size=53: training.batch_size: 53 leaves a last batch of one example")
    assert "BatchNorm1d(6): expected at least two values a feature in training, got an input of shape (1, 6)" in said
    assert "take a batch size that leaves no last batch of one example" in said


@pytest.mark.parametrize("name", sorted(known_layers()))
def test_every_layer_that_a_config_may_name_is_made_and_keeps_each_example_apart(name):
    given = {"layer": {"type": "Tanh"}} if name == "Residual" else {}
    model = build_layers([check_layer({"type": name, **given})], 3, 3, np.random.default_rng(0)).eval()
    x = Tensor(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))
    y = model(x).value
    assert y.shape == (4, 3) and type(model[0]) is getattr(nn, name)
    for i in range(4):
        np.testing.assert_allclose(model(x[i:i + 1]).value, y[i:i + 1], rtol=1e-5)


def test_the_layers_that_a_config_may_not_name_are_there_and_said_to_be_for_something_else():
    for name in OF_OTHERS:
        assert issubclass(getattr(nn, name), nn.Module)
        with pytest.raises(ValueError, match=f"no layer named '{name}'; what is of that name is for ids or sequences"):
            check_layer({"type": name})


@pytest.mark.parametrize("layers, said", [  # ^ stands before the place
    ("[{type: Dropout, ^p: -1}, {type: Linear}]", "model.layers[0]: Dropout: p must be at least 0 and less than 1, got -1"),
    ("[{type: Residual, layer: {type: GELU, ^approximate: x}}]", "model.layers[0]: Residual.layer: GELU: approximate must be"),
    ("[{type: ReLU}, ^{type: Linear, out_features: 0}]", "model.layers[1]: Linear: expected sizes of at least 1, got 2 and 0"),
    ("[^{type: Linear}, {type: Linear}]", "model.layers[0]: Linear needs out_features"),
    ("[{type: Tanh}, {type: LayerNorm, ^normalized_shape: 7}]", "model.layers[1]: normalized_shape is 7, but 2 come in"),
    ("[{type: Residual, layer: [{type: Tanh}, {type: LayerNorm, eps: ^x}]}]", "model.layers[0]: Residual.layer[1]: LayerNorm.ep"),
    ("[{type: Residual, ^layer: [{type: Linear, out_features: 4}]}]", "model.layers[0].layer: 4 numbers come out, but 2 come in"),
    ("[{type: Residual, layer: ^3}]", "model.layers[0]: Residual.layer: expected a layer such as {type: Linear"),
    ("[^{type: Residual}]", "model.layers[0]: Residual needs layer"),
    ("[{type: Linear, out_features: 3}, {type: Tanh}]", "model.layers: 3 numbers come out, but there are 2 classes"),
])
def test_a_mistake_in_a_layer_has_its_place(config, layers, said):
    line = f"model: {{{'' if '^' in layers else '^'}layers: {layers}}}"
    config.write_text(f"recipe: classifier\ndata: {{train: table.csv, dev: 0.1}}\n{line.replace('^', '')}\n", encoding="utf-8")
    with pytest.raises(nnkit.ConfigError) as error:
        nnkit.fit(config, quiet=True)
    assert str(error.value).startswith(f"{config}:3:{line.index('^') + 1}: {said}") and "\n" not in str(error.value)
