"""The SGNS recipe: that its blocks and weights are exactly the pairs of skip-gram, and its loss their loss."""

import collections

import numpy as np
import pytest

import nnkit
from nnkit import Tensor
from nnkit.errors import DataError
from nnkit.training.recipe import load_recipe, shipped_folder

Recipe = load_recipe(shipped_folder("recipes") / "sgns.py")


def make(path, *, window=3, negatives=5, min_count=1, subsample=0.0, blocks=3, length=8, tile=4, shared=4, dim=6):
    return Recipe(Recipe.Config.model_validate({
        "recipe": "sgns", "data": {"train": str(path), "min_count": min_count, "subsample": subsample},
        "model": {"dim": dim, "window": window, "negatives": negatives},
        "training": {"blocks": blocks, "block_length": length, "tile": tile, "shared_negatives": shared}}))


def pairs(recipe, batches):
    """(centre, context) → how often, read off the batches' columns of text where the weight is not zero."""
    tile = recipe.tile
    near = tile + 2 * recipe.config.model.window
    found = collections.Counter()
    for batch in batches:
        for b, i, j in np.argwhere(batch.weights[:, :, :near]):
            assert batch.weights[b, i, j] == 1
            found[int(batch.centres[b, i]), int(batch.columns[b, i // tile * tile + j])] += 1
    return found


def test_with_a_window_of_one_the_pairs_are_all_neighbours_within_a_line(corpus_file):
    recipe = make(corpus_file, window=1)
    index = recipe.corpus.vocabulary.index
    expected = collections.Counter()
    for line in corpus_file.read_text(encoding="utf-8").splitlines():
        ids = [index[w] for w in line.split()]
        for a, b in zip(ids, ids[1:]):
            expected[a, b] += 1
            expected[b, a] += 1
    assert pairs(recipe, recipe.batches(0, np.random.default_rng(0))) == expected


@pytest.mark.case("wordvectors", 30)
def test_no_pair_crosses_a_line_and_the_last_word_counts_without_a_final_newline(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b\nc d\n" * 20 + "i wanna eat", encoding="utf-8")
    recipe = make(path, window=5)
    words = recipe.corpus.vocabulary.words
    near = {frozenset((words[a], words[b])) for a, b in pairs(recipe, recipe.batches(0, np.random.default_rng(0)))}
    last = [frozenset(pair) for pair in (("i", "wanna"), ("i", "eat"), ("wanna", "eat"))]
    assert near <= {frozenset("ab"), frozenset("cd"), *last}
    assert recipe.corpus.raw_tokens == 83


def test_windows_are_uniform_from_one_to_w_and_pairs_per_word_average_w_plus_one(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(" ".join(f"w{i % 50}" for i in range(20_000)), encoding="utf-8")
    recipe = make(path, window=5)
    n = sum(batch.count for batch in recipe.batches(0, np.random.default_rng(0)))
    assert n / 20_000 == pytest.approx(6, rel=0.02)


def test_a_batch_counts_the_pairs_its_weights_hold(corpus_file):
    recipe = make(corpus_file)
    text = 4 + 2 * 3
    for batch in recipe.batches(0, np.random.default_rng(0)):
        assert batch.count == batch.weights[:, :, :text].sum()


def test_negatives_weigh_as_many_as_the_pairs_a_word_really_has(corpus_file):
    recipe = make(corpus_file, negatives=7, shared=4)
    text = 4 + 2 * 3
    for batch in recipe.batches(0, np.random.default_rng(0)):
        positive, negative = batch.weights[:, :, :text].sum(2), batch.weights[:, :, text:].sum(2)
        np.testing.assert_allclose(negative, 7 * positive, rtol=1e-6)


def test_every_word_is_a_centre_once_an_epoch_and_none_is_dropped(corpus_file):
    recipe = make(corpus_file, window=1)
    seen = collections.Counter()
    for batch in recipe.batches(0, np.random.default_rng(0)):
        has_pairs = batch.weights.sum(2) > 0
        seen.update(batch.centres[has_pairs].tolist())
    corpus = recipe.corpus
    lengths = np.repeat(np.diff(corpus.starts), np.diff(corpus.starts))
    assert seen == collections.Counter(corpus.ids[lengths > 1].tolist())  # a word alone in its line has no pair


def test_units_of_an_epoch_add_up_to_the_corpus(corpus_file):
    recipe = make(corpus_file)
    assert sum(b.units for b in recipe.batches(0, np.random.default_rng(0))) == pytest.approx(recipe.units_per_epoch)


@pytest.mark.case("wordvectors", 30)
def test_subsampling_keeps_the_share_that_word2vecs_formula_gives(tmp_path):
    rng = np.random.default_rng(1)
    share = 1 / np.arange(1, 301)
    path = tmp_path / "zipf.txt"
    path.write_text(" ".join(f"w{i}" for i in rng.choice(300, 200_000, p=share / share.sum())), encoding="utf-8")
    recipe = make(path, subsample=1e-3, window=1)
    f = recipe.corpus.vocabulary.counts / recipe.corpus.vocabulary.counts.sum()
    expected = (np.minimum(1, np.sqrt(1e-3 / f) + 1e-3 / f) * f).sum()
    kept = sum((b.weights.sum(2) > 0).sum() for b in recipe.batches(0, np.random.default_rng(0))) / 200_000
    assert kept == pytest.approx(expected, abs=0.005)


def test_negatives_are_drawn_in_proportion_to_count_to_the_power(corpus_file):
    recipe = make(corpus_file, blocks=2)
    drawn = np.zeros(60)
    for epoch in range(60):
        for batch in recipe.batches(epoch, np.random.default_rng(epoch)):
            np.add.at(drawn, batch.columns[:, 8 + 2 * 3:], 1)
    expected = recipe.corpus.vocabulary.counts ** 0.75
    np.testing.assert_allclose(drawn / drawn.sum(), expected / expected.sum(), atol=0.004)


@pytest.mark.parametrize("start", [1, 5, 10_000])
def test_starting_in_the_middle_gives_the_batches_an_unbroken_epoch_has_there(corpus_file, monkeypatch, start):
    recipe = make(corpus_file)
    monkeypatch.setattr("nnkit.data.windows.SHUFFLED_WORDS", 1000)  # several parts
    whole = list(recipe.batches(0, np.random.default_rng(3)))
    rest = list(recipe.batches(0, np.random.default_rng(3), start))
    assert len(rest) == max(0, len(whole) - start)
    for a, b in zip(whole[start:], rest):
        np.testing.assert_array_equal(a.columns, b.columns)
        np.testing.assert_array_equal(a.weights, b.weights)


def test_the_loss_is_that_of_its_pairs_one_by_one_in_float64(corpus_file):
    recipe = make(corpus_file, dim=6)
    model = recipe.build(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for table in model.parameters():
        table.value[...] = rng.normal(size=table.shape)
    W, C = (t.value.astype(np.float64) for t in (model.words.weight, model.contexts.weight))
    batch = next(recipe.batches(0, np.random.default_rng(0)))
    near, expected = 4 + 2 * 3, 0.0
    for b, i, j in np.argwhere(batch.weights):
        column = i // 4 * 4 + j if j < near else 8 + 2 * 3 + j - near
        score = W[batch.centres[b, i]] @ C[batch.columns[b, column]]
        expected += float(batch.weights[b, i, j]) * np.logaddexp(0, -score if j < near else score)
    assert float(recipe.loss(model, batch)) == pytest.approx(expected, rel=1e-5)


def test_the_scores_of_tiles_are_those_of_one_product_and_so_are_their_gradients():
    block_scores = Recipe.batches.__globals__["block_scores"]
    rng = np.random.default_rng(0)
    B, L, w, t, K, d = 2, 8, 3, 4, 5, 6
    words, columns = (Tensor(rng.normal(size=shape)) for shape in ((B, L, d), (B, L + 2 * w + K, d)))
    scores = block_scores(words, columns, window=w, tile=t)
    whole = words.value @ columns.value.swapaxes(1, 2)
    near = np.arange(L)[:, None] // t * t + np.arange(t + 2 * w)
    expected = np.concatenate([np.take_along_axis(whole, np.broadcast_to(near, (B, *near.shape)), 2), whole[:, :, L + 2 * w:]], 2)
    np.testing.assert_allclose(scores.value, expected, rtol=1e-12)
    nnkit.check_gradients(lambda a, b: block_scores(a, b, window=w, tile=t), words.value, columns.value)


@pytest.mark.case("wordvectors", 22)
def test_the_loss_stays_finite_for_vectors_a_thousand_times_too_long(corpus_file):
    recipe = make(corpus_file)
    model = recipe.build(np.random.default_rng(0))
    for table in model.parameters():
        table.value[...] = 1e3
    loss = recipe.loss(model, next(recipe.batches(0, np.random.default_rng(0))))
    loss.backward()
    assert np.isfinite(float(loss)) and np.isfinite(np.asarray(model.words.weight.grad)).all()


def test_initial_vectors_are_word2vecs(corpus_file):
    model = make(corpus_file, dim=10).build(np.random.default_rng(0))
    assert np.abs(model.words.weight.value).max() <= 0.05 and not model.contexts.weight.value.any()
    assert model.words.weight.dtype == np.float32


def test_both_gradients_are_rows(corpus_file):
    recipe = make(corpus_file)
    model = recipe.build(np.random.default_rng(0))
    recipe.loss(model, next(recipe.batches(0, np.random.default_rng(0)))).backward()
    assert model.words.weight.grad.rows.size == 3 * 8 and model.contexts.weight.grad.rows.size == 3 * (8 + 6 + 4)


@pytest.mark.case("wordvectors", 4)
def test_two_words_and_many_negatives_train(tmp_path):
    path = tmp_path / "two.txt"
    path.write_text("a b a b a b\n" * 5, encoding="utf-8")
    recipe = make(path, negatives=20)
    assert sum(b.count for b in recipe.batches(0, np.random.default_rng(0))) > 0


def test_subsample_zero_keeps_every_word(corpus_file):
    assert (make(corpus_file, subsample=0.0).windows.keep >= 1).all()


def test_the_report_names_probes_that_are_no_words(corpus_file):
    recipe = make(corpus_file)
    recipe.config = recipe.config.model_copy(update={"eval": recipe.config.eval.model_copy(update={"probes": ["w1", "zebra"]})})
    report = "\n".join(recipe.report(recipe.build(np.random.default_rng(0))))
    assert "w1 →" in report and "not in the vocabulary: zebra" in report


def test_a_text_of_one_word_a_line_is_refused_as_it_has_no_pairs(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb\nc\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.txt: no line has two words .* one sentence a line"):
        Recipe(Recipe.Config(recipe="sgns", data={"train": str(path)}))


def test_words_per_second_count_the_rare_words_that_are_left_out(corpus_file):
    recipe = make(corpus_file, min_count=50)
    assert recipe.units_per_epoch == recipe.corpus.raw_tokens > len(recipe.corpus.ids)
    total = sum(b.units for b in recipe.batches(0, np.random.default_rng(0)))
    assert total == pytest.approx(recipe.corpus.raw_tokens)


def test_a_mistake_in_the_file_of_sets_is_found_before_training(corpus_file, tmp_path):
    sets = tmp_path / "sets.txt"
    sets.write_text("one two three\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"sets\.txt:1: expected 5 words, found 3"):
        Recipe(Recipe.Config.model_validate({"recipe": "sgns", "data": {"train": str(corpus_file)},
                                             "eval": {"odd_one_out": str(sets)}}))


@pytest.mark.filterwarnings("error")
def test_a_large_power_draws_the_most_frequent_word_alone(corpus_file):
    """counts ** 100 is infinite, and the table of the distribution was NaN."""
    config = {"recipe": "sgns", "data": {"train": str(corpus_file)}, "model": {"power": 300.0}}
    recipe = Recipe(Recipe.Config.model_validate(config))
    assert np.isfinite(recipe.windows.noise).all()
    assert (recipe.windows.draw_negatives(20, 8, np.random.default_rng(0)) == 0).mean() > 0.9
