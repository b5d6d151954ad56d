"""What a training says of itself: logged losses are the means one gets by hand, and measuring leaves no trace in the training."""

import numpy as np
import pytest

import nnkit
from nnkit.training import loop
from nnkit.training.counting import Mean
from nnkit.training.recipe import load_recipe, shipped_folder

CLASSIFIER = """\
recipe: classifier
data: {train: table.csv}
model: {layers: [{type: Linear, out_features: 8}, {type: ReLU}, {type: Dropout, p: 0.5}, {type: Linear}]}
training: {epochs: 3, batch_size: 7}
"""


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """The path of a config with dropout, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{a},{b},{'zxy'[int(a > 0) + int(b > 0)]}\n" for a, b in rng.normal(size=(101, 2))]
    (tmp_path / "table.csv").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(CLASSIFIER, encoding="utf-8")
    return tmp_path / "c.yaml"


@pytest.fixture
def steps(monkeypatch):
    """(loss of an item, items) of each step that is trained from now on."""
    seen = []
    read = loop.Trainer.read

    def reading(trainer, loss, batch):
        seen.append((float(loss) / (batch.count if trainer.recipe.loss_is_sum else 1), batch.count))
        read(trainer, loss, batch)

    monkeypatch.setattr(loop.Trainer, "read", reading)
    return seen


@pytest.mark.case("trainer", 18)
@pytest.mark.parametrize("config", ["tiny", "classifier"])
def test_a_logged_loss_is_the_mean_by_hand_over_the_steps_since_the_line_before(config, request, steps):
    run = nnkit.fit(request.getfixturevalue(config), {"log.every": "7 steps"}, quiet=True)
    lines = [row for row in run.metrics if row["event"] == "train"]
    in_epoch = next(row["step"] for row in run.metrics if row["event"] == "eval")
    assert in_epoch % 7 and len(lines) > 4 and lines[-1]["step"] == len(steps)  # windows go over the ends of epochs
    before = 0
    for row in lines:
        losses, counts = np.array(steps[before:row["step"]]).T
        assert row["train_loss"] == pytest.approx(np.average(losses, weights=counts), rel=1e-12)  # float64, not float32
        before = row["step"]
    before = 0
    for row in [row for row in run.metrics if row["event"] == "eval"]:
        losses, counts = np.array(steps[before:row["step"]]).T
        assert row["train_loss"] == pytest.approx(np.average(losses, weights=counts), rel=1e-12)
        before = row["step"]


@pytest.mark.case("trainer", 18)
def test_a_mean_does_not_stand_still_where_float32_would():
    mean = Mean(total=2.0**27, count=1.0)
    for _ in range(1000):
        mean.add(1.0, 1.0)
    assert mean.total == 2.0**27 + 1000 and mean.take() == (2.0**27 + 1000) / 1001 and mean.take() is None


@pytest.mark.case("trainer", 20)
def test_measuring_in_the_middle_of_an_epoch_changes_nothing_in_the_training(classifier):
    rare, often = (nnkit.fit(classifier, {"eval.every": every}, quiet=True) for every in ("3 epochs", "2 steps"))
    assert len(often.metrics) > len(rare.metrics) + 10
    for (name, one), (_, other) in zip(rare.model.named_parameters(), often.model.named_parameters()):
        np.testing.assert_array_equal(one.value, other.value, err_msg=name)


@pytest.mark.case("trainer", 20)
def test_dropout_is_off_while_measuring_and_on_again_where_measuring_fails(classifier, monkeypatch):
    seen, trainers = [], []

    def failing(recipe, model):
        seen.append(any(module.training for module in model.modules()))
        raise RuntimeError("no")

    init = loop.Trainer.__init__
    monkeypatch.setattr(loop.Trainer, "__init__", lambda trainer, *a, **k: (init(trainer, *a, **k), trainers.append(trainer))[0])
    with monkeypatch.context() as patch:
        patch.setattr("nnkit.training.session.load_recipe", lambda path: with_evaluate(load_recipe(path), failing))
        with pytest.raises(RuntimeError, match="no"):
            nnkit.fit(classifier, quiet=True)
    assert seen == [False] and all(module.training for module in trainers[0].model.modules())


def with_evaluate(recipe_class, evaluate):
    recipe_class.evaluate = evaluate
    return recipe_class


@pytest.mark.case("trainer", 15)
def test_a_monitor_of_a_recipe_that_measures_nothing_is_refused_with_what_there_is(tiny):
    with pytest.raises(nnkit.ConfigError, match=r"eval\.monitor: SGNS measures no dev_acc; there is train_loss, ") as error:
        nnkit.fit(tiny, {"eval.monitor": "+dev_acc"}, quiet=True)
    assert error.value.exit_code == 2 and not (tiny.parent / "runs").exists()


@pytest.mark.case("trainer", 16)
def test_a_recipe_that_seeds_numpys_generator_changes_nothing_and_the_threads_are_recorded(classifier):
    code = shipped_folder("recipes") / "classifier.py"
    (classifier.parent / "seeding.py").write_text(
        code.read_text(encoding="utf-8") + "\nnp.random.seed(5)\n", encoding="utf-8")
    runs = [nnkit.fit(classifier, {"recipe": recipe}, quiet=True) for recipe in ("classifier", "seeding.py", "seeding.py")]
    rows = [[(row["step"], row["train_loss"], row.get("dev_loss")) for row in run.metrics] for run in runs]
    assert rows[0] == rows[1] == rows[2]
    assert all(pool["threads"] == 1 for run in runs for pool in run.directory.read_run()["blas"])


@pytest.mark.case("trainer", 22)
def test_the_labels_are_the_same_in_whatever_order_the_training_file_has_them(classifier):
    first = nnkit.fit(classifier, {"training.epochs": 1}, quiet=True)
    table = classifier.parent / "table.csv"
    table.write_text("".join(reversed(table.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    second = nnkit.fit(classifier, {"training.epochs": 1}, quiet=True)
    assert [(run.path / "labels.txt").read_text(encoding="utf-8") for run in (first, second)] == ["x\ny\nz\n"] * 2


@pytest.mark.case("trainer", 19)
def test_a_nan_in_the_input_is_named_before_the_training_begins(classifier):
    with open(classifier.parent / "table.csv", "a", encoding="utf-8") as table:
        table.write("1.5,nan,x\n")
    with pytest.raises(nnkit.DataError, match=r"table\.csv:102: nan is not a finite"):
        nnkit.fit(classifier, quiet=True)
    assert not list((classifier.parent / "runs").iterdir())
