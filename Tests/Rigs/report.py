"""What every rig shares to say what it found: one line a check, and a closing line that Scripts/phases.sh adds up."""

import os
import random
import sys
import time


class Report:
    """Counts checks. `ok - ...`, `FAIL - ...` and `skip - ...` lines; `close` prints the totals and gives the exit status."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.started = time.monotonic()

    def check(self, what, good, detail=""):
        if good:
            self.passed += 1
            print(f"ok - {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL - {what}{': ' + str(detail) if detail else ''}", flush=True)
        return bool(good)

    def skip(self, what, why):
        self.skipped += 1
        print(f"skip - {what}: {why}", flush=True)

    def note(self, text):
        print(f"     {text}", flush=True)

    def close(self):
        self.note(f"{time.monotonic() - self.started:.1f} s")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not (self.passed or self.skipped) else 0


def seed_of(argument=None):
    """The seed of this run: given, else from VITALGATE_SEED, else fresh. The caller prints it."""
    if argument is not None:
        return int(argument)
    if os.environ.get("VITALGATE_SEED"):
        return int(os.environ["VITALGATE_SEED"])
    return random.SystemRandom().randrange(1 << 30)


def stop(message, why, remedy):
    """An error of the rig itself, as people read it, with exit status 70."""
    print(message, why, remedy, sep="\n", file=sys.stderr)
    sys.exit(70)
