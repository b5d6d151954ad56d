"""From a YAML file to a checked config: every mistake at its place, in plain words, and never a traceback."""

import os
import re

import pytest
from demo_config import Demo

from nnkit.errors import ConfigError
from nnkit.training.config import format_errors, read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder


@pytest.mark.case("trainer", 1)
@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", ".001"])
def test_a_learning_rate_is_a_number_in_a_file_and_in_an_override(load, text):
    assert load(f"optimizer: {{lr: {text}}}").optimizer.lr == load("", f"optimizer.lr={text}").optimizer.lr == 1e-3


def test_a_config_of_defaults_needs_no_more_than_a_recipe(load):
    assert load("") == Demo(recipe="x")


def test_a_list_may_become_a_tuple_and_a_whole_number_a_number(load):
    data = load("data: {shape: [3, 4], subsample: 0}").data
    assert data.shape == (3, 4) and type(data.subsample) is float


@pytest.mark.parametrize("text, expected", [
    ("optimizer: {lr: fast}", "2:17: optimizer.lr: expected a number, got 'fast'"),
    ("optimizer: {lr: -1}", "2:17: optimizer.lr: expected a number greater than 0, got -1"),
    ("optimizer: {lr: '1e-3'}", "2:17: optimizer.lr: expected a number, got '1e-3'; take the quotes away"),
    ("optimizer: {lr: .inf}", "2:17: optimizer.lr: expected a finite number, got .inf"),
    ("optimizer: {lr: true}", "2:17: optimizer.lr: expected a number, got true"),
    ("optimizer: {lr:}", "2:16: optimizer.lr: expected a number, got null"),
    ("optimizer: {momentum: 1.5}", "2:23: optimizer.momentum: expected a number less than 1, got 1.5"),
    ("data: {lower: yes}", "2:15: data.lower: expected true or false, got 'yes'; write true"),
    ("data: {lower: 0}", "2:15: data.lower: expected true or false, got 0; write false"),
    ("data: {lower: maybe}", "2:15: data.lower: expected true or false, got 'maybe'"),
    ("model: {dim: 1.5}", "2:14: model.dim: expected a whole number, got 1.5"),
    ("model: {dim: 1e2}", "2:14: model.dim: expected a whole number, got 100.0; write 100"),
    ("model: {dim: 0}", "2:14: model.dim: expected a number of at least 1, got 0"),
    ("model: 3", "2:8: model: expected a section, got 3"),
    ("model:", "2:7: model: expected a section, got null"),
    ("model: [a]", "2:8: model: expected a section, got a list of 1"),
    ("name: 010", "2:7: name: expected text, got 10; put it in quotes"),
    ("data: {labels: [a, true]}", "2:20: data.labels[1]: expected text, got true; put it in quotes"),
    ("data: {labels: a}", "2:16: data.labels: expected a list, got 'a'"),
    ("data: {labels: [a, b, c, d]}", "2:16: data.labels: expected a list of at most 3, got a list of 4"),
    ("data: {labels: [a, a]}", "2:16: data.labels: a label stands twice; each class has one"),
    ("data: {label: 1.5}", "2:15: data.label: expected a whole number or text, got 1.5; put it in quotes"),
    ("data: {weights: {a: b}}", "2:21: data.weights.a: expected a number, got 'b'"),
    ("data: {errors: Strict}",
     "2:16: data.errors: expected 'strict' or 'replace', got 'Strict'; did you mean 'strict'?"),
    ("data: {train: 3}", "2:15: data.train: expected text, got 3; put it in quotes"),
    ("data: {dev: builtin:x}", "2:13: data.dev: expected the path of a file, got 'builtin:x'; no builtin fits here"),
    ("data: {dev: $NNKIT_DATA/x}",
     "2:13: data.dev: $NNKIT_DATA is not set; set it to the folder of your data, or write the path itself"),
    ("log: {every: 100}", "2:14: log.every: expected an interval such as '100 steps' or '1 epoch', got 100"),
    ("optimizer: {type: sgd}", "2:19: optimizer: unknown type 'sgd'; did you mean 'SGD'? known types: SGD"),
    ("schedule: {type: liner}",
     "2:18: schedule: unknown type 'liner'; did you mean 'linear'? known types: constant, cosine, linear, plateau, step"),
    ("schedule: {type: stairs}", "2:18: schedule: unknown type 'stairs'; known types: constant, cosine, linear, plateau, step"),
    ("schedule: {type: 3}", "2:18: schedule: unknown type 3; known types: constant, cosine, linear, plateau, step"),
    ("schedule: {end: 3}", "2:11: missing key 'type' in schedule; known types: constant, linear, cosine, step, plateau"),
    ("schedule: {type: linear, end: -1}", "2:31: schedule.end: expected a number of at least 0, got -1"),
    ("optimizer: {nesterov: true}",
     "2:23: optimizer.nesterov: true needs a momentum above 0; set momentum, 0.9 for instance"),
])
def test_a_wrong_value_is_answered_at_its_place_in_plain_words(mistakes, monkeypatch, text, expected):
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    assert mistakes(text) == f"c.yaml:{expected}"


