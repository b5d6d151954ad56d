"""Interval: how a config writes a length of the training that is no share of it, `100 steps` or `1 epoch`."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Interval:
    """`count` steps or epochs: how often something is due, or how long it takes. `str()` is how a config writes it."""

    count: int
    unit: Literal["step", "epoch"]

    @classmethod
    def parse(cls, text: Any) -> Interval:
        """"100 steps", "1 epoch". ValueError for anything else."""
        if isinstance(text, Interval):
            return text
        match = re.fullmatch(r"\s*([0-9]{1,18})\s+(step|epoch)s?\s*", text) if isinstance(text, str) else None
        if match is None or int(match[1]) == 0:
            raise ValueError(f"expected an interval such as '100 steps' or '1 epoch', got {reprlib.repr(text)}")
        return cls(int(match[1]), "step" if match[2] == "step" else "epoch")

    def is_due_at_step(self, step: int) -> bool:
        """After `step` steps of the whole training."""
        return self.unit == "step" and step % self.count == 0

    def is_due_at_epoch(self, epoch: int) -> bool:
        """After `epoch` epochs."""
        return self.unit == "epoch" and epoch % self.count == 0

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str))
