#!/usr/bin/env bash
# What takes longer than CI may, or needs more than a fresh machine has. Its output goes into the note of a change.
#   scripts/long_checks.sh [PYTHON ...]     the Pythons to try a fresh install with; python3 where none is named
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD
for python in "${@:-python3}"; do
    echo "== both commands of the README, fresh clone, $("$python" --version)"
    work=$(mktemp -d)
    git clone -q "$project" "$work/nnkit"
    if [ -d "$project/../shared" ]; then ln -s "$(cd "$project/../shared" && pwd)" "$work/shared"; fi
    cd "$work/nnkit"
    export NNKIT_CACHE="$work/cache"
    while read -r command; do
        echo "-- $command"
        rm -rf .venv
        ( time eval "${command//python3 -m venv/$python -m venv}" ) 2>&1 | tail -25
    done < <(grep -E '^ *python3 -m venv ' README.md)
    cd "$project"
    rm -rf "$work"
done
# PYTHON: an environment with nnkit[test], and with PyTorch, which is never a dependency
python="${PYTHON:-.venv/bin/python}"
echo "== parity with PyTorch, full counts"
NNKIT_EXAMPLES=100 "$python" -m pytest tests/parity -n 2 -rs
echo "== mutations"
"$python" scripts/mutate.py
echo "== speed"
"$python" scripts/bench_import.py
"$python" scripts/bench_sgns.py
"$python" scripts/bench_step.py
