#!/bin/sh
# Builds a component from Python: scripts/guest-python.sh OUT.wasm WIT-FILE WORLD SOURCE.py
#
# Wants Python with venv; ends with 69 without. What else is needed is installed into GUEST_TOOLS (here: build/guest-tools).
set -eu

[ $# -eq 4 ] || { echo "usage: scripts/guest-python.sh OUT.wasm WIT-FILE WORLD SOURCE.py" >&2; exit 2; }
python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "python3 with venv is not installed" >&2; exit 69; }
out=$(realpath -m "$1") wit=$2 world=$3 source=$4
scripts=$(realpath "$(dirname "$0")")
tools=${GUEST_TOOLS:-$scripts/../build/guest-tools}/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$scripts/guest-wit.sh" "$wit" "$work/wit"

[ -x "$tools/bin/componentize-py" ] || {
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet componentize-py==0.25.1
}
cp "$source" "$work/app.py"
cd "$work"
"$tools/bin/componentize-py" -d wit -w "$world" componentize app -o "$out" >log 2>&1 || { cat log >&2; exit 1; }
