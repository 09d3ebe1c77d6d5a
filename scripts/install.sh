#!/bin/sh
# Installs a build, or removes what was installed: scripts/install.sh install|uninstall BUILD
# PREFIX is /usr/local unless the environment says otherwise; DESTDIR goes before it, for packagers.
set -eu
build=$2
prefix=${DESTDIR:-}${PREFIX:-/usr/local}
program=$prefix/bin/mayfly
compiler=$prefix/libexec/mayfly/mayfly-compiler
toml=$prefix/libexec/mayfly/mayfly-toml.so
page=$prefix/share/man/man1/mayfly.1
bash=$prefix/share/bash-completion/completions/mayfly
zsh=$prefix/share/zsh/site-functions/_mayfly
fish=$prefix/share/fish/vendor_completions.d/mayfly.fish

if [ "$1" = uninstall ]; then
    rm -f "$program" "$compiler" "$toml" "$page" "$bash" "$zsh" "$fish"
    rmdir "$prefix/libexec/mayfly" 2>/dev/null || true
    exit 0
fi
for file in "$program" "$compiler" "$toml" "$page" "$bash" "$zsh" "$fish"; do
    mkdir -p "$(dirname "$file")"
done
install -s -m 755 "$build/mayfly" "$program"
install -s -m 755 "$build/mayfly-compiler" "$compiler"
install -s -m 755 "$build/mayfly-toml.so" "$toml"
put() { # put FILE COMMAND...: its output, as a file for everybody
    file=$1
    shift
    "$build/mayfly" "$@" >"$file"
    chmod 644 "$file"
}
put "$page" man
put "$bash" completion bash
put "$zsh" completion zsh
put "$fish" completion fish
echo "installed in $prefix: bin/mayfly, libexec/mayfly/mayfly-compiler and mayfly-toml.so, the manual page and completions"
