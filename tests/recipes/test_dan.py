"""The deep averaging network: its mean, its gradients, what it is trained on, and a run that is used."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnkit
from nnkit import losses, nn
from nnkit.__main__ import main
from nnkit.autograd import RowGrad
from nnkit.training.recipe import load_recipe, shipped_folder
from nnkit.vectors import WordVectors

CONFIGS = shipped_folder("configs")
Recipe = load_recipe(shipped_folder("recipes") / "dan.py")
module = __import__("sys").modules[Recipe.__module__]
Bags, Network = module.Bags, module.AveragingNetwork


def lines(n=200, seed=0):
    """Texts of two classes: each has words of its own among those that both have; every tenth text is empty."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        words = [f"w{j}" for j in rng.integers(0, 30, rng.integers(1, 8))] + [f"{'up' if i % 2 else 'down'}{rng.integers(4)}"]
        found.append(f"{'pos' if i % 2 else 'neg'}\t{' '.join(rng.permutation(words)) if i % 10 else ''}")
    return found


@pytest.fixture
def texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.tsv").write_text("\n".join(lines()) + "\n", encoding="utf-8")
    return tmp_path / "texts.tsv"


def config(**sections):
    return Recipe.Config.model_validate({"recipe": "dan", **sections})


def recipe_of(path, **sections):
    data = {"train": str(path), "dev": 0.2, **sections.pop("data", {})}
    return Recipe(config(data=data, **sections))


def write_config(folder, text="", data="train: texts.tsv, dev: 0.2", model="dim: 8, layers: 1"):
    path = folder / "c.yaml"
    path.write_text(f"recipe: dan\ndata: {{{data}}}\nmodel: {{{model}}}\n{text}", encoding="utf-8")
    return path


def network(n_words=12, dim=3, dropout=0.0, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    return Network(nn.Embedding(n_words, dim, rng=rng), nn.Sequential(nn.Linear(dim, classes, rng=rng)), dropout, rng)


bags = st.lists(st.lists(st.integers(0, 11), max_size=5), min_size=1, max_size=6)


def flat(lists):
    offsets = np.cumsum([0] + [len(ids) for ids in lists])[:-1]
    return Bags(np.array([i for ids in lists for i in ids], np.int32), offsets)


@given(bags)
def test_the_mean_is_over_the_true_length_and_zero_for_no_words(lists):
    model = network().eval()
    table = model.words.weight.value
    expected = [table[ids].mean(0) if ids else np.zeros(3) for ids in lists]
    np.testing.assert_allclose(model.mean(flat(lists)).value, expected, atol=1e-6)


@given(bags, st.lists(st.integers(0, 11), max_size=12, unique=True))
def test_fixed_rows_count_in_the_mean_and_get_no_gradient(lists, rows):
    model, free = network(), network()
    model.fix(rows)
    y, expected = model(flat(lists)), free(flat(lists))
    np.testing.assert_allclose(y.value, expected.value, atol=1e-6)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    wanted = np.asarray(free.words.weight.grad)
    wanted[rows] = 0
    if len(rows) == 12:
        assert not model.words.weight.requires_grad
    else:
        assert not set(rows) & set(model.words.weight.grad.rows.tolist())
        np.testing.assert_allclose(np.asarray(model.words.weight.grad), wanted, atol=1e-5)


def test_the_gradient_of_the_table_is_one_value_a_text_and_an_index():
    model = network()
    losses.cross_entropy(model(flat([[1, 2, 2], [], [3, 4, 5, 6]])), np.array([0, 1, 1])).backward()
    grad = model.words.weight.grad
    assert isinstance(grad, RowGrad) and grad.values.shape == (3, 3) and grad.index.tolist() == [0, 0, 0, 2, 2, 2, 2]


@pytest.mark.parametrize("optimizer", [nnkit.optim.SGD, nnkit.optim.Adagrad, nnkit.optim.Adam])
def test_a_step_moves_no_row_but_those_of_its_words(optimizer):
    model = network()
    before = model.words.weight.value.copy()
    step = optimizer(model.parameters(), lr=0.1)
    losses.cross_entropy(model(flat([[1, 2], [], [2, 7]])), np.array([0, 1, 1])).backward()
    step.step()
    moved = (model.words.weight.value != before).any(1)
    assert np.flatnonzero(moved).tolist() == [1, 2, 7] and np.isfinite(model.words.weight.value).all()


def test_in_training_whole_words_are_dropped_and_in_evaluation_none():
    model = network(n_words=12, dim=12, dropout=0.5)
    model.words.weight.value[:] = np.eye(12)
    model.layers = nn.Sequential()
    text = flat([list(range(12))] * 2000)
    means = model.train()(text).value
    counts = (means > 0).sum(1)
    shares = means[counts > 0]
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)  # the mean of those that stay
    assert abs(counts.mean() / 12 - 0.5) < 0.02 and counts.std() > 1
    np.testing.assert_allclose(model.eval()(text).value, 1 / 12, rtol=1e-6)


