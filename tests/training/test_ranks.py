"""Ranks train as one process does, with every recipe, and share an evaluation. They are threads here."""

import os
import sys

import numpy as np
import pytest
from fake_ranks import run_ranks, train

import nnkit.train
from nnkit.errors import ConfigError, Diverged, UserError
from nnkit.training.mpi import find_ranks, launched
from nnkit.training.ranks import ElsewhereError, Ranks

# Every recipe but those of word vectors, small, without dropout: it is the one thing in which ranks differ on purpose. Batches of
# 5 examples leave uneven parts, and the last one of an epoch, of 2, leaves a third rank without any.
HIDDEN = "model: {layers: [{type: Linear, out_features: 8}, {type: Tanh}, {type: Linear}]}\n"
TEXTS = "data: {train: texts.tsv, min_count: 1, dev: 0.3}\n"
RECIPES = {
    "table": "recipe: classifier\ndata: {train: table.csv, dev: 0.3}\noptimizer: {type: SGD, lr: 0.1, momentum: 0.9}\n" + HIDDEN,
    "bags": "recipe: classifier\noptimizer: {type: Adagrad, lr: 0.1}\n" + TEXTS + HIDDEN,
    "weights": "recipe: classifier\nloss: {class_weights: {b: 5}, label_smoothing: 0.1}\n" + TEXTS + HIDDEN,
    "dan": "recipe: dan\nmodel: {dim: 6, word_dropout: 0}\n" + TEXTS,
    "words": "recipe: language_model\ndata: {train: corpus.txt, dev: 0.3}\nmodel: {dim: 5, hidden: 7}\n",
    "tagger": "recipe: sequence_tagger\ndata: {train: tagged.txt, dev: 0.3}\nmodel: {dim: 5, hidden: 6}\n",
    "transformer": "recipe: transformer_lm\ndata: {train: corpus.txt, dev: 0.2, unit: words}\n"
                   "model: {context: 6, dim: 8, heads: 2, layers: 1, hidden: 8, dropout: 0}\n",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """small(name) is the path of the config of one of RECIPES, in a folder with small data of every kind."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [[f"w{i}" for i in rng.integers(0, 20, rng.integers(1, 9))] for _ in range(60)]
    texts = {"corpus.txt": [" ".join(line) for line in lines],
             "texts.tsv": [f"{'abc'[len(line) % 3]}\t{' '.join(line)}" for line in lines],
             "tagged.txt": ["\n".join(f"{word}\t{'XYZ'[int(word[1:]) % 3]}" for word in line) + "\n" for line in lines],
             "table.csv": ["x,y,label"] + [f"{x:.3f},{y:.3f},{'pq'[int(x > y)]}" for x, y in rng.standard_normal((60, 2))]}
    for name, content in texts.items():
        (tmp_path / name).write_text("\n".join(content) + "\n", encoding="utf-8")

    def write(name, more=""):
        (tmp_path / "c.yaml").write_text(RECIPES[name] + "log: {every: 1 step}\n" + more, encoding="utf-8")
        return tmp_path / "c.yaml"
    return write


def losses(rows):
    return [(row["event"], row["step"], *(value for key, value in row.items() if key.endswith("_loss") or key == "dev_acc"))
            for row in rows]


def with_something_in_each_batch(recipe, ranks):
    """No recipe is asked for the loss of a part without items, though there are some."""
    def loss(model, batch, loss=recipe.loss):
        assert batch.count
        return loss(model, batch)
    recipe.loss = loss


@pytest.mark.parametrize("name", RECIPES)
def test_two_and_three_ranks_have_the_curve_of_one(small, name):
    config = small(name)
    alone, (state,) = train(config, ["training.batch_size=5", "training.epochs=2"], 1)
    assert len(alone) > 6 and any("dev_loss" in row for row in alone)
    for size in (2, 3):
        rows, states = train(config, ["training.batch_size=5", "training.epochs=2"], size, prepare=with_something_in_each_batch)
        assert [row[:2] for row in losses(rows)] == [row[:2] for row in losses(alone)]
        np.testing.assert_allclose([row[2:] for row in losses(rows) if row[0] == "eval"],
                                   [row[2:] for row in losses(alone) if row[0] == "eval"], rtol=0, atol=1e-10)
        np.testing.assert_allclose([row[2] for row in losses(rows)], [row[2] for row in losses(alone)], rtol=0, atol=1e-10)
        for other in states:
            for key, value in state.items():
                np.testing.assert_allclose(other[key], value, rtol=0, atol=1e-10)
                np.testing.assert_array_equal(other[key], states[0][key])


@pytest.mark.parametrize("more", ["accumulate: 3", "clip_norm: 0.05", "clip_value: 0.001"])
def test_ranks_accumulate_and_clip_as_one_process_does(small, more):
    config = small("dan", f"training: {{epochs: 2, batch_size: 7, {more}}}\n")
    (alone, (state,)), (_, states) = train(config, [], 1), train(config, [], 3)
    plain = train(config, ["training.accumulate=1", "training.clip_norm=null", "training.clip_value=null"], 1)[1][0]
    for key, value in state.items():
        np.testing.assert_allclose(states[2][key], value, rtol=0, atol=1e-10)
    assert any(np.abs(state[key] - plain[key]).max() > 1e-4 for key in state) and alone


def test_every_rank_draws_numbers_of_its_own_and_the_first_those_it_would_have_alone():
    def draw(ranks):
        generator = np.random.default_rng(5)
        ranks.jump([("dropout", generator)])
        return generator.random(4).tolist()

    first, *others = run_ranks(3, draw)
    assert first == np.random.default_rng(5).random(4).tolist()
    assert len({*first, *others[0], *others[1]}) == 12


def test_ranks_share_an_evaluation_and_count_every_example_once(small):
    recipes = []

    def prepare(recipe, ranks):
        sys.modules[type(recipe).__module__].MEASURED = 4  # so that there are several batches
        recipes.append(recipe)

    alone, together = (train(small("bags"), ["training.epochs=1"], size, prepare=prepare)[0] for size in (1, 3))
    assert [recipe.tally.n for recipe in recipes] == [18, 18, 18, 18]
    assert [row["dev_acc"] for row in alone if row["event"] == "eval"] == [row["dev_acc"] for row in together
                                                                           if row["event"] == "eval"]
    mistakes = [[mistake.example for mistake in recipe.tally.mistakes] for recipe in recipes]
    assert mistakes[0] and mistakes[1:] == mistakes[:1] * 3


# What ranks tell each other

def test_a_model_that_drifts_apart_is_found_and_named(small):
    def drift(recipe, ranks):
        def evaluate(model, index, of, count=recipe.count_part):
            if ranks.rank == 1:
                model[0].bias.value[0] += 1e-9
            return count(model, index, of)
        recipe.count_part = evaluate

    with pytest.raises(UserError, match=r"step \d+: layers.0.bias is not the same on rank 0 and rank 1 of 3"):
        train(small("table"), ["training.epochs=3"], 3, prepare=drift)


def test_a_loss_that_is_not_finite_on_one_rank_ends_all_at_the_same_step(small):
    def spoil(recipe, ranks):
        def loss(model, batch, loss=recipe.loss, calls=[]):  # noqa: B006
            calls.append(1)
            return loss(model, batch) * (np.nan if ranks.rank == 1 and len(calls) == 3 else 1)
        recipe.loss = loss

    with pytest.raises(Diverged, match="step 3: "):
        train(small("table"), [], 2, prepare=spoil)


def test_a_function_of_the_first_rank_alone_gives_all_the_same_or_fails_on_all():
    called = []

    def once(ranks):
        return ranks.first(lambda: called.append(ranks.rank) or "made")

    assert run_ranks(3, once) == ["made"] * 3 and called == [0]

    def failing(ranks):
        def refuse():
            raise ConfigError("no")
        with pytest.raises(ConfigError if ranks.is_first else ElsewhereError) as caught:
            ranks.first(refuse)
        return caught.value.exit_code

    assert run_ranks(3, failing) == [2, 2, 2]


@pytest.mark.parametrize("environment, found", [
    ({}, (0, 1)),
    ({"PMI_RANK": "2", "PMI_SIZE": "3"}, (2, 3)),                             # MPICH, Intel MPI, srun --mpi=pmi2
    ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, (1, 4)),     # Open MPI
    ({"PMIX_RANK": "5", "SLURM_STEP_NUM_TASKS": "8"}, (5, 8)),                # srun --mpi=pmix
    ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, (0, 1)),                     # a batch script, before srun starts anything
    ({"PMI_SIZE": "3"}, (0, 1))])
def test_the_launcher_is_known_by_what_it_says(environment, found):
    assert launched(environment) == found


def test_without_mpi4py_the_first_rank_says_so_and_one_process_does_not_need_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # importing it fails
    assert find_ranks({}).size == find_ranks({"PMI_RANK": "0", "PMI_SIZE": "1"}).size == 1
    with pytest.raises(ConfigError, match=r"one of 2 ranks of MPI, and mpi4py cannot be used .* pip install 'nnkit\[mpi\]'"):
        find_ranks({"PMI_RANK": "0", "PMI_SIZE": "2"})
    with pytest.raises(ElsewhereError) as caught:
        find_ranks({"PMI_RANK": "1", "PMI_SIZE": "2"})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("options, rest", [(["--ranks", "3", "c.yaml"], ["c.yaml"]),
                                           (["c.yaml", "--ranks=3", "a=1"], ["c.yaml", "a=1"]),
                                           (["--resume", "r", "--rank", "3", "-q"], ["--resume", "r", "-q"])])
def test_the_option_ranks_becomes_mpiexec_beside_this_python_with_the_other_words(monkeypatch, options, rest):
    started = []
    monkeypatch.setattr(nnkit.train.shutil, "which", lambda name, path=None: f"{path or 'PATH'}/{name}")
    monkeypatch.setattr(nnkit.train.os, "execv", lambda program, words: started.append((program, words)) or 0)
    monkeypatch.setattr(nnkit.train.os, "name", "posix")
    nnkit.train.main(options)
    beside = os.path.dirname(sys.executable)
    assert started == [(f"{beside}/mpiexec", [f"{beside}/mpiexec", "-n", "3", sys.executable, "-m", "nnkit.train", *rest])]


def test_without_mpiexec_the_option_ranks_says_where_it_was_looked_for(monkeypatch, capsys):
    monkeypatch.setattr(nnkit.train.shutil, "which", lambda name, path=None: None)
    assert nnkit.train.main(["--ranks", "2", "c.yaml"]) == 2
    assert f"there is no mpiexec beside {sys.executable} or in PATH; pip install 'nnkit[mpi]'" in capsys.readouterr().err


def test_one_process_alone_asks_nobody():
    ranks, array = Ranks(), np.ones(3)
    ranks.add(array)
    ranks.broadcast([array])
    assert ranks.is_first and ranks.sum(2.0, 3) == (2.0, 3) and ranks.gather("x") == ["x"] and (array == 1).all()
