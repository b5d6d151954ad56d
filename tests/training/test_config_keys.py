"""Keys that a config cannot have, or must: what is said of them, also to people who know them by other names."""

import os
import re

import pytest
from demo_config import Layer
from pydantic import Field

from nnkit.errors import ConfigError
from nnkit.training.config import read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder
from nnkit.training.schema import RunConfig, Section, public_paths
from nnkit.training.synonyms import CALLED_HERE, NOT_HERE, explain, plain


@pytest.mark.case("trainer", 2)
@pytest.mark.case("autograd", 42)
@pytest.mark.parametrize("text, expected", [
    ("learning_rate: 1", "c.yaml:2:1: unknown key 'learning_rate'; here it is called optimizer.lr"),
    ("optimiser: {lr: 1}", "c.yaml:2:1: unknown section 'optimiser'; did you mean 'optimizer'?"),
    ("model:\n  hiden: 1", "c.yaml:3:3: unknown key 'hiden' in model; did you mean 'hidden'?"),
    ("model:\n  Dim: 1", "c.yaml:3:3: unknown key 'Dim' in model; did you mean 'dim'?"),
    ("model: {hidden_dim: 3}", "c.yaml:2:9: unknown key 'hidden_dim' in model; here it is called model.hidden"),
    ("model: {epochs: 3}", "c.yaml:2:9: unknown key 'epochs' in model; did you mean 'training.epochs'?"),
    ("batch-size: 3", "c.yaml:2:1: unknown key 'batch-size'; did you mean 'training.batch_size'?"),
    ("Learning-Rate: 3", "c.yaml:2:1: unknown key 'Learning-Rate'; here it is called optimizer.lr"),
    ("vector_size: 3", "c.yaml:2:1: unknown key 'vector_size'; here it is called model.dim"),
    ("alpha: 3", "c.yaml:2:1: unknown key 'alpha'; here it is called optimizer.lr"),
    ("iter: 3", "c.yaml:2:1: unknown key 'iter'; here it is called training.epochs"),
    ("negative: 3", "c.yaml:2:1: unknown key 'negative'; here it is called model.negatives"),
    ("sample: 3", "c.yaml:2:1: unknown key 'sample'; here it is called data.subsample"),
    ("wieght_decay: 3", "c.yaml:2:1: unknown key 'wieght_decay'; did you mean 'optimizer.weight_decay'?"),
    ("every: 3", "c.yaml:2:1: unknown key 'every'; did you mean 'log.every', 'eval.every' or 'save.every'?"),
    ("zebra: 3", "c.yaml:2:1: unknown key 'zebra'; known: recipe, name, seed, "),
    ("model: {zzz: 3}", "c.yaml:2:9: unknown key 'zzz' in model; known: dim, hidden, layers, negatives"),
    ("schedule: {type: constant, end: 1}",
     "c.yaml:2:28: unknown key 'end' in schedule of type constant; it belongs to type linear or cosine or plateau: leave it "
     "out, "),
])
def test_an_unknown_key_is_answered_with_the_known_one(mistakes, text, expected):
    found = mistakes(text)
    assert found == expected or (expected.endswith(" ") and found.startswith(expected))


def test_a_synonym_is_only_suggested_where_the_schema_has_such_a_key(tmp_path):
    class Small(Section):
        recipe: str = Field(description="the recipe")
    (tmp_path / "c.yaml").write_text("recipe: x\nlearning_rate: 3")
    with pytest.raises(ConfigError, match=r"unknown key 'learning_rate'; known: recipe$"):
        validate(read_tree(tmp_path / "c.yaml"), Small)


RECIPES = {name: load_recipe(shipped_folder("recipes") / f"{name}.py").Config
           for name in ("sgns", "classifier", "language_model")}


