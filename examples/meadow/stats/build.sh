#!/bin/sh
# Makes stats.wasm from stats.go: ./build.sh [OUT.wasm]. Needs Go 1.25 or later, wasm-tools, wit-bindgen-cli 0.51 (later
# ones make what needs a Go module that is not published), and the adapter of WASI 0.1 for reactors: the one that ADAPTER
# names, or the one among the tools that api/build.sh installs.
set -eu
cd "$(dirname "$0")"
out=$(realpath -m "${1:-stats.wasm}")
for tool in go wasm-tools wit-bindgen; do
    command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 69; }
done
case $(wit-bindgen --version) in
*' 0.51.'*) ;;
*) echo "wit-bindgen 0.51 is not installed, but $(wit-bindgen --version)" >&2; exit 69 ;;
esac
tools=${GUEST_TOOLS:-$PWD/../../../build/guest-tools}
adapter=${ADAPTER:-$tools/js/node_modules/@bytecodealliance/jco/lib/wasi_snapshot_preview1.reactor.wasm}
[ -f "$adapter" ] || { echo "run api/build.sh first, or let ADAPTER name the adapter of WASI 0.1 for reactors" >&2; exit 69; }
adapter=$(realpath "$adapter")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/wit/deps"
cp stats.wit "$work/wit/world.wit"
cp ../../../wit/wasi-*.wit ../../../wit/fermyon-spin-v2.wit "$work/wit/deps/"

cd "$work"
wit-bindgen go -w stats --generate-stubs wit >log 2>&1 || { cat log >&2; exit 1; }
cp "$OLDPWD/stats.go" export_wasi_http_incoming_handler/wit_bindings.go
go mod tidy >log 2>&1 || { cat log >&2; exit 1; }
GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags="-checklinkname=0 -s -w" -o core.wasm .
wasm-tools component embed -w stats wit core.wasm -o embedded.wasm
wasm-tools component new --adapt wasi_snapshot_preview1="$adapter" embedded.wasm -o "$out"
