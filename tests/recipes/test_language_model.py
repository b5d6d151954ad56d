"""The language model recipe: what is counted, what a context is, runs that go on to the bit, and its mistakes."""

import math

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.autograd import RowGrad
from nnkit.data import python_docs
from nnkit.training.config import read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder

CONFIGS = shipped_folder("configs")
Recipe = load_recipe(shipped_folder("recipes") / "language_model.py")
output_loss = Recipe.build.__globals__["output_loss"]

NAMES = ["emma", "olivia", "ava", "o", "mia", "amelia", "ella", "mila", "al", "lea", "noa", "io", "eva", "ada"]
SMALL = """\
recipe: language_model
data: {train: names.txt, unit: characters, dev: dev.txt}
model: {context: 3, dim: 4, hidden: 8}
training: {epochs: 3, batch_size: 16}
optimizer: {lr: 0.5}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with names.txt, dev.txt and c.yaml."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def write_files(folder):
    (folder / "names.txt").write_text("\n".join(NAMES * 4) + "\n", encoding="utf-8")
    (folder / "dev.txt").write_text("\n".join(["amal", "", "e", "zoé"]) + "\n", encoding="utf-8")
    (folder / "c.yaml").write_text(SMALL, encoding="utf-8")


def made(**sections):
    return Recipe(Recipe.Config.model_validate({"recipe": "language_model", **sections}))


def by_hand(recipe, model, lines):
    """nats of each symbol, float64, by equation 1 of the paper: a loop over lines and symbols, no arrays of the recipe's."""
    value = {name: p.value.astype(np.float64) for name, p in model.named_parameters()}
    size, symbols = recipe.config.model.context, recipe.symbols
    before = [0 if recipe.config.data.running else symbols.n_classes] * size
    nats = []
    for line in lines:
        if not recipe.config.data.running:
            before = [symbols.n_classes] * size
        for symbol in [*line, "\n"]:
            x = np.concatenate([value["vectors.weight"][i] for i in before[-size:]])
            h = np.tanh(x @ value["hidden.weight"] + value["hidden.bias"])
            if recipe.config.model.direct:
                h = np.concatenate([h, x])
            y = h @ value["output.weight"] + value["output.bias"]
            known = symbols.vocabulary.words
            kind = 0 if symbol == "\n" else 2 + known.index(symbol) if symbol in known else 1
            nats.append(math.log(np.exp(y - y.max()).sum()) - (y[kind] - y.max()))
            before.append(kind)
    return nats


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_the_measures_equal_a_loop_over_symbols(folder, running, direct):
    recipe = made(data={"train": "names.txt", "dev": "dev.txt", "unit": "characters", "running": running},
                  model={"context": 3, "dim": 4, "hidden": 8, "direct": direct})
    model = recipe.build(np.random.default_rng(0))
    lines = ["amal", "", "e", "zoé"] if running else ["amal", "e", "zoé"]
    nats = by_hand(recipe, model, lines)
    measured = recipe.evaluate(model)
    assert len(nats) == len(recipe.dev) == (12 if running else 11)
    assert measured["dev_loss"] == pytest.approx(np.mean(nats), rel=1e-6)
    assert measured["dev_ppl"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-6)
    assert measured["dev_bpc"] == pytest.approx(np.mean(nats) / math.log(2), rel=1e-6)
    loss = model(*recipe.dev.contexts.of(np.arange(5)))
    assert float(loss) == pytest.approx(np.mean(nats[:5]), rel=1e-6)


