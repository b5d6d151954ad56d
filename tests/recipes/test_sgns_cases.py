"""What goes wrong in other tools that train word vectors, on whole trainings: workers, rates, zeros, kills, short lines."""

import collections
import os
import signal
import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit
from nnkit.training import loop
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.recipe import load_recipe, shipped_folder

Recipe = load_recipe(shipped_folder("recipes") / "sgns.py")
workers_run = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")

CONFIG = """\
recipe: sgns
name: small
data: {train: corpus.txt, min_count: 1, subsample: 0}
model: {dim: 8, window: 2}
training: {epochs: 5, blocks: 2, block_length: 16, tile: 16, shared_negatives: 4}
schedule: {type: linear, end: 1e-4}
"""


@pytest.fixture
def config(tmp_path, corpus_file, monkeypatch):
    """A small training, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "small.yaml"


def make(path, **sections):
    """The recipe; sections as in make(path, data={"min_count": 2}). One tile a block: a word has a weight for every column."""
    shape = {"blocks": 2, "block_length": 8, "tile": 8, "shared_negatives": 4}
    data = {"train": str(path), "min_count": 1, "subsample": 0.0, **sections.pop("data", {})}
    model = {"dim": 6, "window": 1, **sections.pop("model", {})}
    training = {**shape, **sections.pop("training", {})}
    return Recipe(Recipe.Config.model_validate({"recipe": "sgns", "data": data, "model": model, "training": training}))


def quietly(config, *overrides):
    return nnkit.fit(config, list(overrides), quiet=True)


def train(*words, **environment):
    return subprocess.run([sys.executable, "-m", "nnkit.train", *words], capture_output=True, text=True, encoding="utf-8",
                          env={**os.environ, **environment}, timeout=300)


# Parts of the text

@pytest.fixture(scope="module")
def many_words(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text(" ".join(f"w{i}" for i in range(600)), encoding="utf-8")
    return make(path)


def test_workers_parts_hold_every_word_of_the_text_once(many_words):
    @given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(1, 40))
    @settings(deadline=None, database=None)
    def check(lengths, workers):
        starts = np.concatenate([[0], np.cumsum(lengths)])
        # no word stands twice in this text, so that a word is a place in it
        ids = np.arange(starts[-1], dtype=np.int32)
        text = replace(many_words.corpus, ids=ids, starts=starts, raw_tokens=2 * len(ids))  # half of all words were rare
        seen, units, shares = collections.Counter(), 0.0, 0.0
        for worker in range(workers):
            part = make_of(many_words, text)
            part.take_part(worker, workers)
            assert part.windows.first in starts and part.windows.last in starts
            shares += part.units_per_epoch
            for batch in part.batches(0, np.random.default_rng(worker)):
                seen.update(batch.centres[batch.weights.sum(2) > 0].tolist())
                units += batch.units
        alone = [start for start, length in zip(starts, lengths) if length == 1]  # has nothing near it to learn from
        assert seen == collections.Counter(set(range(starts[-1])) - set(alone))
        assert units == pytest.approx(text.raw_tokens) and shares == pytest.approx(text.raw_tokens)

    check()


def make_of(recipe, corpus):
    """The same recipe on another corpus."""
    other = object.__new__(type(recipe))
    windows = copy(recipe.windows)
    vars(windows).update(corpus=corpus, first=0, last=len(corpus.ids))
    vars(other).update(vars(recipe), corpus=corpus, windows=windows, units_per_epoch=corpus.raw_tokens)
    return other


@pytest.mark.case("wordvectors", 23)
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("data", [{}, {"subsample": 1e-3}, {"subsample": 1e-9}, {"min_count": 100}, {"max_size": 7}])
def test_the_schedule_follows_the_real_data_whatever_is_left_out(corpus_file, data, workers):
    whole, done = make(corpus_file, data=data), 0.0
    for worker in range(workers):
        part = make(corpus_file, data=data)
        if workers > 1:
            part.take_part(worker, workers)
        done += sum(batch.units for batch in part.batches(0, np.random.default_rng(0)))
    assert whole.units_per_epoch == whole.corpus.raw_tokens == pytest.approx(done)


@pytest.mark.case("wordvectors", 28)
@pytest.mark.parametrize("subsample", [0.0, 1e-3])
def test_short_lines_take_as_many_steps_as_long_ones_and_no_more_padding(tmp_path, subsample):
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 101)
    words = [f"w{i}" for i in rng.choice(100, 20_000, p=share / share.sum())]
    steps, words_in_steps = [], []
    for length in (5, 1000):
        path = tmp_path / f"lines{length}.txt"
        path.write_text("\n".join(" ".join(words[i:i + length]) for i in range(0, len(words), length)), encoding="utf-8")
        recipe = make(path, data={"subsample": subsample}, training={"blocks": 16, "block_length": 32, "tile": 16})
        batches = list(recipe.batches(0, np.random.default_rng(0)))
        steps.append(len(batches))
        # in lines of five a word may lose all its neighbours; in the middle of long ones every word that stays has some
        words_in_steps.append(sum((batch.weights.sum(2) > 0).sum() for batch in batches))
    assert steps[0] == steps[1]
    assert steps[1] * 16 * 32 - words_in_steps[1] < 16 * 32  # less than a step of padding, whatever the lines
    if not subsample:
        assert words_in_steps == [20_000, 20_000]


# Several workers

@workers_run
@pytest.mark.case("wordvectors", 2)
def test_one_two_and_four_workers_end_with_the_same_loss(config, tmp_path):
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 401)
    lines = []
    for _ in range(3000):  # the rarer words of a line are of one topic
        topic, ids = rng.integers(0, 8), rng.choice(400, 25, p=share / share.sum())
        lines.append(" ".join(f"w{i}" if i < 40 else f"topic{topic}x{i % 50}" for i in ids))
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    logged, final = [], []
    for workers in (1, 2, 4):
        run = quietly(config, f"training.workers={workers}", "data.subsample=1e-3", "model={dim: 16}", "training.epochs=4",
                      "training.blocks=16", "training.block_length=32", "training.shared_negatives=32")
        logged.append([row["train_loss"] for row in run.metrics if row["event"] == "eval"][-1])
        batches = list(run.recipe.batches(0, np.random.default_rng(7)))  # of the trainer's recipe, which has the whole text
        final.append(sum(float(run.recipe.loss(run.model, batch)) for batch in batches) / sum(batch.count for batch in batches))
    start = 6 * np.log(2)  # of a pair and five negatives, before the first step
    assert max(final) < 0.75 * start
    assert max(logged) < 1.02 * min(logged) and max(final) < 1.02 * min(final)


@workers_run
@pytest.mark.case("wordvectors", 20)
@pytest.mark.parametrize("workers", [1, 3])
def test_the_rate_falls_never_under_its_floor_and_ends_there(config, workers):
    rows = quietly(config, f"training.workers={workers}", "training.epochs=12", "log.every=1 step", "data.subsample=1e-2").metrics
    rates = [row["lr"] for row in rows if row["event"] == "train"]
    steps = rows[-1]["step"]
    assert all(a >= b - 1e-15 for a, b in zip(rates, rates[1:])) and min(rates) >= 1e-4
    assert rates[-1] <= 1e-4 + 1.5 * 0.025 / steps


@workers_run
@pytest.mark.case("wordvectors", 21)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_rate_of_fifty_takes_bounded_steps(config, workers):
    """Every row of a step is then a repeated one; without bounds the vectors were NaN within an epoch."""
    run = quietly(config, f"training.workers={workers}", "optimizer.lr=50", "training.epochs=40")
    assert all(np.abs(p.value).max() < 50 for p in run.model.parameters())


def test_a_rate_of_fifty_in_a_group_takes_bounded_steps_too(config):
    """The bound was that of the optimizer's own rate; the vectors were NaN."""
    run = quietly(config, "optimizer={lr: 1e-3, groups: [{match: '*', lr: 50}]}", "training.epochs=40")
    assert all(np.abs(p.value).max() < 50 for p in run.model.parameters())


