"""Word vectors that start from saved ones: which words have some, what stays to the bit, and mistakes in one line."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.recipe import load_recipe, shipped_folder
from nnkit.vectors import WordVectors

CONFIG = """\
recipe: sgns
name: new
data: {train: new.txt, min_count: 1, subsample: 0}
model: {dim: 8, window: 2}
training: {epochs: 2, blocks: 2, block_length: 16, shared_negatives: 4}
"""
KINDS = pytest.mark.parametrize("kind", ["sgns", "cbow"])
WORKERS = pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no workers"))])


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The config of a training on new.txt; old.txt has 20 of its 23 words and one of its own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, words in (("old", [*range(20), 99]), ("new", range(23))):
        lines = [" ".join(f"w{i}" for i in rng.choice(words, 12)) for _ in range(150)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "new.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "new.yaml"


@pytest.fixture
def old_file(config):
    """old.vec: vectors of 8 numbers for w0 to w19 and w99."""
    matrix = np.random.default_rng(1).normal(size=(21, 8)).astype(np.float32)
    WordVectors([*(f"w{i}" for i in range(20)), "w99"], matrix).save("old.vec")
    return "old.vec"


def fit(config, *overrides):
    return nnkit.fit(config, list(overrides), quiet=True)


def recipe_of(kind, start, **model):
    recipe = load_recipe(shipped_folder("recipes") / f"{kind}.py")
    return recipe(recipe.Config.model_validate({"recipe": kind, "data": {"train": "new.txt", "min_count": 1},
                                                "model": {"dim": 8, "start": start, **model}}))


def rows(vectors, words):
    return np.stack([vectors[word] for word in words])


OLD, NEW = [f"w{i}" for i in range(20)], ["w20", "w21", "w22"]


@KINDS
def test_words_that_the_file_has_start_from_it_and_the_others_as_always(old_file, kind):
    usual, started = (recipe_of(kind, start).build(np.random.default_rng(3)) for start in (None, old_file))
    recipe = recipe_of(kind, old_file)
    vectors, without = recipe.vectors(started), recipe.vectors(usual)
    np.testing.assert_array_equal(rows(vectors, OLD), rows(WordVectors.load(old_file), OLD))
    np.testing.assert_array_equal(rows(vectors, NEW), rows(without, NEW))
    assert not list(started.parameters())[1].value.any()


def test_what_was_found_is_said(old_file, config):
    recipe = recipe_of("sgns", old_file)
    assert recipe.summary().endswith("; 20 words start from " + str(Path(old_file).resolve()) + " (of 21 in it)")
    run = fit(config, f"model.start={old_file}", "model.freeze=true")
    said = json.loads((run.path / "run.json").read_text(encoding="utf-8"))["data"]["started_from"]
    assert said["words"] == 20 and said["frozen"] and said["source"].endswith("old.vec") and len(said["sha256"]) == 64
    assert "(of 21 in it), and stay as they are" in (run.path / "train.log").read_text(encoding="utf-8")


@KINDS
@WORKERS
@pytest.mark.case("wordvectors", 26)
def test_frozen_words_stay_to_the_bit_and_new_ones_learn(old_file, config, kind, workers):
    run = fit(config, f"recipe={kind}", f"training.workers={workers}", f"model.start={old_file}", "model.freeze=true")
    old, new = WordVectors.load(old_file), WordVectors.load(run.path / "vectors.vec")
    assert rows(old, OLD).tobytes() == rows(new, OLD).tobytes()
    first = run.recipe.vectors(run.recipe.build(np.random.default_rng([1, 0])))
    assert (np.abs(rows(new, NEW) - rows(first, NEW)).max(axis=1) > 0.01).all()


@KINDS
@WORKERS
@pytest.mark.case("wordvectors", 26)
def test_words_that_are_not_frozen_learn_on(old_file, config, kind, workers):
    run = fit(config, f"recipe={kind}", f"training.workers={workers}", f"model.start={old_file}")
    moved = np.abs(rows(WordVectors.load(run.path / "vectors.vec"), OLD) - rows(WordVectors.load(old_file), OLD)).max(axis=1)
    assert (moved > 0).all() and moved.max() < 2


@KINDS
def test_a_run_gives_both_tables_and_frozen_ones_stay_in_both(config, kind):
    old = fit(config, f"recipe={kind}", "data.train=old.txt", "name=old")
    run = fit(config, f"recipe={kind}", f"model.start={old.path}", "model.freeze=true", "model.vectors=sum")
    index = [{word: i for i, word in enumerate(r.recipe.corpus.vocabulary.words)} for r in (old, run)]
    for before, after in zip(old.model.parameters(), run.model.parameters()):
        for word in OLD:
            assert before.value[index[0][word]].tobytes() == after.value[index[1][word]].tobytes()
    assert run.model.state_dict().keys() == old.model.state_dict().keys()
    before, after = (WordVectors.load(each.path / "vectors.vec") for each in (old, run))
    summed = sum(table.value for table in old.model.parameters())
    np.testing.assert_array_equal(rows(before, OLD), rows(old.recipe.vectors(old.model), OLD))
    np.testing.assert_array_equal(rows(after, OLD), summed[[index[0][word] for word in OLD]])


def test_a_run_of_another_kind_is_refused_and_its_vectors_are_taken(config):
    old = fit(config, "recipe=cbow", "data.train=old.txt", "name=old")
    with pytest.raises(nnkit.DataError, match=r"old-001: is a run of another kind of recipe: its tables are words\.weight, "
                                              r"centres\.weight, and not .*contexts\.weight.*vectors\.vec$"):
        fit(config, f"model.start={old.path}")
    fit(config, f"model.start={old.path}/vectors.vec")


def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one_and_needs_the_file(old_file, config):
    from_old = [f"model.start={old_file}", "model.freeze=true"]
    unbroken, short = fit(config, *from_old), fit(config, *from_old, "training.epochs=1")
    longer = nnkit.resume(short.path, ["training.epochs=2"], quiet=True)
    assert (longer.path / "vectors.vec").read_bytes() == (unbroken.path / "vectors.vec").read_bytes()
    shutil.move(old_file, "moved.vec")
    with pytest.raises(nnkit.DataError, match=r"old\.vec: no such file or run; model\.start names it, and resuming"):
        nnkit.resume(short.path, ["training.epochs=3"], quiet=True)
    WordVectors(OLD, np.ones((20, 8), np.float32)).save(old_file)
    with pytest.raises(nnkit.DataError, match="the data is not what it was"):
        nnkit.resume(short.path, ["training.epochs=3"], quiet=True)


def test_a_word_that_the_file_has_twice_is_noticed(old_file, config):
    lines = Path(old_file).read_text(encoding="utf-8").splitlines()
    Path(old_file).write_text("\n".join(["22 8", *lines[1:], lines[1]]) + "\n", encoding="utf-8")
    run = fit(config, f"model.start={old_file}")
    assert "1 of 22 rows repeat a word" in (run.path / "train.log").read_text(encoding="utf-8")


def test_vectors_are_read_once_and_again_for_a_second_model_as_they_are_not_kept_beside_the_first(old_file, monkeypatch):
    reads, load = [], WordVectors.load
    monkeypatch.setattr(WordVectors, "load", lambda path, **how: reads.append(path) or load(path, **how))
    recipe = recipe_of("sgns", old_file, freeze=True)
    first = recipe.build(np.random.default_rng(0))
    assert len(reads) == 1
    second = recipe.build(np.random.default_rng(0))
    assert len(reads) == 2
    for a, b in zip(first.parameters(), second.parameters()):
        assert a is not b and a.value.tobytes() == b.value.tobytes()


@pytest.mark.parametrize("overrides, said", [
    (["model.dim=5"], r"old\.vec: its vectors have 8 numbers, model\.dim is 5; set model\.dim: 8, or another model\.start"),
    (["data.train=other.txt"], r"old\.vec: has none of the 3 words of the text; it has 'w0', 'w1', 'w2', the text 'a', 'b', 'c'"),
    (["data.train=old.txt", "model.freeze=true"], r"model\.freeze: all 21 words of the text are in .*old\.vec.*freeze: false"),
    (["model.freeze=true", "optimizer.weight_decay=0.1"], r"model\.freeze: optimizer\.weight_decay would shrink .* leave it out"),
    (["model.freeze=true", "schedules.weight_decay={type: linear, end: 0.1}"],
     r"schedules\.weight_decay would shrink .* leave it out"),
    (["model.freeze=true", "optimizer.groups=[{match: 'w*', weight_decay: 1}]"],
     r"groups\[0\]\.weight_decay would shrink .*it out"),
    (["model.freeze=true", "model.vectors=sum"], r"model\.freeze: .*old\.vec gives one vector a word.* model\.vectors: words"),
    (["model.start=none.vec"], r"none\.vec: no such file or run; model\.start names it"),
    (["model.start=."], r": has no checkpoints/; model\.start is a file of vectors, or the folder of a run"),
    (["model.start=null", "model.freeze=true"], r"model\.freeze: true needs the vectors that stay as they are; give model"),
    (["model.start=new.txt"], r"new\.txt"),
])
def test_mistakes_are_one_line_and_leave_no_run(old_file, config, overrides, said):
    Path("other.txt").write_text("a b c\n" * 9, encoding="utf-8")
    with pytest.raises(nnkit.UserError, match=said) as raised:
        fit(config, f"model.start={old_file}", *overrides)
    assert "\n" not in str(raised.value)
    assert not list(Path().glob("runs/*"))


def test_a_run_without_its_words_and_one_whose_words_are_of_another_are_refused(config):
    old = fit(config, "data.train=old.txt", "name=old")
    (old.path / "vocab.txt").write_text("w1 5\nw2 4\n", encoding="utf-8")
    with pytest.raises(nnkit.DataError, match=r"vocab\.txt: has 2 words, .*last\.npz tables of 21; one of them is of another"):
        fit(config, f"model.start={old.path}")
    (old.path / "vocab.txt").unlink()
    with pytest.raises(nnkit.DataError, match=r"old-001: has no vocab\.txt; model\.start is"):
        fit(config, f"model.start={old.path}")


def test_a_damaged_checkpoint_of_a_run_is_named(config):
    old = fit(config, "data.train=old.txt", "name=old", "training.epochs=1")
    for path in (old.path / "checkpoints").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(nnkit.UserError, match=r"last\.npz: is damaged"):
        fit(config, f"model.start={old.path}")


def test_the_checkpoint_of_a_frozen_run_is_like_any_other(old_file, config):
    run = fit(config, f"model.start={old_file}", "model.freeze=true")
    arrays, _ = load_checkpoint(run.path / "checkpoints/last.npz")
    assert sorted(arrays) == ["model/contexts.weight", "model/words.weight"]
