"""scripts/sst_phrases.py: every phrase of a tree with its class."""

import importlib.util
import sys
from pathlib import Path

import pytest

from nnkit.errors import DataError

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "sst_phrases.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("sst_phrases", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_node_is_a_phrase(script):
    tree = r"(3 (2 It) (4 (2 's) (3 (4 good\/bad) (2 -RRB-))))"
    assert list(script.phrases(tree, "t:1")) == [(2, "It"), (2, "'s"), (4, r"good\/bad"), (2, "-RRB-"),
                                                 (3, r"good\/bad -RRB-"), (4, r"'s good\/bad -RRB-"),
                                                 (3, r"It 's good\/bad -RRB-")]


@pytest.mark.parametrize("tree", ["", "(3 (2 It)", "(3 It))", "It", "(3 It) (2 is)"])
def test_what_is_no_tree_is_said_with_its_line(script, tree):
    with pytest.raises(DataError, match="t:7: is no tree"):
        list(script.phrases(tree, "t:7"))


def test_both_files_are_written_and_the_neutral_phrases_left_out_of_one(script, tmp_path, monkeypatch, capsys):
    data = tmp_path / "data" / "classification" / "sst" / "trees"
    data.mkdir(parents=True)
    import gzip
    (data / "train.txt.gz").write_bytes(gzip.compress(b"(3 (2 It) (4 works))\n(0 (1 Not) (2 that))\n"))
    monkeypatch.setattr(sys, "argv", ["sst_phrases.py", str(tmp_path / "out")])
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    assert script.main() == 1 and "NNKIT_DATA is not set" in capsys.readouterr().err
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data"))
    assert script.main() == 0 and "sst5-phrases.tsv: 6 phrases" in capsys.readouterr().out
    assert (tmp_path / "out" / "sst5-phrases.tsv").read_text() == "2\tIt\n4\tworks\n3\tIt works\n1\tNot\n2\tthat\n0\tNot that\n"
    assert (tmp_path / "out" / "sst2-phrases.tsv").read_text() == "1\tworks\n1\tIt works\n0\tNot\n0\tNot that\n"


def test_the_treebank_has_as_many_phrases_as_are_published(script, shared_data, tmp_path):
    counts = script.write_phrases(shared_data / "classification" / "sst" / "trees" / "train.txt.gz", tmp_path)
    assert counts["sst5-phrases.tsv"] == 318_582
