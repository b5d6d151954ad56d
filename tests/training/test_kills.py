"""kill -9 at any moment: what was saved is there, and a run that goes on after it ends with the bits of an unbroken one.

Kills come in chains: a training is killed, goes on, is killed again, until one of its processes comes to the end. Every step is
saved, so that many of them hit a save. NNKIT_KILLS: how many kills there are at least (6; long checks take 200). The numbers of a
test are printed; `pytest -rP` shows them.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from nnkit.training.checkpoints import load_checkpoint, load_latest
from nnkit.training.metrics import read_metrics

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")

KILLS = int(os.environ.get("NNKIT_KILLS", "6"))
WHEN = [0.15, 0.7, 0.15]  # shares of the kills: before the first save, while it trains, while it writes the last files
TIMES = ("seconds", "_per_second")

CLASSIFIER = """\
recipe: classifier
data: {train: table.csv}
model: {layers: [{type: Linear, out_features: 40}, {type: ReLU}, {type: Dropout, p: 0.3}, {type: Linear}]}
training: {epochs: 12, batch_size: 8, clip_norm: 5}
optimizer: {type: SGD, lr: 0.3, momentum: 0.9}
schedule: {type: cosine, warmup: 0.1}
eval: {every: 5 steps, monitor: +dev_acc}
log: {every: 1 step}
save: {every: 1 step}
"""
SGNS = """\
recipe: sgns
data: {train: corpus.txt, min_count: 1, subsample: 1e-2}
model: {dim: 16, window: 2}
training: {epochs: 5, blocks: 2, block_length: 8, shared_negatives: 8}
optimizer: {momentum: 0.5}
schedule: {type: linear, end: 1e-4}
log: {every: 3 steps}
save: {every: 1 step}
"""


class Training:
    """One training in a folder of its own, in as many processes as it takes."""

    def __init__(self, folder, config):
        self.folder, self.run = folder, folder / "run"
        folder.mkdir()
        rng = np.random.default_rng(1)
        lines = [" ".join(f"w{i}" for i in rng.integers(0, 50, 12)) for _ in range(40)]
        (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
        rows = "".join(f"{a},{b},{'xyz'[int(a > 0) + int(b > 0)]}\n" for a, b in rng.normal(size=(120, 2)))
        (folder / "table.csv").write_text(rows, encoding="utf-8")
        (folder / "c.yaml").write_text(config, encoding="utf-8")

    def start(self):
        """A process that begins, or goes on where there is something to go on from."""
        words = ["--resume", "run"] if self.has_checkpoint() else ["c.yaml", "--out", "run", "--force"]
        return subprocess.Popen([sys.executable, "-m", "nnkit.train", "-q", *words], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, encoding="utf-8")

    def has_checkpoint(self):
        return any((self.run / "checkpoints").glob("last*.npz"))

    def is_finished(self):
        """As its run.json says; one that was killed after that has nothing more to do."""
        path = self.run / "run.json"
        return path.exists() and json.loads(path.read_text(encoding="utf-8"))["status"] == "finished"

    def rows(self):
        path = self.run / "metrics.jsonl"
        return read_metrics(path) if path.exists() else []

    def check(self):
        """After a kill: every step but the last that was logged is in the checkpoint, which is whole without its predecessor."""
        logged = max((row["step"] for row in self.rows()), default=0)
        if not self.has_checkpoint():
            assert logged <= 1  # the line of a step is written, then it is saved
            return 0
        _, meta, _, notice = load_latest(self.run / "checkpoints")
        assert notice == "" and meta["position"]["step"] >= logged - 1
        if (self.run / "checkpoints/best.npz").exists():
            load_checkpoint(self.run / "checkpoints/best.npz")
        return meta["position"]["step"]

    def wait_for_a_save(self, process):
        """Until `process` has saved for the first time, or is at its end."""
        path = self.run / "checkpoints/last.npz"
        before = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
            time.sleep(0.002)

    def half_written(self, process):
        """Which files a process left that was killed while it wrote them."""
        return {path.name.split(".")[1] for path in self.run.rglob(f".*.{process.pid}.*tmp")}

    def result(self):
        """All that must be the same by every way to the end: arrays by bits, what the trainer remembers, lines, other files."""
        found = {}
        for name in ("last", "best"):
            if (self.run / f"checkpoints/{name}.npz").exists():
                arrays, meta = load_checkpoint(self.run / f"checkpoints/{name}.npz")
                found |= {f"{name} {key}": (array.dtype, array.shape, array.tobytes()) for key, array in arrays.items()}
                dropped = ("seconds", "metrics_length")  # times are of other lengths, and so are their lines
                meta.get("config", {}).pop("recipe", None)  # first that of the config, later the copy in the run
                found |= {f"{name} {key}": json.dumps(value).replace(str(self.folder), "") for key, value in meta.items()
                          if key not in dropped}
        found["metrics"] = [{k: v for k, v in row.items() if not k.endswith(TIMES)} for row in self.rows()]
        with open(self.run / "history.csv", encoding="utf-8", newline="") as file:
            found["history"] = [{k: v for k, v in row.items() if not k.endswith(TIMES)} for row in csv.DictReader(file)]
        for name in ("labels.txt", "columns.csv", "vectors.vec", "vocab.txt", "config.yaml"):
            if (self.run / name).exists():
                found[name] = (self.run / name).read_bytes().replace(os.fsencode(self.folder), b"")
        kept = ("status", "seed", "step", "best", "data")
        report = json.loads((self.run / "run.json").read_text(encoding="utf-8"))
        found["run.json"] = {key: json.dumps(report.get(key)).replace(str(self.folder), "") for key in kept}
        return found

    def files(self):
        """The names of all files, but for what a resumed run compiles, and a checkpoint before the best that it found twice."""
        return sorted(str(path.relative_to(self.run)) for path in self.run.rglob("*")
                      if path.is_file() and path.suffix != ".pyc" and path.name != "best.prev.npz")


def same(one, other):
    """What differs, by name."""
    return {name: (one.get(name), other.get(name)) for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@pytest.mark.case("trainer", 8)
@pytest.mark.case("trainer", 9)
@pytest.mark.case("trainer", 12)
@pytest.mark.case("trainer", 13)
@pytest.mark.parametrize("name, config", [("classifier", CLASSIFIER), ("sgns", SGNS)])
def test_a_chain_of_kills_ends_with_the_bits_of_an_unbroken_run(tmp_path, name, config):
    unbroken = Training(tmp_path / "unbroken", config)
    began = time.time()  # as the times of files are
    process = unbroken.start()
    while not unbroken.has_checkpoint() and process.poll() is None:
        time.sleep(0.005)
    first = time.time() - began
    said = process.communicate(timeout=300)
    assert unbroken.is_finished(), said
    whole, trained = time.time() - began, (unbroken.run / "checkpoints/last.npz").stat().st_mtime - began
    expected = unbroken.result()
    moments = {"before": (0, first), "in training": (0, trained - first), "at the end": (trained, whole)}
    rng, seen, chains = np.random.default_rng(), Counter(), []
    while seen["kills"] < (KILLS + 1) // 2:
        training = Training(tmp_path / f"chain{len(chains)}", config)
        chains.append(0)
        while not training.is_finished():
            process = training.start()
            goes_on = training.has_checkpoint()
            when = rng.choice(list(moments), p=WHEN)
            if when == "in training":
                training.wait_for_a_save(process)
            try:
                process.wait(rng.uniform(*moments[when]))
            except subprocess.TimeoutExpired:
                process.kill()
            _, said = process.communicate()
            assert process.returncode in (0, -signal.SIGKILL) and "Traceback" not in said and "error" not in said, said
            if process.returncode == 0:  # it was at its end before
                seen["resumed to the end"] += goes_on
                continue
            chains[-1] += 1
            seen["kills"] += 1
            seen["resumed and killed again"] += goes_on
            half = training.half_written(process)
            seen["during a save"] += "last" in half or "best" in half
            seen["while another file was written"] += bool(half - {"last", "best"})
            seen["before the first save"] += training.check() == 0
        differing = same(expected, training.result())
        assert not differing, f"chain {len(chains)}: {sorted(differing)}"
        assert training.files() == unbroken.files()
        seen["chains compared"] += 1
    print(f"{name}: {dict(seen)}; kills in a chain: {sorted(chains)}; a training takes {whole:.1f} s, "
          f"its first save comes at {first:.1f} s, its last at {trained:.1f} s")
