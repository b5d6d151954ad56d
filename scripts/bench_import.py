"""What each import costs: the time of a new Python with `import numpy`, and how much more nnkit and its parts take.

Usage: bench_import.py [REPEATS]

All of it is compiled to bytecode beforehand, into a folder of this run, as it is on every machine from the second import on.
Where PYTHONDONTWRITEBYTECODE is set, a checkout is compiled anew each time, and numpy, installed compiled, is not: the last line.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

MODULES = ["numpy", "nnkit", "nnkit.training.session", "nnkit.training.plots", "pydantic", "matplotlib.figure"]


def seconds(module: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, env=environment)
    return time.perf_counter() - began


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as all_of_it, tempfile.TemporaryDirectory() as numpy_alone:
        compiled = {**writing, "PYTHONPYCACHEPREFIX": all_of_it}
        anew = {**writing, "PYTHONPYCACHEPREFIX": numpy_alone}
        seconds("numpy", anew)
        anew["PYTHONDONTWRITEBYTECODE"] = "1"
        imports = {**{module: (module, compiled) for module in MODULES}, "nnkit, compiled anew": ("nnkit", anew)}
        for module, environment in imports.values():
            seconds(module, environment)
        times: dict[str, list[float]] = {name: [] for name in imports}
        for _ in range(repeats):  # in turn, so that a machine that slows down slows all of them
            for name, (module, environment) in imports.items():
                times[name].append(seconds(module, environment))
    numpy = statistics.median(times["numpy"])
    print(f"{'import':28} {'median ms':>10} {'over numpy':>11}")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:28} {median * 1e3:10.0f} {(median - numpy) * 1e3:+11.0f}")


if __name__ == "__main__":
    main()
