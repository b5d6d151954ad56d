"""From a YAML file to a checked config: every mistake at its place, in plain words, and never a traceback."""

import os
import re
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator

from nnkit.errors import ConfigError
from nnkit.training.config import format_errors, read_tree, recipe_of, to_scalar, to_yaml, validate
from nnkit.training.schema import DataPath, DataSource, EvalConfig, RunConfig, Section, SGDConfig, TrainingConfig


class Data(Section):
    train: DataSource = Field("builtin:python-docs", description="the text")
    dev: DataPath | None = Field(None, description="text held out")
    more: list[DataPath] = Field([], description="further texts")
    subsample: float = Field(1e-3, ge=0, description="frequent words are thinned out")
    lower: bool = Field(True, description="small letters only")
    labels: list[str] = Field([], max_length=3, description="the classes")
    label: int | str = Field(-1, description="column of the class")
    weights: dict[str, float] = Field({}, description="of the classes")
    shape: tuple[int, int] = Field((1, 1), description="of a picture")
    errors: Literal["strict", "replace"] = Field("strict", description="what to do about bad bytes")

    @field_validator("labels")
    @classmethod
    def distinct(cls, labels):
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands twice; each class has one")
        return labels


class Layer(Section):
    type: Literal["Linear"] = Field("Linear", description="a layer")
    size: int = Field(description="size of the layer")


class Dropout(Section):
    type: Literal["Dropout"] = Field("Dropout", description="a layer")
    p: float = Field(0.5, gt=0, lt=1, description="the share dropped")


class Model(Section):
    dim: int = Field(100, ge=1, description="numbers in a vector")
    hidden: int = Field(64, ge=1, description="units in between")
    layers: list[Annotated[Layer | Dropout, Field(discriminator="type")]] = Field([], description="the layers")
    negatives: int = Field(5, ge=1, description="random words")


class Training(TrainingConfig):
    batch_size: int = Field(32, ge=1, description="examples in a step")


class Demo(RunConfig):
    data: Data = Field(Data(), description="the text")
    model: Model = Field(Model(), description="the model")
    training: Training = Field(Training(), description="epochs and batches")
    optimizer: SGDConfig = Field(SGDConfig(lr=0.5), description="the update")
    eval: EvalConfig = Field(EvalConfig(), description="what is measured")


GOOD = """\
recipe: sgns      # a comment
name: demo
seed: 1
data:
  train: texts/a.txt
  dev: &dev "../b.txt"
  subsample: 1e-3
  lower: true
  labels: [yes, "no"]
  weights: {neg: 1, pos: .5}
  shape: [3, 4]
model:
  dim: 100
  layers:
    - {type: Linear, size: 3}
    - type: Dropout
      p: 0.1
optimizer: {type: SGD, lr: 0.1, momentum: 0.9, nesterov: true}
schedule: {type: linear, end: 1e-4}
training: {epochs: 15, batch_size: 8}
log: {every: 100 steps}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(text, *overrides) validates c.yaml from the folder it is in."""
    monkeypatch.chdir(tmp_path)

    def loading(text, *overrides):
        (tmp_path / "c.yaml").write_text("recipe: x\n" + text, encoding="utf-8")
        return validate(read_tree("c.yaml", overrides), Demo)
    return loading


@pytest.fixture
def mistakes(load):
    """mistakes(text, *overrides) is the text of the error; line 1 of c.yaml is `recipe: x`."""
    def failing(text, *overrides):
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        assert caught.value.exit_code == 2
        return str(caught.value)
    return failing


@pytest.mark.case("trainer", 1)
@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", ".001"])
def test_a_learning_rate_is_a_number_in_a_file_and_in_an_override(load, text):
    assert load(f"optimizer: {{lr: {text}}}").optimizer.lr == load("", f"optimizer.lr={text}").optimizer.lr == 1e-3


def test_a_config_of_defaults_needs_no_more_than_a_recipe(load):
    assert load("") == Demo(recipe="x")


def test_a_list_may_become_a_tuple_and_a_whole_number_a_number(load):
    data = load("data: {shape: [3, 4], subsample: 0}").data
    assert data.shape == (3, 4) and type(data.subsample) is float


