"""Word vectors by nnkit and by gensim, in alternation on the same file: speed, memory, and what the vectors are worth.

Usage: bench_sgns.py [TEXT] [--seeds 1 2 3] [--workers 2] [--epochs 5] [--peers gensim fast numpy] [--set KEY=VALUE ...]

TEXT: a file, one sentence a line, .txt or .gz; a line of more than 1,000 words is cut, for gensim drops what is behind
10,000. Left out: the text that every Python carries, which then is written to a file first. `fast` is nnkit with numba, in
the Python that runs this; `numpy` is the same without it. NNKIT_GENSIM_PYTHON names a Python that has gensim, where this one
has not.

words/s: of training alone, from a first step to the last, in raw words, rare ones included. Compiling (numba, once on a
machine) and reading are in the whole process: from the file to saved vectors, with an empty cache. Peak memory is the sum over
a tool's processes of their proportional share (PSS), where what is mapped from the corpus cache is left out; looking at it takes
no more than one part in fifty of the time. Scores where the evaluation files are found ($NNKIT_DATA/eval, or --eval): Spearman
on WordSim-353 and SimLex-999, Google analogies among the 30,000 most frequent words, with what of each file could be used.
"""
import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "sgns.yaml"
EVAL = Path(os.environ.get("NNKIT_DATA", ROOT.parent / "shared" / "data")) / "eval"
LINE = 1000  # words
GENSIM = """
import json, sys, time
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
path, out, seed, workers, epochs = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
model = Word2Vec(sg=1, vector_size=100, window=5, negative=5, sample=1e-3, min_count=5, seed=seed, workers=workers)
model.build_vocab(corpus_file=path)
began = time.perf_counter()
model.train(corpus_file=path, total_words=model.corpus_total_words, total_examples=model.corpus_count, epochs=epochs)
seconds = time.perf_counter() - began
model.wv.save_word2vec_format(out)
print(json.dumps({"words_per_second": model.corpus_total_words * epochs / seconds}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--peers", nargs="+", choices=("gensim", "fast", "numpy"), default=["gensim", "fast", "numpy"])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="other keys of configs/sgns.yaml")
    parser.add_argument("--eval", type=Path, default=EVAL)
    parser.add_argument("--keep", type=Path, help="a folder for the vectors")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = a.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        text = lines_of(a.text, Path(folder))
        results: dict[str, list[dict[str, float]]] = {peer: [] for peer in a.peers}
        for seed in a.seeds:
            for peer in a.peers:  # in alternation: a machine that slows down slows all of them
                out = keep / f"{peer}-{seed}.vec"
                command = (gensim_command(text, out, seed, a) if peer == "gensim"
                           else nnkit_command(text, out, seed, a, Path(folder)))
                if command is None:
                    print(f"{peer}: not installed, left out")
                    continue
                result = run(command, peer, Path(folder), out)
                result |= scores(out, a.eval)
                results[peer].append(result)
                print(f"seed {seed} {peer:7} " + "  ".join(f"{k} {shown(k, v)}" for k, v in result.items()), flush=True)
        print_table(results)


def lines_of(text: str | None, folder: Path) -> Path:
    """A plain file of lines of at most 1,000 words."""
    path = folder / "corpus.txt"
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        if text is None:
            from nnkit.data import read_sentences
            out.writelines(" ".join(words) + "\n" for words in read_sentences("builtin:python-docs"))
            return path
        opened = gzip.open(text, "rt", encoding="utf-8") if text.endswith(".gz") else open(text, encoding="utf-8")
        with opened as lines:
            for line in lines:
                words = line.split()
                for start in range(0, len(words), LINE):
                    out.write(" ".join(words[start:start + LINE]) + "\n")
    return path


def gensim_command(text: Path, out: Path, seed: int, a: argparse.Namespace) -> list[str] | None:
    python = os.environ.get("NNKIT_GENSIM_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import gensim"], capture_output=True, check=False).returncode:
        return None
    return [python, "-c", GENSIM, str(text), str(out), str(seed), str(a.workers), str(a.epochs)]


def nnkit_command(text: Path, out: Path, seed: int, a: argparse.Namespace, folder: Path) -> list[str]:
    return [sys.executable, "-m", "nnkit.train", str(CONFIG), f"data.train={text}", f"training.epochs={a.epochs}", f"seed={seed}",
            f"training.workers={a.workers}", "--out", str(folder / "run"), "--force", "-q", *a.set]


def run(command: list[str], peer: str, folder: Path, out: Path) -> dict[str, float]:
    """Speed, seconds and peak memory of one process and its children."""
    # Old kernels of OpenBLAS may be asked for by the environment; they slow a current NumPy.
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment |= {"NNKIT_CACHE": cache}
        if peer == "numpy":  # numba, if it is installed, is not found
            blocked = Path(cache) / "blocked"
            blocked.mkdir()
            (blocked / "numba.py").write_text("raise ImportError('left out by the benchmark')", encoding="utf-8")
            environment["PYTHONPATH"] = str(blocked)
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        peak = 0.0
        while process.poll() is None:
            looked = time.perf_counter()
            peak = max(peak, memory(process.pid, cache))
            time.sleep(max(0.1, 50 * (time.perf_counter() - looked)))  # a look takes a core, and locks what it looks at
        seconds = time.perf_counter() - began
        printed = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"{peer} ended with code {process.returncode}")
    if peer == "gensim":
        report = json.loads(printed.splitlines()[-1])
    else:
        report = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))
        (folder / "run" / "vectors.vec").replace(out)
    return {"words/s": report["words_per_second"], "whole s": seconds, "peak MB": peak}


def memory(pid: int, without: str) -> float:
    """MB: the proportional share of a process and its descendants, without what is mapped from `without`; 0 where unknown."""
    total = 0.0
    for one in [pid, *descendants(pid)]:
        try:
            mapped = ""
            for line in Path(f"/proc/{one}/smaps").read_text(encoding="utf-8").splitlines():
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    mapped = line
                elif line.startswith("Pss:") and without not in mapped:
                    total += int(line.split()[1]) / 1024
        except OSError:
            continue
    return total


def descendants(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text(encoding="utf-8").split()]
    except OSError:
        return []
    return [x for child in children for x in (child, *descendants(child))]


def scores(path: Path, folder: Path) -> dict[str, float]:
    """Spearman's rho and accuracy, and how many pairs or questions were used."""
    if not folder.is_dir():
        return {}
    from nnkit.vectors import WordVectors, evaluate_analogies, evaluate_pairs
    vectors = WordVectors.load(path)
    found: dict[str, float] = {}
    for name, file in (("WordSim", "word-sim/EN-WS-353-ALL.txt"), ("SimLex", "word-sim/EN-SIMLEX-999.txt")):
        result = evaluate_pairs(vectors, folder / file)
        found |= {name: result.spearman, f"{name} n": result.used}
    analogies = evaluate_analogies(vectors, folder / "analogy" / "questions-words.txt")
    return found | {"analogies": analogies.accuracy, "analogies n": analogies.used}


def shown(key: str, value: float) -> str:
    if key in ("words/s", "peak MB") or key.endswith(" n"):
        return f"{value:,.0f}"
    return f"{value:.1f}" if key.endswith(" s") else f"{value:.3f}"


def print_table(results: dict[str, list[dict[str, float]]]) -> None:
    gensim = results.get("gensim")
    print()
    for peer, rows in results.items():
        if not rows:
            continue
        mean = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
        print(f"{peer:8} mean of {len(rows)}: " + "  ".join(f"{k} {shown(k, v)}" for k, v in mean.items()))
        if gensim and peer != "gensim":
            ratio = [ours["words/s"] / theirs["words/s"] for ours, theirs in zip(rows, gensim)]
            whole = [theirs["whole s"] / ours["whole s"] for ours, theirs in zip(rows, gensim)]
            print(f"{'':8} against gensim: training {statistics.mean(ratio):.2f}x ({min(ratio):.2f} to {max(ratio):.2f}), "
                  f"whole process {statistics.mean(whole):.2f}x")


if __name__ == "__main__":
    main()
