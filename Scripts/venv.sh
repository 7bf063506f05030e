#!/bin/bash
# Makes the Python environment of the benchmark's peer, from pinned requirements, at .build/venv.
#
#   Scripts/venv.sh Benchmarks/requirements.txt
#
# Does nothing when the same requirements were installed before. Needs python3-venv (Scripts/setup.sh test) and a package index.
set -euo pipefail
source "$(dirname "$0")/common.sh"

wanted=()
for file in "$@"; do [[ -f $file ]] && wanted+=("$file"); done
((${#wanted[@]})) || exit 0
mark=$venv/.requirements
sum=$(cat "${wanted[@]}" | sha256sum | cut -d ' ' -f 1)
if [[ -x $venv/bin/python && -f $mark && $(<"$mark") == "$sum" ]]; then exit 0; fi

mkdir -p "$(dirname "$venv")"
python3 -m venv --clear "$venv" >&2 ||
    fail 69 "The Python environment was not made." "python3 -m venv ended with an error (above); it comes with the package python3-venv." \
        "Run: apt-get install python3-venv"
arguments=()
for file in "${wanted[@]}"; do arguments+=(-r "$file"); done
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${arguments[@]}" >&2 ||
    fail 69 "The Python packages were not installed." "pip ended with an error (above): no package index, or a version that it does not have." \
        "Check the network and the versions in ${wanted[*]}, then run the same command again."
printf '%s\n' "$sum" >"$mark"
