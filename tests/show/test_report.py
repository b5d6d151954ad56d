"""The page of runs: its numbers are those of the runs, and whatever is missing or written in them, it is a page."""

import importlib.util
import json
import re
import shutil

import numpy as np
import pytest
from reported import Page, train

import nnkit
from nnkit.__main__ import main
from nnkit.show.report import write_report
from nnkit.show.run_parts import NEIGHBOURS, TEMPERATURES
from nnkit.training.metrics import read_metrics
from nnkit.training.using import TrainedRun
from nnkit.vectors import WordVectors

PLOTLY = "/* plotly.js */"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which runs/ lies; the data is in it, too."""
    folder = tmp_path_factory.mktemp("reported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("nnkit.training.session.safe_plot", lambda folder: None)  # drawing takes longer than training
        train(folder, "classifier", "optimizer.lr=0.5")
        train(folder, "classifier", "optimizer.lr=0.05", "name=classifier")
        for name in ("words", "language", "tagger"):
            train(folder, name)
    return folder


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: PLOTLY)
    return trained


@pytest.fixture
def alone(here, tmp_path, monkeypatch):
    """A function that copies a run to another place, with its data still there; its new folder."""
    def copy(name):
        shutil.copytree(here / "runs" / name, tmp_path / "runs" / name)
        monkeypatch.chdir(tmp_path)
        return tmp_path / "runs" / name
    return copy


def page_of(tmp_path, *runs, say=None):
    said = []
    page = Page(write_report(runs, tmp_path / "page.html", say=said.append))
    assert page.scripts[1] == PLOTLY and len(page.scripts) == 3
    return page, said


def test_the_curves_and_the_table_of_measures_are_those_of_metrics_jsonl(here, tmp_path):
    page, said = page_of(tmp_path, "classifier-001", "classifier-002")
    assert said == [] and "2 runs compared" in page.text
    assert [" ".join([group["title"], *group["keys"]]) for group in page.data["groups"]] == [
        "loss train_loss dev_loss", "dev_acc dev_acc", "dev_f1_macro dev_f1_macro", "learning rate lr"]
    table = {tuple(row[:2]): row[2:] for row in page.tables["Measures"][1:]}
    for run in page.data["runs"]:
        rows = read_metrics(here / "runs" / run["name"] / "metrics.jsonl")
        for key, kind in (("train_loss", "train"), ("dev_loss", "eval"), ("dev_acc", "eval"), ("dev_f1_macro", "eval")):
            logged = [row for row in rows if row["event"] == kind]
            for axis, x in (("steps", "step"), ("seconds", "seconds")):
                assert run["curves"][axis][key] == [[row[x] for row in logged], [row[key] for row in logged]]
            lowest = min(logged, key=lambda row: row[key])
            cells = table[run["name"], key]
            assert cells[:2] == [f"{logged[-1][key]:.6g}", f"{lowest[key]:.6g}"]
            assert cells[2] == f"epoch {lowest['epoch']}, step {lowest['step']}"
            assert cells[3] == f"{max(row[key] for row in logged):.6g}"
        assert run["curves"]["epochs"]["dev_loss"][0] == [1, 2, 3]
    assert page.data["axes"] == {"steps": "step (updates)", "epochs": "epochs of training", "seconds": "seconds of training"}


def test_runs_are_compared_by_what_they_came_to_and_in_what_their_configs_differ(here, tmp_path):
    page, _ = page_of(tmp_path, "classifier-001", "runs/classifier-002", here / "runs/classifier-001")
    assert page.tables["In what their configs differ"] == [["key", "classifier-001", "classifier-002"], ["lr", "0.5", "0.05"]]
    best = json.loads((here / "runs/classifier-001/run.json").read_text(encoding="utf-8"))["best"]
    head, first, second = page.tables["Runs"]
    assert head[:3] == ["run", "status", "best"] and second[:2] == ["classifier-002", "finished"]
    assert first[2:5] == [f"dev_acc {best['value']:.6g} at epoch {best['epoch']}, step {best['step']}", "3 of 3", "24"]
    assert "lr: 0.05" in page.text


def test_a_classifier_shows_what_it_takes_for_what_as_evaluate_counts_it(here, tmp_path):
    page, _ = page_of(tmp_path, "classifier-002")
    run = nnkit.load("classifier-002")
    run.evaluate()
    assert page.data["runs"][0]["confusion"] == {"names": ["$x^2$", "<b>a</b>"], "counts": run.tally.counts.tolist()}
    assert page.tables["Confusion matrix"][0][1:] == ["$x^2$", "<b>a</b>"]
    assert [row[1:] for row in page.tables["Confusion matrix"][1:]] == [list(map(str, row)) for row in run.tally.counts.tolist()]
    assert [row[0] for row in page.tables["Scores of the classes"]] == ["class", "$x^2$", "<b>a</b>"]
    mistakes = [[f"{mistake.probability:.4f}", mistake.predicted, mistake.true] for mistake in run.tally.mistakes]
    assert [row[:3] for row in page.tables["The most confident mistakes"][1:]] == mistakes != []
    assert page.tables["The most confident mistakes"][1][3] == "one <script>document.title='stolen'</script> two three"
    wrong = [row[2:4] for row in page.tables["The commonest mistakes"][1:]]
    (a, b), (c, d) = run.tally.counts.tolist()
    assert wrong == [[str(n), f"{100 * n / of:.1f}%"] for n, of in sorted([(b, a + b), (c, c + d)], reverse=True) if n]


def test_word_vectors_have_a_map_and_the_neighbours_that_most_similar_finds(here, tmp_path):
    page, said = page_of(tmp_path, "words-001")
    vectors, found = WordVectors.load("runs/words-001/vectors.vec"), page.data["runs"][0]["map"]
    assert said == [] and found["words"] == vectors.words and len(found["x"]) == len(found["y"]) == len(vectors)
    for word, near in zip(found["words"], found["near"]):
        expected = vectors.most_similar(word, n=NEIGHBOURS)
        assert [other for other, _ in near] == [other for other, _ in expected]
        assert np.allclose([cosine for _, cosine in near], [cosine for _, cosine in expected], atol=6e-4)
    assert "<script>" in found["words"] and page.options[3:] == vectors.words  # behind those of the x axis


def test_a_language_model_shows_what_it_writes_at_each_temperature_and_a_tagger_a_tagged_line(here, tmp_path):
    page, said = page_of(tmp_path, "language-001", "tagger-001")
    model = nnkit.load("language-001")
    for heat in TEMPERATURES:
        for text in model.generate(n=3 if heat else 1, temperature=heat):
            assert f"temperature {heat} {' '.join(text.split())}".strip() in page.text
    lines = nnkit.load("tagger-001").report()
    assert len(lines) > 2 and " ".join(" ".join(lines).split()) in page.text and "<NOUN>" in page.text
    assert page.data["runs"][1]["confusion"]["names"] == ["<NOUN>", "DET", "VERB"] and said == []
    assert page.data["runs"][0]["map"]["words"]  # its word vectors


@pytest.mark.parametrize("status", ["running", "interrupted", "diverged", "failed"])
def test_a_run_that_did_not_finish_is_shown_with_its_status_and_what_happened(alone, tmp_path, status):
    path = alone("classifier-001") / "run.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, "status": status, "error": "loss <is> NaN"}), encoding="utf-8")
    page, _ = page_of(tmp_path, "classifier-001")
    assert page.tables["Runs"][1][1] == status and f"classifier-001 {status}: loss <is> NaN" in page.text


@pytest.mark.parametrize("name, missing, reason", [
    ("classifier-001", "metrics.jsonl", "no curves: .*metrics.jsonl: cannot be read"),
    ("classifier-001", "config.yaml", "no config: .*config.yaml"),
    ("classifier-001", "checkpoints", "its model is not shown: .*has no checkpoint yet"),
    ("classifier-001", "code", "its model is not shown: "),
    ("words-001", "vectors.vec", "no map of words: there is no vectors.vec"),
    ("language-001", "vocab.txt", "no samples: .*vocab.txt"),
])
def test_what_is_missing_is_said_and_the_rest_is_there(alone, tmp_path, name, missing, reason):
    path = alone(name) / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page, said = page_of(tmp_path, name)
    assert any(re.search(reason, line) for line in said) and all(line.startswith(f"note: {name}: ") for line in said)
    assert all(line.removeprefix(f"note: {name}: ") in page.text for line in said)
    assert page.tables["Runs"][1][1] == "finished" and ("Measures" in page.tables) == (missing != "metrics.jsonl")


def test_without_its_data_a_run_keeps_its_curves_and_loses_its_confusion_matrix(alone, tmp_path):
    run = alone("classifier-001")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("texts.tsv", "gone.tsv"), encoding="utf-8")
    page, (line,) = page_of(tmp_path, "classifier-001")
    assert re.search(r"nothing is measured on held-out data: .*gone\.tsv", line)
    assert not page.data["runs"][0]["confusion"] and page.data["runs"][0]["curves"]["steps"]["dev_acc"]


def test_a_damaged_file_or_a_recipe_that_breaks_costs_its_part_alone(alone, tmp_path, monkeypatch):
    run = alone("classifier-001")
    (run / "run.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(TrainedRun, "report", lambda self: 1 / 0)
    page, said = page_of(tmp_path, "classifier-001")
    assert page.tables["Runs"][1][1] == "broken" and any("run.json: is damaged" in line for line in said)
    assert any("ZeroDivisionError: division by zero" in line for line in said) and page.data["runs"][0]["curves"]["steps"]


def test_no_markup_of_a_users_text_becomes_markup_of_the_page(here, tmp_path):
    page, _ = page_of(tmp_path, "classifier-001", "words-001", "language-001", "tagger-001")
    assert not page.tags & {"b", "i"} and "http" not in "".join(page.scripts[2:])
    assert "<script>" not in page.scripts[0] and "</" not in page.scripts[0]


@pytest.mark.parametrize("words, code, text", [
    (["none-007", "-o", "a.html"], 1, "none-007: no such run; runs/ has "),
    (["words-001", "-o", "a.pdf"], 2, "a.pdf: the name of a report ends in .html"),
    (["words-001", "-o", "no/a.html"], 2, "no/a.html: cannot be written: there is no folder no; make it first"),
    (["words-001", "-o", "folder.html"], 1, "folder.html: cannot be written (Is a directory)"),
])
def test_mistakes_end_in_one_line_that_names_them(alone, tmp_path, capsys, words, code, text):
    alone("words-001")
    (tmp_path / "folder.html").mkdir()
    assert main(["report", *words]) == code
    out, err = capsys.readouterr()
    assert out == "" and text in err and err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "runs"]


def test_more_runs_than_colours_are_refused_and_a_missing_library_is_named(alone, tmp_path, capsys, monkeypatch):
    run = alone("words-001")
    for i in range(12):
        shutil.copytree(run, run.with_name(f"more-{i}"))
    assert main(["report", *map(str, run.parent.iterdir())]) == 2
    assert capsys.readouterr().err == "error: a report is of 1 to 12 runs, not of 13; name fewer\n"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["report", "words-001"]) == 1
    assert capsys.readouterr().err.endswith("need jinja2 and plotly; pip install 'nnkit[show]'\n")
    with pytest.raises(SystemExit) as ended:
        main(["report"])
    assert ended.value.code == 2 and not (tmp_path / "report.html").exists()


def test_the_command_prints_the_path_and_writes_report_html_by_default(alone, tmp_path, capsys, monkeypatch):
    alone("words-001")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["report", "@last"]) == 0
    assert capsys.readouterr() == ("report.html\n", "")
    assert 4_000_000 < (tmp_path / "report.html").stat().st_size < 8_000_000


def test_what_is_large_is_drawn_in_part(here, tmp_path, monkeypatch):
    for name, few in (("LONGEST", 3), ("ON_THE_MAP", 5), ("COLOURED", 1), ("TABULATED", 1)):
        monkeypatch.setattr(f"nnkit.show.report.{name}", few)
    page, _ = page_of(tmp_path, "classifier-001", "words-001")
    first, second = page.data["runs"]
    rows = [row["train_loss"] for row in read_metrics("runs/classifier-001/metrics.jsonl") if row["event"] == "train"]
    losses = first["curves"]["steps"]["train_loss"][1]
    assert len(rows) == 12 and np.allclose(losses, np.reshape(rows, (3, 4)).mean(1))
    assert len(second["map"]["words"]) == 5 and all(len(near) > 5 for near in second["map"]["near"])
    assert not first["confusion"] and "Confusion matrix" not in page.tables and "2 classes are too many" in page.text
    assert len(page.tables["The commonest mistakes"]) == 2


def test_one_value_is_no_curve_but_is_in_the_table(alone, tmp_path):
    path = alone("classifier-001") / "metrics.jsonl"
    rows = read_metrics(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row["step"] == 8), encoding="utf-8")
    page, _ = page_of(tmp_path, "classifier-001")
    assert page.data["groups"] == [] and "Curves" not in page.text
    assert [row[1] for row in page.tables["Measures"][1:]] == ["train_loss", "dev_loss", "dev_acc", "dev_f1_macro"]
