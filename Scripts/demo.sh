#!/bin/bash
# make demo: set-up, release build, then the demo with the arguments passed on. Standard output is the demo's alone.
set -euo pipefail
source "$(dirname "$0")/common.sh"
Scripts/setup.sh build >&2
build_release
exec "$vitalgate" demo "$@"