@pytest.mark.parametrize("written, expected", [
    ("vector_size", "model.dim"), ("size", "model.dim"), ("-size", "model.dim"), ("dim", "model.dim"),
    ("window_size", "model.window"), ("ws", "model.window"), ("-window", "model.window"),
    ("negative", "model.negatives"), ("neg", "model.negatives"), ("ns_exponent", "model.power"),
    ("sample", "data.subsample"), ("min_count", "data.min_count"), ("minCount", "data.min_count"),
    ("-min-count", "data.min_count"), ("max_vocab_size", "data.max_size"), ("max_final_vocab", "data.max_size"),
    ("-train", "data.train"), ("input", "data.train"), ("corpus_file", "data.train"), ("-read-vocab", "data.vocabulary"),
    ("alpha", "optimizer.lr"), ("lr", "optimizer.lr"), ("learning_rate", "optimizer.lr"), ("min_alpha", "schedule.end"),
    ("iter", "training.epochs"), ("epoch", "training.epochs"), ("epochs", "training.epochs"),
    ("workers", "training.workers"), ("threads", "training.workers"), ("-threads", "training.workers"),
    ("random_state", "seed"), ("log_interval", "log.every"),
    ("sg", "skip-gram"), ("-cbow", "skip-gram"), ("cbow_mean", "always takes the mean"), ("hs", "no hierarchical softmax"),
    ("loss", "negative sampling"), ("bucket", "no vectors of their character n-grams"), ("wordNgrams", "no n-grams of words"),
    ("-output", "--out DIR"), ("-binary", "--to word2vec-binary"), ("device", "on the processor")])
def test_who_knows_a_key_of_word_vectors_by_another_name_is_told_ours_or_that_there_is_none(tmp_path, written, expected):
    (tmp_path / "c.yaml").write_text("recipe: sgns")
    with pytest.raises(ConfigError) as caught:
        validate(read_tree(tmp_path / "c.yaml", [f"{written}=1"]), RECIPES["sgns"])
    text = str(caught.value)
    assert text.startswith(f"command line: {written}=1: unknown key '{written}'; ") and "\n" not in text
    assert expected in text and "known:" not in text


@pytest.mark.parametrize("config", RECIPES.values(), ids=RECIPES)
def test_no_answer_names_a_key_that_the_config_lacks(config):
    paths = [p.path for p in public_paths(config)]
    sections = {path.partition(".")[0] for path in paths}
    for name in (*CALLED_HERE, *NOT_HERE):
        answer = explain(name, [*paths, *sections])
        named = re.findall(r"called ([\w.]+)|\b(\w+\.\w+)\b", answer.replace("vocab.txt", ""))
        assert {a or b for a, b in named} <= {*paths, *sections}, answer


@pytest.mark.parametrize("written", ["window_size", "vector_size", "sample", "sg", "hs", "bucket", "-binary"])
def test_a_classifiers_user_is_not_told_of_word_vectors(written):
    assert explain(written, [p.path for p in public_paths(RECIPES["classifier"])]) == ""


@pytest.mark.parametrize("name", [*CALLED_HERE, *NOT_HERE])
def test_every_explained_name_is_written_as_it_is_looked_up_and_has_an_answer_for_some_config(name):
    everything = [f"x.{key}" for key in (*CALLED_HERE.values(), *(needed for needed, _ in NOT_HERE.values()))]
    assert plain(name) == name and explain(name, everything)


def test_a_mistake_that_is_no_name_elsewhere_is_still_answered_by_what_it_resembles(mistakes):
    assert mistakes("vectorsize: 3\ntrianing: {epochs: 3}").endswith("unknown section 'trianing'; did you mean 'training'?")


def test_an_override_of_an_unknown_section_suggests_the_whole_path(mistakes):
    assert mistakes("", "modle.hiden=64") == (
        "command line: modle.hiden=64: unknown section 'modle'; did you mean 'model.hidden'?")


def test_a_missing_key_is_named_with_its_help(tmp_path):
    class Needs(RunConfig):
        model: Layer = Field(Layer(size=1), description="a layer")
        word: str = Field(description="word to begin with")
    (tmp_path / "c.yaml").write_text("recipe: x\nmodel: {}\n")
    with pytest.raises(ConfigError) as caught:
        validate(read_tree(tmp_path / "c.yaml"), Needs)
    assert str(caught.value).replace(f"{tmp_path}{os.sep}", "").splitlines() == [
        "c.yaml:1:1: missing key 'word'; it is the word to begin with",
        "c.yaml:2:8: missing key 'size' in model; it is the size of the layer"]
