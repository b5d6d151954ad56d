"""The classes recipes build on: strictness, intervals, paths, optimizer and schedule, and the list of keys."""

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from nnkit.training import schema, updates
from nnkit.training.making import make_schedules
from nnkit.training.schema import (
    DataPath,
    DataSource,
    DataSources,
    Interval,
    RunConfig,
    Section,
    SGDConfig,
    public_paths,
    resolve_path,
    sections_in,
)
from nnkit.training.updates import CosineSchedule, LinearSchedule

SECTIONS = [c for c in {**vars(schema), **vars(updates)}.values() if isinstance(c, type) and issubclass(c, Section)]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_our_sections_has_help_of_one_line_and_all_but_recipe_a_default(section):
    for name, field in section.model_fields.items():
        assert field.description and "\n" not in field.description
        assert name == "recipe" or not field.is_required()


@pytest.mark.parametrize("wrong", [
    {"lr": "0.1"}, {"lr": True}, {"nesterov": 1}, {"lr": float("inf")}, {"lr": float("nan")},
    {"lr": 0}, {"momentum": 1}, {"momentum": -0.1}, {"weight_decay": -1}, {"rl": 1}])
def test_nothing_is_coerced_and_bounds_hold(wrong):
    with pytest.raises(ValidationError):
        SGDConfig.model_validate(wrong)


def test_a_whole_number_is_a_number():
    assert SGDConfig(lr=1).lr == 1.0


def test_a_config_cannot_be_changed_by_accident():
    with pytest.raises(ValidationError):
        SGDConfig().lr = 1.0


def test_nesterov_is_refused_at_its_own_key_where_there_is_no_momentum():
    with pytest.raises(ValidationError) as caught:
        SGDConfig.model_validate({"nesterov": True})
    assert [error["loc"] for error in caught.value.errors()] == [("nesterov",)]
    assert SGDConfig(momentum=0.9, nesterov=True).nesterov


def test_the_schedule_is_chosen_by_its_type():
    config = RunConfig.model_validate({"recipe": "sgns", "schedule": {"type": "linear", "end": 0}})
    assert config.schedule == LinearSchedule(end=0.0)
    config = RunConfig.model_validate({"recipe": "sgns", "schedule": {"type": "cosine", "end": 0}})
    assert config.schedule == CosineSchedule(end=0.0)


@pytest.mark.parametrize("kind, at_half", [("constant", 0.5), ("linear", 0.3), ("cosine", 0.3)])
def test_a_schedule_is_made_of_its_section_and_begins_at_the_optimizers_rate(kind, at_half):
    end = {} if kind == "constant" else {"end": 0.1}
    config = RunConfig.model_validate({"recipe": "x", "optimizer": {"type": "SGD", "lr": 0.5}, "schedule": {"type": kind, **end}})
    schedules = make_schedules(config)
    assert not schedules.plateaus and list(schedules.by_name) == ["lr"]
    schedule = schedules.by_name["lr"]
    assert (schedule(0), schedule(1)) == (0.5, 0.5 if kind == "constant" else 0.1)
    assert schedule(0.5) == pytest.approx(at_half) and (schedule(0.1) > 0.48) == (kind != "linear")


def test_the_defaults_of_a_run():
    config = RunConfig(recipe="sgns")
    assert (config.name, config.seed, str(config.log.every), str(config.eval.every), str(config.save.every)) == (
        None, 1, "100 steps", "1 epoch", "1 epoch")


@pytest.mark.parametrize("text, interval", [
    ("100 steps", Interval(100, "step")), ("1 step", Interval(1, "step")),
    ("2 epochs", Interval(2, "epoch")), ("1 epoch", Interval(1, "epoch"))])
def test_an_interval_is_read_and_written_as_text(text, interval):
    assert Interval.parse(text) == interval and str(interval) == text


@given(st.integers(1, 10**17), st.sampled_from(["step", "epoch"]))
def test_an_interval_survives_json(count, unit):
    adapter = TypeAdapter(Interval)
    assert adapter.validate_json(adapter.dump_json(Interval(count, unit))) == Interval(count, unit)


@pytest.mark.parametrize("wrong", ["0 steps", "-1 steps", "steps", "3", "3 days", "1.5 epochs", "", "1epoch", "٣ steps",
                                   3, None])
def test_what_is_no_interval_is_refused_saying_how_one_looks(wrong):
    with pytest.raises(ValidationError, match="expected an interval such as '100 steps' or '1 epoch', got"):
        TypeAdapter(Interval).validate_python(wrong)


