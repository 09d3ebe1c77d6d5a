#!/bin/sh
# Makes static.wasm from static.c, and puts it into the template `static`. Needs what templates/http-c/README.md says.
set -eu
cd "$(dirname "$0")"
root=../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp static.c "$work/handler.c"
cp $root/templates/http-c/http.c $root/templates/http-c/http.h "$work"
sed 's/@project-name@/static/g' $root/templates/http-c/build.sh >"$work/build.sh"
mkdir -p "$work/wit/deps"
cp $root/templates/wit/world.wit "$work/wit"
for file in $root/wit/wasi-*.wit; do
    sed 's/0\.2\.12/0.2.10/' "$file" >"$work/wit/deps/$(basename "$file")"
done
rm "$work/wit/deps/wasi-keyvalue.wit"
(cd "$work" && sh build.sh)
cp "$work/static.wasm" $root/templates/static/static.wasm
