#!/bin/sh
# Makes the components that are not in the tree: from JavaScript, Python and Go. The scripts beside them say what they need.
set -eu
cd "$(dirname "$0")"
for part in api page stats; do
    echo "$part"
    $part/build.sh
done
