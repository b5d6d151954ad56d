"""nnkit init: what it makes works as it is, wherever it lies and whatever lies beside it; a mistake is one line, and no file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training.config import read_tree, validate
from nnkit.training.recipe import load_recipe, shipped_folder

RECIPES = sorted(path.stem for path in shipped_folder("recipes").glob("*.py"))
FILES = {"README.md", "__init__.py", "config.yaml", "layers.py", "recipe.py", "test_layers.py"}
LIMITED = ("import resource, sys; from nnkit.__main__ import main; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)); "
           "sys.exit(main(['init', 'hw6']))")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder far from the checkout, and the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_in(folder, *words):
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # what else is installed costs a second
    done = subprocess.run([sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", *words], cwd=folder,
                          env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"(\d+) passed", done.stdout)[1])


def only_line(capsys, code, *words):
    assert main(["init", *words]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_the_tests_pass_from_outside_from_inside_and_those_of_two_folders_together(here):
    assert main(["init", "hw6"]) == main(["init", "hw7", "--recipe", "sgns"]) == 0
    one = pytest_in(here / "hw6")
    assert one >= 4 and pytest_in(here, "hw6", "hw7") == 2 * one
    layers = here / "hw7" / "layers.py"
    layers.write_text(layers.read_text(encoding="utf-8").replace("a * s * (1 - s)", "a * s"), encoding="utf-8")
    # if the second folder's tests got the first one's layers, they would not see that these are broken
    with pytest.raises(AssertionError, match=r"GradientError(.|\n)*2 failed"):
        pytest_in(here, "hw6", "hw7")


def test_it_trains_as_it_is_and_the_run_keeps_the_layer(here, capsys):
    assert main(["init", "hw6"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"hw6: {', '.join(sorted(FILES))}", "python -m nnkit.train hw6/config.yaml", "python -m pytest hw6"]
    run = nnkit.fit("hw6/config.yaml", {"training.epochs": 1}, quiet=True)
    assert run.path.name == "hw6-001" and "GatedLinear(100, 100)" in (run.path / "train.log").read_text(encoding="utf-8")
    assert {"recipe.py", "layers.py"} <= {path.name for path in (run.path / "code").iterdir()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_that_ships_can_be_started_from(recipe, here):
    """Its copy imports nothing that stayed behind, its config is one of the copy's, and what it names is there."""
    assert main(["init", "mine", "--recipe", recipe]) == 0
    tree = read_tree("mine/config.yaml", [])
    copy, shipped = here / "mine" / "recipe.py", shipped_folder("recipes") / f"{recipe}.py"
    assert tree.value["recipe"].value == "recipe.py" and copy.read_bytes() == shipped.read_bytes()
    settings = validate(tree, load_recipe(copy).Config)
    assert settings.name == "mine"
    text = (here / "mine" / "config.yaml").read_text(encoding="utf-8")
    assert "builtin:" in text and "../" not in text and "configs/" not in text
    for value in re.findall(r": ([\w-]+\.txt)\b", text):
        assert (here / "mine" / value).is_file()
    assert FILES <= {path.name for path in (here / "mine").iterdir()}


def test_a_path_is_a_place_and_its_last_part_the_name(here, capsys):
    (here / "my course").mkdir()
    assert main(["init", "my course/vectors", "--recipe", "sgns"]) == main(["init", str(here / "hw7")]) == 0
    assert "\npython -m pytest 'my course/vectors'\n" in capsys.readouterr().out
    made = here / "my course" / "vectors"
    texts = {path.name: path.read_text(encoding="utf-8") for path in made.iterdir()}
    assert "python -m nnkit.train vectors/config.yaml " in texts["README.md"] and "runs/vectors-001" in texts["README.md"]
    assert "nnkit train vectors/config.yaml data.train=corpus.txt" in texts["config.yaml"]
    assert not [name for name, text in texts.items() if "hw6" in text]
    assert pytest_in(made.parent, "vectors") >= 4 and pytest_in(here, "hw7") >= 4


def test_an_empty_folder_is_filled(here):
    (here / "hw6").mkdir()
    assert main(["init", "hw6"]) == 0 and FILES <= {path.name for path in (here / "hw6").iterdir()}


@pytest.mark.parametrize("name", ["null", "true", "übung6"])
def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(name, here):
    assert main(["init", name]) == 0
    assert read_tree(f"{name}/config.yaml", []).value["name"].value == name


@pytest.mark.parametrize("name, said", [
    ("hw-6", "take hw_6"), ("my hw", "take my_hw"), ("6hw", "take hw_6hw"), ("class", "take hw_class"), (".", "take hw"),
    ("..", "take hw"), ("", "take hw"), ("/", "take hw"), ("a\nb", "take a_b"), ("a" * 201, "take a shorter one"),
    ("json", "take another, such as my_json"), ("numpy", "take another, such as my_numpy"), ("nnkit", "such as my_nnkit"),
    ("missing/hw6", "missing: no such folder; make it first, or give a name alone: nnkit init hw6"),
    ("file", "file: is a file, not a folder; take another name"), ("file/hw6", "file: no such folder"),
    ("full", "full: is not empty, and nothing in it is overwritten; take another name, or move it away first")])
def test_a_name_that_cannot_be_is_refused_with_a_way_out(name, said, here, capsys):
    (here / "file").write_text("x", encoding="utf-8")
    (here / "full").mkdir()
    (here / "full" / "layers.py").write_text("mine", encoding="utf-8")
    assert said in only_line(capsys, 2, name)
    assert sorted(path.name for path in here.rglob("*")) == ["file", "full", "layers.py"]
    assert (here / "full" / "layers.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("recipe, said", [
    ("clasifier", "no recipe 'clasifier' ships with nnkit; did you mean 'classifier'? there are cbow, classifier, "),
    ("zzz", "no recipe 'zzz' ships with nnkit; there are "), ("", "no recipe '' ships"), ("../recipes/sgns", "there are ")])
def test_an_unknown_recipe_is_answered_with_those_there_are(recipe, said, here, capsys):
    assert said in only_line(capsys, 2, "hw6", "--recipe", recipe)
    assert not list(here.iterdir())


def test_a_disk_that_fills_up_leaves_nothing_behind(here):
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=here, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not list(here.iterdir())
    assert done.stderr.startswith("error: hw6: cannot be made there (File too large); make room, or go to a folder")


def test_what_was_there_stays_where_writing_fails(here, capsys, monkeypatch):
    (here / "hw6").mkdir()
    real = open

    def full(path, *words, **more):
        if Path(path).name == "recipe.py" and Path(path).parent == Path("hw6"):
            raise OSError(28, os.strerror(28))
        return real(path, *words, **more)

    monkeypatch.setattr("builtins.open", full)
    assert "No space left on device" in only_line(capsys, 1, "hw6")
    assert [path.name for path in here.rglob("*")] == ["hw6"]


def test_a_folder_that_may_not_be_written_to_is_one_line(here, capsys, monkeypatch):
    def forbidden(path, **more):  # root, which tests may run as, may write everywhere
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    assert "hw6: cannot be made there (Permission denied); make room, or go to a folder you" in only_line(capsys, 1, "hw6")


def test_the_template_itself_is_one_that_works():
    assert pytest_in(shipped_folder("recipes"), "template") >= 4
