#!/bin/sh
# Makes @project-name@.wasm. README.md says what it needs; COMPONENT_LD may name another program.
set -eu
linker=${COMPONENT_LD:-$(command -v wasm-component-ld || true)}
if [ -z "$linker" ] && command -v rustc >/dev/null; then # Rust has one
    linker=$(find "$(rustc --print sysroot)/lib/rustlib" -name wasm-component-ld -type f | head -n 1)
fi
command -v go >/dev/null || { echo "go is not installed; see README.md" >&2; exit 127; }
[ -x "$linker" ] || { echo "wasm-component-ld is not installed; see README.md" >&2; exit 127; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags="-s -w" -o "$work/core.wasm" .

# It calls a linker and makes a component of what that writes. Go has linked already: this one takes Go's module.
cat >"$work/wasm-ld" <<END
#!/bin/sh
while [ "\$1" != -o ]; do shift; done
cp "$work/core.wasm" "\$2"
END
chmod +x "$work/wasm-ld"
# Its runtime gives no memory before it has begun, which it asks the host for.
"$linker" --wasm-ld-path "$work/wasm-ld" --realloc-via-memory-grow --component-type wit "$work/core.wasm" \
    -o @project-name@.wasm
