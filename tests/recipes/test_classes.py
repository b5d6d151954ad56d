"""What recipes of classes share, by the classifier: its losses, its scores as columns and monitors, its tables and pictures."""

import csv
import math

import numpy as np
import pytest

import nnkit
from nnkit import data, losses, metrics
from nnkit.__main__ import main
from nnkit.training import class_recipe
from nnkit.training.checking import check
from nnkit.training.recipe import load_recipe, shipped_folder

Recipe = load_recipe(shipped_folder("recipes") / "classifier.py")

CONFIG = """\
recipe: classifier
data: {train: table.csv}
model: {layers: [{type: Linear, out_features: 8}, {type: Tanh}, {type: Linear}]}
training: {epochs: 3, batch_size: 9}
loss: {label_smoothing: 0.1, class_weights: {rare: 3}}
eval: {metrics: [acc, f1_macro, ece], monitor: +dev_f1_macro}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """c.yaml and a table of 130 rows of three classes, of which one is rare; it is the current one."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def write_table(path, seed=0):
    rng = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2], [70, 50, 10])
    points = rng.normal(size=(130, 2)) + np.array([[0, 0], [1.5, 0], [0, 1.5]])[kinds]
    rows = [f"{a},{b},{['żab', 'common', 'rare'][k]}" for (a, b), k in zip(points.tolist(), kinds)]
    path.write_text("\n".join(["wide,high,kind", *rows]) + "\n", encoding="utf-8")


def made(folder, **loss):
    return Recipe(Recipe.Config.model_validate({"recipe": "x", "data": {"train": str(folder / "table.csv")}, "loss": loss}))


def output(capsys, *words):
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_the_names_in_a_config_are_the_scores_of_metrics():
    assert list(class_recipe.Score.__args__) == list(metrics.SCORES)


def test_the_training_loss_is_weighted_and_smoothed_and_the_dev_loss_is_not(folder):
    recipe = made(folder, label_smoothing=0.2, class_weights="balanced")
    assert recipe.labels == ["common", "rare", "żab"]
    np.testing.assert_allclose(recipe.weights, 104 / 3 / np.array([40, 8, 56]))
    model = recipe.build(np.random.default_rng(0))
    batch = recipe.batch("train", np.arange(0, 104, 5))
    expected = losses.cross_entropy(model(batch.x), batch.classes, weight=recipe.weights, label_smoothing=0.2)
    assert float(recipe.loss(model, batch)) == float(expected)
    held_out = recipe.batch("dev", np.arange(len(recipe.data.dev)))
    plain = float(losses.cross_entropy(model(held_out.x), held_out.classes))
    assert recipe.evaluate(model)["dev_loss"] == pytest.approx(plain, rel=1e-6) != float(recipe.loss(model, held_out))


def test_weights_of_some_labels_leave_the_others_at_one(folder):
    np.testing.assert_array_equal(made(folder, class_weights={"rare": 3.0}).weights, [1, 3, 1])
    assert made(folder).weights is None


@pytest.mark.case("trainer", 17)
def test_accumulated_batches_of_weighted_classes_are_one_large_batch(folder):
    whole, parts = (nnkit.fit("c.yaml", {"training.epochs": 1, "optimizer.lr": 0.5, "eval.monitor": None,
                                         "training.batch_size": size, "training.accumulate": n}, quiet=True)
                    for size, n in ((104, 1), (13, 8)))
    for one, other in zip(whole.model.parameters(), parts.model.parameters()):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-6)
    last = [[row["train_loss"] for row in run.metrics][-1] for run in (whole, parts)]
    assert last[0] == pytest.approx(last[1], rel=1e-5)


@pytest.mark.parametrize("loss", [{}, {"label_smoothing": 0.3}, {"class_weights": "balanced"},
                                  {"label_smoothing": 0.3, "class_weights": {"rare": 9.0}}], ids=str)
