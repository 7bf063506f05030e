#!/usr/bin/env python3
"""Thirty days offline, ten readings a day, then a server that refuses half the time: all delivered, none twice.

The hub's clock is scripted and moves on by a day every half second; the cuffs' clocks move with it. The receiver is not there. After
300 readings it appears and answers half the time (in stretches of a tenth of a second) with 429 or 503, and cuts some connections
after it stored what they brought.
What a month of failed attempts leaves in the database is printed.

    offline.py [--days 30] [--seed N]
"""

import argparse
import os
import sys
import tempfile
import time

import report
import rig

PER_DAY = 10
#: A household: so many cuffs, each with a patient of its own, share the ten.
CUFFS = 5
DAY = 86400


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    out = report.Report()
    count = arguments.days * PER_DAY
    with tempfile.TemporaryDirectory(prefix="offline-") as directory, rig.Rig(directory) as world:
        try:
            world.add_receiver(start=False)
            world.move_clock(-arguments.days * DAY, "ntp")
            names = [f"cuff-{number}" for number in range(1, CUFFS + 1)]
            for number, name in enumerate(names):
                world.add_cuff(name, count=count // CUFFS, seed=seed + number, interval=200, options=("--live", "--script", world.script), start=False)
            world.configure()
            world.start_daemon()
            for name in names:
                world.assign(name, patient=f"patient-of-{name}")
                world.start_cuff(name)
            for day in range(1, arguments.days + 1):
                for name in names:
                    world.wait_confirmed(name, day * PER_DAY // CUFFS, 60)
                world.move_clock((day - arguments.days) * DAY, "ntp")
            out.check(f"{count} readings of {arguments.days} days were taken while offline", sum(len(world.confirmed(name)) for name in names) == count)
            readings = world.operation("readings", limit=rig.MOST)
            days = {reading["effective"][:10] for reading in readings if reading.get("effective")}
            out.check("their times lie on as many days", len(days) >= arguments.days, len(days))
            size = sum(os.path.getsize(os.path.join(world.state, name)) for name in os.listdir(world.state) if "ballast" not in name)
            out.note(f"the state directory holds {size // 1024} KiB, {size // count} bytes a reading")

            began = time.monotonic()
            world.start_receiver("fhir", {"seed": seed, "refuse": 0.5, "slice": 0.1, "statuses": [429, 503], "retryAfter": 1, "bare": 0.05, "cut": 0.02})
            world.ask("outbox", "retry")
            world.wait_delivered(420)
            out.note(f"delivered in {time.monotonic() - began:.0f} s")
            account = world.check_exactly_once(out)
            refused = [sum(one["status"] == status for one in account.asked) for status in (429, 503)]
            out.check("the server did refuse, with 429 and with 503", min(refused) >= 2, refused)
            out.note(f"{refused[0]} answers of 429, {refused[1]} of 503, {sum(one['status'] == 0 for one in account.asked)} connections cut")
            world.stop_daemon()
        except rig.RigError as error:
            out.check("the run came to its end", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
