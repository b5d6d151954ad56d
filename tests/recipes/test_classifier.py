"""The classifier recipe: tables and texts, held-out data that stays out, and its mistakes."""

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.data import python_docs
from nnkit.data.features import Columns
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


@pytest.fixture
def docs(monkeypatch):
    """The recipe of 40 short docstrings of two packages, each with a word that all have and one of its own."""
    documents = [python_docs.Document("docstring", "stdlib", "ab"[i % 2], [f"shared own{i}"]) for i in range(40)]
    monkeypatch.setattr(python_docs, "load", lambda: python_docs.PythonDocs(documents, {}, ""))
    return Recipe(config(data={"min_count": 1, "min_examples": 2}))


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
    train, dev = ({tuple(row) for row in part.texts.tolist()} for part in (recipe.data.train, recipe.data.dev))
    assert not train & dev and len(train | dev) == 150
    assert np.bincount(recipe.data.dev.classes).tolist() == [10, 10, 10]


def test_columns_are_scaled_by_what_the_training_part_says(table):
    recipe = Recipe(config(data={"train": str(table)}))
    x = recipe.batch("train", np.arange(120)).x
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-5)


@pytest.mark.case("trainer", 17)
@pytest.mark.case("autograd", 36)
def test_the_dev_loss_is_the_mean_over_examples_whatever_the_batches(table, monkeypatch):
    recipe = Recipe(config(data={"train": str(table)}))
    model = recipe.build(np.random.default_rng(0))
    monkeypatch.setitem(recipe.dev_batches.__globals__, "MEASURED", 7)
    logits = model(recipe.batch("dev", np.arange(30)).x)
    expected = float(nnkit.losses.cross_entropy(logits, recipe.data.dev.classes))
    assert recipe.evaluate(model)["dev_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.case("autograd", 43)
def test_every_example_comes_once_an_epoch_in_another_order_each(table):
    recipe = Recipe(config(data={"train": str(table)}, training={"batch_size": 7}))
    orders = [np.concatenate([b.x[:, 0] for b in recipe.batches(e, np.random.default_rng(e))]) for e in (0, 1)]
    assert not np.array_equal(*orders) and np.array_equal(*map(np.sort, orders))


@pytest.mark.case("autograd", 48)
def test_words_that_only_held_out_texts_have_are_unknown(docs):
    assert "shared" in docs.inputs.vocabulary
    held_out = {text.split()[1] for text in docs.data.dev.texts}
    assert len(held_out) == 8 and {f"own{i}" for i in range(40)} - set(docs.inputs.vocabulary.words) == held_out
    x = docs.batch("dev", np.arange(8)).x.dense(docs.inputs.n_features)
    np.testing.assert_array_equal(x, np.eye(1, 33, docs.inputs.vocabulary.index["shared"]).repeat(8, 0))


@pytest.mark.parametrize("layers, said", [
    ("[{type: Linaer}]", "no layer named 'Linaer'; did you mean 'Linear'?"),
    ("[{type: Linear, out_feature: 3}]", "Linear has no argument 'out_feature'; did you mean 'out_features'?"),
    ("[{type: Linear, out_features: many}]", "Linear.out_features: expected int, got 'many'"),
    ("[]", "model.layers"),
    ("[{type: Dropout, p: 1.5}, {type: Linear}]", "model.layers[0]: Dropout: p must be at least 0 and less than 1"),
    ("[{type: Linear}, {type: Linear}]", "model.layers[0]: Linear needs out_features"),
    ("[{type: ReLU}]", "end with {type: Linear}"),
    ("[{type: LayerNorm, normalized_shape: 7}]", "model.layers[0]: normalized_shape is 7, but 2 come in; leave it out"),
    ("[{type: BatchNorm1d, num_features: 7}]", "model.layers[0]: num_features is 7, but 2 come in; leave it out"),
    ("[{type: LayerNorm, eps: small}]", "LayerNorm.eps: expected float, got 'small'"),
    ("[{type: EmbeddingBag}]", "no layer named 'EmbeddingBag'"),
    ("[{type: Residual}]", "model.layers[0]: Residual needs layer"),
    ("[{type: Residual, layer: {type: Linaer}}]", "Residual.layer: no layer named 'Linaer'; did you mean 'Linear'?"),
    ("[{type: Residual, layer: []}]", "Residual.layer: expected a layer such as"),
    ("[{type: Residual, layer: [{type: Tanh}, {type: Linear, out_features: 4}]}]",
     "model.layers[0].layer: 4 numbers come out, but 2 come in, to which they are added"),
    ("[{type: Residual, layer: [{type: Tanh}, {type: LayerNorm, normalized_shape: 3}]}]",
     "model.layers[0].layer[1]: normalized_shape is 3, but 2 come in"),
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
    with pytest.raises(nnkit.DataError, match=r"3 examples of 3 classes \(x, y, z \.\.\.\); is data\.label = -1 the class\?"):
        Recipe(config(data={"train": str(tmp_path / "t.csv")}))


def test_columns_that_float32_sums_cannot_hold_are_scaled_and_constant_ones_become_zero(tmp_path):
    rows = "".join(f"{i % 7}e37,0.1,{'xy'[i % 2]}\n" for i in range(400))
    (tmp_path / "t.csv").write_text(rows, encoding="utf-8")
    rows = Recipe(config(data={"train": str(tmp_path / "t.csv")})).data.train.x
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    assert abs(rows[:, 0].std() - 1) < 0.1 and np.abs(rows[:, 1]).max() < 1e-6


# Using a run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a table with names, whose class is in the middle; its data is gone."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rng = np.random.default_rng(3)
        rows = [f"{a},{'vu'[a > b]},{b}" for a, b in rng.normal(size=(200, 2)).tolist()]
        (folder / "table.csv").write_text("\n".join(["left,kind,right", *rows]) + "\n", encoding="utf-8")
        run = nnkit.fit(write_config(folder, "training: {epochs: 3}"), {"data.label": "kind"}, quiet=True)
        (folder / "table.csv").rename(folder / "moved.csv")
        return nnkit.load(folder / run.path), run.recipe, folder / "moved.csv"


def test_a_run_scales_new_rows_to_the_bit_as_it_did_in_training(trained):
    run, before, file = trained
    assert run.recipe.inputs.encode(before.data.train.texts).tobytes() == before.data.train.x.tobytes()
    assert len(nnkit.data.read_csv(file, "kind")[1]) == 200
    with open(run.path / "columns.csv", encoding="utf-8") as table:
        assert [line.split(",")[0] for line in table] == ["column", "left", "right"]


@pytest.mark.case("trainer", 22)
def test_an_answer_depends_neither_on_its_neighbours_nor_on_their_number(trained):
    run, _, _ = trained
    rows = [f"{a},{b}" for a, b in np.random.default_rng(5).normal(size=(600, 2)).tolist()]
    answers = run.predict(rows)
    assert [answer.input for answer in answers] == rows and {answer.label for answer in answers} == {"u", "v"}
    assert [answer for i in range(0, 600, 7) for answer in run.predict(rows[i:i + 7])] == answers
    assert run.predict(rows[::-1]) == answers[::-1]
    assert [answer[:2] for answer in run.predict([list(map(float, row.split(","))) for row in rows])] == [a[:2] for a in answers]


@pytest.mark.case("trainer", 22)
@pytest.mark.parametrize("size", [1, 7])
def test_products_of_other_shapes_round_no_answer_otherwise(tmp_path, size):
    rows = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    lines = [",".join(map(str, row)) for row in rows.tolist()]
    (tmp_path / "t.csv").write_text("".join(f"{line},{i % 5}\n" for i, line in enumerate(lines)), encoding="utf-8")
    recipe = Recipe(config(data={"train": str(tmp_path / "t.csv")}))
    model = recipe.build(np.random.default_rng(1))
    alone = [answer for i in range(0, 300, size) for answer in recipe.predict(model, lines[i:i + size])]
    assert alone == list(recipe.predict(model, lines))


@pytest.mark.case("trainer", 22)
def test_the_order_of_labels_is_the_runs_and_not_that_of_a_file(trained, tmp_path):
    run, before, file = trained
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    measured = []
    for kind in "uv":
        of_kind = [row for row in rows if f",{kind}," in row]
        (tmp_path / "some.csv").write_text("\n".join([header, *of_kind, ""]), encoding="utf-8")
        measured.append(run.evaluate(tmp_path / "some.csv"))
        answers = run.predict([row.replace(f",{kind},", ",") for row in of_kind])
        assert measured[-1]["test_acc"] == np.mean([answer.label == kind for answer in answers])
    both = run.evaluate(file)
    assert both["n"] == 200 == sum(one["n"] for one in measured) and both["test_acc"] > 0.5
    for name in ("test_loss", "test_acc"):
        assert both[name] == pytest.approx(sum(one["n"] * one[name] for one in measured) / 200)
    parts = [before.batch(name, np.arange(n)) for name, n in (("train", 160), ("dev", 40))]
    total = sum(float(nnkit.losses.cross_entropy(run.model(part.x), part.classes, reduction="sum")) for part in parts)
    assert both["test_loss"] == pytest.approx(total / 200, rel=1e-6)


@pytest.mark.parametrize("command, text, said", [
    ("predict", "1,2\n\n3,4\n", "f.csv:2: is empty"),
    ("predict", "1,2\n3\n", "f.csv:2: 1 cells, expected 2: 2 numbers without the class"),
    ("predict", "1,u,2\n", "f.csv:1: 3 cells, expected 2: 2 numbers without the class; nnkit evaluate"),
    ("predict", "1,2\n1,two\n", "f.csv:2: 'two' is not a number"),
    ("predict", "1,2\n1,1e39\n", "f.csv:2: '1e39' is not a finite float32"),
    ("predict", "1,nan\n", "f.csv:1: 'nan' is not a finite float32"),
    ("predict", "right,left\n1,2\n", "f.csv:1: number 1 of a row is 'right', in the training it was 'left'"),
    ("predict", '1,"2\n', "f.csv:1: unexpected end of data"),
    ("evaluate", "left,kind,right\n1,u,2\n1,w,2\n\n2,u,2\n3,z,1\n",
     "f.csv:3: 'w' is no class of this run, 'z' in line 6; its classes are u, v"),
    ("evaluate", "left,right\n1,2\n", "f.csv:1: no column 'kind', the class; the header has left, right"),
    ("evaluate", "left,kind,right\n1,2\n", "f.csv:2: 2 cells, expected 3: 2 numbers and the class (data.label = 1)"),
    ("evaluate", "right,kind,left\n1,u,2\n", "f.csv:1: number 1 of a row is 'right'"),
    ("evaluate", "left,kind,right\n", "f.csv: no examples in it"),
])
def test_a_mistake_in_a_file_is_one_line_with_its_place(trained, tmp_path, monkeypatch, capsys, command, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.csv").write_text(text, encoding="utf-8")
    assert main([command, str(trained[0].path), "f.csv"]) == 1
    captured = capsys.readouterr()
    answered = int(said.split(":")[1]) - 1 if command == "predict" else 0  # the lines before it
    assert f"error: {said}" in captured.err and captured.err.count("\n") == 2 and captured.out.count("\n") == answered


def test_a_table_without_names_is_measured_with_and_without(table):
    run = nnkit.load(nnkit.fit(write_config(table.parent, "training: {epochs: 1}"), quiet=True).path)
    rows = table.read_text(encoding="utf-8")
    table.write_text(f"a,b,kind\n{rows}", encoding="utf-8")
    assert run.evaluate(table)["n"] == 150
    table.write_text(rows.replace(",class0", "").replace(",class1", "").replace(",class2", ""), encoding="utf-8")
    with pytest.raises(nnkit.DataError, match=r"table\.csv:1: 2 cells, expected 3: 2 numbers and the class \(data\.label = -1\)"):
        run.evaluate(table)


@pytest.mark.parametrize("text", ["", "\n", "\na,1\n", "\na,1,x\n"])
def test_damaged_columns_are_named(tmp_path, text):
    (tmp_path / "columns.csv").write_text(f"column,mean,deviation{text}", encoding="utf-8")
    with pytest.raises(nnkit.DataError, match=r"columns\.csv: is damaged"):
        Columns.load(tmp_path.joinpath)


@pytest.mark.case("trainer", 23)
def test_raw_texts_go_the_way_of_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = {"training.epochs": 1, "data.min_examples": 400, "data.min_count": 20, "model.layers": [{"type": "Linear"}]}
    fit = nnkit.fit(CONFIGS / "classifier.yaml", small, quiet=True)
    logged = [row for row in fit.metrics if row["event"] == "eval"][-1]
    dev = fit.recipe.data.dev
    texts, kinds = dev.texts, [fit.recipe.labels[c] for c in dev.classes]
    # upper case, signs, numbers and markup are nothing to the corpus
    raw = [f"  {text.upper()}! (:func:`%(x)s`) 17 0x1f" for text in texts]
    (tmp_path / "raw.tsv").write_text("".join(f"{kind}\t{text}\n" for kind, text in zip(kinds, raw)), encoding="utf-8")
    run = nnkit.load(fit.path)
    measured = run.evaluate("raw.tsv")
    assert measured["n"] == len(texts) > 500 and measured["test_acc"] == logged["dev_acc"] > 0.5
    assert measured["test_loss"] == pytest.approx(logged["dev_loss"], rel=1e-5)
    words = [word for text in texts for word in text.split()]
    assert measured["unknown_words"] == pytest.approx(np.mean([word not in fit.recipe.inputs.vocabulary for word in words]))
    assert [answer[:2] for answer in run.predict(raw)] == [answer[:2] for answer in run.predict(texts)]
    (tmp_path / "new.txt").write_text("The qqq of the ZZZ\n", encoding="utf-8")
    assert main(["predict", str(fit.path), "new.txt"]) == 0
    assert "note: the run does not know 2 of the 5 words" in capsys.readouterr().err
    (tmp_path / "raw.tsv").write_text(f"{kinds[0]}\ttext\n\nno class\n", encoding="utf-8")
    assert main(["evaluate", str(fit.path), "raw.tsv"]) == 1
    assert "error: raw.tsv:3: 1 cell where the first row has 2\n" in capsys.readouterr().err


def test_a_section_that_gives_some_keys_keeps_the_recipes_own_values_in_the_others(table):
    """With momentum alone, the learning rate was that of SGD in general and not the classifier's 0.1."""
    run = nnkit.fit(write_config(table.parent, "training: {epochs: 1}"), {"optimizer.momentum": 0.9}, quiet=True)
    assert (run.recipe.config.optimizer.lr, run.recipe.config.optimizer.momentum) == (0.1, 0.9)
    with pytest.raises(nnkit.ConfigError, match="unknown key 'betas' in optimizer of type SGD"):
        nnkit.fit(table.parent / "c.yaml", ["optimizer={type: SGD, betas: [0.9, 0.9]}"], quiet=True)


def test_a_first_row_of_words_is_no_header_where_the_training_had_none(trained_without_names):
    """It got no answer, and all that followed stood one line too high."""
    with pytest.raises(nnkit.DataError, match="input:1: 'abc' is not a number"):
        trained_without_names.predict(["abc,def", "1,2"])


def test_names_that_are_numbers_are_known_as_names():
    columns = Columns(["2019", "2020"], np.zeros(2), np.ones(2))
    assert [e.content for e in columns.read(["2019,2020", "1,2"], "f.csv")] == [[1.0, 2.0]]


@pytest.mark.parametrize("row, said", [([None, 1.0], "f:1: None is not a number"), (1.5, "f:1: expected a row of numbers")])
def test_what_is_no_row_of_numbers_is_said_so(row, said):
    with pytest.raises(nnkit.DataError, match=said):
        list(Columns(None, np.zeros(2), np.ones(2)).read([row], "f"))


def test_a_class_with_a_line_break_is_refused(tmp_path):
    """labels.txt had a line too many, and nothing could be predicted."""
    (tmp_path / "table.csv").write_text('1,"a\nb"\n2,c\n' * 10, encoding="utf-8", newline="")
    with pytest.raises(nnkit.DataError):
        Recipe(config(data={"train": str(tmp_path / "table.csv")}))


@pytest.fixture
def trained_without_names(table):
    return nnkit.load(nnkit.fit(write_config(table.parent, "training: {epochs: 1}"), quiet=True).path)
