#!/bin/bash
# make soak: the rigs of make test with their full counts. About an hour; a line a phase, logs in .build/test-logs.
#
#   Scripts/soak.sh [KILLS]     1,000 kills where nothing is said
set -uo pipefail
source "$(dirname "$0")/common.sh"
Scripts/setup.sh test || exit $?
source Scripts/phases.sh
export VITALGATE_SEED=${VITALGATE_SEED:-$((RANDOM * 32768 + RANDOM))}
printf 'seed %s (VITALGATE_SEED=%s make soak repeats what was drawn)\n' "$VITALGATE_SEED" "$VITALGATE_SEED"
phase "release build" swift build "${release_flags[@]}" || { finish; exit 1; }
phase "crash soak" python3 Tests/Rigs/crash.py --kills "${1:-1000}" || true
phase "crash soak control" python3 Tests/Rigs/crash.py --control || true
phase "power cut soak" python3 Tests/Rigs/powercut.py --images 5000 --readings 300 || true
phase "power cut soak control" python3 Tests/Rigs/powercut.py --control || true
phase "a year offline" python3 Tests/Rigs/offline.py --days 365 || true
for round in 1 2 3; do
    VITALGATE_SEED=$((VITALGATE_SEED + round)) phase "leak search, round $round" python3 Tests/Rigs/leak.py || true
done
finish
