#!/bin/bash
# make rig: the suite on a real kernel with a virtual radio (Tests/Rigs/radio.py); arguments are passed on, without any it is all of it.
#
#   Scripts/rig.sh                         every scenario; the image of the virtual machine is built where it is missing (1 to 2 min)
#   Scripts/rig.sh --only wrong-key,fuzz   some of them
#   Scripts/rig.sh --smoke                 what make test runs of it
set -euo pipefail
source "$(dirname "$0")/common.sh"
Scripts/setup.sh build
build_release
if (($# == 0)); then set -- --all; fi
exec python3 Tests/Rigs/radio.py "$@"
