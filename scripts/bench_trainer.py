"""What the trainer adds to the bare loop: model → loss → backward → update with and without logging, the bar and the schedule.

Usage: bench_trainer.py [--steps 20000] [--pairs 7] [--hidden 128]

One recipe, a classifier of two layers on random numbers, is trained by `nnkit.fit` and by five lines of Python, in turn. What is
compared is the training alone: a run's reading, saving at its end and picture take their time once, whatever its length.
"""
import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

import nnkit  # noqa: E402
from nnkit.optim import SGD  # noqa: E402
from nnkit.training.recipe import load_recipe  # noqa: E402

RECIPE = """\
import numpy as np
from nnkit import losses, nn
from nnkit.data import minibatches
from nnkit.training import Recipe, RunConfig


class Batch:
    def __init__(self, x, y):
        self.x, self.y, self.count, self.units = x, y, len(x), len(x)


class Numbers(Recipe):
    Config = RunConfig

    def __init__(self, config):
        super().__init__(config)
        rng = np.random.default_rng(0)
        self.x, self.y = rng.standard_normal((32 * STEPS, 64), np.float32), rng.integers(0, 10, 32 * STEPS)
        self.units_per_epoch = len(self.x)

    def build(self, rng):
        return nn.Sequential(nn.Linear(64, HIDDEN, rng=rng), nn.ReLU(), nn.Linear(HIDDEN, 10, rng=rng))

    def batches(self, epoch, rng, start=0):
        for i in range(32 * start, len(self.x), 32):
            yield Batch(self.x[i:i + 32], self.y[i:i + 32])

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.x), batch.y)
"""


def bare(recipe, epochs: int) -> float:
    """Seconds of the loop alone, the loss read at every step as the trainer does."""
    model = recipe.build(np.random.default_rng(0))
    optimizer = SGD(model.parameters(), lr=0.01)
    total = 0.0
    began = time.perf_counter()
    for epoch in range(epochs):
        for batch in recipe.batches(epoch, np.random.default_rng(epoch)):
            loss = recipe.loss(model, batch)
            total += float(loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - began


def trained(config: Path, folder: Path) -> float:
    """Seconds of training as the run itself counts them."""
    run = nnkit.fit(config, out=folder, force=True, quiet=True)
    return run.directory.read_run()["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--hidden", type=int, default=128)
    a = parser.parse_args()
    epochs, per_epoch = 4, a.steps // 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "numbers.py").write_text(RECIPE.replace("STEPS", str(per_epoch)).replace("HIDDEN", str(a.hidden)), "utf-8")
        config = folder / "numbers.yaml"
        config.write_text(f"recipe: numbers.py\noptimizer: {{type: SGD, lr: 0.01}}\ntraining: {{epochs: {epochs}}}\n", "utf-8")
        recipe_class = load_recipe(folder / "numbers.py")
        recipe = recipe_class(recipe_class.Config(recipe="numbers.py"))
        bare(recipe, 1)
        loops, trainings = [], []
        for _ in range(a.pairs):
            loops.append(bare(recipe, epochs))
            trainings.append(trained(config, folder / "run"))
    steps = epochs * per_epoch
    ratios = [t / b for t, b in zip(trainings, loops)]
    print(f"{steps:,} steps: bare loop {statistics.median(loops) / steps * 1e6:.0f} us a step, "
          f"trainer {statistics.median(trainings) / steps * 1e6:.0f} us")
    print(f"ratio of the fastest of each: {min(trainings) / min(loops):.3f}   (least disturbed by what else the machine does)")
    print(f"ratio, median of {a.pairs} pairs: {statistics.median(ratios):.3f}   (from {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
