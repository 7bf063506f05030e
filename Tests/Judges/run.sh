#!/bin/sh
# Runs all judges, one line of result each; ends with 1 if one of them says no.
#
# usage: Tests/Judges/run.sh [--verbose] [SAMPLES]
#
# SAMPLES holds transaction bundles as *.json and requests to FUT as *.fut; without it the Swift tests write theirs first, and vectors
# of tokens. The Python packages go into a virtual environment under .build/, pinned by the two requirements.txt.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
judges=$root/Tests/Judges
build=$root/.build/judges
verbose=no
if [ "${1:-}" = --verbose ]; then
    verbose=yes
    shift
fi
mkdir -p "$build"

# The environment is made again when what is pinned changes.
wanted=$(cat "$judges/requirements.txt" "$judges/trust/requirements.txt" | cksum)
if [ "$(cat "$build/venv/.requirements" 2>/dev/null || true)" != "$wanted" ]; then
    rm -rf "$build/venv"
    if ! python3 -m venv "$build/venv" || ! "$build/venv/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$judges/requirements.txt" --requirement "$judges/trust/requirements.txt"; then
        echo "judges: the Python packages cannot be installed"
        echo "They come from PyPI, and need Python 3.11 with the venv module (Debian: python3-venv)."
        echo "Check the network, then run this again."
        exit 69
    fi 1>&2
    echo "$wanted" > "$build/venv/.requirements"
fi
python=$build/venv/bin/python

if [ $# -gt 0 ]; then
    samples=$1
    vectors=
else
    samples=$build/samples
    vectors=$build/vectors
    rm -rf "$samples" "$vectors"
    mkdir -p "$samples" "$vectors"
    (cd "$root" && VITALGATE_SAMPLES=$samples VITALGATE_VECTORS=$vectors swift test --quiet --filter 'SampleBundlesTests|TokenVectorsTests') > "$build/samples.log" 2>&1 || {
        tail -n 20 "$build/samples.log" >&2
        echo "judges: the Swift tests did not write their samples" >&2
        exit 1
    }
fi

failed=0
judge() {
    name=$1
    shift
    log=$build/$name.log
    if "$python" -B "$@" > "$log" 2>&1; then verdict=pass; else verdict=FAIL failed=1; fi
    echo "$verdict  $name: $(tail -n 1 "$log")"
    if [ $verdict = FAIL ] || [ $verbose = yes ]; then sed 's/^/      /' "$log"; fi
}

judge schemas "$judges/schemas.py"
judge bundles "$judges/judge_bundle.py" --all-rules "$samples"/*.json
judge seeded-mistakes "$judges/seeded_mistakes.py" "$samples"
judge canary "$judges/canary.py"
judge receiver "$judges/sekmet_roundtrip.py" "$samples"/*.json
# Another's samples come without requests for tokens.
if [ -n "$vectors" ]; then judge tokens "$judges/trust/judge_tokens.py" "$vectors"; fi
# Another's samples may hold no requests to FUT.
if ls "$samples"/*.fut > /dev/null 2>&1; then
    judge fut "$judges/fut/judge_fut.py" --all-rules "$samples"/*.fut
    judge fut-seeded-mistakes "$judges/fut/seeded_mistakes_fut.py" "$samples"
fi
# Nor bundles for PMD and documents for VKP.
if ls "$samples"/*.pmd > /dev/null 2>&1; then
    judge norway "$judges/norway/judge_norway.py" --all-rules "$samples"/*.pmd "$samples"/*.vkp
    judge norway-seeded-mistakes "$judges/norway/seeded_mistakes_norway.py" "$samples"
    judge norway-plain-server "$judges/norway/plain_server.py" "$samples"/batch-*.pmd
fi
exit $failed
