#!/bin/sh
# Builds for another architecture and runs that build's tests with qemu: tests/cross/run.sh ARCHITECTURE. Exit code 77:
# skipped.
set -eu
cd "$(dirname "$0")/../.."
architecture=$1

skip() {
    echo "skipped: $1"
    exit 77
}
[ -n "${MAYFLY_TEST_FULL:-}" ] || skip "it takes MAYFLY_TEST_FULL=1"
for program in "$architecture-linux-gnu-gcc" "qemu-$architecture-static"; do
    command -v "$program" >/dev/null || skip "$program is missing; \`make deps-$architecture\` installs it"
done
[ -e "/usr/lib/$architecture-linux-gnu/libjansson.so" ] ||
    skip "jansson for $architecture is missing; \`make deps-$architecture\` installs it"

scripts/build.sh "build-$architecture" -DCMAKE_TOOLCHAIN_FILE="cmake/$architecture.cmake" -DCMAKE_BUILD_TYPE=Release
ctest --test-dir "build-$architecture" --output-on-failure

# The same modules, made by the same generator for both machines, do the same.
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
build/tests/digests 1 200 >"$here/native"
"qemu-$architecture-static" "build-$architecture/tests/digests" 1 200 >"$here/crossed"
cmp "$here/native" "$here/crossed"
