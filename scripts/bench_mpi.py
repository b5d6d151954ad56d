"""What ranks of MPI gain and cost: the same curves, the bytes and the time of an exchange, and where more ranks stop paying.

Usage: bench_mpi.py [--ranks 1 2 3] [--steps 400] [--text TEXT] [--set KEY=VALUE ...]

Needs `pip install -e '.[mpi]'` in the Python that runs this. Three parts:

1. Curves. The classifiers in float64: the largest difference of a training loss from that of one process. SGNS reads other blocks
   with other numbers of ranks, so that its tables can only be compared with a process that makes the same steps, as
   tests/training/test_text_ranks.py does.
2. Measured. A step's median time; of that in calls of MPI, waiting for the other ranks included; the processor time of all else,
   which other processes of the machine do not change; and the bytes that a rank gives away. SGNS that averages exchanges once in
   100 steps: its bytes and times are shares of that. More ranks than cores say nothing of speed: they take turns.
3. A model fitted to 1 and 2 ranks, and to messages of known size:

    rows, gradients   t(p) = c1 / p + c0 + m · alpha · log2 p + sent(p) / beta     for the same step
    average           t(p) = c + (m · alpha · log2 p + sent(p) / beta) / period    for p steps, one of each rank

   c1: what ranks share; c0: what each of them does itself, such as the update. m: messages. sent: for an Allreduce of n bytes
   2 n (p - 1) / p, for rows (p - 1) / p of those of the whole step. alpha and beta of the networks are assumptions, not
   measurements. The speed-up is in items a second against one process.
"""
import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DENSE = ["data.train={folder}/table.csv", "model.layers=[{type: Linear, out_features: 512}, {type: ReLU}, {type: Linear, "
         "out_features: 512}, {type: ReLU}, {type: Linear}]", "training.batch_size=256", "optimizer={type: SGD, lr: 0.1}",
         "training.epochs=1000"]
BAG = ["training.epochs=100", "training.batch_size=256", "model.layers=[{type: Linear, out_features: 100}, {type: ReLU}, "
       "{type: Linear}]"]  # without dropout, which every rank draws for itself
SGNS = ["training.epochs=100", "log.every=100 steps", "log.loss_every=1"]
TASKS = {"dense classifier": ("digits", DENSE), "bag classifier": ("classifier", BAG), "SGNS rows": ("sgns", SGNS),
         "SGNS average": ("sgns", [*SGNS, "training.exchange=average", "optimizer.lr=0.05"])}
NETWORKS = {"1 Gbit/s, 50 us": (50e-6, 1e9 / 8), "10 Gbit/s, 25 us": (25e-6, 10e9 / 8), "100 Gbit/s, 2 us": (2e-6, 100e9 / 8)}
UP_TO = [2 ** i for i in range(1, 9)]
CURVE = 60    # steps in which losses are compared
MESSAGES = [8, 1 << 20, 1 << 22, 1 << 24]  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--text", help="for SGNS; left out: the text that every Python carries")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="other keys of configs/sgns.yaml")
    parser.add_argument("--inside", nargs=4, metavar=("TASK", "STEPS", "DTYPE", "FOLDER"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.inside:
        return inside(*a.inside, a)
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder, "table.csv"))
        alpha, beta = network(a, folder)
        print(f"messages between 2 ranks on this machine: alpha {alpha * 1e6:.0f} us, beta {beta * 8 / 1e9:.1f} Gbit/s\n")
        for task in ("dense classifier", "bag classifier"):
            first, *others = [start(a, n, task, CURVE, "float64", folder)["losses"] for n in a.ranks]
            for n, losses in zip(a.ranks[1:], others):
                print(f"{task}: losses of {len(losses)} steps in float64 with {a.ranks[0]} and {n} ranks differ by "
                      f"{max(abs(x - y) for x, y in zip(losses, first, strict=True)):.1e} at most", flush=True)
        print(f"\n{'':18}ranks    step ms  compute ms  exchange ms  messages  KB given away  last loss  (a step of one rank)")
        measured = {}
        for task in TASKS:
            for n in a.ranks:
                row = measured[task, n] = start(a, n, task, a.steps, "float32", folder)
                over = "  more ranks than cores" if n > len(os.sched_getaffinity(0)) else ""
                print(f"{task:18}{n:5}{row['step'] * 1e3:11.3f}{row['compute'] * 1e3:12.3f}{row['exchange'] * 1e3:13.3f}"
                      f"{row['messages']:10.2f}{row['bytes'] / 1e3:15.1f}{row['losses'][-1]:11.4f}{over}", flush=True)
        if {1, 2} <= set(a.ranks):
            for task in TASKS:
                print_model(task, measured[task, 1], measured[task, 2], {"this machine's memory": (alpha, beta), **NETWORKS})


