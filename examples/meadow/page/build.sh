#!/bin/sh
# Makes page.wasm from page.py: ./build.sh [OUT.wasm]; see scripts/guest-python.sh for what it needs.
set -eu
cd "$(dirname "$0")"
../../../scripts/guest-python.sh "$(realpath -m "${1:-page.wasm}")" page.wit page page.py
