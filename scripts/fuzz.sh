#!/bin/sh
# Runs fuzz targets one after the other: scripts/fuzz.sh FOLDER SECONDS [NAME]...; all of them without names.
# What they find new goes to FOLDER/corpus/NAME, what fails to FOLDER/found/NAME; `FOLDER/tests/fuzz-NAME FILE` repeats it.
set -eu
cd "$(dirname "$0")/.."
folder=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')

failed=
for name in "$@"; do
    mkdir -p "$folder/corpus/$name" "$folder/found/$name"
    echo "== $name, $seconds s"
    length= # what is longer takes more time than it is worth
    case $name in levels | tiers) length=-max_len=1200 ;; esac
    FUZZ_LAST="$folder/found/$name/last" "$folder/tests/fuzz-$name" -max_total_time="$seconds" -timeout=20 $length \
        -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$folder/found/$name/" \
        "$folder/corpus/$name" "tests/fuzz/corpus/$name" >"$folder/$name.log" 2>&1 || failed="$failed $name"
    grep '^INFO: Seed' "$folder/$name.log" || true
    grep '^stat::number_of_executed_units' "$folder/$name.log" || tail -n 30 "$folder/$name.log"
done
[ -z "$failed" ] || { echo "failed:$failed; what was found is in $folder/found" >&2; exit 1; }
