#!/bin/sh
# Makes auth.wasm from src/lib.rs: ./build.sh [OUT.wasm]. Needs Rust with the target wasm32-wasip2, and wasm-tools.
set -eu
cd "$(dirname "$0")"
out=$(realpath -m "${1:-auth.wasm}")
for tool in cargo wasm-tools; do
    command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 69; }
done
build=${CARGO_TARGET_DIR:-$PWD/target}
cargo fetch --quiet --target wasm32-wasip2
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do # messages of panics name sources: not where they lie here
    RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$folder=crates"
done
export RUSTFLAGS
CARGO_TARGET_DIR=$build cargo build --quiet --release --target wasm32-wasip2
wasm-tools strip "$build/wasm32-wasip2/release/meadow_auth.wasm" -o "$out"
