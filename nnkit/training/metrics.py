"""What a training measured, line by line: metrics.jsonl grows with it and is the truth, history.csv is derived.

A line is an object of its own, so that a new metric in the middle of a run breaks nothing; a line counts once its
newline is written, so that a process killed in the middle of one loses that line alone.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnkit.errors import DataError
from nnkit.files import replacing
from nnkit.training.files import plain

FIRST_COLUMNS = ["epoch", "step", "seconds", "lr", "train_loss"]


class MetricsLog:
    """metrics.jsonl, open for appending: one JSON object a line, on disk as soon as `append` returns.

    keep: the length in bytes that a checkpoint remembers; a resumed run cuts off what came after it, and repeats it.
    An unfinished last line is cut off in any case. `length` is the file's size in bytes.
    """

    def __init__(self, path: str | os.PathLike[str], keep: int | None = None):
        self._file = open(path, "a+b")
        self._file.seek(0)
        written = self._file.read(keep)  # None reads all; a file shorter than keep gives what it has
        self.length = written.rfind(b"\n") + 1
        self._file.truncate(self.length)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row. NumPy numbers are converted; NaN and infinity, which JSON does not know, become null."""
        line = json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n"
        self._file.write(line.encode("utf-8", "backslashreplace"))
        self._file.flush()
        self.length = self._file.tell()

    def close(self) -> None:
        """Close the file; again does nothing."""
        self._file.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, in order. An unfinished last line is left out.

    DataError where the file is missing, and, with the line's number, where any other line is not a JSON object.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]  # after the last newline: nothing, or a line half written
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); has the run logged anything yet?") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}); remove the line to read the others") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
        rows.append(row)
    return rows


def history_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the rows of metrics.jsonl one for each evaluation and each epoch's end.

    A log line and an evaluation of the same step are one row, with the evaluation's train_loss, the mean since the one before:
    a log line's may be that of a few steps.
    """
    by_step: dict[Any, dict[str, Any]] = {}
    evaluated: set[Any] = set()
    for row in rows:
        if row.get("event") not in ("train", "eval"):
            continue
        step = row.get("step")
        merged = by_step.setdefault(step, {})
        merged.update({key: value for key, value in plain(row).items()
                       if merged.get(key) is None or (value is not None and step not in evaluated)})
        if row["event"] == "eval":
            evaluated.add(step)
    ends = {merged.get("epoch"): step for step, merged in by_step.items()}  # the last step seen in each epoch
    return [merged for step, merged in by_step.items() if step in evaluated or ends[merged.get("epoch")] == step]


def write_history(rows: Iterable[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write history.csv from the rows of metrics.jsonl, in one piece: a line for each of `history_rows`.

    Columns: epoch, step, seconds, lr, train_loss, then the others in order of first appearance. Floats are written so that
    reading gives the same number; null is empty.
    """
    kept = history_rows(rows)
    _write_columns(path, kept, [*FIRST_COLUMNS, *(key for row in kept for key in row if key != "event")], ",")


def write_table(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write all rows of metrics.jsonl as one table with tabs, in one piece: event, then columns and cells as in history.csv."""
    _write_columns(path, rows, ["event", *FIRST_COLUMNS, *(key for row in rows for key in row)], "\t")


def _write_columns(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]], keys: Iterable[str], delimiter: str) -> None:
    columns = list(dict.fromkeys(keys))
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _cell(value: Any) -> Any:
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value  # the csv module writes floats by repr


def is_number(value: Any) -> bool:
    """A finite number, as JSON gives them; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