def write_table(path: Path) -> None:
    """4,000 points of 64 numbers, the class of each by its largest of the first ten."""
    x = np.random.default_rng(0).standard_normal((4000, 64)).round(3)
    lines = [",".join([f"x{i}" for i in range(64)] + ["label"])]
    lines += [",".join([*map(str, row), f"c{row[:10].argmax()}"]) for row in x]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def start(a: argparse.Namespace, n: int, task: str, steps: int, dtype: str, folder: str) -> dict:
    """Train in n ranks; what the first of them measured."""
    words = [sys.executable, __file__, *(["--text", a.text] if a.text else []), *(["--set", *a.set] if a.set else []),
             "--inside", task, str(steps), dtype, folder]
    ended = subprocess.run([str(Path(sys.executable).parent / "mpiexec"), "-n", str(n), *words], check=False, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if ended.returncode:
        sys.exit(f"{task} with {n} ranks ended with code {ended.returncode}")
    return json.loads(ended.stdout.splitlines()[-1])


def inside(task: str, steps: str, dtype: str, folder: str, a: argparse.Namespace) -> None:
    """One rank of a training, or of the exchange of messages."""
    import nnkit
    from nnkit.autograd import default_dtype
    from nnkit.training.mpi import find_ranks

    ranks = find_ranks()
    period = 100 if "average" in task and ranks.size > 1 else 1  # steps in a round, after which ranks exchange
    meter = Meter(ranks, max(10, int(steps) // period), period)
    if task == "network":
        with ranks.guarded():
            times = [meter.time_of_adding(size) for size in MESSAGES]
        if ranks.is_first:
            print(json.dumps(times))
        return
    config, words = TASKS[task]
    words = [word.replace("{folder}", folder) for word in words]
    if config == "sgns":
        words += [*([f"data.train={os.path.abspath(a.text)}"] if a.text else []), "eval.odd_one_out=null", *a.set]
    losses: list[float] = []
    with default_dtype(np.dtype(dtype)), contextlib.redirect_stdout(sys.stderr):
        run = nnkit.fit(ROOT / "configs" / f"{config}.yaml", [*words, *(["log.every=1 step"] if config != "sgns" else [])],
                        out=Path(folder, "run"), force=True, quiet=True, ranks=ranks,
                        on_log=lambda row: losses.append(row["train_loss"]))
    if ranks.is_first:
        print(json.dumps({**meter.medians(), "losses": losses, "period": period,
                          "tables": sum(p.value.nbytes for p in run.model.parameters())}))


class Meter:
    """Watches what a rank exchanges: every method that calls MPI is timed, and `agree`, the last of a step, ends the step."""

    def __init__(self, ranks, rounds: int, period: int):
        self.ranks, self.left, self.period = ranks, rounds, period
        self.exchange = self.outside = self.bytes = self.messages = 0.0  # outside: processor time that is not of the step's work
        self.rows: list[tuple[float, ...]] = []
        self.since, self.busy = time.perf_counter(), time.process_time()
        for name in ("add", "stack", "table", "gather", "wait"):
            setattr(ranks, name, self.timed(getattr(ranks, name)))
        self.agree, ranks.agree = ranks.agree, self.end_of_step

    def timed(self, method):
        def call(*values):
            began, busy = time.perf_counter(), time.process_time()
            result = method(*values)
            self.exchange += time.perf_counter() - began
            self.outside += time.process_time() - busy
            self.messages += self.ranks.size > 1
            for given in values[:1]:
                self.bytes += getattr(given, "nbytes", 8 * len(given) if isinstance(given, (list, tuple)) else 0)
            return result
        return call

    def end_of_step(self, stop) -> bool:
        is_stopped = self.agree(stop)
        work = time.process_time() - self.busy - self.outside
        self.rows.append((time.perf_counter() - self.since, work, self.exchange, self.messages, self.bytes))
        self.left -= 1
        if self.left <= 0:
            stop.signal = 15
        self.exchange = self.outside = self.bytes = self.messages = 0.0
        self.since, self.busy = time.perf_counter(), time.process_time()
        return is_stopped or stop.signal is not None

    def medians(self) -> dict[str, float]:
        """Of a step, without the first ones, which compile and warm up."""
        rows = np.array(self.rows[len(self.rows) // 5:]) / self.period
        return dict(zip(("step", "compute", "exchange", "messages", "bytes"), np.median(rows, axis=0).tolist()))

    def time_of_adding(self, size: int) -> float:
        array, times = np.ones(size // 8), []
        for _ in range(self.left):
            began = time.perf_counter()
            self.ranks.add(array)
            times.append(time.perf_counter() - began)
        return min(times)  # what other processes of the machine add is not the network's


def network(a: argparse.Namespace, folder: str) -> tuple[float, float]:
    """Seconds of a message and bytes a second, between two ranks: the best times to add up MESSAGES are alpha + n / beta."""
    times = start(a, 2, "network", 30, "float64", folder)
    seconds_a_byte = np.polyfit(MESSAGES[1:], times[1:], 1)[0]
    return times[0], 1 / seconds_a_byte


def print_model(task: str, one: dict, two: dict, networks: dict[str, tuple[float, float]]) -> None:
    shared = min(max(2 * (one["compute"] - two["compute"]), 0.0), one["compute"])
    own = one["compute"] - shared
    averages = "average" in task
    print(f"\n{task}: a step of one process takes {one['compute'] * 1e3:.3f} ms" + (
        "" if averages else f", of which {shared * 1e3:.3f} ms (c1) are shared by ranks and {own * 1e3:.3f} ms (c0) are not"))
    print(f"{'speed-up with ranks':26}" + "".join(f"{p:7}" for p in UP_TO) + "   pays up to")
    for name, (alpha, beta) in networks.items():
        gains = []
        for p in UP_TO:
            n = two["bytes"]
            if averages:  # rows that any of them has moved: more ranks move more, until it is all of the tables
                n = min(n * p / 2, two["tables"] / two["period"])
            exchange = two["messages"] * alpha * math.log2(p) + 2 * n * (p - 1) / p / beta
            gains.append(p * one["compute"] / (one["compute"] + exchange) if averages else
                         one["compute"] / (shared / p + own + exchange))
        best = max(range(len(gains)), key=gains.__getitem__)
        pays = f"{UP_TO[best]} ranks" if gains[best] > 1.05 else "never"
        print(f"{name:26}" + "".join(f"{gain:7.2f}" for gain in gains) + f"   {pays}", flush=True)


if __name__ == "__main__":
    main()
