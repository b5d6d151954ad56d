"""The Transformer recipe: no place sees a later one, what is counted, runs that go on to the bit, drawing, and its mistakes."""

import math
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit
from nnkit import losses, no_grad
from nnkit.__main__ import main
from nnkit.data import python_docs
from nnkit.training.config import read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder

CONFIGS = shipped_folder("configs")
Recipe = load_recipe(shipped_folder("recipes") / "transformer_lm.py")
module = __import__("sys").modules[Recipe.__module__]

TEXT = "the cat sat on the mat\nthe dog ran\n\na cat ran to the dog\n" * 6
SMALL = """\
recipe: transformer_lm
data: {train: text.txt, dev: dev.txt}
model: {context: 8, dim: 8, heads: 2, layers: 1, hidden: 16}
training: {epochs: 2, batch_size: 4, steps: 5}
optimizer: {lr: 1e-2}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with text.txt, dev.txt and c.yaml."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def write_files(folder):
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "dev.txt").write_text("the dog sat on a cat\n\nzoé ran\n", encoding="utf-8")
    (folder / "c.yaml").write_text(SMALL, encoding="utf-8")


def made(data=None, training=None, **model):
    sizes = {"context": 8, "dim": 8, "heads": 2, "layers": 2, "hidden": 16}
    return Recipe(Recipe.Config.model_validate({
        "recipe": "transformer_lm", "data": {"train": "text.txt", "dev": "dev.txt", **(data or {})}, "training": training or {},
        "model": {**sizes, **model}}))


def network(**model):
    config = module.Model(**{"context": 12, "dim": 8, "heads": 2, "layers": 2, "hidden": 16, **model})
    return module.Transformer(7, config, np.random.default_rng(0))


FORMS = [{}, {"positions": "learned"}, {"norm_first": False}, {"tied": True}, {"activation": "gelu"}, {"layers": 3, "heads": 4}]


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_another_symbol_changes_the_logits_from_its_place_on_and_none_before(form, data):
    model = network(**form).eval()
    length = data.draw(st.integers(2, 12))
    place = data.draw(st.integers(0, length - 1))
    symbols = np.array(data.draw(st.lists(st.integers(0, 6), min_size=length, max_size=length)))
    others = symbols.copy()
    others[place] = (others[place] + data.draw(st.integers(1, 6))) % 7
    with no_grad():
        one, other = (model(given[None]).value[0] for given in (symbols, others))
    np.testing.assert_array_equal(one[:place], other[:place])
    assert (np.abs(one[place:] - other[place:]).max(axis=1) > 1e-7).all()


def test_the_places_of_equal_symbols_differ():
    model = network().eval()
    logits = model(np.zeros((1, 12), int)).value[0]
    assert len(np.unique(logits.round(5), axis=0)) == 12


@pytest.mark.parametrize("tied", [False, True])
def test_the_output_is_the_table_itself_where_it_is_tied(tied):
    model = network(tied=tied)
    names = [name for name, _ in model.named_parameters()]
    assert ("output.weight" in names) is not tied and names.count("vectors.weight") == 1
    losses.cross_entropy(model(np.array([[1, 2]])), np.array([[2, 3]])).backward()
    rows = np.asarray(model.vectors.weight.grad).any(axis=1)
    assert rows.all() if tied else rows.tolist() == [False, True, True, False, False, False, False]


def by_hand(model, config, symbols):
    """(n, classes) float64 logits of one window, place by place and head by head, in loops: no layer of nnkit's."""
    value = {name: p.value.astype(np.float64) for name, p in model.named_parameters()}
    n, dim, heads = len(symbols), config.dim, config.heads
    m = dim // heads

    def norm(x, name):
        x = (x - x.mean()) / math.sqrt(x.var() + 1e-5)
        return x * value[f"{name}.weight"] + value[f"{name}.bias"]

    def linear(x, name):
        return x @ value[f"{name}.weight"] + value[f"{name}.bias"]

    places = value["positions.weight"] if config.positions == "learned" else [
        [(math.cos if i % 2 else math.sin)(t / 10000 ** ((i - i % 2) / dim)) for i in range(dim)] for t in range(n)]
    x = [math.sqrt(dim) * value["vectors.weight"][s] + places[t] for t, s in enumerate(symbols)]
    for i in range(config.layers):
        layer = f"layers.{i}"
        inputs = [norm(v, f"{layer}.norm1") for v in x]
        qkv = [v @ value[f"{layer}.self_attn.in_proj_weight"] + value[f"{layer}.self_attn.in_proj_bias"] for v in inputs]
        for t in range(n):
            seen = []
            for h in range(heads):
                q, k, v = ([place[j * dim + h * m:j * dim + (h + 1) * m] for place in qkv] for j in range(3))
                weights = np.exp([q[t] @ k[s] / math.sqrt(m) for s in range(t + 1)])
                seen.append(sum(w * v[s] for s, w in enumerate(weights / weights.sum())))
            x[t] = x[t] + linear(np.concatenate(seen), f"{layer}.self_attn.out_proj")
        for t in range(n):
            inner = np.maximum(linear(norm(x[t], f"{layer}.norm2"), f"{layer}.linear1"), 0)
            x[t] = x[t] + linear(inner, f"{layer}.linear2")
    return np.array([linear(norm(v, "norm"), "output") for v in x])


