"""The data of a classifier: what a file is taken for, tables and texts of every kind, and what people get wrong in them."""

import gzip
import json

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.data.bags import BagInputs
from nnkit.data.features import Columns
from nnkit.training.checking import check
from nnkit.training.feature_data import BagData, FeatureData, TableData, class_data

TEXTS = [("good" if i % 2 else "bad", f"{'fine' if i % 2 else 'poor'} film number {i % 5}") for i in range(40)]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as out:
        out.write(text)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tsv.tsv", "".join(f"{label}\t{text}\n" for label, text in TEXTS))
    write(tmp_path / "csv.csv", "text,label\n" + "".join(f'"{text}, it is",{label}\n' for label, text in TEXTS))
    write(tmp_path / "numbered.csv", "".join(f"{i % 3},{text} {i}\n" for i, (_, text) in enumerate(TEXTS)))
    write(tmp_path / "lines.txt.gz", "".join(f"{label} {text}\n" for label, text in TEXTS))
    write(tmp_path / "json.jsonl", "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in TEXTS))
    for kind in ("good", "bad"):
        texts = [text for label, text in TEXTS if label == kind]
        write(tmp_path / "files" / f"{kind}.txt", "\n".join(texts))
        for i, text in enumerate(texts):
            write(tmp_path / "folders" / kind / f"{i}.txt", text)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    np.savez(tmp_path / "table.npz", x=x, y=(x[:, 0] > 0).astype(int))
    write(tmp_path / "table.csv", "a,b,c,kind\n" + "".join(
        f"{a},{b},{c},{'Iris setosa' if a > 0 else 'Iris virginica'}\n" for a, b, c in x.tolist()))
    return tmp_path


def data(train, **keys):
    return class_data(FeatureData.model_validate({"train": str(train), **keys}), np.random.default_rng(0))


def config(folder, text, **sections):
    (folder / "c.yaml").write_text(f"recipe: classifier\ndata: {text}\n" + "".join(
        f"{name}: {value}\n" for name, value in sections.items()), encoding="utf-8")
    return folder / "c.yaml"


def notes(folder, text, **sections):
    lines = []
    found = check(config(folder, text, **sections), seconds=0.01, say=lines.append)
    assert not any("nan" in line.lower() for line in lines)
    return found


def measured(run):
    """The last evaluation."""
    return [row for row in run.metrics if row["event"] == "eval"][-1]


@pytest.mark.parametrize("name", ["tsv.tsv", "csv.csv", "lines.txt.gz", "json.jsonl", "files", "folders"])
@pytest.mark.parametrize("features", [None, {"type": "bag", "values": "tfidf"},
                                      {"type": "bag", "values": "counts", "hashed": 64}])
def test_labelled_texts_of_every_format_become_bags(here, name, features):
    made = data(name, min_count=1, features=features) if not (features or {}).get("hashed") else data(name, features=features)
    assert isinstance(made, BagData) and made.labels == ["bad", "good"] and (len(made.train), len(made.dev)) == (32, 8)
    x = made.features("train", np.arange(32)).dense(made.inputs.n_features)
    np.testing.assert_allclose((x ** 2).sum(1), 1, rtol=1e-5)
    assert ("hashed" in made.summary()) == (features is not None and "hashed" in features)


@pytest.mark.parametrize("name, kind", [("table.npz", TableData), ("table.csv", TableData), ("csv.csv", BagData),
                                        ("numbered.csv", BagData), ("builtin:python-docs", BagData)])
def test_a_table_of_numbers_and_one_of_texts_are_told_apart(here, name, kind):
    assert type(data(name, min_count=1) if kind is BagData else data(name)) is kind


@pytest.mark.parametrize("name, features", [
    ("table.npz", "null"), ("table.csv", "null"), ("tsv.tsv", "{type: bag, values: tfidf}"),
    ("tsv.tsv", "{type: bag, hashed: 32}"), ("folders", "{type: bag, values: counts, unit_length: false}")])
def test_a_run_answers_and_is_measured_when_its_data_is_gone(here, name, features):
    count = ", min_count: 1" if features != "null" and "hashed" not in features else ""
    path = config(here, f"{{train: {name}, features: {features}{count}}}", training="{epochs: 30}")
    run = nnkit.fit(path, {"optimizer.lr": 0.5}, quiet=True)
    logged = measured(run)
    assert logged["dev_acc"] >= 0.85
    kept = here / "kept"
    kept.mkdir()
    (here / name).rename(kept / name)
    again = nnkit.load(run.path)
    scores = again.evaluate(kept / name)
    assert scores["n"] == (60 if "table" in name else 40) and scores["test_acc"] > 0.85
    assert type(again.recipe.inputs) is (Columns if "table" in name else BagInputs)
    given = [row.tolist() for row in run.recipe.data.dev.texts] if "table" in name else list(run.recipe.data.dev.texts)
    right = [answer.label for answer in again.predict(given)] == np.array(run.recipe.labels)[run.recipe.data.dev.classes]
    assert right.mean() == pytest.approx(logged["dev_acc"])


def test_dev_and_test_may_be_files_of_their_own(here):
    csv = (here / "table.csv").read_text(encoding="utf-8").splitlines()
    write(here / "dev.csv", "\n".join([csv[0], *csv[1:11]]) + "\n")
    made = data("table.csv", dev=str(here / "dev.csv"), test=str(here / "dev.csv"))
    assert (len(made.train), len(made.dev)) == (60, 10)
    np.testing.assert_array_equal(made.dev.x, made.train.x[:10])
    said = made.check()
    assert "note: 10 of 10 held-out examples stand in the training data, too" in said
    assert "note: 10 of 10 test examples stand in the training data, too" in said
    assert made.facts()["dev_examples"] == made.facts()["test_examples"] == 10
    made = data("table.npz", dev=str(here / "table.npz"))
    assert made.dev.classes.tolist() == made.train.classes.tolist() and made.dev.x.tobytes() == made.train.x.tobytes()


@pytest.mark.parametrize("train, text, keys, said", [
    ("t.csv", "1,2,a\n3,nan,b\n4,5,a\n", {}, r"t\.csv:2: nan is not a finite float32"),
    ("t.csv", "1,2,a\n3,oh,b\n4,5,a\n", {}, r"t\.csv:2: 'oh' is not a number; only the label may be text .*type: bag"),
    ("t.csv", "1,2,a\n3,4,a\n4,5,a\n", {}, "every example is of class 'a'; a classifier needs two classes"),
    ("t.csv", "1,2,a\n3,4,b\n", {"label": 7}, r"t\.csv:1: no column 7; the rows have 3 cells"),
    ("t.csv", "1,2,a\n3,4,b\n", {"label": "kind"}, r"t\.csv:1: no column 'kind'; the header has 1, 2, a"),
    ("t.csv", "1,2,7\n3,4,8\n5,6,9\n", {}, r"3 examples of 3 classes .* is data\.label = -1 the class\?"),
    ("t.csv", "1,2,a\n3,4,b\n5,6,a\n", {"dev": "d.csv"}, r"d\.csv:2: the class 'c' of data\.dev is not in data\.train"),
    ("t.csv", "1,2,a\n3,4,b\n5,6,a\n", {"test": "wide.csv"}, r"wide\.csv:1: 4 cells, expected 3: 2 numbers and the class"),
    ("t.tsv", "a\tb c\na\td e\n", {}, "every example is of class 'a'"),
    ("t.tsv", "a\tb c\nb\td e\na\tf g\n", {"label": 2}, r"no column 2"),
    ("t.tsv", "a\t\nb\t\na\t \nb\t\n", {"min_count": 1, "label": 0, "text": 1}, "no words in it"),
    ("t.tsv", "a\tx\nb\ty\na\tx z\nb\ty\n", {"features": {"type": "columns"}}, "one column only"),
])
def test_a_mistake_in_the_data_is_a_line_with_its_place(here, train, text, keys, said):
    write(here / train, text)
    write(here / "d.csv", "1,2,a\n3,4,c\n")
    write(here / "wide.csv", "1,2,3,a\n")
    with pytest.raises(nnkit.DataError, match=said):
        data(train, **keys)


@pytest.mark.parametrize("arrays, said", [
    ({"x": np.ones((4, 2)), "labels": np.arange(4) % 2}, "no array y in it but x, labels; expected x, the features"),
    ({"x": np.ones((4, 2)), "y": np.arange(3) % 2}, r"x of shape \(4, 2\) and y of shape \(3,\)"),
    ({"x": np.ones(4), "y": np.arange(4) % 2}, r"x of shape \(4,\)"),
    ({"x": np.array([[1, 2], [3, np.nan], [4, 5]]), "y": np.array([0, 1, 0])}, r"row 1 of x \(from 0\): nan is not a finite"),
    ({"x": np.array([[1, 2], [3, 4], [4, 1e39]]), "y": np.array([0, 1, 0])}, r"row 2 of x \(from 0\): 1e\+39 is not a finite"),
    ({"x": np.array([["a"], ["b"]]), "y": np.array([0, 1])}, "x is of type <U1; expected numbers"),
    ({"x": np.ones((4, 2)), "y": np.arange(4) % 2 + 0.5}, "y is of type float64; expected classes"),
    ({"x": np.ones((4, 2)), "y": np.array(["a", "b", "a", None])}, r"cannot be read as a \.npz of plain arrays \(Object arrays"),
    ({"x": np.ones((4, 2)), "y": np.array(["a", "b", "a", ""])}, "the class '' is empty .*; is y the right column"),
])
def test_a_npz_that_holds_something_else_is_said_so(here, arrays, said):
    np.savez(here / "t.npz", **arrays)
    with pytest.raises(nnkit.DataError, match=said):
        data("t.npz")


def test_what_is_no_npz_is_said_so_and_pictures_are_rows(here):
    np.save(here / "array.npy", np.ones(3))
    for content in (b"", b"not a zip", (here / "array.npy").read_bytes()):
        (here / "t.npz").write_bytes(content)
        with pytest.raises(nnkit.DataError, match=r"t\.npz: "):
            data("t.npz")
    np.savez(here / "t.npz", x=np.arange(4 * 6).reshape(4, 2, 3).astype(np.uint8), y=np.array(["a", "b", "a", "b"]))
    assert data("t.npz").inputs.n_features == 6 and data("t.npz").labels == ["a", "b"]


@pytest.mark.parametrize("keys, said", [
    ("{train: table.csv, tokenizer: {type: characters}}", "data.tokenizer: table.csv"),
    ("{train: table.npz, max_size: 10}", "data.max_size: "),
    ("{train: tsv.tsv, features: {type: bag, hashed: 16}, min_count: 3}", "data.min_count: hashed words are not counted"),
    ("{train: tsv.tsv, features: {type: bag, hashed: 1}}", "data.features.hashed"),
    ("{train: tsv.tsv, features: {type: bag, hashed: 10000000000}}", "data.features.hashed: expected a number less than"),
    ("{train: tsv.tsv, features: {type: bag, values: tf-idf}}", "data.features.values"),
    ("{train: tsv.tsv, features: {type: bags}}", "data.features"),
    ("{train: tsv.tsv, features: {values: tfidf}}", "data.features"),
])
def test_keys_that_mean_nothing_are_config_errors_with_their_place(here, capsys, keys, said):
    with pytest.raises(nnkit.ConfigError) as error:
        nnkit.fit(config(here, keys), quiet=True)
    key = said.split(":")[0]
    assert "c.yaml:2:" in str(error.value) and key.split(".")[-1] in str(error.value) and "\n" not in str(error.value)


# Mistakes that are answered by a right result


def test_features_on_wildly_different_scales_are_said_and_learnt(here):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 2)) * [1e6, 1e-3]
    write(here / "t.csv", "big,small,kind\n" + "".join(f"{a},{b},{'ab'[int(a > 0)]}\n" for a, b in x.tolist()))
    said = notes(here, "{train: t.csv}", training="{epochs: 20}")
    assert any("wildly different scales" in note and "column small" in note and "column big" in note for note in said)
    assert not any("wildly" in note for note in notes(here, "{train: table.csv}"))
    run = nnkit.fit(here / "c.yaml", {"data.train": "t.csv", "training.epochs": 20}, quiet=True)
    assert measured(run)["dev_acc"] > 0.9


