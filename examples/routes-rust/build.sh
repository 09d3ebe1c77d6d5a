#!/bin/sh
# Makes routes.wasm from src/lib.rs. Needs Rust with the target wasm32-wasip2, and wasm-tools.
set -eu
cd "$(dirname "$0")"
build=${CARGO_TARGET_DIR:-$PWD/target}
cargo fetch --quiet --target wasm32-wasip2
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do # messages of panics name sources: not where they lie here
    RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$folder=crates"
done
export RUSTFLAGS
CARGO_TARGET_DIR=$build cargo build --release --target wasm32-wasip2
wasm-tools strip "$build/wasm32-wasip2/release/routes_rust.wasm" -o routes.wasm
