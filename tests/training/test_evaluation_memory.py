"""The memory that an evaluation takes is that of a batch, however much is held out: no graph is kept, and no list of results."""

import tracemalloc

import numpy as np
import pytest

import nnkit
from nnkit.training.checking import Rehearsal
from nnkit.training.config import read_tree, validate
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe, shipped_folder

SLACK = 1.25  # of the peak: what a few numbers and lists more may take

CLASSES = """\
recipe: {recipe}
data: {{train: table.csv, dev: 0.9}}
model: {{layers: [{{type: Linear, out_features: 200}}, {{type: Tanh}}, {{type: Linear}}]}}
"""
WORDS = """\
recipe: language_model
data: {train: train.txt, dev: dev.txt, running: true}
model: {context: 2, dim: 4, hidden: 8}
"""

# adds up Tensors, as a first recipe of one's own does: where there is no graph, that is a number
ADDING = """\
from classifier_copy import *
from nnkit import losses


class Adding(Classifier):
    def evaluate(self, model):
        total = 0.0
        for batch, _ in self.dev_batches():
            total = total + losses.cross_entropy(model(batch.x), batch.classes, reduction="sum")
        return {"dev_loss": float(total) / len(self.data.dev)}
"""


def peak(function):
    """The most bytes that a call takes beyond what there was before it; and what it returns."""
    function()  # what is imported or remembered once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = function()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a recipe adding.py."""
    monkeypatch.chdir(tmp_path)
    code = (shipped_folder("recipes") / "classifier.py").read_text(encoding="utf-8")
    (tmp_path / "classifier_copy.py").write_text(code, encoding="utf-8")
    (tmp_path / "adding.py").write_text(ADDING, encoding="utf-8")
    return tmp_path


def write_table(path, n):
    rng = np.random.default_rng(n)
    path.write_text("".join(f"{a},{b},{'xy'[int(a > b)]}\n" for a, b in rng.normal(size=(n, 2)).tolist()), encoding="utf-8")


def write_words(path, n, n_words=2_000):
    ids = np.arange(n) % n_words
    path.write_text("\n".join(" ".join(f"w{i}" for i in line) for line in np.array_split(ids, n // 20)), encoding="utf-8")


def trainer(config):
    tree = read_tree(config)
    recipe_class = load_recipe(recipe_file(tree))
    settings = validate(tree, recipe_class.Config)
    recipe = recipe_class(settings)
    return Rehearsal(recipe, recipe.build(np.random.default_rng(0)), settings, 0.0)


@pytest.mark.case("trainer", 21)
@pytest.mark.parametrize("recipe", ["classifier", "adding.py"])
def test_an_evaluation_of_a_classifier_takes_no_more_memory_for_more_examples(folder, recipe):
    (folder / "c.yaml").write_text(CLASSES.format(recipe=recipe), encoding="utf-8")
    peaks = []
    for n in (1_000, 20_000):
        write_table(folder / "table.csv", n)
        made = trainer("c.yaml")
        assert len(made.recipe.data.dev) == 0.9 * n
        peaks.append(peak(made.evaluate)[0])
        assert made.model.training
    assert 256 * 200 * 4 < peaks[0] and peaks[1] < SLACK * peaks[0], peaks  # the hidden layer of one batch


@pytest.mark.case("trainer", 21)
def test_an_evaluation_of_a_language_model_takes_no_more_memory_for_a_longer_text(folder):
    (folder / "c.yaml").write_text(WORDS, encoding="utf-8")
    write_words(folder / "train.txt", 4_000)
    peaks = []
    for n in (4_000, 40_000):
        write_words(folder / "dev.txt", n)
        made = trainer("c.yaml")
        assert made.recipe.symbols.n_classes > 2_000 and len(made.recipe.dev) > n
        peaks.append(peak(made.evaluate)[0])
    assert peaks[1] < SLACK * peaks[0] and peaks[1] < 40_000 * 2_000 * 4 / 5, peaks  # all logits would be 320 MB


@pytest.mark.case("trainer", 21)
def test_measuring_a_run_on_a_file_takes_no_more_memory_for_a_longer_one(folder):
    write_table(folder / "table.csv", 200)
    (folder / "c.yaml").write_text(CLASSES.format(recipe="classifier"), encoding="utf-8")
    trained = nnkit.load(nnkit.fit("c.yaml", {"training.epochs": 1}, quiet=True).path)
    peaks = []
    for n in (400, 4_000):
        write_table(folder / "test.csv", n)
        taken, measured = peak(lambda: trained.evaluate("test.csv"))
        assert measured["n"] == n
        peaks.append(taken)
    assert peaks[1] < SLACK * peaks[0], peaks
