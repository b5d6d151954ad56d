"""The commands about word vectors as a person starts them: what they print, and how they end."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nnkit.__main__ import COMMANDS, main
from nnkit.vectors import WordVectors

QUERIES = ["neighbors", "analogy", "similarity", "map", "export"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with one run that has vectors and one that has none."""
    monkeypatch.chdir(tmp_path)
    for number, status in ((1, "finished"), (2, "running")):
        run = tmp_path / f"runs/sgns-00{number}"
        run.mkdir(parents=True)
        (run / "run.json").write_text(f'{{"format": 1, "status": "{status}", "started": "2020-01-01T00:00:0{3 - number}Z"}}',
                                      encoding="utf-8")
    words = ["man", "king", "woman", "queen", "stone"]
    matrix = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [-1, -1, 0]], np.float32)
    WordVectors(words, matrix).save_word2vec(tmp_path / "runs/sgns-001/vectors.vec")
    return tmp_path


def error(capsys, code, *words):
    """The one line that a command which ends with this code says."""
    assert main([str(word) for word in words]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


def output(capsys, *words):
    assert main([str(word) for word in words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


@pytest.mark.parametrize("run", ["sgns-001", "runs/sgns-001", "runs/sgns-001/vectors.vec", "@last"])
def test_a_run_is_named_as_everywhere_and_a_file_by_its_path(folder, capsys, run):
    assert output(capsys, "neighbors", run, "king", "-n", 2) == ["king", "   0.7071  man", "   0.5000  queen"]


def test_neighbours_of_several_words_in_a_process_of_its_own(folder):
    result = subprocess.run([sys.executable, "-m", "nnkit", "neighbors", "@last", "king", "man", "-n", "1"], capture_output=True,
                            text=True, env={**os.environ, "PYTHONWARNINGS": "error"}, timeout=100)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["king", "   0.7071  man", "man", "   0.7071  king"]


def test_analogy_answers_by_both_methods(folder, capsys):
    for method in ("3cosadd", "3cosmul"):
        lines = output(capsys, "analogy", "@last", "man", "king", "woman", "--method", method)
        assert lines[0] == "man : king = woman : ?" and lines[1].split()[1] == "queen" and len(lines) == 3


def test_similarity_of_two_words_and_of_all_kinds_of_files(folder, capsys):
    assert output(capsys, "similarity", "@last", "man", "king") == ["0.7071"]
    (folder / "pairs.tsv").write_text("man\tking\t9\nman\tstone\t1\nMan\tqueen\t3\nman\tcat\t3\n", encoding="utf-8")
    (folder / "analogies.txt").write_text(": royals\nman king woman queen\nman king cat queen\n", encoding="utf-8")
    (folder / "odd.txt").write_text(": things\nman king woman queen stone\n", encoding="utf-8")
    assert output(capsys, "similarity", "@last", "pairs.tsv", "analogies.txt", "odd.txt") == [
        "pairs.tsv: spearman 1.0000, pearson 0.9608 (3 of 4 pairs)",
        "analogies.txt: accuracy 1.0000 (1 right of 1 used of 2 questions)",
        "  1.0000  royals (1 right of 1 used of 2)",
        "odd.txt: accuracy 1.0000 (1 right of 1 used of 1 sets; by chance 0.2000 ± 0.4000)"]
    assert "pairs.tsv: spearman 1.0000" in output(capsys, "similarity", "@last", "--case-sensitive", "pairs.tsv")[0]
    assert "no.txt: no such file" in error(capsys, 1, "similarity", "@last", "pairs.tsv", "no.txt")
    assert "analogies" in output(capsys, "similarity", "@last", "analogies.txt", "--top", 0)[0]


def test_map_draws_a_picture_and_prints_its_path(folder, capsys):
    assert output(capsys, "map", "@last", "-o", "map.png") == ["map.png"]
    assert (folder / "map.png").stat().st_size > 5000
    assert "2 of its 5 words are chosen" in error(capsys, 1, "map", "@last", "-o", "map.png", "--words", 2)
    assert "3 of its 5 words are chosen" not in str(output(capsys, "map", "@last", "-o", "map.svg", "--skip", 2))
    assert "ends in .png" in error(capsys, 2, "map", "@last", "-o", "map.jpg")


@pytest.mark.parametrize("form", ["word2vec", "word2vec-binary", "glove", "npz"])
def test_export_writes_what_loads_as_the_same_vectors(folder, capsys, form):
    assert output(capsys, "export", "@last", "--to", form, "-o", "out") == ["out"]
    before, after = WordVectors.load("runs/sgns-001/vectors.vec"), WordVectors.load("out")
    assert before.words == after.words and before.matrix.tobytes() == after.matrix.tobytes()
    assert output(capsys, "similarity", "out", "man", "king") == ["0.7071"]
    assert "none/out" in error(capsys, 1, "export", "@last", "--to", form, "-o", "none/out").replace(os.sep, "/")


def test_mistakes_are_one_line(folder, capsys):
    assert "'knig' is not among the 5 known; did you mean 'king'?" in error(capsys, 1, "neighbors", "@last", "king", "knig")
    assert "nothing: no such file or run; runs/ has sgns-001, sgns-002" in error(capsys, 1, "neighbors", "nothing", "king")
    assert "has no vectors.vec (status: running)" in error(capsys, 1, "map", "sgns-002", "-o", "map.png")
    (folder / "cut.vec").write_text("9 3\nking 1 2 3\n", encoding="utf-8")
    assert "cut.vec" in error(capsys, 1, "analogy", "cut.vec", "a", "b", "c")


@pytest.mark.case("wordvectors", 12)
@pytest.mark.case("wordvectors", 14)
def test_what_is_to_be_noticed_about_a_file_goes_to_stderr(folder, capsys):
    (folder / "some.vec").write_text("4 2\nking 1 2\nking 3 4\nnew york 1 3\nb 2 1\n", encoding="utf-8")
    assert main(["similarity", "some.vec", "king", "new york"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "0.9899\n" and captured.err.count("note: ") == 2 == captured.err.count("\n")
    assert main(["export", "some.vec", "--to", "glove", "-o", "out"]) == 1
    assert "'new york' has white space" in capsys.readouterr().err and not (folder / "out").exists()


@pytest.mark.case("wordvectors", 11)
def test_words_that_are_not_utf_8_can_be_replaced(folder, capsys):
    (folder / "some.vec").write_bytes(b"2 2\nking 1 2\nb\xe4\xb8 3 4\n")
    assert "some.vec:3" in error(capsys, 1, "neighbors", "some.vec", "king")
    assert output(capsys, "neighbors", "some.vec", "king", "--unicode-errors", "replace")[1].endswith("b\ufffd")


@pytest.mark.parametrize("command", QUERIES)
def test_every_command_has_a_help_with_an_example_and_2_for_wrong_usage(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and f"Example: nnkit {command}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2


def test_the_list_of_commands_names_them_all(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert set(QUERIES) < set(COMMANDS) and all(f"  {command} " in text for command in COMMANDS)
    assert main(["nothing"]) == 2 and "no command 'nothing'" in capsys.readouterr().err
