#!/bin/sh
# Makes a folder of WIT: scripts/guest-wit.sh WIT-FILE FOLDER
#
# The file, and the interfaces of WASI from wit/ beside it, all as 0.2.10: what the engines for JavaScript and Python that
# today's toolchains bring were made with.
set -eu
mkdir -p "$2/deps"
sed 's/0\.2\.12/0.2.10/' "$1" >"$2/world.wit"
for file in "$(dirname "$0")"/../wit/wasi-*.wit; do
    sed 's/0\.2\.12/0.2.10/' "$file" >"$2/deps/$(basename "$file")"
done
