"""The CBOW recipe: that a step is the sum of word2vec's steps for the words of its blocks, each predicted from its window."""

import collections
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit import Tensor
from nnkit.optim import SGD
from nnkit.training.recipe import load_recipe, shipped_folder

Recipe = load_recipe(shipped_folder("recipes") / "cbow.py")
window_means, centre_scores = (Recipe.loss.__globals__[name] for name in ("window_means", "centre_scores"))


def make(path, *, window=3, negatives=5, subsample=0.0, blocks=3, length=8, tile=4, shared=4, dim=6, lr=1e-3, **model):
    return Recipe(Recipe.Config.model_validate({
        "recipe": "cbow", "data": {"train": str(path), "min_count": 1, "subsample": subsample},
        "model": {"dim": dim, "window": window, "negatives": negatives, **model}, "optimizer": {"lr": lr},
        "training": {"blocks": blocks, "block_length": length, "tile": tile, "shared_negatives": shared}}))


def windows_of(recipe, batch):
    """(block, place in it, ids around it) for every word of the batch, read off its bands; none is left out."""
    w, tile = recipe.config.model.window, recipe.tile
    for b in range(len(batch.text)):
        for i in range(batch.bands.shape[1]):
            columns = i // tile * tile + np.flatnonzero(batch.bands[b, i])
            assert i + w not in columns
            yield b, i, batch.text[b, columns].tolist()


def drawn_model(recipe):
    model = recipe.build(np.random.default_rng(0))
    for table in model.parameters():
        table.value[...] = np.random.default_rng(1).normal(size=table.shape) * 0.5
    return model


def pair_by_pair(windows, negatives, part, model):
    """(loss, both tables' steps over lr) in float64, by word2vec's rule, one word and one score after the other.

    part: Blocks, so that windows come from where they were drawn and not from the recipe's bands.
    """
    words, centres = (table.weight.value.astype(np.float64) for table in (model.words, model.centres))
    loss, step_words, step_centres = 0.0, np.zeros_like(words), np.zeros_like(centres)
    w, share = windows, negatives / part.negatives.shape[1]
    for b, i in np.ndindex(part.left.shape):
        at, left, right = i + w, part.left[b, i], part.right[b, i]
        around = [*part.text[b, at - left:at], *part.text[b, at + 1:at + 1 + right]]
        if not around:
            continue
        mean = sum(words[c] for c in around) / len(around)
        whole = np.zeros_like(mean)
        for row, label, weight in [(part.text[b, at], 1, 1.0), *((n, 0, share) for n in part.negatives[b])]:
            score = mean @ centres[row]
            loss += weight * np.logaddexp(0, -score if label else score)
            slope = weight * (label - 1 / (1 + np.exp(-score)))
            whole += slope * centres[row]
            step_centres[row] += slope * mean
        for c in around:
            step_words[c] += whole  # not divided by their number
    return loss, step_words, step_centres


@pytest.mark.parametrize("tile, negatives", [(4, 5), (8, 5), (2, 12)])
def test_a_step_is_word2vecs_pair_by_pair_in_float64(corpus_file, tile, negatives):
    recipe = make(corpus_file, tile=tile, negatives=negatives)
    model = drawn_model(recipe)
    before = [table.value.copy() for table in model.parameters()]
    part = next(recipe.windows.blocks(np.random.default_rng(0), length=8, negatives=4, multiple=3))
    for name in ("text", "left", "right", "negatives"):
        setattr(part, name, getattr(part, name)[:3])  # of the first step
    loss, *steps = pair_by_pair(3, negatives, part, model)
    result = recipe.loss(model, next(recipe.batches(0, np.random.default_rng(0))))
    assert float(result) == pytest.approx(loss, rel=1e-5)
    result.backward()
    for table, step in zip(model.parameters(), steps):
        np.testing.assert_allclose(table.grad.dense(), -step, rtol=1e-4, atol=1e-5)
    SGD(model.parameters(), lr=1e-3).step()
    for table, old, step in zip(model.parameters(), before, steps):
        np.testing.assert_allclose(table.value, old + 1e-3 * step, rtol=1e-5, atol=1e-6)


