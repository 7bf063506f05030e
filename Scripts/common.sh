# What the scripts share; sourced, never run. Needs bash.

# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 70

# The one place for the options of the release build. The Swift runtime is linked in, so the binary needs only Debian's libraries.
release_flags=(-c release --product vitalgate --static-swift-stdlib)
vitalgate=$root/.build/release/vitalgate
logs=$root/.build/test-logs
venv=$root/.build/venv

say() { printf '%s\n' "$*" >&2; }

# An error as people read it: what happened, why, what to do.
fail() {
    local code=$1
    shift
    printf '%s\n' "$@" >&2
    exit "$code"
}

# Builds the release binary; standard output stays free for the program that is run next.
build_release() {
    swift build "${release_flags[@]}" >&2 ||
        fail 70 "vitalgate was not built." "swift build ended with an error (above)." "Put right what it names, then run the same command again."
}
