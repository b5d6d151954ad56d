"""Ranks that each have a part of the text: their steps are those of one process, their means are means. They are threads here."""

import numpy as np
import pytest
from fake_ranks import run_ranks, train
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.autograd import default_dtype
from nnkit.data.windows import Windows
from nnkit.errors import ConfigError, DataError, Diverged, UserError
from nnkit.nn import Module
from nnkit.training.config import read_tree, validate
from nnkit.training.making import make_optimizer, make_schedules, recipe_file
from nnkit.training.recipe import load_recipe
from nnkit.training.starting import PartlyFrozen
from nnkit.training.text_ranks import AveragingTrainer, trainer_of_ranks
from nnkit.training.word_recipe import LONGEST_MOVE, MANY


@pytest.fixture
def config(tmp_path, monkeypatch):
    """config(recipe) is the path of a config of 20 steps: 120 lines of 30 words by Zipf's law, the first ones very often."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 31)
    lines = [" ".join(f"w{i}" for i in rng.choice(30, rng.integers(1, 30), p=share / share.sum())) for _ in range(120)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def write(recipe="sgns", more=""):
        (tmp_path / "c.yaml").write_text(
            f"recipe: {recipe}\ndata: {{train: corpus.txt, min_count: 1, subsample: 0.1}}\nmodel: {{dim: 5, window: 3}}\n"
            "training: {epochs: 2, blocks: 5, block_length: 32, shared_negatives: 32}\n"
            "schedule: {type: linear}\nlog: {every: 1 step}\n" + more, encoding="utf-8")
        return tmp_path / "c.yaml"
    return write


class Alone:
    """One process that does what `size` ranks would do: a recipe for each of them, and their tables."""

    def __init__(self, config, overrides, size, take):
        tree = read_tree(config, overrides)
        recipe_class = load_recipe(recipe_file(tree))
        self.settings = settings = validate(tree, recipe_class.Config)
        self.whole = recipe_class(settings)
        self.recipes = [recipe_class(settings) for _ in range(size)]
        self.model = self.whole.build(np.random.default_rng([settings.seed, 0]))
        for rank, recipe in enumerate(self.recipes):
            getattr(recipe, take)(rank, size)
        self.optimizer, self.schedules = make_optimizer(settings, self.model), make_schedules(settings)

    def batches(self, epoch):
        return [recipe.batches(epoch, np.random.default_rng([self.settings.seed, 1, epoch, rank]))
                for rank, recipe in enumerate(self.recipes)]

    def lr(self, epoch, units):
        within = min(1, units / self.whole.units_per_epoch)
        return self.schedules.at((epoch + within) / self.settings.training.epochs, 0)["lr"]


def union_steps(config, overrides, size):
    """The tables of one process, each step of which is of the batches of all ranks."""
    with default_dtype(np.float64):
        alone = Alone(config, overrides, size, "take_blocks")
        for epoch in range(alone.settings.training.epochs):
            units, batches = 0.0, alone.batches(epoch)
            while any(step := [next(own, None) for own in batches]):
                alone.optimizer.set(lr=alone.lr(epoch, units))
                alone.optimizer.zero_grad()
                for recipe, batch in zip(alone.recipes, step):
                    if batch is not None:
                        recipe.loss(alone.model, batch).backward()
                        units += batch.units
                alone.optimizer.step()
        return alone.model.state_dict()


@pytest.mark.parametrize("recipe", ["sgns", "cbow"])
@pytest.mark.parametrize("size, more", [(2, []), (3, []), (3, ["optimizer.momentum=0.5"]), (5, ["optimizer.lr=0.5"])])
def test_ranks_that_exchange_rows_are_one_process_with_the_blocks_of_all_in_each_step(config, recipe, size, more):
    expected = union_steps(config(recipe), more, size)
    rows, states = train(config(recipe), more, size)
    for state in states:
        for name, value in expected.items():
            np.testing.assert_allclose(state[name], value, rtol=0, atol=1e-10)
            np.testing.assert_array_equal(state[name], states[0][name])
    assert np.abs(expected["words.weight"]).max() > 0.2 and all(np.isfinite(row["train_loss"]) for row in rows)


def test_with_ranks_the_steps_are_as_many_as_without_and_learn_as_much(config):
    (alone, _), (together, _) = train(config(), ["training.epochs=6"], 1), train(config(), ["training.epochs=6"], 3)
    steps, losses = ([[row[key] for row in rows if row["event"] == "eval"] for rows in (alone, together)] for key in
                     ("step", "train_loss"))
    np.testing.assert_allclose(steps[0], steps[1], rtol=0.1)
    np.testing.assert_allclose(losses[0][-1], losses[1][-1], rtol=0.02)


def test_what_ranks_add_up_to_is_bounded_as_the_step_of_one_process_is(config):
    path, longest = config(), []
    for size in (1, 3):
        alone = Alone(path, ["optimizer.lr=0.5"], size, "take_blocks")
        assert sum(recipe.many for recipe in alone.recipes) == pytest.approx(MANY / 0.5)
        words, contexts = alone.model.words.weight, alone.model.contexts.weight
        for p in (words, contexts):
            p.value[...] = np.random.default_rng(0).standard_normal(p.value.shape)
        batches = [next(own) for own in alone.batches(0)]
        for recipe, batch in zip(alone.recipes, batches):
            recipe.loss(alone.model, batch).backward()
        often = set.intersection(*(set(batch.often_centres.rows.tolist()) for batch in batches))
        scores = min(np.linalg.norm(contexts.value[batch.often_centres.rows], axis=1).max() for batch in batches)
        longest.append(0.5 * scores * np.linalg.norm(words.grad.dense()[sorted(often)], axis=1).max())
    assert LONGEST_MOVE / 2 < longest[1] < 1.001 * LONGEST_MOVE and longest[0] < 1.001 * LONGEST_MOVE


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 6))
@settings(deadline=None)
def test_ranks_have_all_blocks_of_a_step_and_every_word_of_the_text_once(lengths, blocks, ranks):
    class Text:
        starts = np.concatenate([[0], np.cumsum(lengths)])
        ids = np.arange(starts[-1])

    parts = []
    for rank in range(ranks):
        windows = object.__new__(Windows)
        windows.corpus = Text
        first, last = rank * blocks // ranks, (rank + 1) * blocks // ranks
        windows.take_part(first, blocks, last - first)
        parts.append((windows.first, windows.last))
    assert parts[0][0] == 0 and parts[-1][1] == len(Text.ids)
    assert all(one[1] == next_one[0] for one, next_one in zip(parts, parts[1:]))


# Means

def rounds_alone(config, overrides, size):
    """The tables of ranks that each make a round of steps from the same ones; the moves of a row are then divided by how many of
    the ranks had it in a step.
    """
    with default_dtype(np.float64):
        alone = Alone(config, overrides, size, "take_part")
        period, params = alone.settings.training.average_every, list(alone.model.parameters())
        for epoch in range(alone.settings.training.epochs):
            units, batches, goes_on = 0.0, alone.batches(epoch), True
            while goes_on:
                start, ends, done, goes_on = [p.value.copy() for p in params], [], units, False
                movers = [np.zeros((len(p.value), 1)) for p in params]
                for recipe, own in zip(alone.recipes, batches):
                    for p, value in zip(params, start):
                        p.value[...] = value
                    mine, had = 0.0, [set() for _ in params]
                    for i in range(period):
                        batch = next(own, None)
                        if batch is None:
                            break
                        goes_on = goes_on or i == period - 1
                        alone.optimizer.set(lr=alone.lr(epoch, done + size * mine))
                        alone.optimizer.zero_grad()
                        recipe.loss(alone.model, batch).backward()
                        alone.optimizer.step()
                        mine += batch.units
                        for p, rows in zip(params, had):
                            rows.update(p.grad.rows.tolist())
                    units += mine
                    ends.append([p.value.copy() for p in params])
                    for n, rows in zip(movers, had):
                        n[list(rows)] += 1
                for p, before, values, n in zip(params, start, zip(*ends), movers):
                    p.value[...] = before + sum(value - before for value in values) / np.maximum(n, 1)
        return alone.model.state_dict()


@pytest.mark.parametrize("recipe", ["sgns", "cbow"])
@pytest.mark.parametrize("size, every", [(2, 1), (3, 3), (2, 1000)])
def test_ranks_that_average_make_steps_alone_and_every_row_the_mean_of_those_that_had_it(config, recipe, size, every):
    more = ["training.exchange=average", f"training.average_every={every}"]
    expected, (rows, states) = rounds_alone(config(recipe), more, size), train(config(recipe), more, size)
    for state in states:
        for name, value in expected.items():
            np.testing.assert_allclose(state[name], value, rtol=0, atol=1e-10)
            np.testing.assert_array_equal(state[name], states[0][name])
    logged = [row["step"] for row in rows if row["event"] == "train"]
    assert logged == sorted(set(logged)) and all(np.isfinite(row["train_loss"]) for row in rows)


def test_a_mean_leaves_rows_alone_that_nobody_moved_or_that_are_frozen():
    def run(ranks):
        trainer = object.__new__(AveragingTrainer)
        model = Module()
        values = np.random.default_rng(0).standard_normal((5, 300), np.float32)
        model.table = PartlyFrozen.from_pretrained(values.copy(), freeze=False)
        model.table.frozen = np.array([0, 0, 0, 0, 1], bool)
        trainer.ranks, trainer.params, trainer.frozen = ranks, [model.table.weight], {id(model.table.weight): model.table.frozen}
        trainer.moved, trainer.schedules = [np.array([1, 1, 0, ranks.rank == 1, 1], bool)], type("", (), {"warmups": {}})
        model.table.weight.value[:2] += ranks.rank
        model.table.weight.value[3] += 9 * (ranks.rank == 1)
        trainer.average()
        assert not trainer.moved[0].any()
        return model.table.weight.value - values

    for moved in run_ranks(7, run):  # the sum of 7 equal numbers, divided by 7, need not be that number
        np.testing.assert_allclose(moved, np.repeat([[3, 3, 0, 9, 0]], 300, axis=0).T, atol=1e-5)
        assert not moved[[2, 4]].any()


def test_a_loss_that_is_not_finite_on_one_rank_ends_all_at_the_same_mean(config):
    def spoil(recipe, ranks):
        def loss(model, batch, loss=recipe.loss):
            return loss(model, batch) * (np.nan if ranks.rank == 1 else 1)
        recipe.loss = loss

    with pytest.raises(Diverged, match="step 6: train_loss is nan"):
        train(config(), ["training.exchange=average", "training.average_every=3"], 2, prepare=spoil)


# What cannot be

@pytest.mark.parametrize("more, size, said", [
    ([], 6, "training.blocks: 5: 6 ranks of MPI share the blocks of a step"),
    (["training.exchange=average", "optimizer.momentum=0.5"], 2, "optimizer.momentum: ranks that average"),
    (["training.exchange=average", "schedules={momentum: {type: linear, end: 0.5}}"], 2, "optimizer.momentum: ranks that")])
def test_what_ranks_cannot_do_with_a_text_is_said_before_they_train(config, more, size, said):
    with pytest.raises(ConfigError, match=said):
        train(config(), more, size)


@pytest.mark.parametrize("exchange", ["rows", "average"])
def test_a_text_of_fewer_sentences_than_ranks_is_said_so(config, tmp_path, exchange):
    path = config()
    (tmp_path / "corpus.txt").write_text("a b c a b c\n" * 2, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data\.train: the text has too few sentences for 3 ranks of MPI"):
        train(path, [f"training.exchange={exchange}"], 3)


def test_a_period_without_means_is_a_mistake(config):
    with pytest.raises(ConfigError, match=r"training\.average_every: 7 has no effect with training.exchange: rows; set"):
        train(config(), ["training.average_every=7"], 1)


def test_one_process_trains_as_ever_whatever_ranks_would_exchange(config):
    (_, (rows,)), (_, (average,)) = (train(config(), [f"training.exchange={exchange}"], 1) for exchange in ("rows", "average"))
    for name in rows:
        np.testing.assert_array_equal(rows[name], average[name])


def test_what_is_cached_is_made_by_the_first_rank_while_the_others_wait():
    order = []

    def run(ranks):
        return ranks.in_turn(lambda: order.append(ranks.rank) or ranks.rank)

    assert run_ranks(4, run) == [0, 1, 2, 3] and order[:2] == [0, 1] and sorted(order[2:]) == [2, 3]

    def fail(ranks):
        order.append(ranks.rank)
        raise DataError("no")

    order.clear()
    with pytest.raises(UserError):  # the DataError, or that of those who did not get it
        run_ranks(3, lambda ranks: ranks.in_turn(lambda: fail(ranks)))
    assert order == [0]


def test_trainers_are_chosen_by_the_recipes_config(config):
    settings = validate(tree := read_tree(config(), []), load_recipe(recipe_file(tree)).Config)
    kinds = [run_ranks(size, lambda ranks: trainer_of_ranks(settings, ranks).__name__)[0] for size in (1, 2)]
    assert kinds == ["Trainer", "RowsTrainer"]
