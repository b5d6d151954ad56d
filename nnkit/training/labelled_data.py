"""The `data` section of recipes that classify texts, and what comes of it: examples in numbers, to train on and held out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from nnkit.data import describe, python_docs, split
from nnkit.data.encoded import EncodedTexts, count_and_encode
from nnkit.data.files import reading
from nnkit.data.labelled import Labelled, LabelledTexts, Layout, read_labelled, read_more, some
from nnkit.data.text import BUILTIN, builtin_name
from nnkit.data.text_inputs import TextInputs
from nnkit.data.tokenizers import Tokenizer, check_pattern
from nnkit.errors import DataError
from nnkit.training.data_facts import class_facts, length_facts, overlap_facts, repeat_facts, unknown_facts
from nnkit.training.schema import DataPath, DataSource, Section

PYTHON_DOCS = "builtin:python-docs"

HeldOut = Annotated[
    Annotated[float, Field(gt=0, lt=1), Tag("share")] | Annotated[DataPath, Tag("file")],
    Discriminator(lambda value: "file" if isinstance(value, str) else "share"),
]
"""The share of the training examples that is held out, or a file of others."""


class TokenizerConfig(Section):
    """nnkit.data.tokenizers.Tokenizer."""

    type: Literal["whitespace", "regex", "characters", "python-docs"] = Field(
        default="whitespace", description="what a word is: what stands between white space, what a pattern finds, a character, "
        "or the words of prose")
    pattern: str | None = Field(default=None, description="type regex: what matches is a word, such as \\w+|[^\\w\\s]")
    lower: bool = Field(default=False, description="texts are made lower case first")
    ngrams: int = Field(default=1, ge=1, le=10, description="up to so many words in a row count as one more word")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _pattern_where_it_belongs(self) -> TokenizerConfig:
        if self.type == "regex" and self.pattern is None:
            raise ValueError("type regex needs a pattern, such as \\w+|[^\\w\\s]")
        if self.type != "regex" and self.pattern is not None:
            raise ValueError(f"pattern has no effect with type {self.type}; leave it out, or set type: regex")
        return self

    def make(self) -> Tokenizer:
        return Tokenizer(**self.model_dump())


class TextData(Section):
    """Which texts, how they are written, what their words are."""

    train: DataSource = Field(default=PYTHON_DOCS, description="labelled texts: a file (.tsv, .csv, .jsonl, lines; .gz, .bz2), a "
                              "folder with a file or a folder for each class, or the builtin docstrings")
    dev: HeldOut = Field(default=0.1, description="held out: a share of train, of each class alike, or a file of its own")
    test: DataPath | None = Field(default=None, description="a file that is looked through for mistakes and never trained on; "
                                  "nnkit evaluate RUN FILE measures it")
    format: Literal["auto", "tsv", "csv", "lines", "jsonl", "files", "folders"] = Field(
        default="auto", description="how they are written; auto: by the ending and the first line")
    text: int | str | None = Field(default=None, description="the column of the text, number from 0 or name; null: by its looks")
    label: int | str | None = Field(default=None, description="the column of the class, the same way")
    header: bool | None = Field(default=None, description="whether the first row names the columns; null: by its looks")
    classes: list[str] | None = Field(default=None, min_length=2, description="only examples of these are read; null: all")
    encoding: str = Field(default="utf-8", description="of the files: utf-8, cp1252, latin-1 or another that Python knows")
    tokenizer: TokenizerConfig | None = Field(default=None, description="what the words of a text are; null: what stands between "
                                              "white space, of the builtin its words")
    min_count: int = Field(default=1, ge=0, description="words seen less often in training are unknown")
    max_size: int | None = Field(default=None, ge=2, description="only so many of the most frequent words are known")
    min_examples: int = Field(default=100, ge=2, description="the builtin: packages with fewer docstrings are left out")

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            "a".encode(encoding)
        except LookupError:
            raise ValueError(f"Python knows no encoding of texts {encoding!r}; cp1252 and latin-1 are common ones") from None
        return encoding

    def layout(self) -> Layout:
        classes = None if self.classes is None else tuple(self.classes)
        return Layout(self.format, self.text, self.label, self.header, self.encoding, classes)


class Part:
    """Examples in numbers. texts: as they were read; encoded: their words; classes: (n,) places in `labels`."""

    def __init__(self, examples: list[Labelled], encoded: EncodedTexts, classes: np.ndarray):
        self.texts, self.encoded, self.classes = [e.text for e in examples], encoded, classes

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def empty(self) -> int:
        return int((self.encoded.words == 0).sum())

    @property
    def unknown_only(self) -> int:
        """Texts that have words, none of which is known."""
        return int(((self.encoded.words > 0) & (self.encoded.lengths == 0)).sum())


class LabelledData:
    """All that `data` names, read and checked. labels: the classes, sorted; inputs: what a run keeps; train, dev, test: Parts.

    DataError for all that is wrong with the files (see `nnkit.data.labelled.read_labelled`), a class in dev or test that train
    does not have, with its place, and where there are no two classes.
    """

    def __init__(self, data: TextData, rng: np.random.Generator):
        self.data = data
        read = labelled_docstrings(data.min_examples) if builtin_name(data.train) else read_labelled(data.train, data.layout())
        self.labels = sorted({e.label for e in read.examples})
        self._check_labels(read)
        # what train turned out to be holds for the others, but whether they have a header
        layout = Layout(data.format, read.layout.text, read.layout.label, data.header, data.encoding, read.layout.classes)
        others = {name: read_more(path, layout, self.labels) for name, path in (("dev", data.dev), ("test", data.test))
                  if isinstance(path, str)}
        self.read = {"train": read, **others}
        examples = {name: texts.examples for name, texts in self.read.items()}
        for name in others:
            self._check_known(name, examples[name])
        if "dev" not in others:
            assert isinstance(data.dev, float)
            try:
                train, dev = split([e.label for e in read.examples], data.dev, rng)
            except ValueError as error:
                raise DataError(f"{data.train}: {len(read.examples)} examples leave none to hold out ({error}); give data.dev a "
                                "file of its own") from None
            examples["train"], examples["dev"] = ([read.examples[i] for i in part] for part in (train, dev))
        tokenizer = Tokenizer("python-docs" if builtin_name(data.train) else "whitespace")
        if data.tokenizer is not None:
            tokenizer = data.tokenizer.make()
        self.inputs, encoded = self.learn((e.text for e in examples["train"]), tokenizer, read.layout)
        number = {label: i for i, label in enumerate(self.labels)}
        self.parts = {name: Part(chosen, encoded if name == "train" else self.inputs.encode(e.text for e in chosen),
                                 np.array([number[e.label] for e in chosen], np.int64)) for name, chosen in examples.items()}
        self.train, self.dev, self.test = self.parts["train"], self.parts["dev"], self.parts.get("test")

    def learn(self, texts: Iterator[str], tokenizer: Tokenizer, layout: Layout) -> tuple[TextInputs, EncodedTexts]:
        """What is learnt of the training part, and that part in numbers."""
        data = self.data
        vocabulary, encoded = count_and_encode(texts, tokenizer, data.min_count, data.max_size, data.train)
        return TextInputs(tokenizer, vocabulary, layout), encoded

    def _check_labels(self, read: LabelledTexts) -> None:
        name, labels = read.path, self.labels
        missing = [label for label in read.layout.classes or () if label not in labels]
        if missing:
            raise DataError(f"{name}: no example of {some(missing)} (data.classes); there are {some(labels)}")
        check_classes(name, len(read.examples), labels, {
            "lines": "the first word of each line", "files": "the name of each file", "folders": "the name of each folder",
        }.get(read.layout.format, f"data.label = {read.layout.label}"))

    def _check_known(self, name: str, examples: list[Labelled]) -> None:
        strange: dict[str, Labelled] = {}
        for example in examples:
            if example.label not in self.labels:
                strange.setdefault(example.label, example)
        if strange:
            first, *rest = strange.values()
            others = f", nor has it {some([e.label for e in rest])}" if rest else ""
            raise DataError(f"{first.place}: the class {first.label!r} of data.{name} is not in data.train{others}; that has "
                            f"{some(self.labels)}")

    # What is said of it

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        n = {f"{name}_examples": len(part) for name, part in self.parts.items()}
        others = {f"{name}_data": fingerprint(self.read[name]) for name in ("dev", "test") if name in self.read}
        return {**n, "classes": self.labels, "layout": str(self.inputs.layout), "tokenizer": str(self.inputs.tokenizer),
                "vocabulary": len(self.inputs.vocabulary), **fingerprint(self.read["train"]), **others}

    def summary(self) -> str:
        held_out = "held out" if "dev" not in self.read else f"in {self.read['dev'].path}"
        written = "" if builtin_name(self.data.train) else f" ({self.inputs.layout})"
        return (f"{self.data.train}{written}   {len(self.train):,} examples to train on, {len(self.dev):,} "
                f"{held_out}, {len(self.labels)} classes, {self.inputs.known}")

    def check(self) -> list[str]:
        """Lines for `nnkit check`."""
        train, dev = self.train, self.dev
        lines = class_facts(self.labels, train.classes, dev.classes)
        lines += length_facts(train.encoded.words.tolist())
        lines += unknown_facts(dev.encoded.unknown, int(dev.encoded.words.sum()))
        for name, part in self.parts.items():
            if part.unknown_only:
                lines.append(f"note: {part.unknown_only:,} of {len(part):,} {name} examples have unknown words only: for the "
                             "model they are empty")
            if part.empty and name != "train":
                lines.append(f"note: {part.empty:,} of {len(part):,} {name} examples are empty")
            if name != "train":
                lines += overlap_facts(train.texts, part.texts, "held-out" if name == "dev" else name)
        lines += repeat_facts(train.texts)
        for name, read in self.read.items():
            lines += [f"blank lines in {name}, which are no examples: {read.blank:,}"] if read.blank else []
            lines += [f"examples of other classes in {name}, which are left out: {read.left_out:,}"] if read.left_out else []
        return lines


def check_classes(name: str, n: int, labels: list[str], column: str) -> None:
    """DataError where the `labels` of n examples are no classes to learn; `column`: where they were read."""
    if len(labels) < 2:
        raise DataError(f"{name}: every example is of class {labels[0]!r}; a classifier needs two classes")
    if len(labels) == n or len(labels) > max(100, n / 2):
        raise DataError(f"{name}: {n:,} examples of {len(labels):,} classes ({some(labels[:3])} ...); is {column} the class?")


def labelled_docstrings(min_examples: int) -> LabelledTexts:
    """The docstrings of builtin:python-docs, their package as the class, without packages that have fewer than min_examples."""
    documents = [d for d in python_docs.load().documents if d.kind == "docstring"]
    n_examples = Counter(d.package for d in documents)
    chosen = [d for d in documents if n_examples[d.package] >= min_examples]
    if not chosen:
        raise DataError(f"{PYTHON_DOCS}: no package has data.min_examples = {min_examples} docstrings, the largest has "
                        f"{max(n_examples.values())}; lower it")
    examples = [Labelled(" ".join(d.sentences), d.package, PYTHON_DOCS, number) for number, d in enumerate(chosen, 1)]
    return LabelledTexts(PYTHON_DOCS, Layout(), examples, [])


def fingerprint(read: LabelledTexts) -> dict[str, Any]:
    """What tells later which files these were: SHA-256 and size, of several as if they were one in their order."""
    if read.path.startswith(BUILTIN) or not os.path.isdir(read.path):
        return describe(read.path)
    digest, size = hashlib.sha256(), 0
    for file in read.files:
        with reading(file), open(file, "rb") as stream:
            content = stream.read()
        digest.update(content)
        size += len(content)
    return {"source": os.path.abspath(read.path), "files": len(read.files), "sha256": digest.hexdigest(), "bytes": size}
