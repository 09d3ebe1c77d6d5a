#!/bin/sh
# Makes api.wasm from api.js: ./build.sh [OUT.wasm]; see scripts/guest-js.sh for what it needs.
set -eu
cd "$(dirname "$0")"
../../../scripts/guest-js.sh "$(realpath -m "${1:-api.wasm}")" api.wit api api.js