@pytest.mark.parametrize("optimizer, schedules", [
    ("{lr: 0.1, momentum: 0.5}", "{}"), ("{lr: 0.05, groups: [{match: 'w*', lr: 0.1, momentum: 0.5}]}", "{}"),
    ("{lr: 0.1}", "{momentum: {type: linear, end: 0.5}}"), ("{lr: 0.1, momentum: 0.5}", "{momentum: {type: linear, end: 0}}")])
def test_steps_are_bounded_by_the_largest_rate_and_momentum_that_come(config, optimizer, schedules):
    run = quietly(config, f"optimizer={optimizer}", f"schedules={schedules}", "training.epochs=1")
    assert run.recipe.largest_updates() == (0.1, 0.5)


@workers_run
@pytest.mark.case("wordvectors", 21)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_rate_that_is_no_float32_ends_with_the_step_the_rate_and_the_last_finite_state(config, workers):
    result = train("small.yaml", f"training.workers={workers}", "optimizer.lr=1e39", "training.epochs=40", "save.every=1 step")
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 3 and "Traceback" not in result.stderr, result.stderr
    assert "error: step " in last and "(lr " in last and "Try a smaller optimizer.lr (now 1e+39)" in last
    assert ("last.npz (step " in last) or "nothing was saved before" in last
    assert not os.path.exists("runs/small-001/vectors.vec")
    if os.path.exists("runs/small-001/checkpoints/last.npz"):
        arrays, _ = load_checkpoint("runs/small-001/checkpoints/last.npz")
        assert all(np.isfinite(a).all() for a in arrays.values())


