"""Words a second of the SGNS recipe, on one core: training alone, and the whole process from start to saved vectors.

Usage: bench_sgns.py [CORPUS] [--epochs 3] [--repeats 3]     CORPUS: builtin:python-docs, or a text file
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "sgns.yaml"


def run(corpus: str, epochs: int) -> tuple[float, float, float]:
    """(words/s of training, seconds of the whole process, words of the text)"""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        # Old kernels of OpenBLAS may be asked for by the environment; they slow a current NumPy.
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        command = [sys.executable, "-m", "nnkit.train", str(CONFIG), f"data.train={corpus}", f"training.epochs={epochs}",
                   "training.blas_threads=1", "-q", "--out", str(out)]
        began = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - began
        report = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return report["words_per_second"], whole, report["data"]["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", default="builtin:python-docs")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    a = parser.parse_args()
    corpus = a.corpus if a.corpus.startswith("builtin:") else os.path.abspath(a.corpus)
    results = [run(corpus, a.epochs) for _ in range(a.repeats)]
    speeds, wholes = [r[0] for r in results], [r[1] for r in results]
    print(f"{corpus}, {results[0][2]:,} words, {a.epochs} epochs, {a.repeats} runs, one core")
    print(f"  training alone   {statistics.median(speeds):>10,.0f} words/s  ({min(speeds):,.0f} to {max(speeds):,.0f})")
    print(f"  whole process    {statistics.median(wholes):>10.1f} s")


if __name__ == "__main__":
    main()
