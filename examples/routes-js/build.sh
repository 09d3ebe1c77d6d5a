#!/bin/sh
# Makes a component from routes.js: ./build.sh OUT.wasm; see scripts/guest-js.sh for what it needs.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
../../scripts/guest-js.sh "$out" routes.wit routes routes.js
