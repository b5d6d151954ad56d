"""The classifier recipe: tables and texts, held-out data that stays out, and its mistakes."""

import numpy as np
import pytest

import nnkit
from nnkit.training.recipe import load_recipe, shipped_folder

CONFIGS = shipped_folder("configs")
Recipe = load_recipe(shipped_folder("recipes") / "classifier.py")


@pytest.fixture
def table(tmp_path, monkeypatch):
    """150 points in three clouds, on wildly different scales, as CSV; the current folder is the table's."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    classes = np.arange(150) % 3
    points = rng.normal(size=(150, 2)) * 0.5 + np.array([[0, 0], [3, 0], [0, 3]])[classes]
    points *= [1000, 0.001]
    lines = [f"{a},{b},class{c}" for (a, b), c in zip(points.tolist(), classes)]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "table.csv"


def config(**sections):
    return Recipe.Config.model_validate({"recipe": "classifier", **sections})


def write_config(folder, text="", layers="[{type: Linear, out_features: 8}, {type: Tanh}, {type: Linear}]"):
    path = folder / "c.yaml"
    path.write_text(f"recipe: classifier\ndata: {{train: table.csv}}\nmodel: {{layers: {layers}}}\n{text}", encoding="utf-8")
    return path


def test_a_table_trains_through_a_hidden_layer(table):
    run = nnkit.fit(write_config(table.parent, "training: {epochs: 15}"), {"optimizer.lr": 0.3}, quiet=True)
    assert [r for r in run.metrics if r["event"] == "eval"][-1]["dev_acc"] > 0.9
    assert (run.path / "labels.txt").read_text(encoding="utf-8").split() == ["class0", "class1", "class2"]


@pytest.mark.case("autograd", 48)
def test_held_out_examples_are_never_trained_on_and_are_of_each_class_alike(table):
    recipe = Recipe(config(data={"train": str(table)}))
    assert not set(recipe.train) & set(recipe.dev) and len(recipe.train) + len(recipe.dev) == 150
    assert np.bincount(recipe.classes[recipe.dev]).tolist() == [10, 10, 10]


def test_columns_are_scaled_by_what_the_training_part_says(table):
    recipe = Recipe(config(data={"train": str(table)}))
    x = recipe.inputs.features(recipe.train)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-5)


@pytest.mark.case("trainer", 17)
@pytest.mark.case("autograd", 36)
def test_the_dev_loss_is_the_mean_over_examples_whatever_the_batches(table, monkeypatch):
    recipe = Recipe(config(data={"train": str(table)}))
    model = recipe.build(np.random.default_rng(0))
    logits = model(recipe.inputs.features(recipe.dev))
    expected = float(nnkit.losses.cross_entropy(logits, recipe.classes[recipe.dev]))
    assert recipe.evaluate(model)["dev_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.case("autograd", 43)
def test_every_example_comes_once_an_epoch_in_another_order_each(table):
    recipe = Recipe(config(data={"train": str(table)}, training={"batch_size": 7}))
    orders = [np.concatenate([b.x[:, 0] for b in recipe.batches(e, np.random.default_rng(e))]) for e in (0, 1)]
    assert not np.array_equal(*orders) and np.array_equal(*map(np.sort, orders))


@pytest.mark.case("autograd", 48)
def test_words_that_only_held_out_texts_have_are_unknown(monkeypatch):
    module = vars(Recipe)["evaluate"].__globals__
    texts = [["shared", f"own{i}"] for i in range(40)]
    bags = module["Bags"](texts, train=np.arange(30), min_count=1)
    assert "own3" in bags.vocabulary and "own35" not in bags.vocabulary
    np.testing.assert_allclose((bags.features(np.arange(40)) ** 2).sum(1), 1, rtol=1e-6)


def test_a_text_of_unknown_words_is_a_row_of_zeros():
    module = vars(Recipe)["evaluate"].__globals__
    bags = module["Bags"]([["a", "b"], ["zzz"]], train=[0, 0], min_count=1)
    assert not bags.features([1]).any()


@pytest.mark.parametrize("layers, said", [
    ("[{type: Linaer}]", "no layer named 'Linaer'; did you mean 'Linear'?"),
    ("[{type: Linear, out_feature: 3}]", "Linear has no argument 'out_feature'; did you mean 'out_features'?"),
    ("[{type: Linear, out_features: many}]", "Linear.out_features: expected int, got 'many'"),
    ("[]", "model.layers"),
    ("[{type: Dropout, p: 1.5}, {type: Linear}]", "model.layers[0]: Dropout: p must be at least 0 and less than 1"),
    ("[{type: Linear}, {type: Linear}]", "model.layers[0]: Linear needs out_features"),
    ("[{type: ReLU}]", "end with {type: Linear}"),
])
def test_a_mistake_in_the_layers_is_a_config_error_that_names_it(table, layers, said):
    with pytest.raises(nnkit.ConfigError) as error:
        nnkit.fit(write_config(table.parent, layers=layers), quiet=True)
    assert said in str(error.value)


def test_a_table_of_one_class_is_refused(table):
    table.write_text("1,2,a\n3,4,a\n" * 9, encoding="utf-8")
    with pytest.raises(nnkit.DataError, match="every example is of class 'a'"):
        Recipe(config(data={"train": str(table)}))


def test_digits_reach_97_percent(shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_DATA", str(shared_data))
    run = nnkit.fit(CONFIGS / "digits.yaml", quiet=True)
    assert [r for r in run.metrics if r["event"] == "eval"][-1]["dev_acc"] >= 0.97


def test_docstrings_are_told_apart_better_than_by_the_commonest_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = nnkit.fit(CONFIGS / "classifier.yaml", {"training.epochs": 2}, quiet=True)
    assert [r for r in run.metrics if r["event"] == "eval"][-1]["dev_acc"] > 0.5


def test_a_builtin_that_does_not_exist_is_no_missing_file(tmp_path):
    with pytest.raises(nnkit.DataError, match="builtin:docs: no such built-in corpus; there is builtin:python-docs"):
        Recipe(config(data={"train": "builtin:docs"}))


def test_a_table_whose_every_row_is_a_class_of_its_own_asks_for_the_column(tmp_path):
    (tmp_path / "t.csv").write_text("1,2,x\n3,4,y\n5,6,z\n", encoding="utf-8")
    with pytest.raises(nnkit.DataError, match=r"every example has a class of its own; is data\.label = -1 the right column"):
        Recipe(config(data={"train": str(tmp_path / "t.csv")}))


def test_columns_that_float32_sums_cannot_hold_are_scaled_and_constant_ones_become_zero(tmp_path):
    rows = "".join(f"{i % 7}e37,0.1,{'xy'[i % 2]}\n" for i in range(400))
    (tmp_path / "t.csv").write_text(rows, encoding="utf-8")
    inputs = Recipe(config(data={"train": str(tmp_path / "t.csv")})).inputs
    assert inputs.rows.dtype == np.float32 and np.isfinite(inputs.rows).all()
    assert abs(inputs.rows[:, 0].std() - 1) < 0.1 and np.abs(inputs.rows[:, 1]).max() < 1e-6