@pytest.mark.case("trainer", 2)
@pytest.mark.case("autograd", 42)
@pytest.mark.parametrize("text, expected", [
    ("learning_rate: 1", "c.yaml:2:1: unknown key 'learning_rate'; did you mean 'optimizer.lr'?"),
    ("optimiser: {lr: 1}", "c.yaml:2:1: unknown section 'optimiser'; did you mean 'optimizer'?"),
    ("model:\n  hiden: 1", "c.yaml:3:3: unknown key 'hiden' in model; did you mean 'hidden'?"),
    ("model:\n  Dim: 1", "c.yaml:3:3: unknown key 'Dim' in model; did you mean 'dim'?"),
    ("model: {hidden_dim: 3}", "c.yaml:2:9: unknown key 'hidden_dim' in model; did you mean 'hidden'?"),
    ("model: {epochs: 3}", "c.yaml:2:9: unknown key 'epochs' in model; did you mean 'training.epochs'?"),
    ("batch-size: 3", "c.yaml:2:1: unknown key 'batch-size'; did you mean 'training.batch_size'?"),
    ("Learning-Rate: 3", "c.yaml:2:1: unknown key 'Learning-Rate'; did you mean 'optimizer.lr'?"),
    ("vector_size: 3", "c.yaml:2:1: unknown key 'vector_size'; did you mean 'model.dim'?"),
    ("alpha: 3", "c.yaml:2:1: unknown key 'alpha'; did you mean 'optimizer.lr'?"),
    ("iter: 3", "c.yaml:2:1: unknown key 'iter'; did you mean 'training.epochs'?"),
    ("negative: 3", "c.yaml:2:1: unknown key 'negative'; did you mean 'model.negatives'?"),
    ("sample: 3", "c.yaml:2:1: unknown key 'sample'; did you mean 'data.subsample'?"),
    ("wieght_decay: 3", "c.yaml:2:1: unknown key 'wieght_decay'; did you mean 'optimizer.weight_decay'?"),
    ("every: 3", "c.yaml:2:1: unknown key 'every'; did you mean 'log.every', 'eval.every' or 'save.every'?"),
    ("cheese: 3", "c.yaml:2:1: unknown key 'cheese'; known: recipe, name, seed, "),
    ("model: {zzz: 3}", "c.yaml:2:9: unknown key 'zzz' in model; known: dim, hidden, layers, negatives"),
    ("schedule: {type: constant, end: 1}",
     "c.yaml:2:28: unknown key 'end' in schedule of type constant; it belongs to type linear"),
])
def test_an_unknown_key_is_answered_with_the_known_one(mistakes, text, expected):
    found = mistakes(text)
    assert found == expected or (not expected.endswith("?") and found.startswith(expected))


def test_a_synonym_is_only_suggested_where_the_schema_has_such_a_key(tmp_path):
    class Small(Section):
        recipe: str = Field(description="the recipe")
    (tmp_path / "c.yaml").write_text("recipe: x\nlearning_rate: 3")
    with pytest.raises(ConfigError, match=r"unknown key 'learning_rate'; known: recipe$"):
        validate(read_tree(tmp_path / "c.yaml"), Small)


def test_an_override_of_an_unknown_section_suggests_the_whole_path(mistakes):
    assert mistakes("", "modle.hiden=64") == (
        "command line: modle.hiden=64: unknown section 'modle'; did you mean 'model.hidden'?")


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
     "2:18: schedule: unknown type 'liner'; did you mean 'linear'? known types: constant, linear"),
    ("schedule: {type: cosine}", "2:18: schedule: unknown type 'cosine'; known types: constant, linear"),
    ("schedule: {type: 3}", "2:18: schedule: unknown type 3; known types: constant, linear"),
    ("schedule: {end: 3}", "2:11: missing key 'type' in schedule; known types: constant, linear"),
    ("schedule: {type: linear, end: -1}", "2:31: schedule.end: expected a number of at least 0, got -1"),
    ("optimizer: {nesterov: true}",
     "2:23: optimizer.nesterov: true needs a momentum above 0; set momentum, 0.9 for instance"),
])
def test_a_wrong_value_is_answered_at_its_place_in_plain_words(mistakes, monkeypatch, text, expected):
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    assert mistakes(text) == f"c.yaml:{expected}"


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


# Paths

@pytest.mark.case("trainer", 5)
def test_paths_are_relative_to_the_file_they_stand_in_wherever_one_stands(tmp_path, monkeypatch):
    for folder in ("configs/shared", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "configs/c.yaml").write_text("recipe: x\ninclude: shared/b.yaml\ndata: {train: ../a.txt}")
    text = "data: {dev: b.txt, more: [../c.txt, /d.txt], labels: [../a.txt]}"
    (tmp_path / "configs/shared/b.yaml").write_text(text)
    for folder in (tmp_path, tmp_path / "configs", tmp_path / "elsewhere"):
        monkeypatch.chdir(folder)
        data = validate(read_tree(os.path.relpath(tmp_path / "configs/c.yaml")), Demo).data
        assert (data.train, data.dev, data.more) == (
            str(tmp_path / "a.txt"), str(tmp_path / "configs/shared/b.txt"),
            [str(tmp_path / "configs/c.txt"), os.path.abspath("/d.txt")])
        assert data.labels == ["../a.txt"]


def test_a_path_in_an_override_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/c.yaml").write_text("recipe: x\ndata: {train: a.txt}")
    monkeypatch.chdir(tmp_path)
    assert validate(read_tree("configs/c.yaml", ["data.train=b.txt"]), Demo).data.train == str(tmp_path / "b.txt")


