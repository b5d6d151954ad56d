"""Runs to draw, and what a picture shows."""

import xml.etree.ElementTree as ElementTree

from nnkit.training.metrics import MetricsLog
from nnkit.training.run_directory import RunDirectory


def make_run(name="sgns", steps=20, config="", every=5, **metrics):
    """A run with a falling loss, evaluated at every fifth step."""
    run = RunDirectory.create(name)
    run.path("config.yaml").write_text(config, encoding="utf-8")
    with MetricsLog(run.path("metrics.jsonl")) as log:
        for step in range(1, steps + 1):
            row = {"epoch": 1, "step": step, "seconds": step / 9, "lr": 0.1, "train_loss": 1 + 1 / step}
            log.append({"event": "train", **row})
            if step % every == 0:
                log.append({"event": "eval", **row, "dev_loss": 1 + abs(step - 10) / 10, **metrics})
    return run


def svg_text(path):
    return [element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("}text")]


def png_size(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
