"""What each import costs: the time of a new Python with `import numpy`, and how much more nnkit and its parts take.

Usage: bench_import.py [REPEATS]
"""
import statistics
import subprocess
import sys
import time

MODULES = ["numpy", "nnkit", "nnkit.training.session", "nnkit.training.plots", "pydantic", "matplotlib.figure"]


def seconds(module: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - began


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(repeats):  # in turn, so that a machine that slows down slows all of them
        for module in MODULES:
            times[module].append(seconds(module))
    numpy = statistics.median(times["numpy"])
    print(f"{'import':28} {'median ms':>10} {'over numpy':>11}")
    for module, measured in times.items():
        median = statistics.median(measured)
        print(f"{module:28} {median * 1e3:10.0f} {(median - numpy) * 1e3:+11.0f}")


if __name__ == "__main__":
    main()