def test_a_builtin_and_the_data_folder_work_from_a_file(load, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", "/data")
    data = load("data: {train: builtin:python-docs, dev: $NNKIT_DATA/x/y.txt}").data
    assert (data.train, data.dev) == ("builtin:python-docs", os.path.abspath("/data/x/y.txt"))


def test_the_recipe_comes_with_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.yaml").write_text("name: y\nrecipe: a.py")
    value, place = recipe_of(read_tree("sub/c.yaml"))
    assert (value, str(place), place.folder) == ("a.py", "sub/c.yaml:2:9", tmp_path / "sub")
    assert recipe_of(read_tree("sub/c.yaml", ["recipe=b.py"]))[1].folder == tmp_path


@pytest.mark.parametrize("text, expected", [
    ("name: x", "c.yaml:1:1: missing key 'recipe'"), ("recipe: 3", "c.yaml:1:9: recipe: expected the name"),
    ("recipe: ''", "c.yaml:1:9: recipe: expected the name"), ("recipe:", "c.yaml:1:8: recipe: expected the name")])
def test_without_a_recipe_nothing_goes_on(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        recipe_of(read_tree("c.yaml"))
    assert str(caught.value).startswith(expected)


# Writing

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Demo, recipe=unicode_text.filter(bool), name=st.none() | unicode_text, seed=st.integers(0, 10**30),
    data=st.builds(Data, labels=st.lists(unicode_text, max_size=3, unique=True), subsample=finite.map(abs),
                   label=st.integers() | unicode_text, weights=st.dictionaries(unicode_text, finite),
                   dev=st.none() | st.just("x.txt"), more=st.just([]) | st.just(["a/../b.txt"])),
    optimizer=st.builds(SGDConfig, lr=st.floats(0, exclude_min=True, allow_infinity=False)))


@pytest.mark.case("trainer", 1)
@settings(deadline=None)
@given(configs)
@example(Demo(recipe="no", name="1e-3",
              data=Data(labels=["yes", "1:30", "\x85\u2028"], weights={"1e3": 1e-5, "": 1e22, "<<": 0})))
def test_a_written_config_reads_as_an_equal_one(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(to_yaml(config), encoding="utf-8", newline="")
    assert validate(read_tree(path), Demo) == config


def test_a_written_config_holds_every_default(load):
    assert "blas_threads: 1\n" in to_yaml(load("")) and "every: 100 steps\n" in to_yaml(load(""))


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | unicode_text,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
                    max_leaves=6))
def test_a_python_value_is_the_same_as_an_override(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "x.yaml"
    path.write_text("x: 1")
    assert read_tree(path, [f"a={to_scalar(value)}"]).plain()["a"] == value


def test_numpy_numbers_may_be_overrides_and_objects_may_not():
    assert (to_scalar(np.float64(0.5)), to_scalar(np.arange(2)), to_scalar(1e-5)) == ("0.5", "[0, 1]", "1e-05")
    with pytest.raises(ConfigError, match="a config cannot hold"):
        to_scalar(object())


# Whatever people write

FRAGMENTS = [
    "", " ", "  ", "\n", "\r", "\r\n", "\t", ":", ": ", "- ", "{", "}", "[", "]", "[[[[", ",", "#", "'", '"', "|\n",
    ">\n", "&a ", "*a", "*dev", "a: &a [*a]\n", "<<: *dev", "!!int ", "!x ", "%", "%YAML 1.3\n---\n", "---\n", "...\n",
    "? ", "@", "`", "~", "null", "true", "yes", "1", "-1", "1e999", ".nan", "0x" + "f" * 9, "9" * 5000, "1: 2", "~: 1",
    "type: x", "lr: ", "dim", "builtin:", "$NNKIT_DATA/", "include: c.yaml\n", "include: [c.yaml, 3]\n",
    "\x00", "\ufeff", "\u2028", "\x85", "😀", "\ud800", '"\\ud800"', '"\\UFFFFFFFF"']
fragments = st.sampled_from(FRAGMENTS) | st.text(max_size=5)
edits = st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), fragments), max_size=4)
override_keys = st.sampled_from(["data.train", "optimizer", "optimizer.lr", "--x.y", "model.layers.0", "", "a."])
override_texts = st.lists(st.builds("{}{}{}".format, override_keys, st.sampled_from(["=", ""]), fragments), max_size=2)
LINE = re.compile(r"(c\.yaml:[1-9][0-9]*:[1-9][0-9]*|command line: .*|c\.yaml): .+")


@pytest.mark.case("trainer", 6)
@settings(deadline=None)
@given(edits, override_texts)
def test_mangled_yaml_is_read_or_refused_with_well_formed_lines(tmp_path_factory, edits, overrides):
    text = GOOD
    for at, length, new in edits:
        text = text[:at] + new + text[at + length:]
    folder = tmp_path_factory.getbasetemp()
    (folder / "c.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try:
            tree = read_tree("c.yaml", overrides)
            recipe_of(tree)
            config = validate(tree, Demo)
        except ConfigError as error:
            lines = str(error).split("\n")
            assert all(LINE.fullmatch(line) and line.isprintable() for line in lines), lines
            format_errors(error, carets=True)
        else:
            assert isinstance(config, Demo)


def test_the_config_that_is_mangled_is_a_good_one(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    assert [type(layer) for layer in validate(read_tree(tmp_path / "c.yaml"), Demo).model.layers] == [Layer, Dropout]
