"""The `data` section of a classifier that takes tables of numbers, or texts as bags of words; and what comes of it.

`class_data` reads what the section names: TableData and BagData give a recipe the same names, whichever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nnkit.data import describe, read_csv, split
from nnkit.data.bags import BagInputs, BagRule, HashedWords, SparseBags
from nnkit.data.encoded import EncodedTexts
from nnkit.data.features import Columns, column_names, is_npz
from nnkit.data.labelled import Layout, some
from nnkit.data.labelled_tables import holds_texts
from nnkit.data.tables import csv_rows, read_npz
from nnkit.data.text import builtin_name
from nnkit.data.text_inputs import TextInputs
from nnkit.data.tokenizers import Tokenizer
from nnkit.errors import DataError
from nnkit.training.data_facts import class_facts, overlap_facts, repeat_facts, scale_facts
from nnkit.training.labelled_data import HeldOut, LabelledData, TextData, check_classes
from nnkit.training.places import KeyedError
from nnkit.training.schema import Section

SAMPLE = 200  # rows of a .csv that tell whether it is one of texts
OF_TABLES = ("train", "dev", "test", "features", "label")


class ColumnFeatures(Section):
    """nnkit.data.features.Columns."""

    type: Literal["columns"] = Field(description="the numbers of a table, each column brought to mean 0 and deviation 1")


class BagFeatures(Section):
    """nnkit.data.bags.BagRule."""

    type: Literal["bag"] = Field(description="texts as bags of words, a column for each word")
    values: Literal["counts", "binary", "tfidf"] = Field(default="binary", description="what stands in a word's column: how "
                                                         "often the text has it; 1; or how often by how rare the word is")
    hashed: int | None = Field(default=None, ge=2, lt=1 << 31, description="so many columns, into which all words fall by a "
                               "hash, without a vocabulary; null: a column for each known word")
    unit_length: bool = Field(default=True, description="each text's numbers are scaled to length 1, so that long ones are not "
                              "large")


FeatureConfig = Annotated[ColumnFeatures | BagFeatures, Field(discriminator="type")]


class FeatureData(TextData):
    """Which examples, how they are written, what their features are."""

    dev: HeldOut = Field(default=0.2, description="held out: a share of train, of each class alike, or a file of its own")
    features: FeatureConfig | None = Field(default=None, description="what the model takes, {type: columns} or {type: bag}; "
                                           "null: columns of a .npz (arrays x and y) and of a .csv of numbers, bags of all else")
    label: int | str | None = Field(default=None, description="the column of the class, number from 0 or name; null: the last of "
                                    "a table of numbers, of texts by its looks")
    min_count: int = Field(default=5, ge=0, description="words seen less often in training are unknown")


def class_data(data: FeatureData, rng: np.random.Generator) -> TableData | BagData:
    """Read what `data` names. DataError and ConfigError as the two of them."""
    if data.features is None:
        return TableData(data, rng) if is_table(data) else BagData(data, BagFeatures(type="bag"), rng)
    if isinstance(data.features, BagFeatures):
        return BagData(data, data.features, rng)
    return TableData(data, rng)


def is_table(data: FeatureData) -> bool:
    """Whether data.train looks like a table of numbers; its label may be anything."""
    name = data.train.lower()
    if builtin_name(data.train) or is_npz(name):
        return is_npz(name)
    if not name.endswith((".csv", ".csv.gz", ".csv.bz2")) or data.format not in ("auto", "csv") or data.text is not None:
        return False
    rows = (cells for (_, cells), _ in zip(csv_rows(data.train, encoding=data.layout().codec), range(SAMPLE)))
    return not holds_texts(list(rows))


class TablePart:
    """Examples of a table. x: (n, columns) float32 as the model takes them; texts: the rows as they were read; classes: (n,)."""

    def __init__(self, inputs: Columns, rows: np.ndarray, classes: np.ndarray):
        self.x, self.texts, self.classes = inputs.encode(rows), rows, classes

    def __len__(self) -> int:
        return len(self.classes)


class TableData:
    """A table of numbers with a class in each row, and others like it. labels: the classes, sorted; inputs: what a run keeps.

    DataError, with FILE:LINE, as `nnkit.data.read_csv` and `Columns.read` and for a class that the training part does not have,
    ConfigError for keys of `data` that mean something for texts only.
    """

    def __init__(self, data: FeatureData, rng: np.random.Generator):
        self.data, name = data, data.train
        for key, field in type(data).model_fields.items():
            if key not in OF_TABLES and getattr(data, key) != field.get_default():
                raise KeyedError(("data", key), f"{name} is read as a table of numbers, which data.{key} has no effect on; leave "
                                 "it out, or set data.features={type: bag} if it is one of texts")
        label = -1 if data.label is None else data.label
        rows, labels = read_npz(name) if is_npz(name) else read_csv(name, label)
        self.labels = sorted(set(labels))
        column = "y" if is_npz(name) else f"data.label = {label}"
        wrong = [x for x in self.labels if not x.strip() or len(x.splitlines()) > 1]
        if wrong:
            raise DataError(f"{name}: the class {wrong[0]!r} is empty or has a line break in it; is {column} the right column?")
        check_classes(name, len(labels), self.labels, column)
        classes = np.searchsorted(self.labels, labels)
        train, dev = np.arange(len(rows)), None
        if not isinstance(data.dev, str):
            try:
                train, dev = split(classes, data.dev, rng)
            except ValueError as error:
                raise DataError(f"{name}: {len(rows)} examples leave none to hold out ({error}); give data.dev a file of its "
                                "own") from None
        self.inputs = Columns.of(rows[train], None if is_npz(name) else column_names(name, label), label)
        self.parts = {"train": TablePart(self.inputs, rows[train], classes[train])}
        if dev is not None:
            self.parts["dev"] = TablePart(self.inputs, rows[dev], classes[dev])
        self.files = {part: path for part, path in (("dev", data.dev), ("test", data.test)) if isinstance(path, str)}
        self.parts |= {part: self._read(part, path) for part, path in self.files.items()}
        self.train, self.dev = self.parts["train"], self.parts["dev"]

    def _read(self, part: str, file: str) -> TablePart:
        rows, classes = [], []
        numbers = {label: i for i, label in enumerate(self.labels)}
        for example in self.inputs.read_labelled(file):
            if example.label not in numbers:
                raise DataError(f"{example.place}: the class {example.label!r} of data.{part} is not in data.train; that has "
                                f"{some(self.labels)}")
            rows.append(example.content)
            classes.append(numbers[example.label])
        if not rows:
            raise DataError(f"{file}: no examples in it")
        return TablePart(self.inputs, np.array(rows, np.float32), np.array(classes))

    def features(self, name: str, chosen: Any) -> np.ndarray:
        """What the model takes of the chosen examples of a part, "train" or "dev": (len(chosen), columns) float32."""
        return self.parts[name].x[chosen]

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        n = {f"{name}_examples": len(part) for name, part in self.parts.items()}
        others = {f"{name}_data": describe(path) for name, path in self.files.items()}
        return {**n, "classes": self.labels, "features": self.inputs.n_features, **describe(self.data.train), **others}

    def summary(self) -> str:
        held_out = f"in {self.data.dev}" if "dev" in self.files else "held out"
        return (f"{self.data.train}   {len(self.train):,} examples to train on, {len(self.dev):,} {held_out}, "
                f"{len(self.labels)} classes, {self.inputs.n_features:,} features")

    def check(self) -> list[str]:
        """Lines for `nnkit check`."""
        inputs, seen = self.inputs, {name: [row.tobytes() for row in part.texts] for name, part in self.parts.items()}
        lines = class_facts(self.labels, self.train.classes, self.dev.classes)
        lines += scale_facts(inputs.deviation, inputs.names)
        for name in self.parts:
            if name != "train":
                lines += overlap_facts(seen["train"], seen[name], "held-out" if name == "dev" else name)
        return lines + repeat_facts(seen["train"])


class BagData(LabelledData):
    """LabelledData whose texts become bags of words. inputs: a BagInputs."""

    inputs: BagInputs

    def __init__(self, data: FeatureData, features: BagFeatures, rng: np.random.Generator):
        self.rule = BagRule(features.values, features.hashed, features.unit_length)
        for key in ("min_count", "max_size") if features.hashed else ():
            if getattr(data, key) != type(data).model_fields[key].get_default():
                raise KeyedError(("data", key), "hashed words are not counted, so this has no effect; leave it out, or leave out "
                                 "data.features.hashed")
        super().__init__(data, rng)
        self.bags = {name: self.inputs.bags(part.encoded) for name, part in self.parts.items()}

    def learn(self, texts: Iterator[str], tokenizer: Tokenizer, layout: Layout) -> tuple[TextInputs, EncodedTexts]:
        if self.rule.hashed is None:
            inputs, encoded = super().learn(texts, tokenizer, layout)
        else:
            every: Any = HashedWords(self.rule.hashed)  # as good as a Vocabulary
            inputs = TextInputs(tokenizer, every, layout)
            encoded = inputs.encode(texts)
        return BagInputs.learn(inputs, encoded, self.rule), encoded

    def features(self, name: str, chosen: Any) -> SparseBags:
        """As TableData.features."""
        return self.bags[name](chosen)
