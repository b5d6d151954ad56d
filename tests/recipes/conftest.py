"""Small corpora for the recipes' tests."""

import numpy as np
import pytest


@pytest.fixture
def corpus_file(tmp_path):
    """400 lines of words from 60, drawn by Zipf's law, lines of 1 to 30 words."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 61)
    lines = [" ".join(f"w{i}" for i in rng.choice(60, rng.integers(1, 31), p=share / share.sum())) for _ in range(400)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