@given(st.integers(1, 50), st.integers(1, 500))
def test_an_interval_of_steps_is_due_every_count_steps_and_at_no_epoch(count, steps):
    interval = Interval(count, "step")
    assert sum(interval.is_due_at_step(n) for n in range(1, steps + 1)) == steps // count
    assert not interval.is_due_at_epoch(count)


def test_an_interval_of_epochs_is_due_at_epochs_only():
    interval = Interval(2, "epoch")
    assert [interval.is_due_at_epoch(n) for n in (1, 2, 3, 4)] == [False, True, False, True]
    assert not interval.is_due_at_step(2)


# Paths

@pytest.mark.case("trainer", 5)
@pytest.mark.parametrize("text, expected", [
    ("x.txt", "/f/g/x.txt"), ("../x.txt", "/f/x.txt"), ("/a/./b//c", "/a/b/c"), ("~/x", "/f/g/~/x"),
    ("$HOME/x", "/f/g/$HOME/x"), ("a/$NNKIT_DATA/x", "/f/g/a/$NNKIT_DATA/x")])
def test_a_path_is_relative_to_the_folder_of_its_config(text, expected, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", "/data")
    assert resolve_path(text, Path("/f/g")) == os.path.abspath(expected)


def test_the_data_folder_at_the_start_of_a_path_is_replaced(monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", "/data/")
    assert resolve_path("$NNKIT_DATA/../a/x.txt", Path("/f")) == os.path.abspath("/a/x.txt")


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_data_folder_is_named(value, monkeypatch):
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("NNKIT_DATA", value)
    with pytest.raises(ValueError, match=r"\$NNKIT_DATA is not set"):
        resolve_path("$NNKIT_DATA/x", Path("/f"))


def test_a_builtin_is_kept_where_it_may_stand_and_refused_elsewhere():
    assert TypeAdapter(DataSource).validate_python("builtin:python-docs") == "builtin:python-docs"
    with pytest.raises(ValidationError, match="no builtin fits here"):
        TypeAdapter(DataPath).validate_python("builtin:python-docs")


@pytest.mark.parametrize("wrong", ["", "a\0b", "builtin:"])
def test_what_names_no_file_is_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(DataSource).validate_python(wrong)


def test_several_sources_are_one_text_or_a_list_of_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = TypeAdapter(DataSources)
    assert sources.validate_python("builtin:python-docs") == "builtin:python-docs"
    assert sources.validate_python("a.txt") == str(tmp_path / "a.txt")
    assert sources.validate_python(["a.txt", "/b"]) == [str(tmp_path / "a.txt"), os.path.abspath("/b")]
    assert sources.dump_json(["a", "b"]) == b'["a","b"]'
    for wrong in ([], ["a.txt", "builtin:python-docs"], ["builtin:python-docs"], ("a.txt",), None, [None], "", [""]):
        with pytest.raises(ValidationError):
            sources.validate_python(wrong, strict=True)


def test_from_python_a_path_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TypeAdapter(DataPath).validate_python("a/../b") == str(tmp_path / "b")


# The keys of a class

class Leaf(Section):
    type: Literal["leaf"] = Field("leaf", description="a leaf")
    size: int = Field(3, description="how large")


class Branch(Section):
    type: Literal["branch"] = Field("branch", description="a branch")
    parts: "list[Annotated[Leaf | Branch, Field(discriminator='type')]]" = Field([], description="what grows on it")


class Tree(RunConfig):
    optimizer: SGDConfig = Field(SGDConfig(lr=0.5), description="the update")
    top: Annotated[Leaf | Branch, Field(discriminator="type")] = Field(Leaf(size=7), description="the top")
    word: str = Field(description="must be given")


def test_keys_come_with_the_defaults_their_config_gives_them():
    paths = {(p.path, p.type): p for p in public_paths(Tree)}
    assert paths["optimizer.lr", ""].default == 0.5
    assert paths["top.size", "leaf"].default == 7
    word = paths["word", ""]
    assert (word.required, word.default, word.help) == (True, None, "must be given")


def test_the_keys_of_a_class_that_contains_itself_end():
    paths = [p.path for p in public_paths(Tree)]
    assert "top.parts" in paths and "top.parts[].size" in paths and len(paths) < 100


@pytest.mark.parametrize("annotation, expected", [
    (Leaf, [Leaf]), (Leaf | None, [Leaf]), (list[Leaf], [Leaf]), (dict[str, Leaf | Branch], [Leaf, Branch]),
    (int | None, []), (DataSource, []), (DataSources, [])])
def test_sections_are_found_inside_any_annotation(annotation, expected):
    assert sections_in(annotation) == expected and all(issubclass(c, BaseModel) for c in expected)
