#!/bin/sh
# Makes the test guests from their C sources; see scripts/guest-c.sh for what it needs.
set -eu
cd "$(dirname "$0")"
for name in trap leak echo; do
    GUEST_CFLAGS="-mreference-types -Wno-infinite-recursion" ../../../scripts/guest-c.sh $name.wasm guest.wit guest $name.c
done
