"""nnkit init NAME: a folder of one's own that works as it is: a config, a recipe, a layer with an operation, and their tests.

What is copied lies as real files in recipes/template/, with the recipes and configs that ship with nnkit.
"""

from __future__ import annotations

import argparse
import difflib
import keyword
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from nnkit.commands.common import run
from nnkit.errors import ConfigError, UserError
from nnkit.training.config import to_scalar
from nnkit.training.files import name_mistake
from nnkit.training.places import shortened
from nnkit.training.recipe import shipped_folder

CALLED = "hw6"          # what the template calls its own folder; in a copy the new name stands for it
RECIPE = "classifier"   # whose config is the template's own, for it shows a layer of one's own


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit init", description="Make a folder of your own, which works as it is: a config, a "
                                   "recipe, a layer built on an operation, and tests of their gradients.",
                                   epilog="Example: nnkit init hw6 --recipe sgns")
    made.add_argument("name", metavar="NAME", help="the folder to make, here or at a path; one that has files in it is refused")
    made.add_argument("--recipe", default=RECIPE, metavar="RECIPE", help=f"the recipe to start from ({RECIPE}); "
                      "nnkit list recipes has them all")
    return run(made, init, argv)


def init(options: argparse.Namespace) -> None:
    folder = Path(options.name)
    check_folder(folder, options.name)
    contents = files_of(folder, options.recipe)
    write(folder, contents)
    shown = shlex.quote(folder.as_posix())
    print(f"{shown}: {', '.join(sorted(contents))}\npython -m nnkit.train {shown}/config.yaml\npython -m pytest {shown}")


def check_folder(folder: Path, given: str) -> None:
    """ConfigError where no new folder, or no package of Python, can have this name at this place."""
    name = folder.name
    if not name.isidentifier() or keyword.iskeyword(name):
        near = re.sub(r"\W+", "_", name).strip("_")
        near = near if near.isidentifier() and not keyword.iskeyword(near) else f"hw_{near}".rstrip("_")
        raise ConfigError(f"{shortened(repr(given))}: the folder is a package of Python, whose name is letters, digits and '_', "
                          f"no digit first, and no keyword; take {shortened(near)}")
    if mistake := name_mistake(name):
        raise ConfigError(mistake)
    if not os.path.isdir(folder.parent):
        raise ConfigError(f"{folder.parent}: no such folder; make it first, or give a name alone: nnkit init {name}")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise ConfigError(f"{folder}: is a file, not a folder; take another name")
    if os.path.isdir(folder) and os.listdir(folder):
        raise ConfigError(f"{folder}: is not empty, and nothing in it is overwritten; take another name, or move it away first")
    elsewhere = [path for path in sys.path if os.path.realpath(path) != os.getcwd()]  # "" is the current folder, too
    found = PathFinder.find_spec(name, elsewhere)
    if name in sys.stdlib_module_names or (found is not None and found.origin is not None):
        raise ConfigError(f"{folder}: Python has a module of this name already, and the folder would hide it; take another, "
                          f"such as my_{name}")


def files_of(folder: Path, recipe: str) -> dict[str, bytes]:
    """The files of the new folder, by name. ConfigError for a recipe that there is not."""
    recipes = {path.stem: path for path in sorted(shipped_folder("recipes").glob("*.py"))}
    if recipe not in recipes:
        near = difflib.get_close_matches(recipe, recipes, 1, 0.5)
        raise ConfigError(f"--recipe: no recipe {shortened(repr(recipe))} ships with nnkit; "
                          + (f"did you mean {near[0]!r}? " if near else "") + f"there are {', '.join(recipes)}")
    name = folder.name
    contents = {path.name: path.read_text(encoding="utf-8").replace(CALLED, name).encode()
                for path in template().iterdir() if path.is_file() and path.name != "config.yaml"}
    contents["recipe.py"] = recipes[recipe].read_bytes()
    config = config_of(recipe)
    text = config.read_text(encoding="utf-8").replace(f"configs/{config.name}", f"{name}/config.yaml").replace(CALLED, name)
    text = re.sub(r"^recipe: .*$", "recipe: recipe.py", text, flags=re.MULTILINE)
    text = re.sub(r"^name: .*$", f"name: {to_scalar(name)}", text, flags=re.MULTILINE)
    for data in set(re.findall(r"\.\./data/([\w.-]+)", text)):  # small data of nnkit's own comes along
        contents[data] = (shipped_folder("data") / data).read_bytes()
        text = text.replace(f"../data/{data}", data)
    return contents | {"config.yaml": text.encode()}


def template() -> Path:
    return shipped_folder("recipes") / "template"


def config_of(recipe: str) -> Path:
    """The config that shows a recipe best: of its own name, else one that needs no data. UserError where none ships."""
    if recipe == RECIPE:
        return template() / "config.yaml"
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(shipped_folder("configs").glob("*.yaml"))}
    of_recipe = [path for path, text in texts.items() if re.search(rf"^recipe: \S*\b{re.escape(recipe)}\.py\s*$", text, re.M)]
    if not of_recipe:
        raise UserError(f"--recipe {recipe}: no config ships for it; start from another recipe, or write a config for it")
    return min(of_recipe, key=lambda path: (path.stem != recipe, "builtin:" not in texts[path]))


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """All of the files or none of them; what is there already is never touched. UserError where they cannot be written."""
    written: list[Path] = []
    is_new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            with open(folder / name, "xb") as file:
                written.append(folder / name)
                file.write(content)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if is_new and folder.is_dir():
            folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(f"{folder}: cannot be made there ({error.strerror or error}); make room, or go to a folder you may "
                            "write to") from error
        raise
