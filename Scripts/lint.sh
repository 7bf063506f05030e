#!/bin/bash
# make lint: `swift format` in strict mode, and that every shell and Python script parses.
set -uo pipefail
source "$(dirname "$0")/common.sh"
passed=0 failed=0
check() {
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAIL - %s\n' "$what"; fi
}
check "swift format" swift format lint --strict --recursive --parallel Package.swift Sources Tests
while IFS= read -r script; do check "bash -n $script" bash -n "$script"; done < <(find Scripts Tests Benchmarks -name '*.sh' && echo .ci/run)
while IFS= read -r script; do
    check "$script parses" python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$script"
done < <(find Scripts Tests Benchmarks -name '*.py')
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
((failed == 0))