def test_the_steps_of_window_means_are_the_gradient_of_the_sum_and_a_constant():
    rng = np.random.default_rng(0)
    B, L, w, t, d = 2, 8, 3, 4, 5
    bands = rng.integers(0, 2, (B, L, t + 2 * w)).astype(np.float64)
    sizes = np.maximum(bands.sum(2, keepdims=True), 1)
    whole = np.zeros((B, L, L + 2 * w))
    for i in range(L):
        whole[:, i, i // t * t:i // t * t + t + 2 * w] = bands[:, i]
    rows, weights = rng.normal(size=(B, L + 2 * w, d)), rng.normal(size=(B, L, d))
    one, other = Tensor(rows), Tensor(rows.copy())
    means = window_means(one, bands, sizes)
    sums = nnkit.ops.matmul(whole, other)
    expected = sums + (sums.value / sizes - sums.value)
    np.testing.assert_allclose(means.value, expected.value, rtol=1e-12)
    means.backward(weights)
    expected.backward(weights)
    np.testing.assert_allclose(one.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_the_gradients_of_centre_scores():
    rng = np.random.default_rng(0)
    means, outputs = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4 + 5, 3))
    scores = centre_scores(Tensor(means), Tensor(outputs)).value
    np.testing.assert_allclose(scores[..., 0], (means * outputs[:, :4]).sum(2))
    np.testing.assert_allclose(scores[..., 1:], means @ outputs[:, 4:].swapaxes(1, 2))
    nnkit.check_gradients(centre_scores, means, outputs)


def test_every_word_with_a_neighbour_is_predicted_once_an_epoch(corpus_file):
    recipe = make(corpus_file)
    seen, count = collections.Counter(), 0
    for batch in recipe.batches(0, np.random.default_rng(0)):
        predicted = batch.weights[..., 0] > 0
        seen.update(batch.outputs[:, :8][predicted].tolist())
        count += batch.count
        assert (batch.weights[predicted][:, 1:].sum(1) == pytest.approx(5)) and not batch.weights[~predicted].any()
        assert (batch.sizes[..., 0] == np.maximum(batch.bands.sum(2), 1)).all()
    lengths = np.repeat(np.diff(recipe.corpus.starts), np.diff(recipe.corpus.starts))
    assert seen == collections.Counter(recipe.corpus.ids[lengths > 1].tolist()) and count == sum(seen.values())


