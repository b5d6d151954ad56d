"""Word vectors: files in the formats that others read and write, neighbours and analogies, scores, a map."""

from nnkit.vectors.evaluation import evaluate_analogies, evaluate_odd_one_out, evaluate_pairs
from nnkit.vectors.evaluation_files import read_sections
from nnkit.vectors.word_vectors import UnknownWord, WordVectors

__all__ = ["UnknownWord", "WordVectors", "evaluate_analogies", "evaluate_odd_one_out", "evaluate_pairs", "read_sections"]
