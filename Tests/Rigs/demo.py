#!/usr/bin/env python3
"""The demo as a newcomer runs it: ends by itself, tells what it scripted, leaves nothing behind.

    demo.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import report
import rig

KEYS = ("readings", "delivered", "duplicatesSuppressed", "quarantined", "held", "latencyMilliseconds")


def demo(directory, *arguments):
    begun = time.monotonic()
    done = subprocess.run(
        [rig.BINARY, "demo", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
        env={**os.environ, "TMPDIR": directory, "HOME": directory})
    return done, time.monotonic() - begun


def main():
    out = report.Report()
    if not os.path.exists(rig.BINARY):
        out.check("the release binary is built", False, rig.BINARY)
        return out.close()
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        try:
            done, seconds = demo(directory, "--once", "--json")
            out.check("demo --once --json exits 0", done.returncode == 0, f"{done.returncode}: {done.stderr[-600:]}")
            out.check("within a minute and a half", seconds < 90, f"{seconds:.0f} s")
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            out.check("standard output is one JSON object", len(lines) == 1, lines[:3])
            summary = json.loads(lines[-1]) if lines else {}
            out.check("with the keys that scripts rely on", all(key in summary for key in KEYS), sorted(summary))
            out.check("with readings, delivered ones among them", 0 < summary.get("delivered", 0) <= summary.get("readings", 0), summary)
            latency = summary.get("latencyMilliseconds", {})
            out.check("with the latency of commit and delivery", all(key in latency.get(part, {}) for part in ("commit", "delivered") for key in ("p50", "p99")), latency)
            out.note(json.dumps(summary))
            done, seconds = demo(directory, "--once")
            out.check("demo --once exits 0 and says that nothing was lost or doubled",
                      done.returncode == 0 and "0 lost, 0 doubled" in done.stdout, f"{done.returncode}: {(done.stdout + done.stderr)[-600:]}")
            out.check("it prints no escape sequences into a pipe", "\x1b" not in done.stdout)
            # A state directory that was asked for stays; what the demo made for itself goes.
            left = sorted(os.listdir(directory))
            out.check("it leaves nothing behind", not left, left)
        except (subprocess.TimeoutExpired, ValueError) as error:
            out.check("the demo ended", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
