#!/bin/bash
# All Swift tests (debug), counted one by one from Swift Testing's own lines. Scripts/swift-tests.sh [--filter NAME]
set -uo pipefail
source "$(dirname "$0")/common.sh"
mkdir -p "$logs"
raw=$logs/swift-testing.txt
status=0
# One after another: many of them watch real sockets and clocks, and 500 at once on two cores starve each other of both.
swift test --skip-build --disable-xctest --no-parallel "$@" >"$raw" 2>&1 || status=$?
cat "$raw"
# Swift Testing prints a line for each failed ("✘ Test NAME failed after") and skipped ("➜ Test NAME skipped") test, and closes with
# the number of all. The cases of a parameterized test belong to it.
closing=$(grep -aoE 'Test run with [0-9]+ tests?' "$raw" | tail -n 1 | grep -oE '[0-9]+' || true)
failed=$(grep -aE '^✘ Test .* failed after' "$raw" | grep -avcE '^✘ Test run ' || true)
skipped=$(grep -acE '^➜ Test .* skipped' "$raw" || true)
if [[ -z $closing ]]; then
    printf 'FAIL - the test runner did not close its run (exit status %d)\n0 passed, 1 failed, 0 skipped\n' "$status"
    exit 1
fi
passed=$((closing - failed - skipped))
if ((status != 0 && failed == 0)); then failed=1; fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((status == 0 && failed == 0 && passed > 0))
