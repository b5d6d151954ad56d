"""Paths in a config: relative to the file they stand in, one or several; and the path of the recipe."""

import os

import pytest
from demo_config import Demo

from nnkit.errors import ConfigError
from nnkit.training.config import read_tree, recipe_of, validate


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


# Several

def test_a_text_may_be_one_path_or_a_list_and_each_is_relative_to_where_it_stands(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/c.yaml").write_text("recipe: x\ndata: {texts: [a.txt, ../b.txt.gz, $NNKIT_DATA/folder]}")
    monkeypatch.setenv("NNKIT_DATA", "/data")
    monkeypatch.chdir(tmp_path)

    def texts(*overrides):
        return validate(read_tree("configs/c.yaml", overrides), Demo).data.texts
    assert texts() == [str(tmp_path / "configs/a.txt"), str(tmp_path / "b.txt.gz"), os.path.abspath("/data/folder")]
    assert texts("data.texts=[c.txt,d.txt]") == [str(tmp_path / "c.txt"), str(tmp_path / "d.txt")]
    assert texts("data.texts.1=c.txt")[:2] == [str(tmp_path / "configs/a.txt"), str(tmp_path / "c.txt")]
    assert texts("data.texts=c.txt") == str(tmp_path / "c.txt")
    assert texts("data.texts=builtin:python-docs") == "builtin:python-docs"


@pytest.mark.parametrize("text, expected", [
    ("[a.txt, 3]", "2:23: data.texts[1]: expected text, got 3; put it in quotes"),
    ("[a.txt, '']", "2:23: data.texts[1]: expected the path of a file, got ''"),
    ("[a.txt, [b.txt]]", "2:23: data.texts[1]: expected text, got a list of 1"),
    ("[a.txt, builtin:python-docs]",
     "2:23: data.texts[1]: 'builtin:python-docs' stands alone, not in a list; give it as the one value, or paths of files only"),
    ("[a.txt, $NNKIT_DATA/x]",
     "2:23: data.texts[1]: $NNKIT_DATA is not set; set it to the folder of your data, or write the path itself"),
    ("[]", "2:15: data.texts: expected a list of at least 1, got a list of 0"),
    ("3", "2:15: data.texts: expected text, got 3; put it in quotes"),
    ("{a: b}", "2:15: data.texts: expected text, got a section")])
def test_a_wrong_text_of_several_is_named_alone_and_at_its_place(mistakes, monkeypatch, text, expected):
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    assert mistakes(f"data: {{texts: {text}}}") == f"c.yaml:{expected}"


def test_every_wrong_text_of_a_list_is_named(mistakes):
    lines = mistakes("data:\n  texts:\n    - 3\n    - a.txt\n    - builtin:x\n").splitlines()
    assert [line.split(" ")[0] for line in lines] == ["c.yaml:4:7:", "c.yaml:6:7:"]
