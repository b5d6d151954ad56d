"""Everything before the first matrix product: reading text and tables, vocabularies, batches.

The names are imported when they are first asked for: a program that makes its own arrays pays for no file reader.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnkit.data.batching import minibatches
    from nnkit.data.corpus import Corpus, load_corpus
    from nnkit.data.phrases import join_phrases, learn_phrases
    from nnkit.data.tables import balanced_weights, read_csv, read_npz, split
    from nnkit.data.text import Sentences, describe, read_lines, read_sentences
    from nnkit.data.vocabulary import Vocabulary

_HOME = {
    "minibatches": "batching",
    "Corpus": "corpus",
    "load_corpus": "corpus",
    "join_phrases": "phrases",
    "learn_phrases": "phrases",
    "balanced_weights": "tables",
    "read_csv": "tables",
    "read_npz": "tables",
    "split": "tables",
    "Sentences": "text",
    "describe": "text",
    "read_lines": "text",
    "read_sentences": "text",
    "Vocabulary": "vocabulary",
}

__all__ = ["Corpus", "Sentences", "Vocabulary", "balanced_weights", "describe", "join_phrases", "learn_phrases", "load_corpus",
           "minibatches", "read_csv", "read_lines", "read_npz", "read_sentences", "split"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"nnkit.data.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnkit.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
