#!/bin/sh
# Makes a component from app.py: ./build.sh OUT.wasm. Needs Python with venv; componentize-py is installed into
# GUEST_TOOLS, if that is set, or else here.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")"
tools=${GUEST_TOOLS:-$PWD}/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$tools/bin/componentize-py" ] || {
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet componentize-py==0.25.1
}
mkdir -p "$work/wit/deps"
# The interpreter asks for 0.2.10 of WASI.
sed 's/@0\.2\.12/@0.2.10/' routes.wit >"$work/wit/routes.wit"
for file in ../../wit/wasi-*.wit; do
    sed 's/0\.2\.12/0.2.10/' "$file" >"$work/wit/deps/$(basename "$file")"
done
cp app.py "$work"
cd "$work"
"$tools/bin/componentize-py" -d wit -w routes componentize app -o "$out" >log 2>&1 || { cat log >&2; exit 1; }
