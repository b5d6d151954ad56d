"""Pictures of confusion matrices: one for any number of classes, with the names and counts of few."""

import numpy as np
import pytest

import nnkit
from nnkit.training.confusion_picture import draw_confusion


def drawn(tmp_path, n, name="c.svg"):
    counts = np.random.default_rng(n).integers(0, 9, (n, n)) + np.diag(np.full(n, 90))
    names = [f"class_{i}" for i in range(n)]
    return counts, draw_confusion(counts, names, tmp_path / name, title="digits-001: 90.0% of 12 right").read_text("utf-8")


@pytest.mark.parametrize("n", [1, 2, 18, 100])
def test_every_class_has_its_name_on_both_axes_and_few_have_counts(tmp_path, n):
    counts, svg = drawn(tmp_path, n)
    for i in range(n):
        assert svg.count(f">class_{i}<") == 2
    assert ">predicted<" in svg and ">true<" in svg and "digits-001" in svg
    assert (f">{counts.max()}<" in svg) == (n <= 18)


def test_of_very_many_classes_some_are_named(tmp_path):
    _, svg = drawn(tmp_path, 300)
    assert svg.count(">class_0<") == 2 and svg.count(">class_1<") == 0 and 100 <= svg.count(">class_") <= 240


def test_names_are_no_formulas_and_a_class_without_examples_is_no_warning(tmp_path):
    svg = draw_confusion(np.array([[3, 1], [0, 0]]), ["$a_1$", "b\nc"], tmp_path / "x.svg").read_text("utf-8")
    assert svg.count(">$a_1$<") == 2 and svg.count(">b?c<") == 2


def test_the_same_counts_give_the_same_bytes_and_other_endings_are_refused(tmp_path):
    assert drawn(tmp_path, 3) [1] == drawn(tmp_path, 3)[1]
    with pytest.raises(nnkit.ConfigError, match=r"a picture's name ends in \.png, \.svg or \.pdf"):
        draw_confusion(np.eye(2, dtype=int), "ab", tmp_path / "c.bmp")
    with pytest.raises(nnkit.UserError, match="cannot be written"):
        draw_confusion(np.eye(2, dtype=int), "ab", tmp_path / "none" / "c.png")
