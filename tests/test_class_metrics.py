"""Scores of classifiers against their definitions, however the batches fall; and what people get to see of them."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit import Tensor, metrics

classified = st.integers(1, 6).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40)))


def tally_of(pairs, n, mistakes=0):
    """A tally of these (true, predicted) pairs, all of one confidence."""
    tally = metrics.Tally([f"c{i}" for i in range(n)], mistakes)
    if pairs:
        classes, predicted = map(np.array, zip(*pairs))
        tally.add(3.0 * np.eye(n)[predicted], classes)
    return tally


def plain_scores(pairs, kind):
    """(precision, recall, f1, support) of one class, by counting."""
    hits = sum(t == p == kind for t, p in pairs)
    predicted, support = sum(p == kind for _, p in pairs), sum(t == kind for t, _ in pairs)
    precision, recall = hits / predicted if predicted else 0, hits / support if support else 0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0, support


@settings(deadline=None)
@given(classified)
def test_scores_of_classes_are_those_of_counting(drawn):
    n, pairs = drawn
    expected = np.array([plain_scores(pairs, kind) for kind in range(n)])
    got = metrics.class_scores(tally_of(pairs, n).counts)
    np.testing.assert_allclose(np.transpose(got), expected, atol=1e-12)


@settings(deadline=None)
@given(classified)
def test_macro_scores_are_means_over_the_classes_that_occur_and_micro_ones_the_accuracy(drawn):
    n, pairs = drawn
    tally, occurring = tally_of(pairs, n), sorted({kind for pair in pairs for kind in pair})
    rows = np.array([plain_scores(pairs, kind) for kind in occurring]).reshape(-1, 4)
    means = rows.mean(0) if pairs else np.zeros(4)
    for column, name in enumerate(["precision_macro", "recall_macro", "f1_macro"]):
        assert tally.score(name) == pytest.approx(means[column])
    accuracy = sum(t == p for t, p in pairs) / max(1, len(pairs))
    assert tally.score("acc") == tally.score("f1_micro") == accuracy
    assert tally.score("f1_weighted") == pytest.approx(rows[:, 2] @ rows[:, 3] / max(1, len(pairs)))


def test_every_score_is_that_of_scikit_learn():
    """By hand from its documentation: f1_score([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1]) is macro 0.26..., micro 0.33..."""
    tally = tally_of(list(zip([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1])), 3)
    assert tally.score("f1_macro") == pytest.approx(0.8 / 3)
    assert tally.score("f1_micro") == pytest.approx(1 / 3)
    assert tally.score("f1_weighted") == pytest.approx(0.8 / 3)
    np.testing.assert_allclose(metrics.class_scores(tally.counts).f1, [0.8, 0, 0])


@pytest.mark.case("trainer", 17)
@pytest.mark.case("trainer", 21)
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2 ** 32 - 1), st.integers(1, 60), st.integers(1, 5))
def test_batches_of_any_size_come_to_the_same(seed, n, k):
    rng = np.random.default_rng(seed)
    logits, classes = rng.normal(size=(n, k)).astype(np.float32) * 3, rng.integers(0, k, n)
    names = [str(i) for i in range(k)]
    whole, parts = metrics.Tally(names, mistakes=3), metrics.Tally(names, mistakes=3)
    whole.add(logits, classes, range(n))
    for first in range(0, n, 7):
        parts.add(Tensor(logits[first:first + 7]), classes[first:first + 7], range(first, min(n, first + 7)))
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert whole.mistakes == parts.mistakes and whole.n == n == parts.n
    one, other = whole.scores(metrics.SCORES, "dev_"), parts.scores(metrics.SCORES, "dev_")
    assert list(one) == ["dev_loss", *(f"dev_{name}" for name in metrics.SCORES)]
    assert one == pytest.approx(other, rel=1e-12)
    p = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
    assert whole.loss == pytest.approx(-np.log(p[np.arange(n), classes]).sum())
    wrong = sorted(p.max(1)[p.argmax(1) != classes])[::-1][:3]
    np.testing.assert_allclose([m.probability for m in whole.mistakes], wrong)
    assert all(m.true == names[classes[m.example]] and m.predicted == names[p[m.example].argmax()] for m in whole.mistakes)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2 ** 32 - 1), st.integers(1, 200))
def test_calibration_error_is_that_of_ten_bins(seed, n):
    rng = np.random.default_rng(seed)
    logits, classes = rng.normal(size=(n, 3)) * 2, rng.integers(0, 3, n)
    tally = metrics.Tally("abc")
    tally.add(logits, classes)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == classes
    inside = [(confidence > k / 10) & (confidence <= (k + 1) / 10) for k in range(10)]
    expected = sum(some.sum() / n * abs(right[some].mean() - confidence[some].mean()) for some in inside if some.any())
    assert tally.calibration_error == pytest.approx(expected, abs=1e-12)


def test_confidence_that_is_always_right_and_always_wrong():
    tally = metrics.Tally("ab")
    tally.add([[0, 1e4], [1e4, 0]], [1, 0])
    assert tally.calibration_error == 0 == tally.loss
    tally.add([[0, 1e4], [1e4, 0]], [0, 1])
    assert tally.calibration_error == 0.5 and tally.loss == 2e4


def test_nothing_counted_is_zero_everywhere():
    tally = metrics.Tally("abc", mistakes=5)
    assert set(tally.scores(metrics.SCORES).values()) == {0.0} and tally.mistakes == []
    assert len(tally.class_lines()) == 6 and len(tally.confusion_lines()) == 4


@pytest.mark.parametrize("classes, predicted, error", [
    ([0, 1], [0], ValueError), ([[0]], [[0]], ValueError), ([0], [2], IndexError), ([-1], [0], IndexError)])
def test_classes_that_do_not_fit_are_refused(classes, predicted, error):
    with pytest.raises(error, match="confusion_matrix"):
        metrics.confusion_matrix(classes, predicted, 2)


def test_lines_stand_below_one_another_and_hold_the_counts():
    tally = tally_of([(0, 0)] * 120 + [(0, 2)] * 7 + [(1, 1)] * 3 + [(2, 1)], 3)
    lines = tally.confusion_lines()
    assert [line.split() for line in lines] == [["true", "c0", "c1", "c2"], ["c0", "120", "0", "7"], ["c1", "0", "3", "0"],
                                                ["c2", "0", "1", "0"]]
    assert len(set(map(len, lines))) == 1 == len(set(map(len, tally.class_lines())))
    rows = {line.split()[0]: line.split()[1:] for line in tally.class_lines()}
    assert rows["class"] == ["precision", "recall", "f1", "support"] and rows["c1"] == ["0.7500", "1.0000", "0.8571", "3"]
    assert rows["weighted"][-1] == "131" == rows["macro"][-1]


def test_names_are_cut_and_of_more_than_twenty_classes_the_largest_are_shown():
    names = [f"a class with a name that is long, {i}" for i in range(50)]
    counts = np.diag(np.arange(50))
    lines = metrics.confusion_lines(counts, names)
    assert len(lines) == 22 and lines[-1] == "... 30 more classes" and max(map(len, lines)) < 130
    assert lines[0].split() == ["true", *map(str, range(1, 21)), "..."]  # names cut to fit are all alike
    assert lines[1].endswith("...") and "30" in lines[1].split() and lines[20].split()[-2] == "49"
    assert len(set(map(len, lines[:-1]))) == 1


def test_a_mistake_is_one_line_whatever_it_is_of():
    tally = metrics.Tally(["ham", "a\x1b[31mb"], mistakes=3)
    tally.add([[0, 3.0], [0, 2.0], [0, 1.0]], [0, 0, 0], ["a text\nof two lines " + "x" * 500, ["some", "words"], [1.5, 2.0]])
    lines = tally.mistake_lines(longest=40)
    assert [line[:6] for line in lines] == ["0.9526", "0.8808", "0.7311"]
    assert all(line.isprintable() for line in lines) and lines[0].endswith("x…")
    assert lines[1].endswith("true ham: some words") and lines[2].endswith("true ham: 1.5,2")
    assert metrics.as_text(None) == "" and metrics.as_text([]) == ""


def test_the_example_at_the_top_of_the_module_runs(capsys):
    example = textwrap.dedent(metrics.__doc__.split("\n\n")[-1])
    exec(example, {"metrics": metrics, "model": np.array, "batches": [([[0, 3.0], [2, 0]], [1, 1], ["money", "hello"])]})
    assert capsys.readouterr().out.startswith("0.5\n") and "tally" in example


def test_the_module_needs_numpy_alone():
    code = "import sys; from nnkit import metrics; print('matplotlib' in sys.modules, 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"
