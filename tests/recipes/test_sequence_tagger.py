"""The sequence tagger: what its loss is the mean of, its gradients, runs that go on to the bit, files, and its mistakes."""

import gzip
import math
import sys

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.data import python_code
from nnkit.training.config import read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder

CONFIGS = shipped_folder("configs")
Recipe = load_recipe(shipped_folder("recipes") / "sequence_tagger.py")
module = sys.modules[Recipe.__module__]

SMALL = """\
recipe: sequence_tagger
data: {train: train.tsv, dev: dev.tsv}
model: {dim: 6, hidden: 5}
training: {epochs: 3, batch_size: 8}
optimizer: {lr: 0.02}
eval: {metrics: [acc, f1_macro, f1_span], monitor: +dev_f1_span}
"""
PLACES, PEOPLE, OTHERS = ["Rome", "Oslo", "New York"], ["Ada", "Emil Noether", "Noa"], ["letters", "music"]


def sentences(n, seed):
    """Who likes what: of `in May`, May is a person after `with` and a month, so nothing, after `in`."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(n):
        word, tag = [("with", "PER"), ("in", "O")][rng.integers(2)]
        said = [(rng.choice(PEOPLE), "PER"), ("likes", "O"), (rng.choice(OTHERS), "O"), (word, "O"), ("May", tag)]
        said += [("near", "O"), (rng.choice(PLACES), "LOC")] * rng.integers(2)
        made.append([(part, ("I-" if i else "B-") * (tag != "O") + tag) for phrase, tag in said
                     for i, part in enumerate(phrase.split())])
    return made


def written(sentences):
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences)


def write_files(folder):
    (folder / "train.tsv").write_text(written([*sentences(120, 0), [("once", "O")]]), encoding="utf-8")
    (folder / "dev.tsv").write_text(written([*sentences(30, 1), [("Zoé", "B-PER"), ("sings", "O")]]), encoding="utf-8")
    (folder / "c.yaml").write_text(SMALL, encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with train.tsv, dev.tsv and c.yaml."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def made(data=(), model=(), **sections):
    model = {"dim": 6, "hidden": 5, **dict(model)}
    data = {"train": "train.tsv", "dev": "dev.tsv", **dict(data)}
    return Recipe(Recipe.Config.model_validate({"recipe": "sequence_tagger", "data": data, "model": model, **sections}))


def built(recipe, dtype=np.float64, seed=0):
    with nnkit.default_dtype(dtype):
        return recipe.build(np.random.default_rng(seed))


MODELS = [{"kind": "RNN", "bidirectional": False}, {"kind": "LSTM", "layers": 2}, {"kind": "GRU"}]


# The loss


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_a_batchs_loss_is_the_mean_over_the_tokens_of_its_sentences_alone(folder, options):
    recipe = made(model=options)
    model, train = built(recipe), recipe.train
    chosen = np.array([3, 120, 7, 0])             # 120 is one word; the others are filled up or longest
    batch = module.padded(train, chosen)
    assert len(set(batch.lengths.tolist())) > 1 and batch.count == train.lengths[chosen].sum() == batch.units
    alone = [module.padded(train, np.array([i])) for i in chosen]
    total = sum(float(recipe.loss(model, one)) * one.count for one in alone)
    assert float(recipe.loss(model, batch)) == pytest.approx(total / batch.count, rel=1e-12)
    real = batch.classes != module.IGNORED
    np.testing.assert_array_equal(real.sum(1), batch.lengths)
    batch.ids[~real] = 3                          # what the filling is says nothing
    assert float(recipe.loss(model, batch)) == pytest.approx(total / batch.count, rel=1e-12)


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_gradients_of_the_recipes_loss(folder, options):
    recipe = made(model={"dim": 2, "hidden": 2, **options})
    model = built(recipe)
    batch = module.padded(recipe.train, np.array([3, 120, 7]))
    parameters = list(model.parameters())

    def loss(*_):
        return recipe.loss(model, batch)

    assert nnkit.check_gradients(loss, *parameters) >= sum(p.value.size for p in parameters) / 2


def test_every_sentence_comes_once_an_epoch_and_the_batches_from_a_start_on_are_the_same(folder):
    recipe = made(training={"batch_size": 7})
    batches = list(recipe.batches(0, np.random.default_rng(5)))
    assert sum(batch.count for batch in batches) == recipe.units_per_epoch == len(recipe.train.ids)
    assert sorted(n for batch in batches for n in batch.lengths) == sorted(recipe.train.lengths)
    filled = sum(batch.ids.size for batch in batches)
    assert filled < 1.1 * recipe.units_per_epoch                 # those of one length are together: little is filled up
    later = list(recipe.batches(0, np.random.default_rng(5), start=10))
    assert len(later) == len(batches) - 10
    for one, other in zip(later, batches[10:]):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.classes, other.classes)
    other = next(recipe.batches(1, np.random.default_rng(6)))
    assert other.ids.shape != batches[0].ids.shape or not np.array_equal(other.ids, batches[0].ids)


def test_rare_tokens_are_one_class_that_is_trained_and_that_new_ones_are_of(folder):
    recipe = made()
    assert "once" not in recipe.vocabulary and recipe.train.unknown == 1 / len(recipe.train.ids)
    assert recipe.data.dev.unknown == 2 / len(recipe.data.dev.ids)
    model = built(recipe)
    recipe.loss(model, module.padded(recipe.train, np.array([120]))).backward()
    assert np.abs(model.vectors.weight.grad[0]).max() > 0


def test_a_model_to_which_all_is_alike_has_the_expected_loss(folder):
    recipe = made()
    model = built(recipe)
    for p in model.output.parameters():
        p.value[...] = 0
    assert recipe.evaluate(model)["dev_loss"] == pytest.approx(recipe.expected_loss()) == pytest.approx(math.log(5))


def test_the_measures_are_those_of_all_sentences_one_by_one(folder):
    recipe = made(eval={"metrics": ["f1_span", "acc"]})
    model, dev = built(recipe).eval(), recipe.data.dev
    measured = recipe.evaluate(model)
    assert list(measured) == list(recipe.measures_of(recipe.config)) == ["dev_loss", "dev_f1_span", "dev_acc"]
    losses = [float(recipe.loss(model, module.padded(dev, np.array([i])))) for i in range(31)]
    assert measured["dev_loss"] == pytest.approx(np.average(losses, weights=dev.lengths))
    right = [a == b for s in dev.sentences for a, b in zip(s.tags, recipe.tags_of(model, s.tokens))]
    assert measured["dev_acc"] == pytest.approx(np.mean(right))


# Runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run that stands alone: its data is gone."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files(folder)
        run = nnkit.fit("c.yaml", {"training.epochs": 12}, quiet=True)
        (folder / "dev.tsv").rename(folder / "moved.tsv")
        (folder / "train.tsv").unlink()
        return folder / run.path


def last(run):
    return [row for row in nnkit.training.metrics.read_metrics(run / "metrics.jsonl") if row["event"] == "eval"][-1]


def test_what_a_word_is_is_learnt_from_those_around_it(run):
    """May is a name, or no name, by the word before it: a tag for each word alone would miss half of them."""
    assert last(run)["dev_f1_span"] > 0.95
    with_may, in_may = nnkit.load(run).predict(["Ada likes music with May", "Ada likes music in May"])
    assert with_may.tags == ["B-PER", "O", "O", "O", "B-PER"] and in_may.tags == ["B-PER", "O", "O", "O", "O"]


def test_the_dev_file_as_another_has_the_numbers_of_the_log_to_the_digit(run, capsys):
    moved = run.parent.parent / "moved.tsv"
    best = max((row for row in nnkit.training.metrics.read_metrics(run / "metrics.jsonl") if row["event"] == "eval"),
               key=lambda row: row["dev_f1_span"])
    measured = nnkit.load(run).evaluate(moved)
    assert {name: measured[f"test_{name}"] for name in ("loss", "acc", "f1_macro", "f1_span")} == {
        name: best[f"dev_{name}"] for name in ("loss", "acc", "f1_macro", "f1_span")}
    assert main(["evaluate", str(run), str(moved)]) == 0
    out = capsys.readouterr().out
    assert f"test_f1_span {best['dev_f1_span']}\n" in out and "B-PER" in out


def test_lines_are_tagged_from_a_file_and_an_empty_one_has_an_empty_answer(run, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("Noa likes  letters\n\nunheard of\n", encoding="utf-8")
    assert main(["predict", str(run), str(tmp_path / "new.txt")]) == 0
    out, err = capsys.readouterr()
    first, empty, _ = out.splitlines()
    assert first == "Noa/B-PER\tlikes/O\tletters/O" and not empty
    assert "the run does not know 2 of the 5 words" in err


def test_a_packed_file_in_other_columns_is_evaluated_as_the_training_was(folder):
    for name in ("train", "dev"):
        lines = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        text = "".join(" ".join([*line.split("\t")[::-1], "x"]) + "\n" if line else "\n" for line in lines)
        (folder / f"{name}.gz").write_bytes(gzip.compress(f"-DOCSTART- O O\n\n{text}".encode()))
    once = {"training.epochs": 1, "training.batch_size": 40}
    plain = nnkit.fit("c.yaml", once, quiet=True)
    columns = {"data.train": "train.gz", "data.dev": "dev.gz", "data.token": 1, "data.tag": 0}
    packed = nnkit.fit("c.yaml", once | columns, quiet=True)
    assert last(plain.path)["dev_loss"] == last(packed.path)["dev_loss"]
    measured = nnkit.load(packed.path).evaluate(folder / "dev.gz")
    assert measured["n"] == len(plain.recipe.data.dev.ids)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(folder):
    options = ["model.dropout=0.3", "model.layers=2", "training.clip_norm=1", "training.batch_size=30"]
    whole = nnkit.fit("c.yaml", [*options, "training.epochs=2"], quiet=True)
    half = nnkit.fit("c.yaml", [*options, "training.epochs=1"], quiet=True)
    resumed = nnkit.resume(half.path, ["training.epochs=2"], quiet=True)
    for (name, p), (_, q) in zip(whole.model.named_parameters(), resumed.model.named_parameters()):
        assert p.value.tobytes() == q.value.tobytes(), name
    assert {**last(whole.path), "seconds": 0} == {**last(resumed.path), "seconds": 0}


def test_the_report_shows_a_line_with_its_tags_and_what_a_token_alone_says(folder, capsys):
    run = nnkit.fit("c.yaml", {"training.epochs": 6})
    said = capsys.readouterr().err
    assert "dev accuracy" in said and "the commonest tag of each alone gives 0." in said and "dev spans: F1" in said
    assert 0.8 < run.recipe.data.alone() < 0.97
    lines = said.splitlines()
    words = next(line for line in lines if line.startswith("    ") and " likes " in line)
    tags = lines[lines.index(words) + 1]
    assert tags[words.index("likes")] == "O"              # a tag stands below its word


def test_python_is_highlighted_and_files_of_it_are_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = {"training.epochs": 2, "training.batch_size": 4, "data.lines": 400, "optimizer.lr": 0.02}
    run = nnkit.fit(CONFIGS / "tagger.yaml", few, quiet=True)
    assert last(run.path)["dev_acc"] > 0.85 > 0.75 > run.recipe.data.alone()
    (tmp_path / "a.py").write_text("if x:  # why\n    y = 'if'\n", encoding="utf-8")
    measured = nnkit.load(run.path).evaluate("a.py")
    assert measured["n"] == len("if x:  # why") + len("    y = 'if'") and measured["test_acc"] > 0.7
    assert main(["predict", str(run.path), "a.py"]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert "".join(piece.rpartition("/")[0] for piece in said.split("\t")) == "if x:  # why"


def test_the_shipped_config_is_one_of_this_recipe():
    config = validate(read_tree(CONFIGS / "tagger.yaml"), Recipe.Config)
    assert config.name == "tagger" and config.data.train == python_code.NAME and config.model.dropout == 0


# Mistakes


def mistake(capsys, code, *words):
    """The one line that a training which ends with this code says, besides its progress."""
    assert main(["train", "c.yaml", *words]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("nnkit ", "data  "))]
    assert len(lines) == 1, lines
    return lines[0]


GOOD = b"a X\nb Y\n\n" * 5


@pytest.mark.parametrize("content, overrides, code, said", [
    (b"", [], 1, "train.tsv: no tokens in it"),
    (b"# text = a b\n1 a X\n", [], 1,
     "train.tsv:2: 3 columns, the first line has 5, and looks like a comment; set data.comment: '#'"),
    (GOOD, ["data.comment=#"], 2, "data.comment=#: # begins a comment in YAML; put it in quotes, data.comment=\"'#'\""),
    (b"a X\n\nb\n", [], 1, "train.tsv:3: 1 column, the first line has 2"),
    (b"a X\nb Y\na X\n", ["data.dev=0.5"], 1, "train.tsv: one sentence in it, and none is left to hold out; give data.dev"),
    (b"a X\nb X\n\nb X\na X\n", [], 1, "train.tsv: every token has the tag 'X'; there is nothing to tell apart"),
    (b"".join(b"a X%d\nb Y\n\n" % i for i in range(300)), ["data.dev=0.1"], 1,
     "600 tokens with 301 different tags; is column -1 (data.tag) the tag?"),
    (GOOD, [], 1, "dev.tsv:1: the tag 'B-PER' was not in the training data; that has X, Y"),
    (GOOD, ["data.dev=0.4", "data.min_count=9"], 1, "none reaches data.min_count = 9; lower it"),
    (GOOD, ["data.dev=0.4"], 2, "eval.metrics: f1_span is of tags that mark spans (B-X, I-X and O); there are X, Y"),
    (GOOD, ["data.unit=characters", "data.dev=0.4", "eval.metrics=[acc]"], 2, "eval.monitor: dev_f1_span is not measured; add"),
    (GOOD, ["data.train=builtin:python-docs"], 2, "builtin:python-docs has no tags; there is builtin:python-code"),
    (GOOD, ["data.train=builtin:python-code", "data.unit=words"], 2, "builtin:python-code is tagged character by character"),
    (GOOD, ["data.dev=builtin:python-code"], 2, "no builtin fits here"),
    (GOOD, ["data.dev=gone.tsv"], 1, "gone.tsv: no such file"),
    (GOOD, ["model.kind=GUR"], 2, "expected 'RNN', 'LSTM' or 'GRU', got 'GUR'; did you mean 'GRU'?"),
    (GOOD, ["data.tag=two"], 2, "data.tag=two"),
    (GOOD, ["training.workers=2"], 2, "SequenceTagger has no tables that processes can share"),
])
def test_a_mistake_is_one_line_that_names_it(folder, capsys, content, overrides, code, said):
    (folder / "train.tsv").write_bytes(content)
    assert said in mistake(capsys, code, *overrides)


def test_a_tag_that_only_a_held_out_sentence_has_is_a_class_of_its_own(folder, capsys):
    (folder / "train.tsv").write_bytes(GOOD + b"c Z\n")
    words = ["c.yaml", "data.dev=0.5", "eval.metrics=[acc]", "eval.monitor=+dev_acc"]
    for seed in range(1, 5):
        assert main(["check", *words, f"seed={seed}"]) == 0
    assert "class Z has no example to train on, and 1 held out" in capsys.readouterr().out


def test_a_mistake_in_a_file_that_is_evaluated_has_its_line(run, tmp_path, capsys):
    (tmp_path / "t.tsv").write_text("Ada\tB-PER\n\nRome\tB-CITY\n", encoding="utf-8")
    assert main(["evaluate", str(run), str(tmp_path / "t.tsv")]) == 1
    assert "t.tsv:3: the tag 'B-CITY' was not in the training data; that has B-LOC, B-PER, I-LOC, I-PER, O" in (
        capsys.readouterr().err)


def test_check_says_what_is_odd(folder, capsys):
    assert main(["check", "c.yaml", "data.min_count=1", "eval.metrics=[acc]", "eval.monitor=+dev_acc", "data.dev=train.tsv"]) == 0
    out = capsys.readouterr().out
    assert "all words of the training part are known" in out and "the tags mark spans; add f1_span to eval.metrics" in out
    assert "121 of 121 held-out examples stand in the training data" in out and "expected about 1.6094" in out
    assert main(["check", "c.yaml"]) == 0
    out = capsys.readouterr().out
    assert "are known" not in out and "f1_span to" not in out and "is not trained" not in out and "`measures`" not in out
