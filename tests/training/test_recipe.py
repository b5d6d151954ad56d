"""A recipe of one's own, in any folder: what it brings along, and what is said where it gives something else than is asked."""

import numpy as np
import pytest

import nnkit
from nnkit.training.recipe import load_recipe, local_files

RECIPE = """\
import numpy as np
from nnkit import losses, nn
from nnkit.training import Recipe, RunConfig
from helper import SIZE

class Batch:
    count = units = 4
    def __init__(self, x):
        self.x = x

class Own(Recipe):
    Config = RunConfig
    units_per_epoch = 12
    def build(self, rng):
        return nn.Linear(SIZE, 1, rng=rng)
    def batches(self, epoch, rng, start=0):
        for x in rng.normal(size=(3, 4, SIZE)).astype(np.float32)[start:]:
            yield Batch(x)
    def loss(self, model, batch):
        return losses.mean_squared_error(model(batch.x), np.zeros((4, 1), np.float32))
    def evaluate(self, model):
        return {}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """own(old, new): the path of a config whose recipe is RECIPE with old replaced, in a folder that is not the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine é"
    folder.mkdir()
    (folder / "helper.py").write_text("SIZE = 3\n", encoding="utf-8")
    (folder / "own.yaml").write_text("recipe: own.py\ntraining: {epochs: 2}\n", encoding="utf-8")

    def write(old="", new=""):
        assert old in RECIPE
        (folder / "own.py").write_text(RECIPE.replace(old, new), encoding="utf-8")
        return folder / "own.yaml"

    return write


def test_a_helper_of_which_only_a_number_is_imported_goes_into_the_run(own):
    run = nnkit.fit(own(), quiet=True)
    assert {path.name for path in (run.path / "code").glob("*.py")} == {"own.py", "helper.py"}


def test_a_package_beside_the_recipe_goes_into_the_run_with_its_folder(own, tmp_path):
    config = own("from helper import SIZE", "from parts.sizes import SIZE")
    package = tmp_path / "mine é/parts"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "sizes.py").write_text("SIZE = 5\n", encoding="utf-8")
    run = nnkit.fit(config, quiet=True)
    assert (run.path / "code/parts/sizes.py").exists() and (run.path / "code/parts/__init__.py").exists()
    (package / "sizes.py").unlink()
    longer = nnkit.resume(run.path, ["training.epochs=3"], quiet=True)
    assert longer.model.weight.shape == (5, 1)


def test_each_recipe_gets_the_helper_beside_it_as_it_is_now(own, tmp_path):
    config = own()
    assert nnkit.fit(config, quiet=True).model.weight.shape == (3, 1)
    other = tmp_path / "other"
    other.mkdir()
    for name, text in {"helper.py": "SIZE = 11\n", "own.py": RECIPE, "own.yaml": config.read_text(encoding="utf-8")}.items():
        (other / name).write_text(text, encoding="utf-8")
    assert nnkit.fit(other / "own.yaml", quiet=True).model.weight.shape == (11, 1)
    assert nnkit.fit(config, quiet=True).model.weight.shape == (3, 1)


def test_a_recipe_in_the_folder_of_nnkit_does_not_take_nnkit_along():
    root = nnkit.training.recipe.shipped_folder("recipes")
    assert list(local_files(load_recipe(root / "sgns.py"))) == ["sgns.py"]
    assert not [name for name in nnkit.training.own_code.modules_in(root.parent) if name.split(".")[0] != "tests"]


@pytest.mark.parametrize("old, new, said", [
    ("return losses.mean", "return 1.0\n        losses.mean", r"Own\.loss gave 1\.0; expected a Tensor of one number"),
    ("return losses.mean", "losses.mean", r"Own\.loss gave None; expected a Tensor of one number"),
    ("return losses.mean", "return model(batch.x)\n        losses.mean", r"Own\.loss gave Tensor\(.*of one number"),
    ("[start:]", "[3:]", r"Own\.batches gave nothing; expected at least one batch in epoch 1"),
    ("    units_per_epoch = 12\n", "", r"Own\.units_per_epoch gave None; expected a number above 0"),
    ("units_per_epoch = 12", "units_per_epoch = 0", r"Own\.units_per_epoch gave 0; expected a number above 0"),
    ("return {}", "return None", r"Own\.evaluate gave None; expected a dict of numbers"),
    ("return {}", "return {'dev_loss': model.weight}", r"Own\.evaluate gave \{'dev_loss'.*expected a dict of numbers"),
    ("return nn.Linear(SIZE, 1, rng=rng)", "return None", r"Own\.build gave NoneType; expected a Module with parameters"),
    ("return nn.Linear(SIZE, 1, rng=rng)", "return nn.ReLU()", r"Own\.build gave ReLU; expected a Module with parameters"),
])
def test_what_a_recipe_gives_wrong_is_named_with_what_is_expected(own, old, new, said):
    with pytest.raises(nnkit.UserError, match=said):
        nnkit.fit(own(old, new), quiet=True)


@pytest.mark.parametrize("old, new, said", [
    ("class Own(Recipe):", "class Own(Recipe)", r"own\.py:\d+: SyntaxError"),
    ("from helper", "from helpre", r"own\.py:4: ModuleNotFoundError: No module named 'helpre'"),
    ("    Config = RunConfig\n", "", r"own\.py: Own\.Config must be a class that extends nnkit\.training\.RunConfig"),
    ("Config = RunConfig", "Config = dict", r"own\.py: Own\.Config must be a class that extends nnkit\.training\.RunConfig"),
    ("class Batch", "import sys; sys.exit(0)\nclass Batch", r"own\.py:6: SystemExit"),
])
def test_a_recipe_that_cannot_be_loaded_is_a_config_error_with_its_line(own, tmp_path, old, new, said):
    with pytest.raises(nnkit.ConfigError, match=said):
        nnkit.fit(own(old, new), quiet=True)
    assert not (tmp_path / "runs").exists()


def test_steps_after_the_last_line_are_logged_at_the_end_and_a_longer_run_does_not_see_it(own):
    config = own()
    rarely = ["eval.every=1000 steps", "log.every=4 steps"]
    run = nnkit.fit(config, rarely, quiet=True)
    assert [row["step"] for row in run.metrics] == [4, 6] and (run.path / "loss.png").exists()
    longer = nnkit.resume(run.path, ["training.epochs=4"], quiet=True)
    straight = nnkit.fit(config, [*rarely, "training.epochs=4"], quiet=True)
    losses = [[(row["step"], row["train_loss"]) for row in each.metrics] for each in (longer, straight)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(longer.model.weight.value, straight.model.weight.value)