def test_ten_examples_and_a_batch_of_1024_are_one_batch(here):
    write(here / "t.csv", "".join(f"{i},{-i},{'ab'[i % 2]}\n" for i in range(10)))
    run = nnkit.fit(config(here, "{train: t.csv}", training="{epochs: 2, batch_size: 1024}"), quiet=True)
    assert run.metrics[-1]["step"] == 2 and np.isfinite(measured(run)["dev_loss"])


def test_a_class_with_one_example_is_trained_on_and_said(here):
    write(here / "t.csv", "".join(f"{i},{-i},{'ab'[i % 2]}\n" for i in range(30)) + "5,5,once\n")
    assert any("1 of 3 classes have no held-out example: once" in note for note in notes(here, "{train: t.csv}"))
    run = nnkit.fit(here / "c.yaml", {"training.epochs": 1}, quiet=True)
    assert np.isfinite(measured(run)["dev_loss"])


def test_rows_that_stand_on_both_sides_are_said(here):
    write(here / "t.csv", "".join(f"{i % 4},{i % 3},{'ab'[i % 2]}\n" for i in range(40)))
    assert any(note.endswith("held-out examples stand in the training data, too") for note in notes(here, "{train: t.csv}"))


@pytest.mark.parametrize("layers", ["[{type: Linear, out_features: 4}, {type: ReLU}, {type: Linear}]",
                                    "[{type: Dropout, p: 0.1}, {type: Linear}]", "[{type: Linear, bias: false}]"])
