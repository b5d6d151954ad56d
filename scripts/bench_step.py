"""One training step of Linear-ReLU-Linear, cross-entropy and SGD: nnkit, dynamic and recorded, against its peers.

Usage: bench_step.py [--seconds 1.0] [--threads 1 2] [--hand FILE]

Peers: PyTorch, eager and compiled, where it is installed, and the step written by hand in NumPy, read from FILE
(make_step(batch, inputs, hidden, classes) -> step). All run in turn in this one process, float32. edugrad, where it is
installed or NNKIT_EDUGRAD_PYTHON names an interpreter that has it, runs in a process of its own, right afterwards, in float64
and with a squared error, for it has no other; so does nnkit beside it, as "nnkit squared". Printed are median microseconds of
a step and the ratios to nnkit: above 1, nnkit is faster.
"""
import argparse
import importlib.util
import logging
import os
import shutil
import statistics
import subprocess
import sys
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
COMPILE_LIMIT = 60  # seconds for the first step
EDUGRAD = Path(__file__).with_name("edugrad_step.py")
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


class Compiled:
    """PyTorch's whole step compiled, for as long as that works; `why_not` then says what it was that did not."""

    def __init__(self):
        self.why_not = ""
        if torch is None:
            self.why_not = "PyTorch is not installed"
        elif not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
            self.why_not = "there is no C++ compiler"

    def step(self, *shape):
        """The compiled step, or None."""
        if self.why_not:
            return None
        logging.getLogger("torch").setLevel(logging.ERROR)
        torch.compiler.reset()
        step = torch.compile(torch_step(*shape))
        began = time.perf_counter()
        try:
            step()
            step()
        except Exception as error:  # of many kinds: compilers, missing headers, what cannot be traced
            self.why_not = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return None
        if (took := time.perf_counter() - began) > COMPILE_LIMIT:
            self.why_not = f"{shape} took {took:.0f} s to compile, more than {COMPILE_LIMIT}"
            return None
        return step


def edugrad_python():
    """An interpreter that has edugrad, or None."""
    return os.environ.get("NNKIT_EDUGRAD_PYTHON") or (sys.executable if importlib.util.find_spec("edugrad") else None)


def edugrad_line(python, shape, seconds, threads):
    """Median microseconds of edugrad's step, in a process of its own, and of nnkit's with the same error and dtype."""
    limit = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run([python, EDUGRAD, *map(str, shape), str(seconds)], capture_output=True, text=True,
                          env={**os.environ, **limit})
    if done.returncode:
        return f"edugrad left out: {done.stderr.strip().splitlines()[-1]}"
    batch, inputs, hidden, classes = shape
    x, y = data(batch, inputs, classes)
    with nnkit.default_dtype(np.float64):
        model = nn.Sequential(nn.Linear(inputs, hidden, rng=0), nn.ReLU(), nn.Linear(hidden, classes, rng=1))
    x, y, optimizer = x.astype(np.float64), np.eye(classes)[y], optim.SGD(model.parameters(), lr=0.01)

    def ours():
        loss = ops.mean(ops.square(model(x) - y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    us, theirs = medians({"nnkit": ours}, seconds)["nnkit"], float(done.stdout)
    return f"edugrad {theirs:8.0f}, nnkit squared {us:8.0f}: {theirs / us:.2f}"


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


def rows_are_added_by():
    """What has stood behind scatter_add_rows in this process."""
    compiled = "nnkit.autograd.compiled" in sys.modules  # it is imported when the first large sum needs it
    return f"numba {sys.modules['numba'].__version__} (nnkit[fast])" if compiled else "NumPy alone"


def medians(steps, seconds, at_once=10):
    """Median microseconds of each, taken in turn, so many at once, so that a machine that slows down slows all of them."""
    times = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(3):
            step()
    until = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < until or len(next(iter(times.values()))) < 5:
        for name, step in steps.items():
            for _ in range(at_once):
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
    compiled, python = Compiled(), edugrad_python()
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__ if torch is not None else 'not installed: left out'}")
    print("edugrad: " + (f"a process of its own, {python}; float64, squared error" if python else
                         "not installed, and no NNKIT_EDUGRAD_PYTHON: left out"))
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
                if (step := compiled.step(*shape)) is not None:
                    steps["compiled"] = step
                us = medians(steps, a.seconds)
                others = "   ".join(f"{name} {us[name]:8.0f}: {us[name] / us['dynamic']:.2f} {us[name] / us['recorded']:.2f}"
                                    for name in us if name not in ("dynamic", "recorded"))
                print(f"{shape!s:34} {us['dynamic']:9.0f} {us['recorded']:9.0f}  {others}")
                if python:
                    print(f"{'':34} {edugrad_line(python, shape, a.seconds, threads)}")
            if compiled.why_not:
                print(f"compiled PyTorch left out: {compiled.why_not}")
            print("look-up and update of 1,024 rows of 100, us")
            for vocabulary in (1_000, 100_000, 1_000_000):
                us = medians(lookup_steps(vocabulary), a.seconds / 2)
                others = "   ".join(f"{name} {t:9.0f}: {t / us['nnkit']:.2f}" for name, t in us.items() if name != "nnkit")
                print(f"{vocabulary:34,} {us['nnkit']:9.0f}            {others}")
            print(f"{'':34} nnkit adds rows by {rows_are_added_by()}")


if __name__ == "__main__":
    main()
