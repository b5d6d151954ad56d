"""Texts as bags of words: what a classifier learns of the training part, and the few numbers of each text, kept sparse.

A bag has a column for each word, and a text has a number in those of its own words alone. Only these are kept: of 25,000 reviews
they are some megabytes, where a matrix with all columns would be gigabytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nnkit.data.encoded import EncodedTexts, gather
from nnkit.data.features import PathOf
from nnkit.data.files import reading
from nnkit.data.labelled import Layout
from nnkit.data.text_inputs import TextInputs, load_rules
from nnkit.data.tokenizers import Tokenizer
from nnkit.data.vocabulary import Vocabulary
from nnkit.errors import DataError


class SparseBags(NamedTuple):
    """Some texts, (texts, columns) in which nearly all is zero. ids: (n,) the columns that are not, text after text; values: (n,)
    float32 what stands there; offsets: (texts,) where each text begins."""

    ids: np.ndarray
    values: np.ndarray
    offsets: np.ndarray

    def part(self, index: int, of: int) -> SparseBags:
        """Every of-th of the texts, from number `index` on."""
        places, offsets = gather(np.append(self.offsets, len(self.ids)), np.arange(index, len(self.offsets), of))
        return SparseBags(self.ids[places], self.values[places], offsets)

    def dense(self, columns: int) -> np.ndarray:
        """(texts, columns) float32."""
        rows = np.zeros((len(self.offsets), columns), np.float32)
        rows[np.repeat(np.arange(len(rows)), np.diff(self.offsets, append=len(self.ids))), self.ids] = self.values
        return rows


@dataclass(frozen=True)
class BagRule:
    """The number of word w in text d, where it stands c times:

        counts: c      binary: 1      tfidf: c · (ln((1 + N) / (1 + n_w)) + 1)

    with n_w of the N texts to train on that have w (scikit-learn's TfidfVectorizer as it is by default: smooth_idf, no
    sublinear_tf). unit_length: each text's numbers are then divided by the root of the sum of their squares (its norm="l2").
    hashed: so many columns and no vocabulary, the column of a word is `HashedWords`'s; None: a column for each known word.
    """

    values: str = "binary"
    hashed: int | None = None
    unit_length: bool = True

    def __str__(self) -> str:
        return ("tf-idf" if self.values == "tfidf" else self.values) + ("" if self.unit_length else ", of any length")


class HashedWords:
    """A vocabulary of all words there are, in `n` columns: that of a word is the CRC-32 of its UTF-8, modulo n.

    It is the same on every machine and in every run. Nothing is counted or kept, and no word is unknown; but words that fall into
    one column cannot be told apart, and of m different ones about m - n (1 - exp(-m / n)) share theirs with an earlier one.
    """

    def __init__(self, n: int):
        self.n = n

    @property
    def index(self) -> HashedWords:
        return self

    def get(self, word: str) -> int:
        return zlib.crc32(word.encode("utf-8", "surrogatepass")) % self.n

    def __len__(self) -> int:
        return self.n

    def __contains__(self, word: object) -> bool:
        return True


class BagInputs(TextInputs):
    """TextInputs whose texts become bags by a BagRule.

    having: (columns,) int64, how many of the `n_texts` texts of the training part have a word of each column.
    """

    rule_file = "bags.json"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Any, layout: Layout, rule: BagRule, n_texts: int, having: np.ndarray):
        super().__init__(tokenizer, vocabulary, layout)
        self.rule, self.n_texts, self.having = rule, n_texts, having
        self.n_features = len(vocabulary)
        self.factors = np.log((1 + n_texts) / (1 + having)) + 1 if rule.values == "tfidf" else None

    @classmethod
    def learn(cls, inputs: TextInputs, encoded: EncodedTexts, rule: BagRule) -> BagInputs:
        """Count the texts that have each word: `encoded` is the training part."""
        having = np.bincount(word_counts(encoded, len(inputs.vocabulary))[0], minlength=len(inputs.vocabulary))
        return cls(inputs.tokenizer, inputs.vocabulary, inputs.layout, rule, len(encoded), having)

    @property
    def known(self) -> str:
        what = f"{self.n_features:,} {'words' if self.rule.hashed is None else 'columns of hashed words'}"
        return f"{what} ({self.tokenizer}), {self.rule}"

    def bags(self, encoded: EncodedTexts) -> Callable[[Any], SparseBags]:
        """Of texts in numbers of this vocabulary; the result gives the SparseBags of those that it is asked for."""
        ids, counts, offsets = word_counts(encoded, self.n_features)
        values = np.ones(len(ids)) if self.rule.values == "binary" else counts.astype(np.float64)
        if self.factors is not None:
            values *= self.factors[ids]
        if self.rule.unit_length:
            text = np.repeat(np.arange(len(encoded)), np.diff(offsets))
            values /= np.sqrt(np.bincount(text, values * values, minlength=len(encoded)))[text]
        narrow = values.astype(np.float32)

        def chosen_bags(chosen: Any) -> SparseBags:
            places, starts = gather(offsets, chosen)
            return SparseBags(ids[places], narrow[places], starts)

        return chosen_bags

    def bag(self, words: list[str]) -> SparseBags:
        """Of one text, by its words."""
        ids = self.ids(words)
        return self.bags(EncodedTexts(ids, np.array([0, len(ids)]), np.array([len(words)])))([0])

    def save(self, path: PathOf) -> None:
        self.save_rules(path)
        if self.rule.hashed is None:
            self.vocabulary.save(path("vocab.txt"))
        kept = {**vars(self.rule), "texts": self.n_texts,
                "texts_that_have": self.having.tolist() if self.rule.values == "tfidf" else None}
        with open(path(self.rule_file), "w", encoding="utf-8", newline="\n") as out:
            json.dump(kept, out)
            out.write("\n")

    @classmethod
    def load(cls, path: PathOf) -> BagInputs:
        """What `save` wrote. DataError where it is missing or damaged."""
        tokenizer, layout = load_rules(path)
        file = path(cls.rule_file)
        with reading(file):
            text = file.read_bytes()
        try:
            kept = json.loads(text)
            n_texts, having = kept.pop("texts"), kept.pop("texts_that_have")
            rule = BagRule(**kept)
            vocabulary = Vocabulary.load(path("vocab.txt")) if rule.hashed is None else HashedWords(rule.hashed)
            counted = np.array(having, np.int64) if rule.values == "tfidf" else np.zeros(len(vocabulary), np.int64)
            if counted.shape != (len(vocabulary),):
                raise ValueError(f"{len(counted)} numbers for {len(vocabulary)} columns")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}: is damaged ({error}); a run writes it at its end") from None
        return cls(tokenizer, vocabulary, layout, rule, n_texts, counted)


def word_counts(encoded: EncodedTexts, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different columns of each text, text after text and rising, (n,) int32; how often each stands there, (n,); and where
    each text begins and the last one ends, (texts + 1,)."""
    text = np.repeat(np.arange(len(encoded), dtype=np.int64), encoded.lengths)
    keys, counts = np.unique(text * columns + encoded.ids, return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(keys // columns, minlength=len(encoded)))])
    return (keys % columns).astype(np.int32), counts, offsets
