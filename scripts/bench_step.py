"""One training step of Linear-ReLU-Linear, cross-entropy and SGD: nnkit, dynamic and recorded, against its peers.

Usage: bench_step.py [--seconds 1.0] [--threads 1 2] [--hand FILE]

Peers: PyTorch eager where it is installed, and the step written by hand in NumPy, read from FILE (make_step(batch,
inputs, hidden, classes) -> step). All run in turn in this one process, float32; printed are median microseconds of a step and
the ratios to nnkit: above 1, nnkit is faster.
"""
import argparse
import importlib.util
import os
import statistics
import time
from pathlib import Path

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # old kernels may be asked for; they slow a current NumPy
    os.environ.pop(name, None)

import numpy as np  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

import nnkit  # noqa: E402
from nnkit import losses, nn, ops, optim  # noqa: E402

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SHAPES = [(1, 10, 32, 2), (32, 64, 64, 10), (64, 300, 300, 5), (256, 784, 512, 10), (1024, 1024, 1024, 10)]
HAND = Path(__file__).resolve().parents[2] / "shared" / "reference" / "step_by_hand.py"


def data(batch, inputs, classes):
    rng = np.random.default_rng(0)
    return rng.random((batch, inputs), dtype=np.float32), rng.integers(0, classes, batch)


def nnkit_steps(batch, inputs, hidden, classes):
    x, y = data(batch, inputs, classes)

    def made():
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(inputs, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, classes, rng=rng))
        return model, optim.SGD(model.parameters(), lr=0.01)

    model, optimizer = made()

    def dynamic():
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    recorded_model, recorded_optimizer = made()
    forward_backward = nnkit.record(lambda x, y: losses.cross_entropy(recorded_model(x), y))

    def recorded():
        recorded_optimizer.zero_grad()
        forward_backward(x, y)
        recorded_optimizer.step()

    return {"dynamic": dynamic, "recorded": recorded}


def torch_step(batch, inputs, hidden, classes):
    x, y = map(torch.from_numpy, data(batch, inputs, classes))
    model = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = torch.nn.CrossEntropyLoss()

    def step():
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def lookup_steps(vocabulary, rows=1024, dim=100):
    """Look up rows by Zipf's law, mean square, one SGD step."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, vocabulary + 1)
    ids = rng.choice(vocabulary, rows, p=share / share.sum())
    table = nn.Embedding(vocabulary, dim, rng=rng)
    optimizer = optim.SGD(table.parameters(), lr=0.01)

    def ours():
        loss = ops.mean(ops.square(table(ids)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    steps = {"nnkit": ours}
    for sparse in (False, True) if torch is not None else ():
        layer = torch.nn.Embedding(vocabulary, dim, sparse=sparse)
        descent, wanted = torch.optim.SGD(layer.parameters(), lr=0.01), torch.from_numpy(ids)

        def theirs(layer=layer, descent=descent, wanted=wanted):
            loss = (layer(wanted) ** 2).mean()
            descent.zero_grad()
            loss.backward()
            descent.step()

        steps["torch sparse" if sparse else "torch dense"] = theirs
    return steps


def medians(steps, seconds):
    """Median microseconds of each, taken in turn, so that a machine that slows down slows all of them."""
    times = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(3):
            step()
    until = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < until or len(next(iter(times.values()))) < 5:
        for name, step in steps.items():
            for _ in range(10):
                began = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(t) * 1e6 for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each contestant and shape")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--hand", type=Path, default=HAND)
    a = parser.parse_args()
    make_by_hand = None
    if a.hand.is_file():
        spec = importlib.util.spec_from_file_location("by_hand", a.hand)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        make_by_hand = module.make_step
    else:
        print(f"no step by hand at {a.hand}: left out")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__ if torch is not None else 'not installed: left out'}")
    for threads in a.threads:
        if torch is not None:
            torch.set_num_threads(threads)
        with threadpool_limits(threads):
            print(f"\n{threads} thread(s)    us a step            {'dynamic':>9} {'recorded':>9}  others: / dynamic, / recorded")
            for shape in SHAPES:
                steps = nnkit_steps(*shape)
                if make_by_hand is not None:
                    steps["hand"] = make_by_hand(*shape)
                if torch is not None:
                    steps["torch"] = torch_step(*shape)
                us = medians(steps, a.seconds)
                others = "   ".join(f"{name} {us[name]:8.0f}: {us[name] / us['dynamic']:.2f} {us[name] / us['recorded']:.2f}"
                                    for name in us if name not in ("dynamic", "recorded"))
                print(f"{shape!s:34} {us['dynamic']:9.0f} {us['recorded']:9.0f}  {others}")
            print("look-up and update of 1,024 rows of 100, us")
            for vocabulary in (1_000, 100_000, 1_000_000):
                us = medians(lookup_steps(vocabulary), a.seconds / 2)
                others = "   ".join(f"{name} {t:9.0f}: {t / us['nnkit']:.2f}" for name, t in us.items() if name != "nnkit")
                print(f"{vocabulary:34,} {us['nnkit']:9.0f}            {others}")


if __name__ == "__main__":
    main()
