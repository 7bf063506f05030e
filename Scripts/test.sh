#!/bin/bash
# make test: every check that CI holds, one phase after another, from a clean clone.
#
#   Scripts/test.sh                  all of it
#   Scripts/test.sh --only crash     only the phases whose name holds the word (the builds are always brought up to date)
#   VITALGATE_SEED=7 make test       the seed of everything drawn at random; without it a fresh one, printed
#
# A phase's output goes to .build/test-logs/NAME.log; the end of it is shown when the phase fails.
set -uo pipefail
source "$(dirname "$0")/common.sh"
only=
if [[ ${1:-} == --only ]]; then only=${2:?--only takes a word}; fi

Scripts/setup.sh test || exit $?
source Scripts/phases.sh
export VITALGATE_SEED=${VITALGATE_SEED:-$((RANDOM * 32768 + RANDOM))}
printf 'seed %s (VITALGATE_SEED=%s make test repeats what was drawn)\n' "$VITALGATE_SEED" "$VITALGATE_SEED"

wanted() { [[ -z $only || $1 == *"$only"* ]]; }
run() { if wanted "$1"; then phase "$@" || true; fi; }

# Nothing else can be judged without the binary and the tests, so these two end the run.
phase "release build" swift build "${release_flags[@]}" || { finish; exit 1; }
if wanted "swift tests"; then
    phase "test build" swift build --build-tests || { finish; exit 1; }
fi
run "lint" Scripts/lint.sh
run "architecture" python3 Tests/Rigs/architecture.py
# The kept corpus of the fuzzers is replayed in here too.
run "swift tests" Scripts/swift-tests.sh

run "demo" python3 Tests/Rigs/demo.py
run "crash: kills and restarts" python3 Tests/Rigs/crash.py --kills 30
run "crash: control" python3 Tests/Rigs/crash.py --control
run "power cut: the rig itself" python3 Tests/Rigs/powercut.py --self-test
run "power cut" python3 Tests/Rigs/powercut.py
run "power cut: control" python3 Tests/Rigs/powercut.py --control
run "disk full" python3 Tests/Rigs/diskfull.py
run "clock jump" python3 Tests/Rigs/clockjump.py
run "thirty days offline" python3 Tests/Rigs/offline.py
run "leak search" python3 Tests/Rigs/leak.py
run "configuration errors" python3 Tests/Rigs/configerrors.py
run "PMD, VKP and HelseID: demo" python3 Tests/Rigs/norway.py
run "relay: hubs and kills" python3 Tests/Rigs/relay.py

if [[ -f Tests/Rigs/systemd.sh ]]; then run "systemd unit" bash Tests/Rigs/systemd.sh; fi
# A virtual machine with Debian's kernel; the first run builds its image.
run "radio: smoke" python3 Tests/Rigs/radio.py --smoke
# These bring their own Python packages, pinned, from PyPI (Tests/Judges/requirements.txt).
run "judges" sh Tests/Judges/run.sh
run "FUT: demo and kills" python3 Tests/Rigs/fut.py
run "simulated FUT" python3 Tests/Rigs/fut_simulator.py
run "simulated NHN" python3 Tests/Rigs/nhn_simulator.py
run "foreign receiver" python3 Tests/Rigs/foreign.py
finish
