"""What a text classifier knows of its inputs: how a text becomes words, words numbers, and how its files were written.

It is learnt from the training part alone and kept in two small files of a run, vocab.txt and texts.json, so that a text that
comes later goes the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.data.encoded import EncodedTexts
from nnkit.data.features import Example
from nnkit.data.files import reading
from nnkit.data.labelled import Layout, read_more
from nnkit.data.tokenizers import Tokenizer
from nnkit.data.vocabulary import Vocabulary
from nnkit.errors import DataError

PathOf = Callable[[str], Path]  # of a file name: where it belongs


class TextInputs:
    """A tokenizer, a vocabulary, and the Layout of labelled texts as the training file turned out to have it."""

    file = "texts.json"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, layout: Layout):
        self.tokenizer, self.vocabulary, self.layout = tokenizer, vocabulary, layout

    def encode(self, texts: Iterable[str]) -> EncodedTexts:
        return EncodedTexts.of(texts, self.tokenizer, self.vocabulary)

    def ids(self, words: Sequence[str]) -> np.ndarray:
        """Those of the known ones, (kept,) int32."""
        return np.array([i for i in map(self.vocabulary.index.get, words) if i is not None], np.int32)

    def read(self, inputs: Iterable[Any], source: str) -> Iterator[Example]:
        """The Examples in texts, whose content is their words; empty ones, too. TypeError for what is no text."""
        for number, given in enumerate(inputs, 1):
            if not isinstance(given, str):
                raise TypeError(f"{source}:{number}: expected a text, got {given!r:.60}")
            yield Example(f"{source}:{number}", given, None, self.tokenizer(given))

    def read_labelled(self, file: str, labels: Sequence[str] = ()) -> Iterator[Example]:
        """The Examples in a file with right answers, in the columns of the training; its format is its own. labels: the run's."""
        for e in read_more(file, replace(self.layout, format="auto", header=None), labels).examples:
            yield Example(e.place, e.text, e.label, self.tokenizer(e.text))

    def count_words(self, example: Example) -> tuple[int, int]:
        """Of its words, those that the vocabulary does not have, and all."""
        return sum(word not in self.vocabulary for word in example.content), len(example.content)

    @property
    def known(self) -> str:
        return f"{len(self.vocabulary):,} words ({self.tokenizer})"

    def save(self, path: PathOf) -> None:
        self.vocabulary.save(path("vocab.txt"))
        self.save_rules(path)

    def save_rules(self, path: PathOf) -> None:
        kept = {"tokenizer": self.tokenizer.as_dict(), "layout": asdict(self.layout)}
        with open(path(self.file), "w", encoding="utf-8", newline="\n") as out:
            json.dump(kept, out, indent=1, ensure_ascii=False)
            out.write("\n")

    @classmethod
    def load(cls, path: PathOf) -> TextInputs:
        """What `save` wrote. DataError where it is missing or damaged."""
        tokenizer, layout = load_rules(path)
        return cls(tokenizer, Vocabulary.load(path("vocab.txt")), layout)


def load_rules(path: PathOf) -> tuple[Tokenizer, Layout]:
    """What `save_rules` wrote. DataError where it is missing or damaged."""
    file = path(TextInputs.file)
    with reading(file):
        text = file.read_bytes()
    try:
        kept = json.loads(text)
        classes = kept["layout"].pop("classes")
        layout = Layout(**kept["layout"], classes=None if classes is None else tuple(classes))
        return Tokenizer(**kept["tokenizer"]), layout
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: is damaged ({error}); a run writes it at its end") from None
