#!/bin/bash
# The unit as systemd itself reads it, without running it: no error, and an exposure of 2.2 or better (22 in its own tenths).
# AF_BLUETOOTH, CAP_NET_ADMIN, its two kinds of device and handing the capability to a user that is not root cost 0.5, and there is no
# way to ask whether the clock is synchronised (0.4) that costs less.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 70
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); printf 'ok - %s\n' "$1"; }
bad() { failed=$((failed + 1)); printf 'FAIL - %s\n' "$1"; }

if ! command -v systemd-analyze >/dev/null; then
    printf 'skip - systemd unit: systemd-analyze is missing (package systemd)\n'
    printf '0 passed, 0 failed, 1 skipped\n'
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# `verify` wants the program to exist; the unit's own path is where a package installs it.
mkdir -p "$work/plain"
sed 's|^ExecStart=/usr/bin/vitalgate|ExecStart=/bin/true|' systemd/vitalgate.service >"$work/plain/vitalgate.service"

said=$(systemd-analyze verify "$work/plain/vitalgate.service" 2>&1)
if [[ $? -eq 0 && -z $said ]]; then ok "systemd-analyze verify has nothing to say"; else bad "systemd-analyze verify: $said"; fi

# exposure NAME UNIT TENTHS
exposure() {
    local said
    if said=$(systemd-analyze security --offline=yes --threshold="$3" --no-pager "$2" 2>&1); then
        ok "$1: $(grep -o 'Overall exposure level.*: [0-9.]*' <<<"$said")"
    else
        bad "$1: exposure above $3 tenths"
        grep '^✗' <<<"$said"
    fi
}
exposure "the unit" "$work/plain/vitalgate.service" 22

# The drop-in for a capture of the radio adds one capability to the unit's and takes none away.
mkdir -p "$work/capture/vitalgate.service.d"
cp "$work/plain/vitalgate.service" "$work/capture/"
cp systemd/vitalgate-capture.conf "$work/capture/vitalgate.service.d/capture.conf"
said=$(systemd-analyze verify "$work/capture/vitalgate.service" 2>&1)
if [[ $? -eq 0 && -z $said ]]; then ok "systemd-analyze verify has nothing to say of the drop-in"; else bad "systemd-analyze verify of the drop-in: $said"; fi
# That it was read at all shows in what the two differ by.
if systemd-analyze security --offline=yes --threshold=22 --no-pager "$work/capture/vitalgate.service" >/dev/null 2>&1; then
    bad "the drop-in gives CAP_NET_RAW"
else
    ok "the drop-in gives CAP_NET_RAW"
fi
exposure "the unit with the drop-in for a capture" "$work/capture/vitalgate.service" 23

# What the promise rests on, by name: these must not be edited away.
for line in Type=notify WatchdogSec=60 Restart=always StartLimitIntervalSec=0 LimitCORE=0 MemorySwapMax=0 LoadCredentialEncrypted=vitalgate-key \
    CapabilityBoundingSet=CAP_NET_ADMIN AmbientCapabilities=CAP_NET_ADMIN; do
    if grep -qx "$line" systemd/vitalgate.service; then ok "$line"; else bad "$line is missing"; fi
done
if grep -q '^ExecReload=' systemd/vitalgate.service; then bad "there is no live reload, so no ExecReload="; else ok "no ExecReload="; fi

# Conflicts= works both ways: whoever starts bluetoothd would stop the daemon. The daemon refuses to run its radio beside it instead.
if grep -q '^Conflicts=' systemd/vitalgate.service; then bad "no Conflicts= with bluetooth.service"; else ok "no Conflicts="; fi

if command -v systemd-sysusers >/dev/null; then
    mkdir -p "$work/root/etc"
    if said=$(systemd-sysusers --root="$work/root" "$PWD/systemd/vitalgate.sysusers" 2>&1) &&
        grep -q '^vitalgate:' "$work/root/etc/passwd"; then
        ok "sysusers makes the user"
    else
        bad "sysusers: $said"
    fi
else
    skipped=$((skipped + 1))
    printf 'skip - sysusers: systemd-sysusers is missing\n'
fi

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
