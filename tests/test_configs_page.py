"""docs/configs.md says what the classes that check a config say, and its example is a config."""

import re
import subprocess
import sys
from pathlib import Path

from nnkit.training import config as configs
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "configs.md"


def test_the_tables_are_fresh():
    """Where this fails: python scripts/configs_page.py"""
    result = subprocess.run([sys.executable, "scripts/configs_page.py", "--check"], cwd=PROJECT, capture_output=True, text=True,
                            encoding="utf-8", timeout=120)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_key_of_every_config_that_ships_stands_in_the_tables():
    told = set(re.findall(r"^\| `([\w.]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for path in sorted((PROJECT / "configs").glob("*.yaml")):
        for keys in paths(configs.read_tree(path, []).plain()):
            assert any(".".join(keys[:n]) in told for n in range(1, len(keys) + 1)), (path, keys)


def paths(value, above=()):
    if isinstance(value, dict) and value:
        return [path for key, inner in value.items() for path in paths(inner, (*above, key))]
    return [above]


def test_the_example_is_a_config(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "c.yaml").write_text(example.replace("recipes/classifier.py", "classifier"), encoding="utf-8")
    tree = configs.read_tree(tmp_path / "c.yaml", [])
    settings = configs.validate(tree, load_recipe(recipe_file(tree)).Config)
    assert settings.optimizer.lr == 0.5 and settings.data.train == str(tmp_path / "reviews.tsv")
