# Runs the phases of a test run: times each, keeps its output in a log, adds up what it counted. Sourced after common.sh.
#
# A phase's command counts for itself by closing its output with `N passed, N failed, N skipped`. Of one that does not, its lines that
# begin with ok, pass, FAIL or skip are counted, and where there are none, its exit status. A phase that ends with an error counts as failed even where its own count says otherwise.

# shellcheck shell=bash
passed=0 failed=0 skipped=0
summary=() skips=() failures=()
started=$SECONDS
mkdir -p "$logs"

# phase NAME COMMAND...
phase() {
    local name=$1 log status=0 begun=$SECONDS counts p f s
    shift
    log=$logs/$(tr -c 'a-z0-9\n' '-' <<<"$name").log
    printf '%-34s ' "$name"
    "$@" >"$log" 2>&1 </dev/null || status=$?
    counts=$(grep -aE '^([A-Za-z]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1 || true)
    if [[ -n $counts ]]; then
        p=$(sed -E 's/.*\b([0-9]+) passed.*/\1/' <<<"$counts")
        f=$(sed -E 's/.*\b([0-9]+) failed.*/\1/' <<<"$counts")
        s=0
        if [[ $counts == *skipped ]]; then s=$(sed -E 's/.*\b([0-9]+) skipped.*/\1/' <<<"$counts"); fi
    else
        p=$(grep -acE '^(ok - |pass  )' "$log" || true)
        f=$(grep -acE '^(FAIL - |FAIL  )' "$log" || true)
        s=$(grep -acE '^skip - ' "$log" || true)
        if ((status == 0 && p + f + s == 0)); then p=1; fi
    fi
    if ((status != 0 && f == 0)); then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    while IFS= read -r line; do skips+=("$name: ${line#skip - }"); done < <(grep -a '^skip - ' "$log" || true)
    local took=$((SECONDS - begun)) verdict=ok
    if ((status != 0 || f != 0)); then
        verdict=FAILED
        failures+=("$name")
    elif ((p == 0)); then
        verdict=skipped
    fi
    printf '%-8s %4d s  %d passed, %d failed, %d skipped\n' "$verdict" "$took" "$p" "$f" "$s"
    summary+=("$took $name")
    if [[ $verdict == FAILED ]]; then
        printf '  the end of %s (exit status %d):\n' "${log#"$root"/}" "$status"
        { grep -aE '^FAIL|^✘|error:' "$log" | head -n 20 || true; tail -n "${PHASE_TAIL:-25}" "$log"; } | sed 's/ skipped$/ skipped /; s/^/    /'
        return 1
    fi
    return 0
}

# not_run NAME REASON: a phase that this run leaves out, and says so.
not_run() {
    printf '%-34s skipped           %s\n' "$1" "$2"
    skips+=("$1: $2")
    skipped=$((skipped + 1))
}

# Closes the run. The last line is the plain form that CI reads.
finish() {
    local line
    if ((${#skips[@]})); then
        printf '\nSkipped:\n'
        for line in "${skips[@]}"; do printf '  %s\n' "$line"; done
    fi
    if ((${#failures[@]})); then
        printf '\nFailed:\n'
        for line in "${failures[@]}"; do printf '  %s\n' "$line"; done
    fi
    printf '\n%d phases in %d min %d s; logs in %s\n' "${#summary[@]}" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "${logs#"$root"/}"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0))
}
