"""nnkit generate: what a language model writes depends on its seed alone, and each mistake is one line."""

import numpy as np
import pytest

import nnkit
from nnkit.__main__ import main
from nnkit.training.recipe import load_recipe, shipped_folder

draw = load_recipe(shipped_folder("recipes") / "language_model.py").generate.__globals__["draw"]

LINES = ["the cat sat", "the dog sat", "a cat ran", "the dog ran", "a dog sat"]
CONFIG = """\
recipe: language_model
data: {{train: text.txt, dev: text.txt, unit: {unit}, running: {running}}}
model: {{context: 2, dim: 8, hidden: 16}}
training: {{epochs: 30, batch_size: 8}}
optimizer: {{lr: 0.5}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """runs[unit, running]: a run's folder."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runs")
        patch.chdir(folder)
        (folder / "text.txt").write_text("\n".join(LINES * 3) + "\n", encoding="utf-8")
        for unit in ("words", "characters"):
            for running in (False, True):
                (folder / f"{unit}.yaml").write_text(CONFIG.format(unit=unit, running=str(running).lower()), encoding="utf-8")
                found[unit, running] = folder / nnkit.fit(f"{unit}.yaml", quiet=True).path
        (folder / "text.txt").unlink()
    return found


def printed(capsys, *words):
    assert main(["generate", *map(str, words)]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err.splitlines()


def test_a_seed_gives_the_same_text_and_the_first_of_many_is_the_one_alone(runs, capsys):
    run = runs["characters", False]
    five, said = printed(capsys, run, "--n", 5, "--seed", 7)
    assert five == printed(capsys, run, "--n", 5, "--seed", 7)[0] != printed(capsys, run, "--n", 5, "--seed", 8)[0]
    assert printed(capsys, run, "--seed", 7)[0] == five.splitlines()[0] + "\n" and five.count("\n") == 5
    assert len(said) == 1 and "last.npz" in said[0]
    assert "".join(text + "\n" for text in nnkit.load(run).generate(n=5, seed=7)) == five


def test_temperature_0_is_the_most_probable_whatever_the_seed(runs, capsys):
    texts = {printed(capsys, runs["words", False], "--temperature", 0, "--seed", seed)[0] for seed in range(4)}
    assert len(texts) == 1 and texts.pop().strip() in LINES
    assert {printed(capsys, runs["words", False], "--top-k", 1, "--seed", seed)[0] for seed in range(4)} == {
        printed(capsys, runs["words", False], "--temperature", 0)[0]}


def test_a_text_begins_with_its_prompt(runs, capsys):
    out, _ = printed(capsys, runs["words", False], "--prompt", "the dog", "--n", 20)
    assert all(line.startswith("the dog ") for line in out.splitlines()) and set(out.splitlines()) & set(LINES)
    out, _ = printed(capsys, runs["characters", False], "--prompt", "the d", "--temperature", 0)
    assert out.startswith("the dog")


def test_a_line_ends_or_is_cut_and_a_running_text_has_the_length_that_was_asked_for(runs, capsys):
    for unit, parted in (("words", str.split), ("characters", list)):
        out, _ = printed(capsys, runs[unit, True], "--length", 40)
        count = len(parted(out)) + (out.count("\n") if unit == "words" else 0) - 1    # and the line end that print adds
        assert count == 40 and out.count("\n") > 2
        out, _ = printed(capsys, runs[unit, False], "--length", 2, "--n", 9)
        assert out.count("\n") == 9 and all(len(parted(line)) <= 2 for line in out.splitlines())
    out, _ = printed(capsys, runs["words", True], "--prompt", "the dog\n", "--length", 3, "--temperature", 0)
    assert out.startswith("the dog\n") and not out.startswith("the dog\n ")


def test_what_the_run_does_not_know_of_a_prompt_is_said_and_stands_as_unknown(runs, capsys):
    out, said = printed(capsys, runs["words", False], "--prompt", "the zebra zebra ü")
    assert out.startswith("the zebra zebra ü") and "note: the run does not know 'zebra', 'ü' of the prompt" in said
    out, said = printed(capsys, runs["characters", False], "--prompt", "the z")
    assert out.startswith("the z") and "note: the run does not know 'z' of the prompt" in said


@pytest.mark.parametrize("words, said", [
    (["--temperature", "-1"], "temperature: expected a number of at least 0, got -1.0"),
    (["--temperature", "nan"], "temperature: expected a number of at least 0, got nan"),
    (["--top-k", "0"], "length and top-k: expected numbers of at least 1, got 200 and 0"),
    (["--length", "0"], "length and top-k: expected numbers of at least 1, got 0 and None"),
    (["--n", "0"], "expected at least one text and a seed of at least 0, got 0 and 1"),
    (["--seed", "-1"], "expected at least one text and a seed of at least 0, got 1 and -1"),
    (["--prompt", "the\ndog"], "prompt: 'the\\ndog' has a line end in it"),
])
def test_an_option_that_makes_no_sense_is_one_line(runs, capsys, words, said):
    assert main(["generate", str(runs["words", False]), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.splitlines()[-1].startswith(f"error: {said}")
    assert captured.err.count("\n") == 2


def test_a_run_of_another_kind_writes_no_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("".join(f"{i},{i % 3},{i % 2}\n" for i in range(40)), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("recipe: classifier\ndata: {train: t.csv}\ntraining: {epochs: 1}\n", encoding="utf-8")
    run = nnkit.fit("c.yaml", quiet=True)
    assert main(["generate", str(run.path)]) == 1
    assert "error: Classifier writes no text: only a language model has generate" in capsys.readouterr().err


def test_symbols_are_drawn_by_their_shares_of_the_k_most_probable():
    logits = np.log(np.array([0.1, 0.3, 0.05, 0.4, 0.15], np.float32))               # class 1 is the unknown one
    rng = np.random.default_rng(0)

    def shares(temperature, top_k):
        return np.bincount([draw(logits, temperature, top_k, rng) for _ in range(4000)], minlength=5) / 4000

    np.testing.assert_allclose(shares(1.0, None), np.array([0.1, 0, 0.05, 0.4, 0.15]) / 0.7, atol=0.03)
    np.testing.assert_allclose(shares(0.5, None), np.array([0.01, 0, 0.0025, 0.16, 0.0225]) / 0.195, atol=0.03)
    np.testing.assert_allclose(shares(1.0, 2), np.array([0, 0, 0, 0.4, 0.15]) / 0.55, atol=0.03)
    assert shares(1e-300, None)[3] == 1 and shares(1e300, None)[1] == 0
