#!/bin/sh
# fuzz.sh [SECONDS [TARGET...]]: runs each group of decoders under libFuzzer and AddressSanitizer, 300 seconds each unless told.
# Inputs that reach new code go to the build folder; a finding goes to Fuzz/corpus/TARGET/, where `make test` replays it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
seconds=${1:-300}
[ $# -gt 0 ] && shift
build=${FUZZ_BUILD:-$root/.build/fuzz}
mkdir -p "$build"

flags="-O -wmo -parse-as-library -swift-version 6 -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
    -sanitize=fuzzer,address"
module() {
    # shellcheck disable=SC2086
    swiftc $flags -module-name "$1" -emit-module -emit-module-path "$build/$1.swiftmodule" -I "$build" -c -o "$build/$1.o" \
        $(find "$root/Sources/$1/" -name '*.swift' | sort)
}
module ExactJSON
module Vitals
module Protocols
# shellcheck disable=SC2086
swiftc $flags -use-ld=lld -module-name Fuzz -I "$build" -o "$build/fuzz" "$here/Main.swift" \
    "$root/Tests/ProtocolsTests/Decode/FuzzTargets.swift" "$build/ExactJSON.o" "$build/Vitals.o" "$build/Protocols.o"

# The backtracer of the Swift runtime hangs under AddressSanitizer; libFuzzer writes its own.
export SWIFT_BACKTRACE=enable=no
failed=""
for target in ${*:-numbers measurements control records formats json att nonin sdp management-event advertising-data hci-monitor}; do
    mkdir -p "$build/corpus/$target"
    log="$build/$target.log"
    echo "fuzzing $target for $seconds s"
    if VITALGATE_FUZZ_TARGET=$target "$build/fuzz" -max_total_time="$seconds" -max_len=512 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$here/corpus/$target/" "$build/corpus/$target" "$here/corpus/$target" </dev/null >"$log" 2>&1
    then
        grep -a 'DONE' "$log" | tail -1
    else
        failed="$failed $target"
        tail -30 "$log"
    fi
done
[ -z "$failed" ] || { echo "found:$failed; the inputs are kept under Fuzz/corpus" >&2; exit 1; }
