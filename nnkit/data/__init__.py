"""Everything before the first matrix product: reading text and tables, vocabularies, batches.

`nnkit.data.python_docs`, the built-in corpus, is imported where it is used: its parsers cost more than all the rest.
"""

from nnkit.data.minibatches import minibatches
from nnkit.data.tables import read_csv, split
from nnkit.data.text import Sentences, describe, read_lines, read_sentences
from nnkit.data.vocabulary import Corpus, Vocabulary, load_corpus

__all__ = [
    "Corpus",
    "Sentences",
    "Vocabulary",
    "describe",
    "load_corpus",
    "minibatches",
    "read_csv",
    "read_lines",
    "read_sentences",
    "split",
]
