#!/bin/sh
# Makes words.wasm: the handler in src/lib.rs and the library in words.c, two components in one file.
# Needs what ../routes-rust/build.sh and scripts/guest-c.sh need.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build=${CARGO_TARGET_DIR:-$PWD/target}
CARGO_TARGET_DIR=$build cargo build --release --target wasm32-wasip2
../../scripts/guest-c.sh "$work/library.wasm" wit/words.wit library words.c
wasm-tools compose "$build/wasm32-wasip2/release/words_rust_c.wasm" -d "$work/library.wasm" -o "$work/words.wasm" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 1; }
wasm-tools strip "$work/words.wasm" -o words.wasm
