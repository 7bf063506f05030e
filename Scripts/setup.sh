#!/bin/bash
# Installs what is missing on a Debian machine, and nothing that is there already. Says what it does, on standard error.
#
#   Scripts/setup.sh build   what the build needs: Swift (checked, not installed) and Debian's libraries
#   Scripts/setup.sh test    the same, and the tools that the tests use
#   Scripts/setup.sh rig     what the radio rig needs: a virtual machine and the tools that build its image
#
# Not root: through sudo, which asks for a password only on a terminal.
set -euo pipefail
source "$(dirname "$0")/common.sh"

needed_swift=6.3
build_packages=(pkg-config libbluetooth-dev libusb-1.0-0-dev libsqlite3-dev libcurl4-openssl-dev libsystemd-dev)
# binutils reads the linked binary's symbols, libxml2-utils and openssl serve the checks of documents and certificates,
# systemd brings systemd-analyze.
test_packages=(python3 python3-venv strace openssl curl binutils procps util-linux systemd)

rig_packages=(qemu-system-x86 seabios mmdebstrap cpio kmod busybox-static e2fsprogs python3 python3-venv util-linux)

check_swift() {
    command -v swift >/dev/null ||
        fail 69 "Swift was not found." \
            "vitalgate is built from source and needs Swift $needed_swift or later on the PATH." \
            "Install it as https://www.swift.org/install/linux describes, then run the same command again."
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    if [[ -z $version || $(printf '%s\n' "$needed_swift" "$version" | sort -V | head -n 1) != "$needed_swift" ]]; then
        fail 69 "Swift ${version:-of an unknown version} is too old." \
            "vitalgate needs Swift $needed_swift or later; $(command -v swift) is ${version:-not to be understood}." \
            "Install a newer one as https://www.swift.org/install/linux describes, or put it first on the PATH."
    fi
}

missing_of() {
    local package
    for package in "$@"; do
        # A package that Debian provides under another name (pkg-config by pkgconf) counts as there.
        dpkg-query -W -f='${Status} ${Package}\n' "$package" 2>/dev/null | grep -q '^install ok installed' || printf '%s\n' "$package"
    done
}

install_packages() {
    local why=$1
    shift
    if ! command -v apt-get >/dev/null; then
        fail 69 "Some packages are missing: $*." \
            "They are needed to $why, and this machine has no apt-get to install them with." \
            "Install what they hold with this system's own tool, then run the same command again."
    fi
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            fail 77 "Some packages are missing: $*." "They are needed to $why; this user is not root and there is no sudo." \
                "As root: apt-get install $*"
        elif sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        elif [[ -t 0 ]]; then
            as_root=(sudo)
        else
            fail 77 "Some packages are missing: $*." "They are needed to $why; sudo would ask for a password and there is no terminal to ask on." \
                "Run: sudo apt-get install $*"
        fi
    fi
    say "setup: installing $* (needed to $why)"
    local log
    log=$(mktemp)
    # The lists of packages may be days old or absent (a fresh container): fetch them only when the install needs it.
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; then
        if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
            >"$log" 2>&1; then
            tail -n 15 "$log" >&2
            rm -f "$log"
            fail 69 "The packages were not installed: $*." "apt-get ended with an error (above)." "Put it right, or install them by hand, then run the same command again."
        fi
    fi
    rm -f "$log"
}

if [[ ${1:-build} == rig ]]; then
    missing=()
    if command -v dpkg-query >/dev/null; then mapfile -t missing < <(missing_of "${rig_packages[@]}"); fi
    if ((${#missing[@]})); then install_packages "run the radio rig" "${missing[@]}"; fi
    exit 0
fi

check_swift
missing=()
if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_of "${build_packages[@]}")
else
    for library in bluez libusb-1.0 sqlite3 libcurl libsystemd; do
        pkg-config --exists "$library" 2>/dev/null || missing+=("$library (development files)")
    done
fi
if ((${#missing[@]})); then install_packages "build vitalgate" "${missing[@]}"; fi

if [[ ${1:-build} == test ]]; then
    missing=()
    if command -v dpkg-query >/dev/null; then mapfile -t missing < <(missing_of "${test_packages[@]}"); fi
    if ((${#missing[@]})); then install_packages "run the tests" "${missing[@]}"; fi
fi
