"""Word vectors: files, queries."""

from nnkit.vectors.word_vectors import WordVectors

__all__ = ["WordVectors"]
