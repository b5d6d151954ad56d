"""Everything before the first matrix product: reading text and tables, vocabularies, batches.

The names are imported when they are first asked for: a program that makes its own arrays pays for no file reader.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnkit.data.batching import minibatches
    from nnkit.data.tables import read_csv, split
    from nnkit.data.text import Sentences, describe, read_lines, read_sentences
    from nnkit.data.vocabulary import Corpus, Vocabulary, load_corpus

_HOME = {
    "minibatches": "batching",
    "read_csv": "tables",
    "split": "tables",
    "Sentences": "text",
    "describe": "text",
    "read_lines": "text",
    "read_sentences": "text",
    "Corpus": "vocabulary",
    "Vocabulary": "vocabulary",
    "load_corpus": "vocabulary",
}

__all__ = ["Corpus", "Sentences", "Vocabulary", "describe", "load_corpus", "minibatches", "read_csv", "read_lines",
           "read_sentences", "split"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"nnkit.data.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnkit.data' has no attribute {name!r}")
