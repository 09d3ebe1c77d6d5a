#!/bin/sh
# Builds a component from JavaScript: scripts/guest-js.sh OUT.wasm WIT-FILE WORLD SOURCE.js
#
# Wants Node.js and npm; ends with 69 without. The packages are installed into GUEST_TOOLS (here: build/guest-tools).
set -eu

[ $# -eq 4 ] || { echo "usage: scripts/guest-js.sh OUT.wasm WIT-FILE WORLD SOURCE.js" >&2; exit 2; }
command -v npm >/dev/null && command -v node >/dev/null || { echo "node and npm are not installed" >&2; exit 69; }
out=$(realpath -m "$1") wit=$2 world=$3 source=$(realpath "$4")
scripts=$(realpath "$(dirname "$0")")
tools=${GUEST_TOOLS:-$scripts/../build/guest-tools}/js
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$scripts/guest-wit.sh" "$wit" "$work/wit"

mkdir -p "$tools"
[ -d "$tools/node_modules/@bytecodealliance/componentize-js" ] ||
    npm install --prefix "$tools" --no-audit --no-fund @bytecodealliance/componentize-js@0.23.0 >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
cat >"$tools/build.mjs" <<'END'
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
const [sourcePath, witPath, worldName, out] = process.argv.slice(2);
const { component } = await componentize({ sourcePath, witPath, worldName });
await writeFile(out, component);
END
node "$tools/build.mjs" "$source" "$work/wit" "$world" "$out"
