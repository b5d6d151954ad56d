"""The `data` section of recipes that tag sequences, and what comes of it: sentences in numbers, to train on and held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from nnkit.data import Vocabulary, describe, python_code, split
from nnkit.data.tagged import Sentence, read_tagged
from nnkit.data.text import BUILTIN, Source, source_name
from nnkit.errors import DataError
from nnkit.training.data_facts import class_facts, length_facts, overlap_facts, unknown_facts
from nnkit.training.labelled_data import HeldOut
from nnkit.training.schema import DataSources, Section

UNKNOWN = 0  # the token that stands for all that the training part does not have often enough; known ones follow


class TaggedText(Section):
    """Which tagged text, how it is written, what a token is."""

    train: DataSources = Field(default=python_code.NAME, description="tagged text: a file (.gz, .bz2), a list of files, a folder "
                               "of them, or builtin:python-code")
    dev: HeldOut = Field(default=0.1, description="held out: a file of its own, or a share of train's sentences, drawn by the "
                         "seed")
    unit: Literal["words", "characters"] | None = Field(
        default=None, description="what a token is; null: of the builtin a character, of files a word")
    token: int = Field(default=0, description="column of the token, from 0; -1 is the last")
    tag: int = Field(default=-1, description="column of the tag, the same way")
    comment: str | None = Field(default=None, min_length=1, description="lines that begin with it are left out, such as '#' in "
                                "CoNLL-U")
    min_count: int = Field(default=2, ge=1, description="tokens seen less often in training are unknown: one class that is "
                           "trained, too")
    max_size: int | None = Field(default=None, ge=2, description="so many of the most frequent tokens are known; null: all")
    errors: str = Field(default="strict", pattern="^(strict|replace|ignore)$", description="what to do about bytes that are not "
                        "UTF-8")
    lines: int = Field(default=6_000, ge=2, le=python_code.MOST, description="the builtin: so many lines of it")

    @field_validator("train")
    @classmethod
    def _has_tags(cls, train: str | list[str]) -> str | list[str]:
        if isinstance(train, str) and train.startswith(BUILTIN) and train != python_code.NAME:
            raise ValueError(f"{train} has no tags; there is {python_code.NAME}, or name a tagged file")
        return train

    @field_validator("unit")
    @classmethod
    def _fits(cls, unit: str | None, info: ValidationInfo) -> str | None:
        if unit == "words" and info.data.get("train") == python_code.NAME:
            raise ValueError(f"{python_code.NAME} is tagged character by character; leave it out")
        return unit

    @property
    def is_python(self) -> bool:
        return self.train == python_code.NAME

    @property
    def tokens(self) -> str:
        """What a token is, "words" or "characters"."""
        return self.unit or ("characters" if self.is_python else "words")

    def read(self, source: Source) -> list[Sentence]:
        """The sentences of files. DataError as in `read_tagged`."""
        return read_tagged(source, self.token, self.tag, unit=self.tokens, comment=self.comment, errors=self.errors)


class TaggedPart:
    """Sentences in numbers: ids and classes, (tokens,) int32, of one sentence after the other; lengths and firsts, (sentences,),
    how many tokens each has, and where they begin. DataError for a tag that is none of `labels`."""

    def __init__(self, sentences: list[Sentence], vocabulary: Vocabulary, labels: list[str]):
        self.sentences = sentences
        number = {label: i for i, label in enumerate(labels)}
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag not in number:
                    raise DataError(f"{sentence.place(i)}: the tag {tag!r} was not in the training data; that has "
                                    f"{', '.join(labels[:20])}{' ...' if labels[20:] else ''}; leave the sentence out, or train "
                                    "on one that has the tag")
        self.lengths = np.array([len(sentence.tokens) for sentence in sentences])
        self.firsts = np.cumsum(self.lengths) - self.lengths
        self.ids = encode(vocabulary, [token for sentence in sentences for token in sentence.tokens])
        self.classes = np.array([number[tag] for sentence in sentences for tag in sentence.tags], np.int32)

    @property
    def unknown(self) -> float:
        """The share of the tokens that are not known."""
        return float((self.ids == UNKNOWN).mean())


def encode(vocabulary: Vocabulary, tokens: Sequence[str]) -> np.ndarray:
    """(tokens,) int32: UNKNOWN, or 1 and the place in the vocabulary."""
    return np.array([vocabulary.index.get(token, UNKNOWN - 1) + 1 for token in tokens], np.int32)


class TaggedData:
    """All that `data` names, read and checked. labels: the tags, sorted; vocabulary: the tokens that are known; train and dev.

    DataError for what is wrong with the files (see `nnkit.data.tagged.read_tagged`), a tag in dev that train does not have, and
    where there are no two tags.
    """

    def __init__(self, data: TaggedText, rng: np.random.Generator):
        self.data, name = data, source_name(data.train)
        train = python_code.load(data.lines) if data.is_python else data.read(data.train)
        self.labels = sorted({tag for sentence in train for tag in sentence.tags})  # a rare one may come to dev alone
        n = sum(len(sentence.tokens) for sentence in train)
        if isinstance(data.dev, str):
            dev = data.read(data.dev)
        else:
            if len(train) < 2:
                raise DataError(f"{name}: one sentence in it, and none is left to hold out; give data.dev a file of its own, or "
                                "part sentences by empty lines")
            kept, held_out = split(len(train), data.dev, rng)
            train, dev = [train[i] for i in kept], [train[i] for i in held_out]
        if len(self.labels) < 2:
            raise DataError(f"{name}: every token has the tag {self.labels[0]!r}; there is nothing to tell apart")
        if len(self.labels) > max(100, n / 2):
            raise DataError(f"{name}: {n:,} tokens with {len(self.labels):,} different tags; is column {data.tag} (data.tag) the "
                            "tag?")
        self.vocabulary = Vocabulary.count([s.tokens for s in train], data.min_count, data.max_size, source=name)
        self.train, self.dev = (TaggedPart(sentences, self.vocabulary, self.labels) for sentences in (train, dev))

    def alone(self) -> float:
        """Dev accuracy without any context: every token gets the tag that it has most often in training."""
        counts = np.zeros((1 + len(self.vocabulary), len(self.labels)), np.int64)
        np.add.at(counts, (self.train.ids, self.train.classes), 1)
        counts[counts.sum(1) == 0] = counts.sum(0)  # the unknown one, if it was never trained
        return float((counts.argmax(1)[self.dev.ids] == self.dev.classes).mean())

    # What is said of it

    def check(self) -> list[str]:
        """Lines for `nnkit check`."""
        train, dev, what = self.train, self.dev, self.data.tokens
        lines = class_facts(self.labels, train.classes, dev.classes) + length_facts(train.lengths.tolist(), what)
        lines += unknown_facts(int((dev.ids == UNKNOWN).sum()), len(dev.ids))
        if not train.unknown:
            lines.append(f"note: all {what} of the training part are known, so nothing is learnt of unknown ones; raise "
                         "data.min_count where new ones will come")
        return lines + overlap_facts((tuple(s.tokens) for s in train.sentences), (tuple(s.tokens) for s in dev.sentences))

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        sizes = {f"{name}_{what}": len(n) for name, part in (("train", self.train), ("dev", self.dev))
                 for what, n in (("sentences", part.lengths), ("tokens", part.ids))}
        held_out = {"dev_file": describe(self.data.dev)} if isinstance(self.data.dev, str) else {}
        source = python_code.describe() if self.data.is_python else describe(self.data.train)
        return {**sizes, "tags": self.labels, "known": len(self.vocabulary), **held_out, **source}

    def summary(self) -> str:
        what = self.data.tokens
        return (f"{source_name(self.data.train)}   {len(self.train.ids):,} {what} in {len(self.train.lengths):,} sentences to "
                f"train on, {len(self.dev.ids):,} held out; {len(self.labels)} tags, {len(self.vocabulary):,} {what} known")
