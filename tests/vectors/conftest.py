"""Small vectors, and whole kinds of them, for the tests of this folder."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit.vectors import WordVectors

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# what a text format can hold: anything but the white space that ends a word, a number or a line
WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" \t\r\n"), min_size=1, max_size=8)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def word_vectors(draw, numbers=FINITE, words=WORDS):
    """1 to 6 different words with vectors of 1 to 5 numbers."""
    chosen = draw(st.lists(words, min_size=1, max_size=6, unique=True))
    return WordVectors(chosen, draw(hnp.arrays(np.float32, (len(chosen), draw(st.integers(1, 5))), elements=numbers)))


def drawn(n, d, seed=0, scale=0.3):
    """n words w0, w1 ... with normal vectors."""
    matrix = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32) * np.float32(scale)
    return WordVectors([f"w{i}" for i in range(n)], matrix)


def same(a, b):
    """The same words, and the same vectors to the bit."""
    return a.words == b.words and a.matrix.dtype == b.matrix.dtype and a.matrix.tobytes() == b.matrix.tobytes()


@pytest.fixture
def animals():
    """Three animals near each other, two machines, and a vector of zeros."""
    matrix = [[1, 0.1, 0], [0.9, 0.2, 0], [0.8, 0, 0.1], [0, 1, 0.9], [0.1, 0.9, 1], [0, 0, 0]]
    return WordVectors(["cat", "dog", "cow", "car", "bus", "nothing"], np.array(matrix, np.float32))
