#!/bin/sh
# Makes a component from app.py: ./build.sh OUT.wasm; see scripts/guest-python.sh for what it needs.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
../../scripts/guest-python.sh "$out" routes.wit routes app.py
