#!/usr/bin/env python3
"""The Norwegian demo as a newcomer runs it: a key made, registered and rotated, tokens with a nonce challenge, readings to PMD with one
entry refused, a document to VKP. Then what only files and processes show: no secret and no number of a person stands anywhere in the clear.

    norway.py [--program PATH]
"""

import glob
import json
import os
import subprocess
import sys
import tempfile
import time

import report
import rig

KEYS = ("readings", "delivered", "duplicatesSuppressed", "quarantined", "held", "latencyMilliseconds")
NUMBERS = (b"01819540094", b"13826540105")


def demo(program, directory, *arguments):
    begun = time.monotonic()
    done = subprocess.run(
        [program, "demo", "--country", "no", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=240, env={**os.environ, "TMPDIR": directory, "HOME": directory})
    return done, time.monotonic() - begun


def main():
    out = report.Report()
    program = sys.argv[sys.argv.index("--program") + 1] if "--program" in sys.argv else rig.BINARY
    if not os.path.exists(program):
        out.check("the release binary is built", False, program)
        return out.close()
    with tempfile.TemporaryDirectory(prefix="norway-") as directory:
        try:
            state = os.path.join(directory, "state")
            done, seconds = demo(program, directory, "--once", "--json", "--state", state)
            out.check("demo --country no --once --json exits 0", done.returncode == 0, f"{done.returncode}: {done.stderr[-600:]}")
            out.check("within a minute and a half", seconds < 90, f"{seconds:.0f} s")
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            summary = json.loads(lines[-1]) if lines else {}
            out.check("one JSON object with the keys that scripts rely on", len(lines) == 1 and all(k in summary for k in KEYS), lines[:3])
            out.check("as scripted: 5 readings, 4 delivered whole, 1 with an entry refused",
                      summary.get("asScripted") is True and [summary.get(k) for k in ("readings", "delivered", "quarantined")] == [5, 4, 1], summary)
            out.check("nothing lost, nothing doubled", summary.get("lost") == 0 and summary.get("doubled") == 0, summary)
            out.note(json.dumps(summary))

            ledger = [json.loads(line) for line in open(os.path.join(state, "nhn-ledger.jsonl"))]
            requests = [one for one in ledger if one["kind"] == "request"]
            challenged = {one["path"] for one in requests if one.get("code") == "use_dpop_nonce"}
            out.check("HelseID and PMD challenged for their nonces, and each got the request again",
                      {"/helseid/connect/token", "/pmd"} <= challenged, challenged)
            refusals = [one for one in requests if (one["status"] or 0) >= 400 and one.get("code") != "use_dpop_nonce"]
            out.check("nothing else was refused", not refusals, refusals)
            out.check("7 observations at PMD, 1 document at VKP",
                      [sum(one["kind"] == kind for one in ledger) for kind in ("observation", "document")] == [7, 1])

            log = open(os.path.join(state, "daemon.log"), "rb").read()
            files = glob.glob(os.path.join(state, "state", "*"))
            stored = b"".join(open(path, "rb").read() for path in files)
            out.check("R8 no number of a person in the daemon's log or in the clear in its files",
                      files and not any(number in log or number in stored for number in NUMBERS))
            out.check("R8 no private key in the clear in log or files",
                      b'"qi"' not in stored and b'"dp"' not in stored and b'"d":' not in log and b"Authorization" not in log)

            done, seconds = demo(program, directory, "--once")
            out.check("demo --country no --once exits 0 and says that nothing was lost or doubled",
                      done.returncode == 0 and "0 lost, 0 doubled" in done.stdout, f"{done.returncode}: {(done.stdout + done.stderr)[-600:]}")
        except (subprocess.TimeoutExpired, ValueError, OSError) as error:
            out.check("the demo ended", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