def test_a_text_whose_every_word_is_dropped_is_zero_and_not_nan():
    model = network(dropout=0.99)
    y = model.train()(flat([[1]] * 50))
    losses.cross_entropy(y, np.zeros(50, int)).backward()
    assert np.isfinite(y.value).all() and np.isfinite(np.asarray(model.words.weight.grad)).all()


@pytest.mark.parametrize("by_length", [False, True])
def test_every_text_comes_once_an_epoch_and_batches_can_be_skipped(texts, by_length):
    recipe = recipe_of(texts, training={"batch_size": 7, "by_length": by_length})
    found = [[b for b in recipe.batches(e, np.random.default_rng(e))] for e in (0, 1)]
    words = [np.concatenate([b.x.ids for b in batches]) for batches in found]
    assert not np.array_equal(*words) and np.array_equal(*map(np.sort, words))
    assert sum(b.units for b in found[0]) == len(recipe.data.train) == recipe.units_per_epoch == 160
    later = list(recipe.batches(0, np.random.default_rng(0), start=5))
    assert [b.x.ids.tolist() for b in later] == [b.x.ids.tolist() for b in found[0][5:]]
    if by_length:
        for batch in found[0]:
            lengths = np.diff(batch.x.offsets, append=len(batch.x.ids))
            assert lengths.max() - lengths.min() <= 2


def test_it_learns_and_a_run_answers_as_it_did(texts, capsys):
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 20, batch_size: 8}\n"), quiet=True)
    logged = [r for r in run.metrics if r["event"] == "eval"][-1]
    assert logged["dev_acc"] > 0.9  # one in ten is empty, and half of those guessed
    recipe, dev = run.recipe, run.recipe.data.dev
    texts.rename(texts.with_name("moved"))
    trained = nnkit.load(run.path)
    answers = trained.predict(dev.texts)
    with nnkit.no_grad():
        logits = trained.model(recipe.batch(dev, np.arange(40)).x).value
    assert [recipe.labels.index(a.label) for a in answers] == logits.argmax(1).tolist()
    assert np.mean([a.label == recipe.labels[c] for a, c in zip(answers, dev.classes)]) == logged["dev_acc"]
    held_out = "".join(f"{recipe.labels[c]}\t{t}\n" for c, t in zip(dev.classes, dev.texts))
    (texts.parent / "dev.tsv").write_text(held_out, encoding="utf-8")
    measured = trained.evaluate("dev.tsv")
    assert (measured["n"], measured["test_acc"]) == (40, logged["dev_acc"])
    assert measured["test_loss"] == pytest.approx(logged["dev_loss"], rel=1e-5)
    assert trained.predict(dev.texts[::-1])[::-1] == answers  # to the bit, whatever stands beside it


def test_a_run_says_how_many_words_and_texts_it_is_blind_to(texts, capsys):
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 1}"), quiet=True)
    (texts.parent / "new.txt").write_text("up1 zzz\n\nzzz zzz\n", encoding="utf-8")
    assert main(["predict", str(run.path), "new.txt"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 3 and "nan" not in out
    assert "the run does not know 3 of the 4 words" in err and "2 of the 3 texts have no word that it knows" in err


def test_the_tokenizer_and_the_columns_go_with_the_run(texts):
    rows = [f'{json.dumps({"stars": line[:3], "words": line[4:].upper().replace(" ", "-")})}\n' for line in lines()]
    (texts.parent / "texts.jsonl").write_text("".join(rows), encoding="utf-8")
    data = "train: texts.jsonl, dev: 0.2, text: words, label: stars, tokenizer: {type: regex, pattern: '[^-]+', lower: true}"
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 8, batch_size: 8}", data=data), quiet=True)
    trained = nnkit.load(run.path)
    assert trained.recipe.inputs.tokenizer("UP1-W2") == ["up1", "w2"]
    assert "up1" in (run.path / "vocab.txt").read_text(encoding="utf-8").split()
    (texts.parent / "test.csv").write_text("stars,words\n" + "".join(f"{line[:3]},{line[4:].replace(' ', '-')}\n"
                                                                      for line in lines(seed=3)), encoding="utf-8")
    measured = trained.evaluate("test.csv")
    assert measured["n"] == 200 and measured["test_acc"] > 0.8


@pytest.mark.parametrize("tokenizer", ["{type: characters}", "{ngrams: 2}", "{type: regex, pattern: ' [a-z]+'}"])
def test_words_with_blanks_in_them_end_no_run(texts, capsys, tokenizer):
    data = f"train: texts.tsv, dev: 0.2, tokenizer: {tokenizer}"
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 1}", data=data), quiet=True)
    assert run.recipe.report(run.model)[-1].startswith("vectors.vec has ")
    words = run.recipe.inputs.vocabulary.words
    plain = [word for word in words if " " not in word]
    assert len(plain) < len(words) == len(nnkit.load(run.path).recipe.inputs.vocabulary)
    assert (run.path / "vectors.vec").is_file() == bool(plain)
    if plain:
        vectors = WordVectors.load(run.path / "vectors.vec")
        assert vectors.words == plain
        assert (vectors.matrix == run.model.words.weight.value[[words.index(word) for word in plain]]).all()


