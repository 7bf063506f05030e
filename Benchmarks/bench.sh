#!/bin/bash
# make bench: ratios in one run. Beside a Python program on the same work, beside a bare fsync, beside libcurl alone; and what the
# daemon takes while it does nothing and with 100,000 readings queued.
#
#   Benchmarks/bench.sh                 all of it, as a table (about four minutes); figures also in .build/bench/results.json
#   Benchmarks/bench.sh --json          the figures as one JSON object on standard output
#   Benchmarks/bench.sh --quick         small counts, for a look
set -euo pipefail
source "$(dirname "$0")/../Scripts/common.sh"
Scripts/setup.sh test
build_release
Scripts/venv.sh Benchmarks/requirements.txt
exec "$venv/bin/python" Benchmarks/bench.py "$@"