# One worker is exact

@pytest.mark.case("wordvectors", 19)
def test_one_worker_gives_the_same_bytes_in_new_processes_with_other_hash_seeds(config):
    for seed in ("0", "1"):
        assert train("small.yaml", "-q", PYTHONHASHSEED=seed).returncode == 0
    first, second = (Path(f"runs/small-00{i}/vectors.vec").read_bytes() for i in (1, 2))
    assert first == second


KILL_IN_A_STEP = """\
import os, signal, sys
from nnkit.training import loop
after_step = loop.Trainer.after_step
def killed(self, batches):
    after_step(self, batches)
    if self.position.epoch == 2 and self.position.step_in_epoch == 9:
        os.kill(os.getpid(), signal.SIGKILL)
loop.Trainer.after_step = killed
"""
KILL_IN_A_SAVE = """\
import os, signal, sys
from nnkit.training import checkpoints
write, calls = checkpoints.write_npz, []
def killed(file, arrays):
    calls.append(1)
    if len(calls) == 3:
        file.write(b"the beginning of a checkpoint" * 50)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write(file, arrays)
checkpoints.write_npz = killed
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
@pytest.mark.case("wordvectors", 27)
@pytest.mark.parametrize("kill, every", [(KILL_IN_A_STEP, "7 steps"), (KILL_IN_A_SAVE, "1 epoch")],
                         ids=["in epoch 3", "in the third save"])
def test_a_killed_run_goes_on_to_the_bytes_of_an_unbroken_one(config, kill, every):
    unbroken = quietly(config, f"save.every={every}")
    program = kill + "import nnkit.train; nnkit.train.main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "small.yaml", f"save.every={every}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr
    position = load_checkpoint("runs/small-002/checkpoints/last.npz")[1]["position"]
    assert position["epoch"] == 2 and bool(position["step_in_epoch"]) == (every == "7 steps")
    assert not os.path.exists("runs/small-002/vectors.vec")
    resumed = nnkit.resume("small-002", quiet=True)
    assert (resumed.path / "vectors.vec").read_bytes() == (unbroken.path / "vectors.vec").read_bytes()
    assert [row["train_loss"] for row in resumed.metrics] == [row["train_loss"] for row in unbroken.metrics]


# Zeros

@pytest.mark.case("wordvectors", 24)
@pytest.mark.parametrize("override", ["model.negatives=0", "training.epochs=0"])
def test_a_zero_that_leaves_nothing_to_train_is_refused_with_the_key(config, override):
    result = train("small.yaml", override)
    key, _ = override.split("=")
    assert result.returncode == 2 and key in result.stderr and "got 0" in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not os.path.exists("runs")


@pytest.mark.case("wordvectors", 24)
def test_a_subsample_of_zero_keeps_all_and_is_not_the_default(config):
    assert (quietly(config, "data.subsample=0").path / "config.yaml").read_text(encoding="utf-8").count("subsample: 0") == 1
    steps = [quietly(config, f"data.subsample={value}", "training.epochs=1").metrics[-1]["step"] for value in ("0", "1e-3")]
    assert steps[0] > 1.5 * steps[1]


@pytest.mark.case("wordvectors", 24)
def test_a_min_count_of_zero_keeps_every_word(config):
    vectors = quietly(config, "data.min_count=0", "training.epochs=1").path / "vectors.vec"
    assert vectors.read_text(encoding="utf-8").split()[0] == str(len(set(Path("corpus.txt").read_text(encoding="utf-8").split())))


# The loss that is written down

def float64_loss(recipe, model, batch):
    """The sum over a batch's scores, with tables in float64; one tile a block, so that a word has a score with every column."""
    words, contexts = (table.value.astype(np.float64) for table in (model.words.weight, model.contexts.weight))
    scores = words[batch.centres] @ contexts[batch.columns].swapaxes(1, 2)
    return float((batch.weights * (np.logaddexp(0, scores) - batch.labels * scores)).sum())


