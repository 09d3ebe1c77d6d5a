#!/bin/sh
# Makes routes.wasm from routes.c and order.c; see scripts/guest-c.sh for what it needs.
set -eu
cd "$(dirname "$0")"
../../scripts/guest-c.sh routes.wasm wit/routes.wit routes routes.c order.c