@pytest.mark.parametrize("features", ["{type: bag, values: tfidf}", "{type: bag, values: counts, unit_length: false}"])
def test_empty_texts_unknown_words_and_a_million_words_give_probabilities(here, layers, features):
    write(here / "t.tsv", "".join(f"{label}\t{text}\n" for label, text in TEXTS) + "good\t\nbad\t\nbad\tzzz\ngood\tyyy\n" * 3)
    path = config(here, f"{{train: t.tsv, features: {features}}}", model=f"{{layers: {layers}}}", training="{epochs: 2}")
    run = nnkit.fit(path, quiet=True)
    assert np.isfinite(measured(run)["dev_loss"])
    answers = nnkit.load(run.path).predict(["", "qqq rrr", "fine film", "fine film " * 500_000])
    assert all(np.isfinite(list(answer.probabilities.values())).all() for answer in answers)
    assert answers[0][:2] == answers[1][:2] and all(sum(a.probabilities.values()) == pytest.approx(1) for a in answers)
    if "unit_length" not in features:
        assert answers[3].label == answers[2].label and answers[3].probability == pytest.approx(answers[2].probability, rel=1e-4)


def test_a_first_layer_that_needs_all_columns_is_said(here):
    model = "{layers: [{type: Dropout, p: 0.1}, {type: Linear}]}"
    assert any("needs all columns: 0.0 MB" in note for note in notes(here, "{train: tsv.tsv}", model=model))
    assert not any("needs all columns" in note for note in notes(here, "{train: tsv.tsv}"))