def nats_by_hand(model, config, symbols, classes):
    logits = by_hand(model, config, symbols)
    return [math.log(np.exp(y - y.max()).sum()) - (y[c] - y.max()) for y, c in zip(logits, classes)]


def spread(model):
    """Parameters that none of the first values hides: biases and weights of norms that are not 0 and 1."""
    rng = np.random.default_rng(3)
    for p in model.parameters():
        p.value[...] = p.value + rng.normal(0, 0.3, p.shape)
    return model


@pytest.mark.parametrize("positions", ["sines", "learned"])
def test_the_loss_is_the_mean_of_a_loop_over_places(folder, positions):
    recipe = made(training={"batch_size": 3}, positions=positions)
    model = spread(recipe.build(np.random.default_rng(0)))
    batch = next(recipe.batches(0, np.random.default_rng(1)))
    nats = np.concatenate([nats_by_hand(model, recipe.config.model, *pair) for pair in zip(batch.symbols, batch.classes)])
    assert batch.count == batch.units == len(nats) == 24
    assert float(recipe.loss(model, batch)) == pytest.approx(nats.mean(), rel=1e-5)


@pytest.mark.parametrize("context", [2, 5, 8, 40])
def test_every_symbol_is_measured_once_by_half_a_context_at_least(folder, context):
    recipe = made(context=context)
    model = spread(recipe.build(np.random.default_rng(0)))
    classes = recipe.dev.classes.tolist()
    text, half = [0, *classes], -(-context // 2)                    # a line end stands before the text
    nats, n = [], len(classes)
    windows = list(range(0, max(0, n - context), half)) + [max(0, n - context)]
    for start in windows:
        size = min(context, n)
        found = nats_by_hand(model, recipe.config.model, text[start:start + size], classes[start:start + size])
        nats += found[len(nats) - start:]
    assert len(nats) == len(recipe.dev) == 30 and recipe.dev.unknown == pytest.approx(2 / 30)   # z and é
    for at_once in (1, 7, 4096):
        pieces = list(recipe.nats(model.eval(), recipe.dev, at_once))
        np.testing.assert_allclose(np.concatenate(pieces), nats, rtol=1e-4, atol=1e-5)
    with no_grad():
        measured = recipe.evaluate(model)
    assert measured["dev_loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert measured["dev_bpc"] == pytest.approx(np.mean(nats) / math.log(2), rel=1e-5)


def test_the_batches_are_windows_of_the_text_and_from_a_start_on_the_same(folder):
    recipe = made(training={"batch_size": 3})
    text = np.insert(recipe.train.classes, 0, 0)
    batches = list(recipe.batches(0, np.random.default_rng(5)))
    assert len(batches) == round(len(TEXT) / 24) and recipe.units_per_epoch == sum(batch.units for batch in batches)
    there = {tuple(text[i:i + 9]) for i in range(len(text) - 8)}
    seen = {(*symbols, classes[-1]) for b in batches for symbols, classes in zip(b.symbols, b.classes)}
    assert seen <= there and all(np.array_equal(b.symbols[:, 1:], b.classes[:, :-1]) for b in batches)
    later = list(recipe.batches(0, np.random.default_rng(5), start=7))
    assert len(later) == len(batches) - 7
    for one, other in zip(later, batches[7:]):
        np.testing.assert_array_equal(one.symbols, other.symbols)
    assert not np.array_equal(next(recipe.batches(1, np.random.default_rng(6))).symbols, batches[0].symbols)


def test_a_text_of_just_one_context_is_one_window(folder):
    (folder / "text.txt").write_text("abcabca\n", encoding="utf-8")
    recipe = made(training={"batch_size": 2})
    batch = next(recipe.batches(0, np.random.default_rng(0)))
    assert recipe.symbols.joined(batch.classes[0]) == "abcabca\n" and batch.symbols[0].tolist() == [0, *batch.classes[0][:-1]]


# Runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run that stands alone: its text is gone."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files(folder)
        run = nnkit.fit("c.yaml", ["training.epochs=2", "training.steps=150", "model.dropout=0.1"], quiet=True)
        (folder / "text.txt").unlink()
        return folder / run.path


def last(run):
    return [row for row in nnkit.training.metrics.read_metrics(run / "metrics.jsonl") if row["event"] == "eval"][-1]


def test_the_text_is_learnt_and_measured_as_a_file_to_the_digit(run):
    assert last(run)["train_loss"] < 1.0                           # nats; by the shares of its letters alone it has 2.6
    measured = nnkit.load(run).evaluate(run.parent.parent / "dev.txt")
    assert [measured[f"test_{name}"] for name in ("loss", "ppl", "bpc")] == [
        last(run)[f"dev_{name}"] for name in ("loss", "ppl", "bpc")]
    assert measured["n"] == 30


def test_a_file_shorter_than_the_context_is_measured(run, tmp_path):
    (tmp_path / "a.txt").write_text("a\n", encoding="utf-8")
    assert math.isfinite(nnkit.load(run).evaluate(tmp_path / "a.txt")["test_loss"])


def printed(capsys, *words):
    assert main(["generate", *map(str, words)]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_text_goes_on_by_its_last_context_and_by_the_seed(run, capsys):
    out, _ = printed(capsys, run, "--prompt", "the cat sat on th", "--temperature", 0.5, "--length", 30, "--seed", 3)
    assert out.startswith("the cat sat on the") and len(out) == 17 + 30 + 1
    again, _ = printed(capsys, run, "--prompt", "the cat sat on th", "--temperature", 0.5, "--length", 30, "--seed", 3)
    other, _ = printed(capsys, run, "--prompt", "the cat sat on th", "--temperature", 0.5, "--length", 30, "--seed", 4)
    assert again == out != other
    texts = {printed(capsys, run, "--prompt", start + "the cat sat", "--temperature", 0)[0].removeprefix(start)
             for start in ("", "a dog\n", "the the the ")}
    assert len(texts) == 1                                          # the context is 8: what is farther away is not seen
    assert len(printed(capsys, run, "--top-k", 2, "--length", 20)[0]) == 21
    assert "the run does not know 'é' of the prompt" in printed(capsys, run, "--prompt", "é", "--length", 5)[1]


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(folder):
    options = ["model.dropout=0.2", "schedule={type: cosine, end: 1e-4, warmup: 3 steps}", "training.clip_norm=1",
               "training.epochs=4", "log.every=1 step"]
    whole = nnkit.fit("c.yaml", options, quiet=True)
    half = nnkit.fit("c.yaml", options, quiet=True, on_log=lambda row: row["step"] == 13 and signal.raise_signal(signal.SIGINT))
    assert half.exit_code == 130
    resumed = nnkit.resume(half.path, quiet=True)
    for (name, p), (_, q) in zip(whole.model.named_parameters(), resumed.model.named_parameters()):
        assert p.value.tobytes() == q.value.tobytes(), name
    assert {**last(whole.path), "seconds": 0} == {**last(resumed.path), "seconds": 0}


def test_words_are_predicted_as_well_and_leave_their_vectors(folder, capsys):
    run = nnkit.fit("c.yaml", ["data.unit=words", "data.min_count=2"], quiet=True)
    assert main(["neighbors", str(run.path), "cat", "-n", "2"]) == 0
    assert capsys.readouterr().out.startswith("cat\n")
    assert printed(capsys, run.path, "--prompt", "the", "--length", 3)[0].startswith("the")


def test_the_derivatives_and_the_first_loss_are_right(folder, capsys):
    assert main(["check", "c.yaml", "--gradcheck", "model.dropout=0.1"]) == 0
    out = capsys.readouterr().out
    assert f"expected about {math.log(len(set(TEXT)) + 1):.4f}" in out and "gradcheck" in out
    assert "is not trained" not in out and "the first loss is" not in out


def test_python_docs_are_learnt_better_than_by_the_shares_of_the_letters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docs = python_docs.load()
    few = python_docs.PythonDocs(docs.documents[::100], {}, "")
    monkeypatch.setattr(python_docs, "load", lambda: few)
    short = {"training.epochs": 1, "training.steps": 60, "schedule.warmup": 0.1}
    run = nnkit.fit(CONFIGS / "transformer.yaml", short, quiet=True)
    counts = np.bincount(run.recipe.train.classes, minlength=run.recipe.symbols.n_classes) + 1.0
    alone = -np.log(counts / counts.sum())[run.recipe.dev.classes].mean()
    assert last(run.path)["dev_loss"] < alone - 0.1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("transformer*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_is_one_of_this_recipe(path, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    config = validate(read_tree(path), Recipe.Config)
    assert config.name == path.stem and config.eval.monitor == "-dev_loss"


# Mistakes


@pytest.mark.parametrize("override, code, said", [
    ("model.heads=3", 2, "command line: model.heads=3: model: heads: 3 does not divide dim: 8; take a number that does"),
    ("model.dim=9", 2, "c.yaml:3:36: model: heads: 2 does not divide dim: 9; take a number that does"),
    ("model.context=1000", 2, "1000 symbols, and the training text has 342; lower it, or give a longer text"),
    ("model.context=1", 2, "model.context=1"),
    ("model.positions=sine", 2, "model.positions=sine"),
    ("model.dropout=1", 2, "model.dropout=1"),
    ("data.dev=gone.txt", 1, "gone.txt: no such file"),
    ("data.train=gone.txt", 1, "gone.txt: no such file"),
    ("data.min_count=999", 1, "none reaches data.min_count = 999; lower it"),
    ("data.running=false", 2, "unknown key 'running' in data"),
])
def test_a_mistake_is_one_line_that_names_it(folder, capsys, override, code, said):
    assert main(["train", "c.yaml", override]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("nnkit ", "data  "))]
    assert len(lines) == 1 and said in lines[0], lines
