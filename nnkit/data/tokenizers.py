"""From a text to its words: the rule is a few plain values, which a run keeps in a file, so that it is the same ever after."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from nnkit.data import python_docs

KINDS = ("whitespace", "regex", "characters", "python-docs")


@dataclass(frozen=True)
class Tokenizer:
    """tokenizer(text) → its words, a list of str, none of them empty. No word has a line end in it: that counts as a space.

    type: "whitespace", what stands between white space; "regex", all that `pattern` finds from left to right, whole matches;
    "characters", every one, spaces, too; "python-docs", the words of prose as builtin:python-docs has them: lower case, without
    numbers, markup, doctests and licences. lower: the text in lower case first. ngrams: also every 2 up to so many words in a
    row, joined by a space. ValueError for another type, a pattern that is none or finds nothing but emptiness, ngrams < 1.
    """

    type: str = "whitespace"
    pattern: str | None = None
    lower: bool = False
    ngrams: int = 1

    def __post_init__(self) -> None:
        if self.type not in KINDS:
            raise ValueError(f"no tokenizer {self.type!r}; there are {', '.join(KINDS)}")
        if self.ngrams < 1:
            raise ValueError(f"ngrams must be at least 1, not {self.ngrams}")
        if (self.pattern is not None) != (self.type == "regex"):
            raise ValueError(f"a pattern belongs to the type regex, which needs one; got {self.type}, {self.pattern!r}")
        if self.pattern is not None:
            check_pattern(self.pattern)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.pattern or "")

    def __call__(self, text: str) -> list[str]:
        if self.lower:
            text = text.lower()
        if self.type == "whitespace":
            words = text.split()
        elif self.type == "python-docs":
            words = " ".join(python_docs.sentences_of(text)).split()
        else:
            text = text.replace("\n", " ")  # vocab.txt has a word a line
            words = list(text) if self.type == "characters" else [m[0] for m in self._pattern.finditer(text) if m[0]]
        rows = [words]
        for n in range(2, self.ngrams + 1):
            rows.append([" ".join(words[i : i + n]) for i in range(len(words) - n + 1)])
        return [word for row in rows for word in row] if self.ngrams > 1 else words

    def as_dict(self) -> dict[str, Any]:
        """What `Tokenizer(**...)` makes the same one of."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [self.type if self.pattern is None else f"{self.type} {self.pattern}"]
        parts += ["lower case"] if self.lower else []
        parts += [f"n-grams up to {self.ngrams}"] if self.ngrams > 1 else []
        return ", ".join(parts)


def check_pattern(pattern: str) -> None:
    """ValueError for a regular expression that cannot be compiled, or that matches the empty text."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {pattern!r} ({error})") from None
    if compiled.fullmatch(""):
        raise ValueError(f"{pattern!r} also matches nothing at all; write + in the place of *, for instance")
