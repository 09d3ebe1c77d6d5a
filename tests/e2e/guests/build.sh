#!/bin/sh
# Makes the test guests from their C sources; see scripts/guest-c.sh for what it needs.
set -eu
cd "$(dirname "$0")"
for name in trap echo; do
    GUEST_CFLAGS="-mreference-types -Wno-infinite-recursion" ../../../scripts/guest-c.sh $name.wasm guest.wit guest $name.c
done
GUEST_CFLAGS="-mreference-types" ../../../scripts/guest-c.sh leak.wasm leak.wit leak leak.c
for name in sockets client request misbehave given after; do
    ../../../scripts/guest-c.sh $name.wasm $name.wit $name $name.c
done
GUEST_CFLAGS="-mbulk-memory -Wno-infinite-recursion" ../../../scripts/guest-c.sh greedy.wasm greedy.wit greedy greedy.c
../../../scripts/guest-c.sh files.wasm command.wit guest files.c
clang-19 --target=wasm32-wasi -O2 -Wall -Wno-unused-parameter -c process.c -o process.o
clang-19 --target=wasm32-wasi process.o -o process.wasm # linking without -O keeps wasm-opt out, which drops the functions' names
clang-19 --target=wasm32-wasi -O2 -Wall -c cgi_module.c -o cgi_module.o
clang-19 --target=wasm32-wasi cgi_module.o -Wl,--strip-all -o cgi_module.wasm
chmod 644 cgi_module.wasm
rm cgi_module.o
# Built for the drafts of WASI 0.2 too.
draft() { # DATE WIT WORLD NAME [OUT]
    work=$(mktemp -d)
    sed "s/@0\.2\.12/@0.2.0-rc-$1/" "$2" >"$work/world.wit"
    GUEST_DRAFT=$1 GUEST_CFLAGS="-DDRAFT=$(echo "$1" | tr -d -)" \
        ../../../scripts/guest-c.sh "${5:-$4-$1.wasm}" "$work/world.wit" "$3" "$4.c"
    rm -r "$work"
}
draft 2023-10-18 command.wit guest files
draft 2023-11-10 command.wit guest files
draft 2023-11-10 guest.wit guest echo
draft 2023-11-10 sockets.wit sockets sockets
draft 2023-11-10 client.wit client client
draft 2023-10-18 october.wit october october october.wasm
# Those that speak the canonical ABI themselves.
plain() { # NAME OUT DEFINITION... with a script for the WIT in $wit
    core=$(mktemp -d) name=$1 out=$2
    shift 2
    clang-19 --target=wasm32-unknown-unknown -O2 -Wall -nostdlib -fno-builtin -Wl,--no-entry "$@" $name.c -o "$core/core.wasm"
    sed "${wit:-}" $name.wit >"$core/world.wit"
    mkdir "$core/deps"
    cp ../../../wit/*.wit ../../../wit/drafts/*.wit "$core/deps"
    wasm-tools component embed --world $name "$core" "$core/core.wasm" -o "$core/embedded.wasm"
    wasm-tools component new "$core/embedded.wasm" -o "$out"
    rm -r "$core"
}
for name in storage stored pairs variables configured shown words wordy other stray cgi cron deed inbound whole redis postgres postgres4 mysql mqtt llm; do
    plain $name $name.wasm
done
for date in 2023-10-18 2023-11-10; do
    wit="/import wasi:/s/@0\\.2\\.12/@0.2.0-rc-$date/" plain words words-$date.wasm "-DWASI=\"0.2.0-rc-$date\"" \
        $([ $date = 2023-11-10 ] || echo -DOCTOBER)
done
core=$(mktemp -d)
clang-19 --target=wasm32-unknown-unknown -O2 -Wall -nostdlib -fno-builtin -Wl,--no-entry module.c -o "$core/core.wasm"
cp module.wit "$core/world.wit"
cp -r ../../../wit "$core/deps"
wasm-tools component embed --world module "$core" "$core/core.wasm" -o module.wasm # and stays that
rm -r "$core"
wasm-tools parse endless.wat -o endless.wasm
wasm-tools parse later.wat -o later.wasm
wasm-tools parse redis3.wat -o redis3.wasm
work=$(mktemp -d)
cp frozen.wit "$work/world.wit"
mkdir "$work/deps"
cp ../../../wit/*.wit "$work/deps"
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