def test_the_loss_at_the_start_is_what_is_expected(folder, loss):
    recipe = made(folder, **loss)
    model = recipe.build(np.random.default_rng(0))
    for parameter in model.parameters():
        parameter.value[...] = 0
    total = sum(float(recipe.loss(model, batch)) * batch.count for batch in recipe.batches(0, np.random.default_rng(0)))
    count = sum(batch.count for batch in recipe.batches(0, np.random.default_rng(0)))
    assert recipe.expected_loss() == pytest.approx(total / count, rel=1e-5)
    assert "label_smoothing" in loss or recipe.expected_loss() == pytest.approx(math.log(3))


@pytest.mark.parametrize("loss, said", [
    ("{class_weights: {raer: 3}}", "c.yaml:5:24: loss.class_weights.raer: the data has no such class; did you mean 'rare'?"),
    ("{class_weights: {zzz: 3}}", "c.yaml:5:24: loss.class_weights.zzz: the data has no such class; there are common, rare, żab"),
    ("{class_weights: balancd}", "c.yaml:5:23: loss.class_weights: expected 'balanced', got 'balancd'; did you mean 'balanced'?"),
    ("{class_weights: {rare: 0}}", "c.yaml:5:30: loss.class_weights.rare: expected a number greater than 0, got 0"),
    ("{class_weights: {rare: 1e308}}", "c.yaml:5:30: loss.class_weights.rare: expected a number of at most 1e+30, got 1e+308"),
    ("{label_smoothing: 1}", "c.yaml:5:25: loss.label_smoothing: expected a number less than 1, got 1"),
    ("{smoothing: 0.1}", "did you mean 'label_smoothing'?"),
])
def test_mistakes_in_the_loss_have_their_place(folder, capsys, loss, said):
    text = CONFIG.replace("{label_smoothing: 0.1, class_weights: {rare: 3}}", loss)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    for command in ("train", "check"):
        assert main([command, "c.yaml"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if "c.yaml:" in line]
        assert len(lines) == 1 and said in lines[0]
    assert not list((folder / "runs").glob("*"))


@pytest.mark.case("trainer", 14)
@pytest.mark.case("trainer", 15)
def test_listed_scores_are_columns_and_can_be_monitored(folder, capsys):
    run = nnkit.fit("c.yaml", quiet=True)
    rows = [row for row in run.metrics if row["event"] == "eval"]
    assert [key for key in rows[0] if key.startswith("dev_")] == ["dev_loss", "dev_acc", "dev_f1_macro", "dev_ece"]
    with open(run.path / "history.csv", encoding="utf-8") as file:
        assert "dev_f1_macro" in next(csv.reader(file))
    best = max(rows, key=lambda row: row["dev_f1_macro"])
    lines = output(capsys, "evaluate", run.path).splitlines()
    assert lines[:5] == [f"{key} {best[key]}" for key in rows[0] if key.startswith("dev_")] + [""]
    assert nnkit.load(run.path).evaluate() == {key: best[key] for key in rows[0] if key.startswith("dev_")}


@pytest.mark.case("trainer", 15)
@pytest.mark.parametrize("override, said", [
    ("eval.monitor=+dev_f1_micro", "eval.monitor: dev_f1_micro is not measured; add f1_micro to eval.metrics, or take one of "
                                   "dev_loss, dev_acc, dev_f1_macro, dev_ece, train_loss"),
    ("eval.monitor=+dev_f2", "eval.monitor: Classifier measures no dev_f2; there is dev_loss, dev_acc, dev_f1_macro, dev_ece"),
    ("eval.metrics=[acc, f1macro]", "eval.metrics[1]: expected 'acc', 'f1_macro'"),
    ("eval.metrics=[acc, f1macro]", "got 'f1macro'; did you mean 'f1_macro'?"),
    ("eval.metrics=[acc]", "eval.monitor: dev_f1_macro is not measured; add f1_macro to eval.metrics"),
])
def test_a_score_that_is_not_measured_is_refused_before_training(folder, capsys, override, said):
    assert main(["train", "c.yaml", override]) == 2
    assert said in capsys.readouterr().err and not (folder / "runs").exists()


def test_no_scores_leave_the_loss(folder):
    run = nnkit.fit("c.yaml", {"eval.metrics": [], "eval.monitor": "-dev_loss", "training.epochs": 1}, quiet=True)
    assert [key for key in run.metrics[-1] if key.startswith("dev_")] in (["dev_loss"], [])
    assert list(nnkit.load(run.path).evaluate()) == ["dev_loss"]


def test_check_finds_nothing_odd_in_weights_and_scores(folder):
    notes = check("c.yaml", ["loss.class_weights=balanced"], seconds=0.05, say=lambda line: None)
    assert [note for note in notes if "measures" in note or "first loss" in note] == []


def test_evaluate_prints_tables_that_agree_and_the_worst_mistakes(folder, capsys):
    run = nnkit.load(nnkit.fit("c.yaml", quiet=True).path)
    write_table(folder / "new.csv", seed=1)
    measured = run.evaluate("new.csv")
    assert list(measured) == ["test_loss", "test_acc", "test_f1_macro", "test_ece", "n"]
    head, table, matrix, calibration, mistakes = output(capsys, "evaluate", run.path, "new.csv").rstrip("\n").split("\n\n")
    assert dict(line.split() for line in head.splitlines()) == {name: str(value) for name, value in measured.items()}
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    assert list(rows) == ["class", "common", "rare", "żab", "macro", "weighted"]
    assert rows["macro"][2] == f"{measured['test_f1_macro']:.4f}" and rows["rare"][3] == "10"
    counts = np.array([[int(cell) for cell in line.split()[1:]] for line in matrix.splitlines()[2:]])
    assert counts.sum(1).tolist() == [50, 10, 70] and counts.trace() / 130 == measured["test_acc"]
    assert f"{measured['test_ece']:.4f}" in calibration
    shown = mistakes.splitlines()[1:]
    given = (folder / "new.csv").read_text(encoding="utf-8").splitlines()[1:]
    answers = run.predict([line.rsplit(",", 1)[0] for line in given])
    wrong = [(a.probability, a.label, line) for a, line in zip(answers, given) if not line.endswith(a.label)]
    wrong.sort(reverse=True)
    assert len(shown) == 5 < len(wrong)
    for line, (probability, label, text) in zip(shown, wrong):
        assert line == f"{probability:.4f} predicted {label}, true {text.rpartition(',')[2]}: {text}"


@pytest.mark.case("trainer", 22)
def test_probabilities_of_all_classes_stand_in_the_order_of_the_labels(folder, capsys):
    run = nnkit.load(nnkit.fit("c.yaml", quiet=True).path)
    lines = ["1.5,0", "0,0", "0,3"]
    (folder / "new.csv").write_text("\n".join(lines), encoding="utf-8")
    assert main(["predict", str(run.path), "new.csv", "--proba"]) == 0
    captured = capsys.readouterr()
    assert "columns: common, rare, żab, the input\n" in captured.err
    answers = run.predict(lines)
    for line, printed, answer in zip(lines, captured.out.splitlines(), answers, strict=True):
        *shares, given = printed.split("\t")
        assert given == line and sum(map(float, shares)) == pytest.approx(1, abs=1e-5)
        assert [float(f"{share:.6g}") for share in answer.probabilities.values()] == list(map(float, shares))
        assert answer.probabilities[answer.label] == answer.probability == max(answer.probabilities.values())
        assert list(answer.probabilities) == ["common", "rare", "żab"]


def test_the_picture_is_written_where_it_is_asked_for(folder, capsys):
    run = nnkit.fit("c.yaml", {"training.epochs": 1}, quiet=True).path
    assert main(["evaluate", str(run), "--confusion", "c.png"]) == 0
    assert (folder / "c.png").read_bytes().startswith(b"\x89PNG") and "picture c.png" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--confusion", "c.gif"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: c.gif: a picture's name ends in .png, .svg or .pdf\n" and captured.out == ""


def test_balanced_weights_make_all_classes_count_the_same():
    classes = [0, 0, 0, 1, 2, 2]
    weights = data.balanced_weights(classes, 3)
    np.testing.assert_allclose(np.bincount(classes) * weights, [2, 2, 2])
    np.testing.assert_allclose(data.balanced_weights([0, 0], 2), [0.5, 1])  # nothing to divide by in the other
