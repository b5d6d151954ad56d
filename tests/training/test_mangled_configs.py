"""Thousands of spoilt configs: each is read, or refused by lines of which every one points to a place that exists.

NNKIT_EXAMPLES: how many configs each test makes (250; long checks take thousands). What they were is printed for `pytest -rP`.
"""

import codecs
import functools
import gzip
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from mangling import CONFIGS, TEXTS, mangled, mistaken

from nnkit.errors import ConfigError, UserError
from nnkit.training import config as configs
from nnkit.training.checking import check
from nnkit.training.fitting import check_config
from nnkit.training.making import recipe_file
from nnkit.training.recipe import load_recipe

EXAMPLES = int(os.environ.get("NNKIT_EXAMPLES", "250"))
CHECKED = 20      # one in so many of the accepted configs is rehearsed
LARGEST = 300     # numbers of a config that is rehearsed: what takes all memory ends well, too, but not soon
examples = settings(max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))

LINE = re.compile(r"(?P<file>[^:]+\.(?:yaml|txt)):(?P<line>[1-9][0-9]*):(?P<column>[1-9][0-9]*): (?P<text>.+)")
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
LONGEST = 1500

load_once = functools.cache(load_recipe)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder like the project's, with small data; the current one is its configs/."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("configs/sub", "data"):
        (folder / name).mkdir(parents=True)
    shutil.copytree(CONFIGS.parent / "recipes", folder / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CONFIGS.parent / "data/odd-one-out.txt", folder / "data")
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{i}" for i in rng.integers(0, 40, 12)) for _ in range(60)]
    (folder / "data/corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    table = "".join(f"{a},{b},{'xyz'[int(a > 0) + int(b > 0)]}\n" for a, b in rng.normal(size=(90, 2)))
    (folder / "data/table.csv").write_text(table, encoding="utf-8")
    texts = "".join(f"{kind}\t{line}\n" for kind, line in zip("01" * len(lines), lines))
    (folder / "data/texts.tsv").write_text(texts, encoding="utf-8")
    tagged = "\n".join(line.replace(" ", "\tX\n", 1).replace(" ", "\tY\n") + "\tY\n" for line in lines)
    (folder / "data/tagged.tsv").write_text(tagged, encoding="utf-8")
    for name in re.findall(r"\$NNKIT_DATA/([\w./-]+)", "".join(TEXTS.values())):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds = {".csv": table, ".tsv": texts, "stsa": texts.replace("\t", " "), "": "\n".join(lines)}
        text = next(text for part, text in kinds.items() if part in name)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    for name, text in {"base": "seed: 3\noptimizer: {lr: 0.01}\n", "cycle": "include: mangled.yaml\n", "broken": "a: [1\nb: 2\n",
                       "sub/deeper": "include: ../base.yaml\nnothing: here\n"}.items():
        (folder / f"configs/{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "configs/latin.yaml").write_bytes("name: é\n".encode("latin-1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "configs")
        patch.setenv("NNKIT_DATA", str(folder / "data"))
        yield folder


def read(path):
    """The config as nnkit check and nnkit train read it before there is any data."""
    tree = configs.read_tree(path)
    recipe_class = load_once(recipe_file(tree))
    checked = configs.validate(tree, recipe_class.Config)
    check_config(tree, checked, recipe_class)
    return checked


def well_formed(error):
    """The lines of a refusal, matched; each stands at a place that exists."""
    assert error.exit_code == 2
    found = []
    for line in str(error).split("\n"):
        match = LINE.fullmatch(line)
        assert match and line.isprintable() and len(line) < LONGEST, line
        data = Path(match["file"]).read_bytes().removeprefix(codecs.BOM_UTF8)
        lines = LINE_BREAK.split(data.decode("utf-8", "replace"))
        assert int(match["line"]) <= len(lines), line
        assert int(match["column"]) <= len(lines[int(match["line"]) - 1]) + 1, line
        found.append(match)
    configs.format_errors(error, carets=True)
    return found


def is_yaml(data):
    try:
        return yaml.compose(data, yaml.SafeLoader) is not None
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two: characters that there are not
        return False


def largest(value):
    """The largest number in a config, but for its seed, which may be any."""
    if isinstance(value, dict):
        return max((largest(item) for key, item in value.items() if key != "seed"), default=0)
    if isinstance(value, (list, tuple)):
        return max(map(largest, value), default=0)
    return abs(value) if isinstance(value, (int, float)) else 0


@pytest.mark.case("trainer", 6)
def test_a_mangled_config_is_read_or_refused_by_lines_that_point_to_a_place(project):
    path, seen = Path("mangled.yaml"), Counter()

    @examples
    @given(mangled())
    def each(data):
        note(data.decode("utf-8", "backslashreplace"))
        path.write_bytes(data)
        seen["made"] += 1
        seen["yaml"] += is_yaml(data)
        try:
            accepted = read(path)
        except ConfigError as error:
            seen["refused"] += 1
            seen["lines"] += len(well_formed(error))
            return
        seen["accepted"] += 1
        again = Path("again.yaml")
        again.write_text(configs.to_yaml(accepted), encoding="utf-8", newline="")
        assert read(again) == accepted
        if seen["accepted"] % CHECKED == 0 and largest(accepted.model_dump(mode="json")) <= LARGEST:
            seen["checked"] += 1
            try:
                check(path, seconds=0.0, say=lambda line: None)
            except UserError as error:
                seen["stopped by the check"] += 1
                assert error.exit_code in (1, 2, 3) and "\n" not in str(error)

    each()
    print(f"{dict(seen)}")
    assert seen["yaml"] >= 0.5 * seen["made"] and seen["made"] >= 0.9 * EXAMPLES
    assert seen["refused"] >= 0.2 * seen["made"] and seen["accepted"] >= 0.1 * seen["made"] and seen["checked"]


@pytest.mark.case("trainer", 2)
@pytest.mark.case("trainer", 6)
def test_a_mistake_whose_place_is_known_is_reported_exactly_there(project):
    path, seen = Path("mistaken.yaml"), Counter()

    @examples
    @given(mistaken())
    def each(mistake):
        note(mistake.text)
        path.write_text(mistake.text, encoding="utf-8", newline="")
        seen[mistake.said.split("'")[0]] += 1
        with pytest.raises(ConfigError) as caught:
            read(path)
        lines = well_formed(caught.value)
        there = [line["text"] for line in lines if (int(line["line"]), int(line["column"])) == (mistake.line, mistake.column)]
        assert any(mistake.said in text for text in there), f"{mistake.line}:{mistake.column} {mistake.said!r}: {caught.value}"

    each()
    print(f"{dict(seen)}")


@pytest.mark.parametrize("name", TEXTS)
def test_the_configs_that_are_mangled_are_good_ones(project, name):
    path = Path(f"{name}.yaml")
    path.write_text(TEXTS[name], encoding="utf-8")
    assert read(path).name == name
    assert check(path, seconds=0.0, say=lambda line: None) is not None


@pytest.mark.parametrize("text, said", [
    ("include: \"a\\0b\"\n", r"1:10: include: expected the path of a file, got 'a\x00b'"),
    ("include: /dev/zero\n", "1:10: /dev/zero has more than 1,000,000 bytes, which no config has; is it a file of data?"),
    ("recipe: \"a\\0/b.py\"\n", r"1:9: recipe: expected the path of a file, got 'a\x00/b.py'"),
    ("recipe: " + "a" * 300 + "\n", "1:9: recipe: no recipe 'aaaaaaaa"),
    ("recipe: " + "a/" * 3000 + "b.py\n", "1:9: recipe: no recipe at /"),
    ("recipe: ../configs/base.yaml\n", "base.yaml is no .py file; a recipe is a file of Python"),
    ("recipie: sgns\n", "1:1: unknown key 'recipie'; did you mean 'recipe'?"),
    ("inclde: base.yaml\nrecipe: sgns\n", "1:1: unknown key 'inclde'; did you mean 'include'?"),
    ("recipe: sgns\n\ufeffseed: 1\n", "2:1: not YAML: a byte order mark (U+FEFF), which nobody sees; delete this character"),
    ("recipe: classifier\nmodel: {layers: [{type: Linear}, {tpye: ReLU}]}\n", "2:35: model.layers[1]: unknown key 'tpye'; "),
    ("recipe: classifier\nmodel: {layers: [{type: Linear, out_feature: 3}]}\n", "2:33: model.layers[0]: Linear has no argument"),
    ("recipe: classifier\nmodel: {layers: [{type: Linear, out_features: x}]}\n", "2:47: model.layers[0]: Linear.out_features: "),
    ("recipe: classifier\nmodel: {layers: [{type: [1]}]}\n", "2:25: model.layers[0]: no layer named [1]; known layers: "),
    ("recipe: classifier\noptimizer: {tpye: SGD}\n", "2:13: unknown key 'tpye' in optimizer; did you mean 'type'?"),
    ("recipe: classifier\noptimizer: {tpye: Adam, betas: [0.5, 0.5]}\n", "2:13: unknown key 'tpye' in optimizer; "),
    ("recipe: classifier\noptimizer: {momentun: 0.5}\n", "2:13: unknown key 'momentun' in optimizer"),
    ("recipe: classifier\ndata: {label: {int: x}}\n", "2:15: data.label: expected a whole number or text, got a section"),
    ("recipe: sgns\ndata: {train: {one: x}}\n", "2:15: data.train: expected text, got a section"),
    ("recipe: sgns\n" + "k" * 900 + ": 1\n", "2:1: unknown key 'kkkkkk"),
    ("recipe: sgns\nseed: !" + "k" * 3000 + " 1\n", "2:7: unknown tag '!kkkk"),
    ("recipe: sgns\ntraining: {blas_threads: 99999999999999999999}\n", "2:26: training.blas_threads: expected a number of"),
    ("recipe: sgns\nname: a/b\n", "2:7: name: 'a/b' cannot name a folder; use letters, digits"),
    ("recipe: sgns\nname: " + "n" * 300 + "\n", "2:7: name: 'nnnn"),
], ids=range(23))
def test_what_went_wrong_with_a_mangled_config_has_one_line_at_its_place(project, text, said):
    path = Path("wrong.yaml")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(path)
    [line] = well_formed(caught.value)
    assert said in line[0], line[0]


