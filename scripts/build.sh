#!/bin/sh
# Configures a build folder once, then builds: scripts/build.sh FOLDER [CMAKE-OPTION]...
# JOBS and TARGET (one or more) in the environment go to ninja.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
command -v cmake >/dev/null && command -v ninja >/dev/null || {
    echo "error: cmake or ninja is missing; \`make deps\` installs what is needed" >&2
    exit 1
}
[ -f "$folder/build.ninja" ] || cmake -S . -B "$folder" -G Ninja "$@" >"$folder.log" 2>&1 || {
    cat "$folder.log" >&2
    exit 1
}
rm -f "$folder.log"
exec ninja -C "$folder" ${JOBS:+-j "$JOBS"} ${TARGET:-}
