#!/usr/bin/env bash
# What takes longer than CI may, or needs more than a fresh machine has. Its output goes into the note of a change.
#   scripts/long_checks.sh [PYTHON ...]     the Pythons to try a fresh install with; python3 where none is named
# PYTHON: an environment with nnkit[test], and with PyTorch for the parity and the speed, selenium (and Chromium and
#   chromedriver on the PATH) for the page of a graph; .venv/bin/python unless it is set.
# NNKIT_EDUGRAD_PYTHON: an interpreter that has edugrad 0.1.0, whose programs are then run on both, and timed.
# PARTS: some of "install long fuzz kills parity edugrad browser mutations speed"; all of them unless it is set.
# A part that fails does not stop the others; the last lines say what ran, how long, and what failed.
set -uo pipefail
cd "$(dirname "$0")/.."
project=$PWD
python="${PYTHON:-.venv/bin/python}"
ran=()
failed=0

part() {  # part NAME COMMAND ...: runs it where PARTS asks for it
    local name=$1 began=$SECONDS
    shift
    case " ${PARTS:-install long fuzz kills parity edugrad browser mutations speed} " in *" $name "*) ;; *) return ;; esac
    echo "== $name: $*"
    ( set -e; "$@" )  # not in the condition of an if, where set -e means nothing
    if [ $? -eq 0 ]; then
        ran+=("ok      $name, $((SECONDS - began)) s: $*")
    else
        ran+=("FAILED  $name, $((SECONDS - began)) s: $*")
        failed=1
    fi
}

fresh_install() {  # both commands of the README in a fresh clone
    local work command
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$1" --version
    git clone -q "$project" "$work/nnkit"
    if [ -d "$project/../shared" ]; then ln -s "$(cd "$project/../shared" && pwd)" "$work/shared"; fi
    cd "$work/nnkit"
    export NNKIT_CACHE="$work/cache"
    grep -E '^ *python3 -m venv ' README.md > "$work/commands"
    test -s "$work/commands"
    while read -r command; do
        echo "-- $command"
        rm -rf .venv
        time bash -c "set -o pipefail; { ${command//python3 -m venv/$1 -m venv}; } 2>&1 < /dev/null | tail -25"
    done < "$work/commands"
}

for fresh in "${@:-python3}"; do part install fresh_install "$fresh"; done
part long env NNKIT_STEPS=10000 "$python" -m pytest tests/test_long_runs.py tests/autograd -n 2 -rs
part fuzz env NNKIT_EXAMPLES=4000 "$python" -m pytest tests/training/test_mangled_configs.py -n 2 -rsP
part kills env NNKIT_KILLS=200 "$python" -m pytest tests/training/test_kills.py -n 2 -rsP
part parity env NNKIT_EXAMPLES=100 "$python" -m pytest tests/parity -n 2 -rs
part edugrad "$python" -m pytest tests/compat -n 2 -rs
part browser "$python" -m pytest -m browser tests/show -n 1 -rs
part mutations "$python" scripts/mutate.py
part readme "$python" scripts/readme_commands.py
for benchmark in import sgns step trainer text layers; do part speed "$python" "scripts/bench_$benchmark.py"; done

echo "== what ran"
if [ ${#ran[@]} -eq 0 ]; then echo "nothing: PARTS=${PARTS:-} names no part"; exit 2; fi
printf '%s\n' "${ran[@]}"
exit $failed