def test_bits_a_character_of_words_count_blanks_and_line_ends_and_unknown_words_as_they_are_written(folder):
    (folder / "dev.txt").write_text("ava unheardof\n\nmia\n", encoding="utf-8")
    recipe = made(data={"train": "names.txt", "dev": "dev.txt", "unit": "words"}, model={"context": 2, "dim": 4, "hidden": 8})
    measured = recipe.evaluate(recipe.build(np.random.default_rng(0)))
    assert measured["dev_bpc"] == pytest.approx(5 * measured["dev_loss"] / math.log(2) / len("ava unheardof\nmia\n"))
    assert recipe.dev.unknown == 1 / 5


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_a_model_to_which_all_is_alike_has_the_perplexity_of_a_fair_die(folder, unit):
    recipe = made(data={"train": "names.txt", "dev": "dev.txt", "unit": unit})
    model = recipe.build(np.random.default_rng(0))
    for p in model.output.parameters():
        p.value[...] = 0
    n_classes = len(set("".join(NAMES)) if unit == "characters" else NAMES) + 2   # the end of a line, and the unknown
    assert recipe.symbols.n_classes == n_classes
    assert recipe.evaluate(model)["dev_ppl"] == pytest.approx(n_classes, rel=1e-6)
    assert recipe.expected_loss() == math.log(n_classes)


def test_every_symbol_comes_once_an_epoch_and_the_batches_from_a_start_on_are_the_same(folder):
    recipe = made(data={"train": "names.txt", "dev": "dev.txt", "unit": "characters"}, training={"batch_size": 9})
    assert recipe.units_per_epoch == len("".join(NAMES * 4)) + 4 * len(NAMES)
    batches = list(recipe.batches(0, np.random.default_rng(5)))
    sizes = {batch.count for batch in batches}
    assert sum(batch.count for batch in batches) == recipe.units_per_epoch and sizes == {8, 9}   # 244 is 27 · 9 + 1
    every = np.concatenate([np.column_stack([b.contexts, b.classes]) for b in batches])
    in_order = np.column_stack(recipe.train.contexts.of(slice(None)))
    assert sorted(every.tolist()) == sorted(in_order.tolist()) and not np.array_equal(every, in_order)
    later = list(recipe.batches(0, np.random.default_rng(5), start=9))
    assert len(later) == len(batches) - 9
    for one, other in zip(later, batches[9:]):
        np.testing.assert_array_equal(one.contexts, other.contexts)
        np.testing.assert_array_equal(one.classes, other.classes)


