#!/bin/sh
# Makes @project-name@.wasm. README.md says what it needs; CC and COMPONENT_LD may name other programs.
set -eu
cc=${CC:-clang-19}
linker=${COMPONENT_LD:-$(command -v wasm-component-ld || true)}
if [ -z "$linker" ] && command -v rustc >/dev/null; then # Rust has one
    linker=$(find "$(rustc --print sysroot)/lib/rustlib" -name wasm-component-ld -type f | head -n 1)
fi
command -v "$cc" >/dev/null || { echo "$cc is not installed; see README.md" >&2; exit 127; }
[ -x "$linker" ] || { echo "wasm-component-ld is not installed; see README.md" >&2; exit 127; }

"$cc" --target=wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra handler.c http.c \
    -fuse-ld="$linker" -Wl,--strip-debug,--component-type,wit -o @project-name@.wasm
