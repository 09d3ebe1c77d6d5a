#!/bin/sh
# Makes a component from routes.go: ./build.sh OUT.wasm. Needs Go 1.25 or later, wasm-tools, wit-bindgen-cli 0.51 (later
# ones make what needs a Go module that is not published), and the adapter of WASI 0.1 for reactors, which ADAPTER names.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
for tool in go wasm-tools wit-bindgen; do
    command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 69; }
done
case $(wit-bindgen --version) in
*' 0.51.'*) ;;
*) echo "wit-bindgen 0.51 is not installed, but $(wit-bindgen --version)" >&2; exit 69 ;;
esac
[ -f "${ADAPTER:-}" ] || { echo "ADAPTER does not name the adapter of WASI 0.1 for reactors" >&2; exit 69; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/wit/deps"
cp routes.wit "$work/wit/world.wit"
cp ../../wit/wasi-*.wit "$work/wit/deps/"

cd "$work"
wit-bindgen go -w routes --generate-stubs wit >log 2>&1 || { cat log >&2; exit 1; }
cp "$OLDPWD/routes.go" export_wasi_http_incoming_handler/wit_bindings.go
go mod tidy >log 2>&1 || { cat log >&2; exit 1; }
GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags="-checklinkname=0 -s -w" -o core.wasm .
wasm-tools component embed -w routes wit core.wasm -o embedded.wasm
wasm-tools component new --adapt wasi_snapshot_preview1="$ADAPTER" embedded.wasm -o "$out"
