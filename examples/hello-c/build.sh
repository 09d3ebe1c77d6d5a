#!/bin/sh
# Makes hello.wasm from hello.c; see scripts/guest-c.sh for what it needs.
set -eu
cd "$(dirname "$0")"
../../scripts/guest-c.sh hello.wasm wit/hello.wit hello hello.c
