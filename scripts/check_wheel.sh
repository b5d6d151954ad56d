#!/usr/bin/env bash
# Does what is published work without a checkout? Builds the wheel and the sdist, installs each into a fresh environment of every
# Python that is named, and there, far from the checkout, trains and starts a folder of one's own.
#   scripts/check_wheel.sh [PYTHON ...]     the oldest and the newest Python that nnkit supports and the machine has, if none is named
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pythons() {  # of the versions that nnkit supports, as they are found on the PATH and where pyenv keeps them
    local minor found
    for minor in 10 11 12 13 14; do
        for found in "$(command -v "python3.$minor" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
            if [ -x "$found" ] && "$found" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
                echo "$found"
                break
            fi
        done
    done
}

if [ $# -eq 0 ]; then
    mapfile -t all < <(pythons)
    if [ ${#all[@]} -eq 0 ]; then all=(python3); fi
    set -- "${all[0]}"
    if [ "${all[0]}" != "${all[-1]}" ]; then set -- "${all[0]}" "${all[-1]}"; fi
fi

git clone -q . "$work/source"  # what is committed, and nothing that lies about
"$1" -m venv "$work/build"
"$work/build/bin/pip" install -q build
"$work/build/bin/python" -m build --outdir "$work/dist" "$work/source" > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
ls "$work/dist"
"$work/build/bin/python" - "$work"/dist/*.whl <<'EOF'
import sys, zipfile
names = zipfile.ZipFile(sys.argv[1]).namelist()
strange = [name for name in names if not name.startswith("nnkit")]
wanted = ["nnkit/py.typed", "nnkit/_shipped/recipes/sgns.py", "nnkit/_shipped/configs/sgns.yaml", "nnkit/_shipped/data/odd-one-out.txt"]
missing = [name for name in wanted if name not in names]
sys.exit(f"the wheel has {strange[:5]} in it, and lacks {missing}" if strange or missing else 0)
EOF

export NNKIT_CACHE="$work/cache"
number=0
for python in "$@"; do
    number=$((number + 1))
    here="$work/$number"
    echo "== $("$python" --version), $(cd "$work/dist" && ls ./*.whl)"
    "$python" -m venv "$here/venv"
    "$here/venv/bin/pip" install -qq "$work"/dist/*.whl pytest
    mkdir "$here/home"
    (
        cd "$here/home"
        PATH="$here/venv/bin:$PATH"
        set -x
        nnkit init hw6
        python -m nnkit.train hw6/config.yaml training.epochs=1 2>&1 | tail -1
        python -m pytest -q hw6
        nnkit init vectors --recipe sgns
        nnkit train vectors/config.yaml training.epochs=1 training.workers=2 2>&1 | tail -1
        nnkit neighbors @last socket | head -3
        nnkit list recipes | head -2
    ) 2>&1 | sed 's/^/    /'
done
# The wheel was built from the sdist; that pip can do so too is seen once.
"$work/1/venv/bin/pip" install -qq --no-deps --force-reinstall "$work"/dist/*.tar.gz
(cd "$work/1/home" && "$work/1/venv/bin/nnkit" list recipes > /dev/null)
echo "the wheel and the sdist work with: $*"