@pytest.mark.case("trainer", 4)
def test_yes_and_on_are_text_where_text_is_expected(load):
    config = load("name: on\ndata: {labels: [yes, no]}")
    assert (config.name, config.data.labels) == ("on", ["yes", "no"])


@pytest.mark.case("trainer", 6)
def test_all_mistakes_come_at_once_one_line_each_in_the_order_of_the_file(mistakes):
    text = "model: {hiden: 1, dim: x}\nlearning_rate: 1\noptimizer: {lr: -1}\ndata: {labels: 3}\n"
    lines = mistakes(text, "modle.dim=3", "seed=-1").splitlines()
    assert [re.match(r"(c.yaml:\d+:\d+|command line: [^:]*): ", line)[1] for line in lines] == [
        "c.yaml:2:9", "c.yaml:2:24", "c.yaml:3:1", "c.yaml:4:17", "c.yaml:5:16",
        "command line: modle.dim=3", "command line: seed=-1"]


def test_a_mistake_in_an_override_names_the_override(mistakes):
    assert mistakes("optimizer: {lr: 1}", "optimizer.lr=fast") == (
        "command line: optimizer.lr=fast: optimizer.lr: expected a number, got 'fast'")


def test_a_mistake_in_an_included_file_names_that_file(mistakes, tmp_path):
    (tmp_path / "base.yaml").write_text("model: {dim: x}")
    assert mistakes("include: base.yaml\nmodel: {hidden: 3}").startswith("base.yaml:1:14: model.dim")


def test_on_a_terminal_the_source_and_a_caret_follow_each_mistake(load):
    with pytest.raises(ConfigError) as caught:
        load("model:\n  hiden: 64\n", "seed=x")
    assert format_errors(caught.value, carets=True) == (
        "c.yaml:3:3: unknown key 'hiden' in model; did you mean 'hidden'?\n"
        "       3 |   hiden: 64\n"
        "         |   ^^^^^\n"
        "command line: seed=x: seed: expected a whole number, got 'x'")
    assert format_errors(caught.value) == str(caught.value)


def test_a_config_error_of_any_kind_can_be_shown():
    assert format_errors(ConfigError("one line"), carets=True) == "one line"


def test_the_file_is_named_as_the_user_named_it(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/c.yaml").write_text("recipe: x\nseed: x")
    monkeypatch.chdir(tmp_path)
    for name in (os.path.join("configs", "c.yaml"), str(tmp_path / "configs/c.yaml")):
        with pytest.raises(ConfigError) as caught:
            validate(read_tree(name), Demo)
        assert str(caught.value).startswith(f"{name}:2:7: ")


@pytest.mark.case("wordvectors", 24)
@pytest.mark.parametrize("key", ["data.subsample", "data.min_count"])
def test_a_zero_that_means_none_is_honoured_by_the_word_vectors(tmp_path, key):
    config = sgns(tmp_path, f"{key}=0")
    assert getattr(config.data, key.removeprefix("data.")) == 0


@pytest.mark.case("wordvectors", 24)
@pytest.mark.parametrize("key", ["model.negatives", "training.epochs"])
def test_a_zero_that_would_train_nothing_is_refused(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"^command line: {key}=0: {key}: .*0"):
        sgns(tmp_path, f"{key}=0")


@pytest.mark.parametrize("override, expected", [
    ("data.min_count=2", "data.min_count: 2 has no effect with data.vocabulary, .* leave it out, or write 5"),
    ("data.max_size=9", "data.max_size: 9 has no effect with data.vocabulary, .* leave it out, or write null")])
def test_beside_a_vocabulary_nothing_else_says_what_the_words_are(tmp_path, override, expected):
    with pytest.raises(ConfigError, match=expected):
        sgns(tmp_path, "data.vocabulary=vocab.txt", override)
    assert sgns(tmp_path, "data.vocabulary=vocab.txt", "data.min_count=5", "data.max_size=null").data.vocabulary
    assert sgns(tmp_path, override)


def sgns(folder, *overrides):
    """The config of the word vectors."""
    (folder / "c.yaml").write_text("recipe: sgns")
    return validate(read_tree(folder / "c.yaml", overrides), load_recipe(shipped_folder("recipes") / "sgns.py").Config)
