#!/bin/sh
# Runs the tests of each build folder named and ends with one line: `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
count() { # count FILE ATTRIBUTE: the number in the suite's opening tag
    grep -o "$2=\"[0-9]*\"" "$1" | head -n 1 | tr -cd 0-9
}

for folder in "$@"; do
    echo "== $folder"
    results=$PWD/$folder/results.xml
    rm -f "$results"
    ctest --test-dir "$folder" -j "$(nproc)" --output-on-failure --output-junit "$results" || true
    if [ ! -s "$results" ]; then
        failed=$((failed + 1)) # ctest itself did not run
        continue
    fi
    total=$(count "$results" tests) bad=$(count "$results" failures)
    left=$(($(count "$results" skipped) + $(count "$results" disabled)))
    passed=$((passed + total - bad - left)) failed=$((failed + bad)) skipped=$((skipped + left))
done

echo "suites that ran:"
for folder in "$@"; do
    sed -n "s|.*<testcase name=\"\([^\"]*\)\".*status=\"\([^\"]*\)\".*|  $folder \1 \2|p" "$folder/results.xml" 2>/dev/null
done | sed 's/ run$/ passed/; s/ notrun$/ skipped/; s/ fail$/ FAILED/'
if [ -d ../shared/conformance ]; then
    echo "official suites: found in ../shared/conformance"
else
    echo "official suites: skipped, there is no ../shared/conformance beside this checkout"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
