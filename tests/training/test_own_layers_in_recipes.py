"""A recipe of one's own that imports layers which its config names, too: it is one class, in training and in using the run."""

import nnkit

LAYERS = """\
from nnkit import nn
from start import START

class Shift(nn.Module):
    def forward(self, x):
        return x + START
"""

RECIPE = """\
import numpy as np
from layers import Shift
from nnkit import losses
from nnkit.training import Recipe, RunConfig, Section
from nnkit.training.components import LayerSpec, build_layers

class Model(Section):
    layers: list[LayerSpec] = []

class Config(RunConfig):
    model: Model = Model()

class Own(Recipe):
    Config = Config
    units_per_epoch = 12
    def build(self, rng):
        model = build_layers(self.config.model.layers, 3, 1, rng)
        assert isinstance(model[0], Shift)
        return model
    def batches(self, epoch, rng, start=0):
        for x in rng.normal(size=(3, 4, 3)).astype(np.float32)[start:]:
            batch = type("Batch", (), {"count": 4, "units": 4})()
            batch.x = x
            yield batch
    def loss(self, model, batch):
        return losses.mean_squared_error(model(batch.x), np.zeros((4, 1), np.float32))
    def predict(self, model, inputs, source="input"):
        return (float(model(np.array([x], np.float32))) for x in inputs)
    @classmethod
    def from_run(cls, config, path):
        return cls(config)
"""


def test_what_a_recipe_imports_and_what_its_config_names_is_one_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnkit.training.session.safe_plot", lambda folder: "no picture")  # which takes longer than the rest
    config = "recipe: own.py\nmodel: {layers: [{type: layers.py:Shift}, {type: Linear}]}\n"
    for name, text in {"own.py": RECIPE, "layers.py": LAYERS, "start.py": "START = 0.5\n", "own.yaml": config}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    runs = [nnkit.fit("own.yaml", quiet=True), nnkit.fit("own.yaml", quiet=True)]
    assert sorted(file.name for file in (runs[0].path / "code").glob("*.py")) == ["layers.py", "own.py", "start.py"]
    loaded = [nnkit.load(run.path) for run in runs]  # the modules of the first make way for those of the second
    (tmp_path / "layers.py").unlink()
    assert loaded[0].predict([[1, 2, 3]]) == loaded[1].predict([[1, 2, 3]])
