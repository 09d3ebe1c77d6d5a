#!/bin/sh
# Builds a component for wasi:http from C: scripts/guest-c.sh OUT.wasm WIT-FILE WORLD SOURCE...
#
# Needed only to change an example or a test guest; the components themselves are in the tree.
# Wants clang-19, lld-19, wasi-libc, libclang-rt-19-dev-wasm32 (apt) and wasm-tools,
# wit-bindgen-cli (cargo). The interfaces of WASI are read from wit/; GUEST_DRAFT=2023-11-10 means those of that draft.
set -eu

usage="usage: scripts/guest-c.sh OUT.wasm WIT-FILE WORLD SOURCE..."
[ $# -ge 4 ] || { echo "$usage" >&2; exit 2; }
out=$1 wit=$2 world=$3
shift 3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/wit" "$work/wit/deps"
cp "$wit" "$work/wit/world.wit"
# Of WASI one version: where there are several, names in C have theirs.
if [ -n "${GUEST_DRAFT:-}" ]; then
    cp "$(dirname "$0")"/../wit/drafts/*-"$GUEST_DRAFT".wit "$work/wit/deps"
else
    cp "$(dirname "$0")"/../wit/*.wit "$work/wit/deps"
fi

wit-bindgen c --world "$world" --rename-world guest --out-dir "$work" "$work/wit" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
clang-19 --target=wasm32-wasi -mexec-model=reactor -O2 -Wall ${GUEST_CFLAGS:-} -I"$work" \
    "$@" "$work/guest.c" "$work/guest_component_type.o" -o "$work/core.wasm"
wasm-tools component new "$work/core.wasm" -o "$work/component.wasm"
wasm-tools strip "$work/component.wasm" -o "$out"
