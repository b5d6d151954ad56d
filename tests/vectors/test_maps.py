"""Maps: the projection keeps what it should, and labels do not lie on each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.errors import ConfigError, UserError
from nnkit.vectors import maps


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 99))
def test_pca_keeps_most_of_the_distances_and_never_fails(n, d, seed):
    matrix = np.random.default_rng(seed).standard_normal((n, d))
    points = maps.pca(matrix)
    assert points.shape == (n, 2) and np.isfinite(points).all() and np.allclose(points.mean(axis=0), 0)
    assert abs(points[:, 0] @ points[:, 1]) < 1e-9
    variances = np.linalg.eigvalsh(np.cov(matrix.T, bias=True).reshape(d, d))[::-1] if n > 1 else np.zeros(d)
    assert np.allclose(points.var(axis=0)[:d], variances[:2], atol=1e-9)


def test_no_label_lies_on_another(tmp_path, monkeypatch):
    boxes = []
    overlap = maps._overlap
    monkeypatch.setattr(maps, "_overlap", lambda box, others: boxes.append(others) or overlap(box, others))
    points = np.random.default_rng(0).standard_normal((150, 2))
    path, labelled = maps.draw_map([f"word{i}" for i in range(150)], points, tmp_path / "map.png")
    taken = max((b for b in boxes if b.shape != (150, 4)), key=len)
    assert path.read_bytes().startswith(b"\x89PNG") and 75 < labelled < 150
    assert all(overlap(box, np.delete(taken, i, axis=0)).sum() == 0 for i, box in enumerate(taken))


def test_any_word_can_be_drawn_and_the_same_map_is_the_same_file(tmp_path):
    words = ["$x_1$", "\u4e2d\u6587", "a\nb", "x" * 500, "_hidden", "<&>"]
    for name in ("a.svg", "b.svg", "a.pdf"):
        maps.draw_map(words, np.arange(12.0).reshape(6, 2), tmp_path / name, "title $")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "$x_1$" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_words_in_one_place_get_one_label_and_no_error(tmp_path):
    assert maps.draw_map(list("abc" * 4), np.zeros((12, 2)), tmp_path / "a.png")[1] >= 1


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        maps.draw_map(["a"], np.zeros((1, 2)), tmp_path / "a.jpg")
    with pytest.raises(UserError, match="cannot be written"):
        maps.draw_map(["a"], np.zeros((1, 2)), tmp_path / "none" / "a.png")
    with pytest.raises(ConfigError, match="not known"):
        maps.project(np.ones((3, 2)), "lda")


def test_zeros_have_a_place(tmp_path):
    assert np.isfinite(maps.project(np.zeros((4, 3), np.float32))).all()


@pytest.mark.parametrize("method, module", [("tsne", "sklearn"), ("umap", "umap")])
def test_other_projections_work_where_their_package_is_and_name_it_where_not(method, module):
    matrix = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    try:
        __import__(module)
    except ImportError:
        with pytest.raises(ConfigError, match="pip install"):
            maps.project(matrix, method)
        return
    assert maps.project(matrix, method).shape == (30, 2)