@pytest.mark.case("wordvectors", 1)
@pytest.mark.case("wordvectors", 22)
@pytest.mark.parametrize("every", [1, 3])
def test_the_loss_of_every_nth_step_is_that_of_float64_on_those_steps(config, monkeypatch, every):
    windows, steps = [], []
    train_loop = loop.Trainer.train

    def watched(self, *arguments):
        inner = self.recipe.loss

        def loss(model, batch):
            if self.position.step % every == 0:
                steps.append((float64_loss(self.recipe, model, batch), batch.count))
            return inner(model, batch)

        self.recipe.loss = loss
        train_loop(self, *arguments)

    monkeypatch.setattr(loop.Trainer, "train", watched)

    def close_window(row):
        if row["event"] == "train":
            total, count = np.sum(steps, axis=0)
            windows.append((row["train_loss"], total / count, len(steps)))
            steps.clear()

    nnkit.fit(config, ["log.every=300 steps", f"log.loss_every={every}"], quiet=True, on_log=close_window)
    assert len(windows) >= 3 and windows[0][2] == 300 // every
    for logged, reference, _ in windows:
        assert logged == pytest.approx(reference, rel=1e-5)


def test_the_mean_over_every_nth_step_is_unbiased_where_topics_follow_each_other_in_the_text(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "topics.txt"
    lines = [" ".join(f"{'abc'[i % 3]}{j}" for j in rng.integers(0, 5, 8)) for i in range(60)]  # a step has one of three topics
    path.write_text("\n".join(lines), encoding="utf-8")
    recipe = make(path, training={"blocks": 1})
    model = recipe.build(rng)
    for table, word in ((model.words.weight, 0.3), (model.contexts.weight, 0.3)):
        table.value[...] = word * np.array([[" abc".index(w[0])] for w in recipe.corpus.vocabulary.words])
    errors = []
    for epoch in range(60):
        found = [(float64_loss(recipe, model, batch), batch.count) for batch in recipe.batches(0, np.random.default_rng(epoch))]
        every, third = (np.sum(part, axis=0) for part in (found, found[::3]))
        errors.append(third[0] / third[1] - every[0] / every[1])
    noise = np.std(errors) / np.sqrt(len(errors))
    assert 0 < noise < 0.1 * every[0] / every[1] and abs(np.mean(errors)) < 4 * noise


def test_a_mean_of_fewer_than_a_hundred_losses_is_refused(config):
    said = r"log\.loss_every: 10 with log\.every: 999 steps is a mean of 99 losses.*1000 steps"
    with pytest.raises(nnkit.ConfigError, match=said):
        quietly(config, "log.every=999 steps", "log.loss_every=10")
    assert quietly(config, "log.every=1000 steps", "log.loss_every=10", "training.epochs=1").exit_code == 0


# Few words, again and again

@pytest.mark.parametrize("lr", [0.025, 0.25])
@pytest.mark.parametrize("sentence", ["spam", "spam eggs", "a b c d", "a " * 50 + "b c",
                                      " ".join(f"w{i}" for i in range(160))])
def test_a_sentence_repeated_a_hundred_thousand_times_neither_diverges_nor_swings(config, tmp_path, sentence, lr):
    """Summed over one step, the pairs of a word that is in hundreds of them lead beyond the minimum, the next further back."""
    repeats = 100_000 if len(sentence.split()) < 50 else 4_000
    lines = [sentence] * repeats if " " in sentence else [f"{sentence} {sentence}"] * (repeats // 2) + ["eggs"]
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    run = quietly(config, "data.subsample=0", f"optimizer.lr={lr}", "training.epochs=1", "model={dim: 100, window: 5}",
                  "training={blocks: 16, block_length: 32, tile: 16, shared_negatives: 32}", "log.every=1 step")
    losses = [row["train_loss"] for row in run.metrics if row["event"] == "train"]
    assert max(np.abs(p.value).max() for p in run.model.parameters()) < 50
    assert np.isfinite(losses).all()
    assert np.mean(losses[-20:]) < losses[0] == pytest.approx(6 * np.log(2), rel=0.01)  # before the first step: 6 coins a pair


def test_momentum_does_not_undo_the_bound(config, tmp_path):
    """What momentum adds in later steps made the whole move ten times as long."""
    (tmp_path / "corpus.txt").write_text("a b c\n" * 20_000, encoding="utf-8")
    run = quietly(config, "data.subsample=0", "optimizer={lr: 0.025, momentum: 0.9}", "training.epochs=3", "model={dim: 8}",
                  "training={blocks: 16, block_length: 32, tile: 16, shared_negatives: 32}")
    assert run.metrics[-1]["train_loss"] < 0.8 * 6 * np.log(2)
