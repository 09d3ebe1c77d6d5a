#!/bin/sh
# Makes one component from the handler in front.js and the library in words.py: ./build.sh OUT.wasm. Needs wasm-tools,
# and what scripts/guest-js.sh and scripts/guest-python.sh need.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
command -v wasm-tools >/dev/null || { echo "wasm-tools is not installed" >&2; exit 69; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
../../scripts/guest-js.sh "$work/front.wasm" words.wit front front.js
../../scripts/guest-python.sh "$work/library.wasm" words.wit library words.py
wasm-tools compose "$work/front.wasm" -d "$work/library.wasm" -o "$out" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
