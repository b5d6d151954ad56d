"""A run for other tools: its weights as safetensors, its curves for TensorBoard.

Both libraries are extras and imported when they are needed. What is written takes its place in one piece.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import UserError
from nnkit.files import requested
from nnkit.training.curves import rows_of
from nnkit.training.metrics import is_number, read_metrics
from nnkit.training.run_directory import RunDirectory
from nnkit.training.using import Weights

PARTS = ("train", "dev", "test")  # train_loss is train/loss there, so that TensorBoard shows the losses side by side


def write_safetensors(run: RunDirectory, weights: Weights, path: str | os.PathLike[str]) -> None:
    """The arrays of a checkpoint by the names of the model's state_dict, equal to the bit; where they are from as metadata.

    UserError where the library is missing or the file cannot be written.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise UserError(_missing("safetensors", error)) from error
    arrays = {name: np.array(array, order="C") for name, array in weights.arrays.items()}
    origin = {"format": "np", "run": run.id, "checkpoint": weights.path.name, "epoch": weights.epoch, "step": weights.step}
    content = save(arrays, metadata={key: str(value) for key, value in origin.items()})
    with requested(path) as file:
        file.write(content)


def write_tensorboard(run: RunDirectory, folder: str | os.PathLike[str]) -> Path:
    """The numbers of metrics.jsonl as scalars, in an event file of `folder`; its path, which is the same every time.

    A scalar's wall time is the run's start and the seconds of training since. Values are float32 there. UserError where the
    library is missing or nothing was measured yet, OSError where the file cannot be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(_missing("tensorboardX", error)) from error
    metrics, start = run.path("metrics.jsonl"), run.started
    found = sorted(scalars(read_metrics(metrics)), key=lambda scalar: scalar[1])
    if not found:
        raise UserError(f"{metrics}: has no numbers to export yet")
    path = Path(folder) / f"events.out.tfevents.{int(start):010d}.{run.id}"
    # made aside and moved: TensorBoard would draw the curves of two event files of one run on top of each other
    with tempfile.TemporaryDirectory(prefix=".nnkit-", dir=folder) as aside:
        with SummaryWriter(aside) as writer:
            for tag, step, seconds, value in found:
                writer.add_scalar(tag, value, step, walltime=start + seconds)
        [made] = Path(aside).glob("*.tfevents.*")
        os.replace(made, path)
    return path


def scalars(rows: list[dict[str, Any]]) -> Iterator[tuple[str, int, float, float]]:
    """(tag, step, seconds, value) of every number that was measured, one for each step."""
    keys = dict.fromkeys(key for row in rows for key in row if key not in ("epoch", "step", "seconds"))
    for key in keys:
        part, _, rest = key.partition("_")
        tag = f"{part}/{rest}" if part in PARTS and rest else key
        # a log line and an evaluation of one step both have the learning rate
        for step, row in {row["step"]: row for row in rows_of(rows, key)}.items():
            yield tag, step, row["seconds"] if is_number(row.get("seconds")) else 0.0, row[key]


def _missing(library: str, error: ImportError) -> str:
    return f"{library} cannot be imported ({error}); pip install 'nnkit[export]'"