@pytest.mark.case("wordvectors", 30)
def test_no_window_crosses_a_line_and_the_last_word_counts_without_a_final_newline(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b\nc d\n" * 20 + "i wanna eat", encoding="utf-8")
    recipe = make(path, window=5)
    words, near = recipe.corpus.vocabulary.words, collections.defaultdict(set)
    for batch in recipe.batches(0, np.random.default_rng(0)):
        for b, i, around in windows_of(recipe, batch):
            near[words[batch.outputs[b, i]]] |= {words[c] for c in around}
    assert {word: near[word] for word in "abcd"} == {"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}}
    assert near["wanna"] == {"i", "eat"} and "wanna" in near["eat"] and recipe.corpus.raw_tokens == 83


@pytest.mark.case("wordvectors", 8)
@pytest.mark.parametrize("name", ["cbow", "sgns"])
def test_every_one_of_the_25_000_words_of_a_line_is_trained(tmp_path, name):
    path = tmp_path / "line.txt"
    path.write_text(" ".join(f"w{i % 500}" for i in range(25_000)), encoding="utf-8")
    kind = load_recipe(shipped_folder("recipes") / f"{name}.py")
    recipe = kind(kind.Config.model_validate({"recipe": name, "data": {"train": str(path), "subsample": 0}, "model": {"dim": 2}}))
    centres = collections.Counter()
    for batch in recipe.batches(0, np.random.default_rng(0)):
        ids = batch.outputs[:, :batch.weights.shape[1]] if name == "cbow" else batch.centres
        centres.update(ids[batch.weights.any(2)].tolist())
    assert set(centres.values()) == {50} and len(centres) == 500


@pytest.mark.parametrize("start", [1, 5, 10_000])
def test_starting_in_the_middle_gives_the_batches_an_unbroken_epoch_has_there(corpus_file, monkeypatch, start):
    recipe = make(corpus_file)
    monkeypatch.setattr("nnkit.data.windows.SHUFFLED_WORDS", 1000)  # several parts
    whole = list(recipe.batches(0, np.random.default_rng(3)))
    rest = list(recipe.batches(0, np.random.default_rng(3), start))
    assert len(rest) == max(0, len(whole) - start)
    for a, b in zip(whole[start:], rest):
        for name in ("text", "outputs", "bands", "sizes", "weights"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.case("wordvectors", 28)
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_are_given_parts_of_one_size_however_long_the_lines_are(tmp_path, workers):
    words = [f"w{i % 100}" for i in range(60_000)]
    for length in (5, 1_000, 60_000):
        path = tmp_path / f"lines{length}.txt"
        path.write_text("\n".join(" ".join(words[i:i + length]) for i in range(0, len(words), length)), encoding="utf-8")
        sizes, steps = [], []
        for worker in range(workers):
            recipe = make(path, length=32)
            recipe.take_part(worker, workers)
            sizes.append(recipe.units_per_epoch)
            steps.append(sum(1 for _ in recipe.batches(0, np.random.default_rng(0))))
        assert sum(sizes) == len(words)
        assert max(sizes) - min(sizes) <= 1_000 and max(steps) - min(steps) <= 1 + 1_000 // (3 * 32)  # a longest sentence


@pytest.mark.parametrize("name", ["cbow", "sgns"])
def test_the_result_is_the_first_table_or_the_sum_of_both(corpus_file, name):
    kind = load_recipe(shipped_folder("recipes") / f"{name}.py")
    for result in ("words", "sum"):
        recipe = kind(kind.Config.model_validate({"recipe": name, "data": {"train": str(corpus_file)},
                                                  "model": {"dim": 4, "vectors": result}}))
        model = drawn_model(recipe)
        first, second = (table.value for table in model.parameters())
        np.testing.assert_array_equal(recipe.vectors(model).matrix, first if result == "words" else first + second)


CONFIG = """\
recipe: cbow
name: small
data: {train: corpus.txt, min_count: 1, subsample: 0}
model: {dim: 8, window: 2}
training: {epochs: 3, blocks: 2, block_length: 16, shared_negatives: 4}
optimizer: {type: SGD, lr: 0.05}
schedule: {type: linear, end: 1e-4}
"""


@pytest.fixture
def config(tmp_path, corpus_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "small.yaml"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_learns_which_words_go_together(config, tmp_path, workers):
    rng = np.random.default_rng(0)
    topics = [" ".join(f"topic{topic}x{i}" for i in rng.integers(0, 12, 12)) for topic in rng.integers(0, 3, 3000)]
    (tmp_path / "corpus.txt").write_text("\n".join(topics), encoding="utf-8")
    run = nnkit.fit(config, [f"training.workers={workers}"], quiet=True)
    losses = [row["train_loss"] for row in run.metrics if row["event"] == "eval"]
    assert losses[-1] < losses[0] < 6 * np.log(2)  # of a word and five negatives, before the first step
    vectors = nnkit.vectors.WordVectors.load(run.path / "vectors.vec")
    near = [word for word, _ in vectors.most_similar("topic1x5", 11)]
    assert all(word.startswith("topic1") for word in near)


def test_a_stopped_run_goes_on_to_the_bytes_of_an_unbroken_one(config):
    constant = "schedule={type: constant}"
    unbroken, short = (nnkit.fit(config, [f"training.epochs={n}", constant], quiet=True) for n in (3, 1))
    before = (short.path / "vectors.vec").read_bytes()
    resumed = nnkit.resume(short.path, ["training.epochs=3"], quiet=True)
    assert before != (resumed.path / "vectors.vec").read_bytes() == (unbroken.path / "vectors.vec").read_bytes()


@pytest.mark.parametrize("lr", [0.05, 0.25])
@pytest.mark.parametrize("sentence", ["spam eggs", "a b c d", "a " * 50 + "b c", " ".join(f"w{i}" for i in range(1000))])
def test_a_sentence_repeated_again_and_again_does_not_diverge(config, sentence, lr):
    repeats = 60_000 // len(sentence.split())
    Path("corpus.txt").write_text("\n".join([sentence] * repeats), encoding="utf-8")
    run = nnkit.fit(config, [f"optimizer.lr={lr}", "training.epochs=1", "model={dim: 100, window: 5}", "log.every=1 step",
                             "training={blocks: 16, block_length: 64, shared_negatives: 32}"], quiet=True)
    losses = [row["train_loss"] for row in run.metrics if row["event"] == "train"]
    assert np.isfinite(losses).all() and max(np.abs(p.value).max() for p in run.model.parameters()) < 50
    assert np.mean(losses[-10:]) < losses[0] == pytest.approx(6 * np.log(2), rel=0.01)