def test_held_out_lines_are_drawn_by_the_seed_and_words_of_theirs_alone_are_unknown(folder):
    (folder / "lines.txt").write_text("".join(f"all own{i}\n" for i in range(50)), encoding="utf-8")
    recipes = [made(seed=seed, data={"train": "lines.txt", "dev": 0.2, "test": 0.1}) for seed in (1, 1, 2)]
    first, again, other = ([part.text.numbers.tolist() for part in (r.train, r.dev, r.test)] for r in recipes)
    assert first == again != other and [len(part) // 3 for part in first] == [35, 10, 5]
    assert recipes[0].dev.unknown == recipes[0].test.unknown == 1 / 3 and recipes[0].train.unknown == 0
    assert recipes[0].symbols.n_classes == 2 + 1 + 35


def test_a_running_text_is_cut_in_its_order_and_each_part_ends(folder):
    (folder / "one.txt").write_text(" ".join(f"w{i}" for i in range(99)), encoding="utf-8")
    recipe = made(data={"train": "one.txt", "dev": 0.1, "test": 0.1, "running": True})
    names = recipe.train.text.names
    words = [[names[i] for i in part.text.numbers] for part in (recipe.train, recipe.dev, recipe.test)]
    assert [(part[0], part[-2], part[-1]) for part in words] == [
        ("w0", "w79", "\n"), ("w80", "w89", "\n"), ("w90", "w98", "\n")]


@pytest.mark.parametrize("n", [1, 5])
def test_the_output_and_its_loss_in_one_are_the_two_of_them(n):
    rng = np.random.default_rng(n)
    x, weight, bias = rng.normal(size=(n, 3)), rng.normal(size=(3, 7)), rng.normal(size=7)
    classes = rng.integers(0, 7, n)
    assert float(output_loss(x, weight, bias, classes)) == pytest.approx(float(output_loss.operation.composed(
        nnkit.Tensor(x), weight, bias, classes)), rel=1e-12)
    assert nnkit.check_gradients(lambda *inputs: output_loss(*inputs, classes), x, weight, bias) >= n * 3 + 21 + 7
    large = output_loss(nnkit.Tensor(np.full((n, 3), 1e4, np.float32)), weight, bias, classes)
    assert math.isfinite(float(large)) and large.dtype == np.float32
    leaf = nnkit.Tensor(x)
    loss = output_loss(leaf, weight, bias, classes)
    loss.backward()
    once = leaf.grad.copy()
    loss.backward()
    np.testing.assert_array_equal(leaf.grad, 2 * once)


def test_the_table_gets_a_gradient_of_rows(folder):
    recipe = made(data={"train": "names.txt", "dev": "dev.txt", "unit": "characters"})
    model = recipe.build(np.random.default_rng(0))
    recipe.loss(model, next(recipe.batches(0, np.random.default_rng(0)))).backward()
    assert isinstance(model.vectors.weight.grad, RowGrad)


# Runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run on names that stands alone: its data is gone."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files(folder)
        run = nnkit.fit("c.yaml", quiet=True)
        (folder / "dev.txt").rename(folder / "moved.txt")
        (folder / "names.txt").unlink()
        return folder / run.path


def last(run):
    return [row for row in nnkit.training.metrics.read_metrics(run / "metrics.jsonl") if row["event"] == "eval"][-1]


def test_the_same_text_measured_as_a_file_has_the_numbers_of_the_log_to_the_digit(run, capsys):
    measured = nnkit.load(run).evaluate(run.parent.parent / "moved.txt")
    assert {name: measured[f"test_{name}"] for name in ("loss", "ppl", "bpc")} == {
        name: last(run)[f"dev_{name}"] for name in ("loss", "ppl", "bpc")}
    assert measured["n"] == 11 and measured["unknown"] == 2 / 11
    assert main(["evaluate", str(run), str(run.parent.parent / "moved.txt")]) == 0
    assert f"test_ppl {last(run)['dev_ppl']}\n" in capsys.readouterr().out


def test_a_text_of_unknown_symbols_alone_is_measured(run, tmp_path):
    (tmp_path / "other.txt").write_text("ŽŽ\nŽ\n", encoding="utf-8")
    measured = nnkit.load(run).evaluate(tmp_path / "other.txt")
    assert measured["unknown"] == 3 / 5 and math.isfinite(measured["test_ppl"]) and measured["n"] == 5


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(folder):
    options = ["model.dropout=0.3", "model.direct=true", "optimizer.type=Adagrad", "optimizer.lr=0.1"]
    whole = nnkit.fit("c.yaml", [*options, "training.epochs=4"], quiet=True)
    half = nnkit.fit("c.yaml", [*options, "training.epochs=2"], quiet=True)
    resumed = nnkit.resume(half.path, ["training.epochs=4"], quiet=True)
    for (name, p), (_, q) in zip(whole.model.named_parameters(), resumed.model.named_parameters()):
        assert p.value.tobytes() == q.value.tobytes(), name
    assert {**last(whole.path), "seconds": 0} == {**last(resumed.path), "seconds": 0}


def test_words_leave_their_vectors_to_the_commands_that_ask_vectors(folder, capsys):
    run = nnkit.fit("c.yaml", ["data.unit=words"], quiet=True)
    assert main(["neighbors", str(run.path), "emma", "-n", "2"]) == 0
    assert capsys.readouterr().out.startswith("emma\n")


def test_the_report_says_what_is_counted_and_looks_at_the_test_part_only_when_asked(folder, capsys):
    nnkit.fit("c.yaml", ["data.test=0.1"])
    said = capsys.readouterr().err
    assert "dev perplexity" in said and "11 characters and line ends; unknown, one class: 18.18%" in said
    assert "test perplexity" not in said
    nnkit.fit("c.yaml", ["data.test=0.1", "eval.test=true"])
    assert "test perplexity" in capsys.readouterr().err


def test_names_are_learnt(folder):
    run = nnkit.fit("c.yaml", ["training.epochs=40", "data.dev=0.1"], quiet=True)
    assert last(run.path)["dev_ppl"] < 3        # fourteen names again and again; a letter by its share alone has 8


def test_python_docs_are_learnt_better_than_by_counting_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docs = python_docs.load()
    few = python_docs.PythonDocs(docs.documents[::10], {}, "")
    monkeypatch.setattr(python_docs, "load", lambda: few)
    run = nnkit.fit(CONFIGS / "lm-words.yaml", {"training.epochs": 1, "data.max_size": 500}, quiet=True)
    counts = np.bincount(run.recipe.train.classes, minlength=502) + 1.0
    alone = -np.log(counts / counts.sum())[run.recipe.dev.classes].mean()
    assert last(run.path)["dev_loss"] < alone


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("lm-*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_is_one_of_this_recipe(path, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    config = validate(read_tree(path), Recipe.Config)
    assert config.name == path.stem and config.eval.monitor == "-dev_loss"


def test_first_names_come_near_what_such_a_model_reaches(shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_DATA", str(shared_data))
    run = nnkit.fit(CONFIGS / "lm-char.yaml", {"training.epochs": 1, "data.dev": 0.1}, quiet=True)
    assert last(run.path)["dev_loss"] < 2.35    # nats a letter; 2.45 is a table of letter pairs


# Mistakes


def mistake(capsys, code, *words):
    """The one line that a training which ends with this code says, besides its progress."""
    assert main(["train", "c.yaml", *words]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("nnkit ", "data  "))]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("content, overrides, code, said", [
    (b"", [], 1, "names.txt: no characters in it; an empty text is of no use here"),
    (b"emma\n", ["data.dev=0.1"], 1, "names.txt: 1 line in it, too few for 2 parts"),
    (b"emma\nda\xe9\n", [], 1, "names.txt:2: byte 7 (0xe9) is not UTF-8; convert the file, or set data.errors: replace"),
    (b"aaa\naa\n", [], 1, "names.txt: 5 tokens, 1 distinct"),
    (b"emma\nava\n", ["data.min_count=9"], 1, "none reaches data.min_count = 9; lower it"),
    (b"emma\n", ["data.unit=bytes"], 2, "data.unit=bytes"),
    (b"emma\n", ["data.dev=1.5"], 2, "data.dev=1.5"),
    (b"emma\n", ["data.dev=gone.txt"], 1, "gone.txt: no such file"),
    (b"emma\n", ["data.dev=builtin:python-docs"], 2, "no builtin fits here"),
    (b"emma\n", ["model.context=0"], 2, "model.context=0"),
])
def test_a_mistake_is_one_line_that_names_it(folder, capsys, content, overrides, code, said):
    (folder / "names.txt").write_bytes(content)
    assert said in mistake(capsys, code, *overrides)


def test_a_context_longer_than_every_line_is_filled_with_starts_and_noticed(folder, capsys):
    assert main(["check", "c.yaml", "model.context=12"]) == 0
    out = capsys.readouterr().out
    assert "model.context = 12, and the longest line has 6 characters" in out
    assert main(["check", "c.yaml"]) == 0
    out = capsys.readouterr().out
    assert "model.context" not in out and "all characters of the training part are known" in out
    assert f"expected about {math.log(len(set(''.join(NAMES))) + 2):.4f}" in out and "is not trained" not in out


def test_two_lines_and_a_batch_larger_than_all_of_them_are_trained_on(folder):
    (folder / "names.txt").write_text("ab\nba", encoding="utf-8")
    run = nnkit.fit("c.yaml", ["training.batch_size=1024", "model.context=9"], quiet=True)
    assert math.isfinite(last(run.path)["dev_ppl"])
