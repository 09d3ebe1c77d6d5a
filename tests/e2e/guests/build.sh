#!/bin/sh
# Makes the test guests from their C sources; see scripts/guest-c.sh for what it needs.
set -eu
cd "$(dirname "$0")"
for name in trap echo; do
    GUEST_CFLAGS="-mreference-types -Wno-infinite-recursion" ../../../scripts/guest-c.sh $name.wasm guest.wit guest $name.c
done
GUEST_CFLAGS="-mreference-types" ../../../scripts/guest-c.sh leak.wasm leak.wit leak leak.c
for name in sockets client request misbehave given; do
    ../../../scripts/guest-c.sh $name.wasm $name.wit $name $name.c
done
GUEST_CFLAGS="-mbulk-memory -Wno-infinite-recursion" ../../../scripts/guest-c.sh greedy.wasm greedy.wit greedy greedy.c
../../../scripts/guest-c.sh files.wasm command.wit guest files.c
clang-19 --target=wasm32-wasi -O2 -Wall -Wno-unused-parameter -c process.c -o process.o
clang-19 --target=wasm32-wasi process.o -o process.wasm # linking without -O keeps wasm-opt out, which drops the functions' names
work=$(mktemp -d)
cp frozen.wit "$work/world.wit"
cp -r ../../../wit "$work/deps"
wasm-tools component embed --world frozen "$work" frozen.wat -o "$work/core.wasm"
wasm-tools component new "$work/core.wasm" -o frozen.wasm
rm -r "$work"
wasm-tools strip --delete '^\.debug' process.wasm -o process.wasm
chmod 644 process.wasm
rm process.o
rustc --edition 2021 --target wasm32-wasip2 -O -C strip=symbols -C opt-level=s -C lto -C panic=abort net.rs -o net.wasm
chmod 644 net.wasm
rustc --edition 2021 --target wasm32-wasip2 -O -C strip=symbols -C opt-level=s -C lto -C panic=abort fs.rs -o fs.wasm
chmod 644 fs.wasm