@pytest.mark.parametrize("values", ["counts", "tfidf"])
def test_the_sparse_product_is_that_of_the_columns_written_out(here, values):
    """Loss and gradients, against a Linear on the dense rows."""
    path = config(here, f"{{train: tsv.tsv, min_count: 1, features: {{type: bag, values: {values}}}}}", training="{epochs: 1}")
    recipe = nnkit.fit(path, quiet=True).recipe
    model = recipe.build(np.random.default_rng(0))
    batch = recipe.batch("train", np.arange(20))
    dense = nnkit.nn.Sequential(*model.layers)
    losses = []
    for network, x in ((model, batch.x), (dense, batch.x.dense(recipe.inputs.n_features))):
        loss = nnkit.losses.cross_entropy(network(x), batch.classes)
        for p in network.parameters():
            p.grad = None
        loss.backward()
        losses.append((float(loss), [np.asarray(p.grad) for p in network.parameters()]))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    for ours, theirs in zip(losses[0][1], losses[1][1]):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_rows_with_more_columns_get_no_answer(here, capsys):
    run = nnkit.fit(config(here, "{train: table.csv}", training="{epochs: 1}"), quiet=True)
    write(here / "wide.csv", "1,2,3,4\n")
    assert main(["predict", str(run.path), "wide.csv"]) == 1
    assert "error: wide.csv:1: 4 cells, expected 3: 3 numbers without the class" in capsys.readouterr().err
    np.savez(here / "narrow.npz", x=np.ones((2, 3)))
    assert main(["predict", str(run.path), "narrow.npz"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(answer) for answer in nnkit.load(run.path).predict([[1.0] * 3] * 2)]
    np.savez(here / "wide.npz", x=np.ones((2, 4)), y=np.array(["a", "b"]))
    assert main(["predict", str(run.path), "wide.npz"]) == 1
    assert "error: wide.npz:1: 4 cells, expected 3: 3 numbers without the class" in capsys.readouterr().err
    assert main(["evaluate", str(run.path), "wide.npz"]) == 1
    assert "error: wide.npz: x has 4 numbers in a row, in the training they were 3" in capsys.readouterr().err


def test_texts_with_other_columns_beside_them_are_said(here, capsys):
    run = nnkit.fit(config(here, "{train: tsv.tsv}", training="{epochs: 1}"), quiet=True)
    assert main(["predict", str(run.path), "tsv.tsv"]) == 0
    assert "every line has a tab in it, and was read as one text with all its columns" in capsys.readouterr().err
    write(here / "some.txt", "a fine\tfilm\na poor film\n")
    assert main(["predict", str(run.path), "some.txt"]) == 0 and "tab" not in capsys.readouterr().err
