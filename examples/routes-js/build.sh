#!/bin/sh
# Makes a component from routes.js: ./build.sh OUT.wasm. Needs Node.js and npm; the packages of package.json are
# installed into GUEST_TOOLS, if that is set, or else here.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")"
here=$PWD
tools=${GUEST_TOOLS:-$here}/js
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$tools" "$work/wit/deps"
cp package.json "$tools/"
npm install --prefix "$tools" --no-audit --no-fund --prefer-offline >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
# The engine asks for 0.2.10 of WASI.
sed 's/@0\.2\.12/@0.2.10/' routes.wit >"$work/wit/routes.wit"
for file in ../../wit/wasi-*.wit; do
    sed 's/0\.2\.12/0.2.10/' "$file" >"$work/wit/deps/$(basename "$file")"
done
cat >"$tools/build.mjs" <<'END'
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
const [sourcePath, witPath, out] = process.argv.slice(2);
const { component } = await componentize({ sourcePath, witPath, worldName: "routes" });
await writeFile(out, component);
END
node "$tools/build.mjs" "$here/routes.js" "$work/wit" "$out"
