"""nnkit graph: the step of a config, and what a user gets wrong."""

import re

import pytest

from nnkit.__main__ import main

CONFIG = """
recipe: classifier
data: {train: points.csv, dev: 0.25}
model:
  layers:
    - {type: Linear, out_features: 3}
    - {type: Tanh}
    - {type: Linear}
training: {epochs: 1, batch_size: 8}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 5},{(i * i) % 7},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "points.csv").write_text("\n".join(["x,y,class", *rows, ""]), encoding="utf-8")
    (tmp_path / "small.yaml").write_text(CONFIG, encoding="utf-8")
    return "small.yaml"


def said(capsys, code, *words):
    assert main(["graph", *words]) == code
    return capsys.readouterr()


@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.dot", "a.html"])
def test_it_draws_one_step_with_two_examples_and_prints_the_path(config, tmp_path, capsys, name):
    out, err = said(capsys, 0, config, "-o", name)
    assert out == f"{name}\n" and err == ("note: drawn with 2 examples in the batch, for their numbers to be read; "
                                          "training.batch_size=8 draws all\n")
    assert (tmp_path / name).stat().st_size > 1000 and not (tmp_path / "runs").exists()


def test_a_batch_size_of_ones_own_is_kept_and_the_layers_are_named(config, tmp_path, capsys):
    err = said(capsys, 0, config, "training.batch_size=5", "-o", "a.svg", "seed=4").err
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert err == "" and "(5, 3) float32" in text and "one step of small.yaml" in text
    assert re.findall(r'class="label"[^>]*>([^<]+)<', text)[1:] and "layers.2.weight" in text


@pytest.mark.parametrize("words, code, text", [
    (["small.yaml", "-o", "a.gif"], 2, "a.gif: the name of a graph's file ends in .svg, .png, .dot or .html"),
    (["none.yaml", "-o", "a.svg"], 2, "none.yaml"),
    (["small.yaml", "-o", "no/a.svg"], 2, "no/a.svg: cannot be written: there is no folder no; make it first"),
    (["small.yaml", "-o", "a.svg", "training.batchsize=2"], 2, "unknown key 'batchsize' in training"),
    (["small.yaml", "-o", "a.svg", "data.train=none.csv"], 1, "none.csv"),
])
def test_mistakes_end_in_one_line_that_names_them(config, tmp_path, capsys, words, code, text):
    out, err = said(capsys, code, *words)
    assert out == "" and text in err.splitlines()[-1]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("a.")]


def test_without_a_file_to_write_to_it_tells_its_usage(config, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["graph", config])
    assert ended.value.code == 2 and "-o" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["graph", "--help"])
    assert ended.value.code == 0 and "Example: nnkit graph " in capsys.readouterr().out