def test_a_small_file_that_is_measured_keeps_its_first_example(texts):
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 1}"), quiet=True)
    first, other = sorted({line.split("\t")[0] for line in lines()})[:2]
    (texts.parent / "test.tsv").write_text(f"{first}\tw1\n{other}\tw2\n{other}\tw3\n", encoding="utf-8")
    assert nnkit.load(run.path).evaluate("test.tsv")["n"] == 3
    assert len(recipe_of(texts, data={"dev": "test.tsv"}).data.dev) == 3


def test_the_words_are_those_of_the_training_part_alone(texts):
    recipe = recipe_of(texts)
    trained_on = {word for text in recipe.data.train.texts for word in text.split()}
    assert set(recipe.inputs.vocabulary.words) == trained_on
    assert sorted(recipe.data.train.texts + recipe.data.dev.texts) == sorted(line[4:] for line in lines())


def test_train_and_dev_may_be_written_in_other_ways(texts):
    rows = [(line[:3], line[4:]) for line in lines(20, seed=1)]
    written = {"d.tsv": "kind\twords\n" + "".join(f"{label}\t{text}\n" for label, text in rows),
               "d.txt": "".join(f"{label} {text}\n" for label, text in rows),
               "d.jsonl": "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in rows)}
    for name, text in written.items():
        (texts.parent / name).write_text(text, encoding="utf-8")
        data = recipe_of(texts, data={"dev": str(texts.parent / name)}).data
        assert [(data.labels[c], t) for c, t in zip(data.dev.classes, data.dev.texts)] == rows


@pytest.mark.parametrize("data, files, said", [
    ({"dev": "d.tsv"}, {"d.tsv": "neg\tw1\npos\tw2\nneutral\tw3\nmixed\tw4\n"},
     "d.tsv:3: the class 'neutral' of data.dev is not in data.train, nor has it mixed; that has neg, pos"),
    ({"test": "t.txt"}, {"t.txt": "pos w1\nneu w2\n"},
     "t.txt:2: the class 'neu' of data.test is not in data.train; that has neg, pos"),
    ({"classes": ["pos", "neutral"]}, {}, "texts.tsv: no example of neutral (data.classes); there are pos"),
    ({"label": 1, "text": 0}, {}, "texts.tsv:1: the class is empty; is data.label = 1 the right column?"),
    ({"train": "one.tsv"}, {"one.tsv": "a\tw1 w2 w3\na\tw2 w3 w4\n"}, "one.tsv: every example is of class 'a'"),
    ({"train": "own.tsv"}, {"own.tsv": "a\tw1 w2\nb\tw3 w4\nc\tw3 w5\n"}, "is data.label = 0 the class?"),
    ({"min_count": 10 ** 6}, {}, "none reaches data.min_count = 1000000"),
])
def test_a_mistake_in_the_data_is_found_before_the_training(texts, data, files, said):
    for name, text in files.items():
        (texts.parent / name).write_text(text, encoding="utf-8")
    with pytest.raises(nnkit.DataError) as error:
        recipe_of(texts, data={key: str(texts.parent / value) if value in files else value
                               for key, value in data.items() if not isinstance(value, list)}
                  | {key: value for key, value in data.items() if isinstance(value, list)})
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("section, said", [
    ("data: {encoding: utf-9}", "data.encoding: Python knows no encoding of texts 'utf-9'"),
    ("data: {tokenizer: {pattern: a}}", "pattern has no effect with type whitespace"),
    ("data: {tokenizer: {type: regex}}", "type regex needs a pattern"),
    ("data: {tokenizer: {type: regex, pattern: (a}}", "no regular expression"),
    ("data: {tokenizer: {lowercase: true}}", "unknown key 'lowercase'"),
    ("data: {dev: 1.5}", "data.dev: expected a number less than 1"),
    ("data: {format: xls}", "data.format: expected 'auto', 'tsv', 'csv'"),
    ("model: {freeze: true}", "model.freeze: true needs the vectors that stay as they are"),
    ("model: {layers: -1}", "model.layers"),
    ("model: {layers: [{type: Linaer}]}", "no layer named 'Linaer'; did you mean 'Linear'?"),
])
def test_a_mistake_in_the_config_names_its_key(texts, section, said):
    (texts.parent / "c.yaml").write_text(f"recipe: dan\n{section}\n", encoding="utf-8")
    with pytest.raises(nnkit.ConfigError) as error:
        nnkit.fit(texts.parent / "c.yaml", quiet=True)
    assert said in str(error.value)


def test_check_says_what_is_odd_of_the_texts(texts, capsys):
    more = ["neg\tzzz zzz", "pos\tyyy", lines()[1], ""]
    (texts.parent / "d.tsv").write_text("\n".join(more) + "\n", encoding="utf-8")
    assert main(["check", str(write_config(texts.parent, data="train: texts.tsv, dev: d.tsv"))]) == 0
    out = capsys.readouterr().out
    for said in ("(tsv, without a header, text: 1, label: 0)", "classes 2: ", "20 of 200 examples are empty",
                 "2 of 3 dev examples have unknown words only", "1 of 3 held-out examples stand in the training data",
                 "blank lines in dev, which are no examples: 1", "of the held-out words are unknown"):
        assert said in out


def test_vectors_of_a_file_are_where_words_start_and_can_stay(texts, capsys):
    rng = np.random.default_rng(2)
    words = ["w1", "w2", "up1", "never"]
    WordVectors(words, rng.normal(size=(4, 8)).astype(np.float32)).save_word2vec(texts.parent / "v.vec")
    given_ = WordVectors.load(texts.parent / "v.vec")
    for freeze in (False, True):
        model = f"dim: 8, layers: 1, start: v.vec, freeze: {str(freeze).lower()}"
        run = nnkit.fit(write_config(texts.parent, "training: {epochs: 1}", model=model), quiet=True)
        assert "3 words start from" in run.recipe.summary() and "are not in it and start at random" in run.recipe.summary()
        after = WordVectors.load(run.path / "vectors.vec")
        assert all(np.array_equal(after[w], given_[w]) == freeze for w in words[:3])
        start = run.recipe.build(np.random.default_rng([1, 0])).words.weight.value
        moved = {w: not np.array_equal(after[w], start[i]) for i, w in enumerate(run.recipe.inputs.vocabulary.words)}
        assert moved["w3"] and moved["w1"] != freeze
        assert nnkit.load(run.path).predict(["w1 up1"])[0].label in ("neg", "pos")
    # the vectors of that run are a start, too
    again = recipe_of(texts, model={"dim": 8, "start": str(run.path)})
    assert len(again.start.found) == len(again.inputs.vocabulary)


@pytest.mark.parametrize("start, said", [("none.vec", "no such file"), (".", "has no vectors"), ("w.vec", "model.dim is 100")])
def test_vectors_that_cannot_be_the_start_are_said(texts, start, said):
    WordVectors(["w1", "w2"], np.ones((2, 3), np.float32)).save_word2vec(texts.parent / "w.vec")
    with pytest.raises(nnkit.DataError, match=said):
        recipe_of(texts, model={"start": str(texts.parent / start)})


def test_a_run_that_is_resumed_ends_with_the_same_bits(texts):
    """Dropped words and the order of texts go on where they were."""
    path = write_config(texts.parent, "schedule: {type: constant}")
    whole = nnkit.fit(path, {"training.epochs": 4}, quiet=True)
    part = nnkit.fit(path, {"training.epochs": 2}, quiet=True)
    before = (part.path / "vectors.vec").read_bytes()
    resumed = nnkit.resume(part.path, ["training.epochs=4"], quiet=True)
    assert before != (resumed.path / "vectors.vec").read_bytes() == (whole.path / "vectors.vec").read_bytes()


def test_ten_examples_and_a_batch_of_a_thousand(texts):
    texts.write_text("\n".join(lines(10)) + "\n", encoding="utf-8")
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 2, batch_size: 1024}"), quiet=True)
    assert np.isfinite([r["dev_loss"] for r in run.metrics if r["event"] == "eval"]).all()


def test_a_document_of_a_million_words(texts):
    text = " ".join(f"w{i % 30}" for i in range(1_000_000))
    with open(texts, "a", encoding="utf-8") as out:
        out.write(f"neg\t{text}\n")
    run = nnkit.fit(write_config(texts.parent, "training: {epochs: 1}"), {"data.dev": 0.1}, quiet=True)
    answer, = nnkit.load(run.path).predict([text])
    assert 0 < answer.probability <= 1


def test_the_builtin_docstrings_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = nnkit.fit(CONFIGS / "dan.yaml", {"training.epochs": 2}, quiet=True)
    assert [r for r in run.metrics if r["event"] == "eval"][-1]["dev_acc"] > 0.5
    kinds = {answer.label for answer in nnkit.load(run.path).predict(["The Figure's axes!", "the ndarray (0x1f)"])}
    assert kinds == {"matplotlib", "numpy"}
