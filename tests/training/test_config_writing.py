"""Configs that programs write: each reads as what was written. And whatever people write is read, or refused in plain lines."""

import re

import numpy as np
import pytest
from demo_config import GOOD, Data, Demo, Dropout, Layer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnkit.errors import ConfigError
from nnkit.training.config import format_errors, read_tree, recipe_of, to_scalar, to_yaml, validate
from nnkit.training.files import name_mistake
from nnkit.training.schema import SGDConfig

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))
folder_names = unicode_text.filter(lambda name: not name_mistake(name))
finite = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Demo, recipe=unicode_text.filter(bool), name=st.none() | folder_names, seed=st.integers(0, 10**30),
    data=st.builds(Data, labels=st.lists(unicode_text, max_size=3, unique=True), subsample=finite.map(abs),
                   label=st.integers() | unicode_text, weights=st.dictionaries(unicode_text, finite),
                   dev=st.none() | st.just("x.txt"), texts=st.just("y.txt") | st.just(["a.txt", "b"]),
                   more=st.just([]) | st.just(["a/../b.txt"])),
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
