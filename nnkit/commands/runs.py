"""nnkit runs: a line for each run of a folder, with what they came to and in what they differ."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from typing import Any

from nnkit.commands.common import run
from nnkit.errors import UserError
from nnkit.training.comparing import config_of, differences
from nnkit.training.metrics import read_metrics
from nnkit.training.run_directory import RunDirectory, list_runs

COLUMNS = ["run", "status", "epochs", "best", "train_loss", "seconds", "differs in"]


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit runs", description="List the runs of a folder, newest first.",
                                   epilog="Example: nnkit runs --csv > runs.csv")
    made.add_argument("folder", nargs="?", default="runs", help="where they are (runs)")
    made.add_argument("--csv", action="store_true", help="as comma-separated values")
    return run(made, table, argv)


def table(options: argparse.Namespace) -> None:
    runs = list_runs(options.folder)
    if not runs:
        raise UserError(f"{options.folder}: holds no runs; nnkit train CONFIG makes one in runs/, or name another folder")
    recipes: dict[str, list[RunDirectory]] = {}  # runs of one recipe are compared; two recipes have hardly a key in common
    for one in runs:
        recipes.setdefault(str(config_of(one).get("recipe")), []).append(one)
    differs = {one.id: "  ".join(f"{key}={value}" for key, value in values.items()) or "-" for alike in recipes.values()
               for one, values in zip(alike, differences([config_of(one) for one in alike]))}
    rows = [[*facts(one), differs[one.id]] for one in runs]
    if options.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])
        return
    widths = [max(len(row[i]) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS) - 1)]
    for row in [COLUMNS, *rows]:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + row[-1:]).rstrip())


def facts(one: RunDirectory) -> list[str]:
    """The columns but the last. A run whose files are damaged has "?" in their place: the others are still to be listed."""
    try:
        known, rows = one.read_run(), read_metrics(one.path("metrics.jsonl"))
    except UserError:
        return [one.id, "broken", *["?"] * (len(COLUMNS) - 3)]
    best = known.get("best")
    epochs = rows[-1].get("epoch", 0) if rows else 0
    return [one.id, str(known.get("status", "?")), f"{epochs}/{config_of(one).get('training.epochs', '?')}",
            f"{best['metric']} {number(best['value'])}" if isinstance(best, dict) else "-",
            number(next((row["train_loss"] for row in reversed(rows) if row.get("train_loss") is not None), None)),
            number(known.get("seconds"))]


def number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "-"
