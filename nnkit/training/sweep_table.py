"""What the runs of a sweep came to, and the table that compares them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnkit.errors import UserError
from nnkit.training.comparing import short
from nnkit.training.metrics import read_metrics
from nnkit.training.run_directory import RunDirectory

Settings = dict[str, str]  # keys of the config, and the text of their values


@dataclass(eq=False)
class Trial:
    """One combination: its run's folder, and why there is no result, where there is none."""

    folder: Path
    settings: Settings
    error: str = ""

    def facts(self) -> dict[str, Any]:
        """run.json, or nothing where the run has none."""
        try:
            return RunDirectory(self.folder).read_run()
        except UserError:
            return {}

    def is_settled(self) -> bool:
        """Whether there is nothing to do: it is finished, or diverged, as it would again."""
        facts = self.facts()
        if facts.get("status") == "diverged":
            self.error = f"diverged: {facts.get('error', '')}"
        return facts.get("status") in ("finished", "diverged")

    def value(self, name: str) -> float | None:
        """The best value of the measure, of train_loss the last; None of a run that is not finished."""
        facts = self.facts()
        if facts.get("status") != "finished":
            return None
        if name != "train_loss":
            return facts["best"]["value"]
        rows = read_metrics(self.folder / "metrics.jsonl")
        return next((row["train_loss"] for row in reversed(rows) if row.get("train_loss") is not None), None)

    def __str__(self) -> str:
        """Its settings, and what came of it."""
        name, _ = measure([self])
        value = self.value(name)
        result = self.error or ("finished" if value is None else f"{name.lstrip('+-')} {value:.4f}")
        return f"{self.folder.name}   {' '.join(f'{key}={text}' for key, text in self.settings.items())}   {result}"


def measure(trials: Sequence[Trial]) -> tuple[str, int]:
    """What they are judged by, and 1 where more of it is better: eval.monitor where all have the same, else train_loss."""
    finished = [facts for trial in trials if (facts := trial.facts()).get("status") == "finished"]
    names = {facts["best"]["monitor"] if isinstance(facts.get("best"), dict) else None for facts in finished}
    name = names.pop() if len(names) == 1 else None
    return (name, -1 if name.startswith("-") else 1) if name else ("train_loss", -1)


def table(trials: Sequence[Trial], columns: Sequence[str]) -> list[list[str]]:
    """The header, then a row for each combination of the columns' settings, the best first: mean ± standard deviation (runs)."""
    name, sign = measure(trials)
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        groups.setdefault(tuple(trial.settings[key] for key in columns), []).append(trial)
    rows = []
    for settings, group in groups.items():
        found = [(value, trial.folder) for trial in group if (value := trial.value(name)) is not None]
        values = [value for value, _ in found]
        best = str(max(found, key=lambda pair: sign * pair[0])[1]) if found else "-"
        reasons: dict[str, list[str]] = {}
        for trial in group:
            if trial.error:
                reasons.setdefault(brief(trial.error), []).append(trial.folder.name)
        failed = "; ".join(f"{', '.join(names)} {reason}" for reason, names in reasons.items())
        rows.append((sign * statistics.fmean(values) if values else -math.inf,
                     [*settings, mean_and_deviation(values), best, failed]))
    rows.sort(key=lambda row: row[0], reverse=True)
    head = [*(short(key, columns) for key in columns), f"{name.lstrip('+-')} mean ± sd (n)", "best run", "failed"]
    cells = [head, *(row for _, row in rows)]
    return cells if any(row[-1] for row in cells[1:]) else [row[:-1] for row in cells]


def brief(error: str) -> str:
    """What went wrong, without the way out, which stands behind a semicolon."""
    text = error.partition(";")[0]
    return text if len(text) <= 80 else text[:77] + "..."


def mean_and_deviation(values: Sequence[float]) -> str:
    """0.7921 ± 0.0031 (3): the deviation is that of a sample, which one value has not."""
    if not values:
        return "-"
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{deviation} ({len(values)})"
