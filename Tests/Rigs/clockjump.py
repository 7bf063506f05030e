#!/usr/bin/env python3
"""R5: a hub that starts in 1970 and learns the time later sends the readings of that boot with right times.

The clock is scripted: unsynchronised, at the epoch. Two cuffs send, one with time stamps, one without any. Everything is confirmed
(intake does not wait for a clock) and nothing is uploaded. Then the clock jumps to now and is synchronised. All readings must leave,
those without a stamp with the true time of their arrival, to two seconds.

    clockjump.py [--seed N]
"""

import argparse
import datetime
import sys
import tempfile
import time

import report
import rig

COUNT = 5


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    out = report.Report()
    with tempfile.TemporaryDirectory(prefix="clockjump-") as directory, rig.Rig(directory) as world:
        try:
            world.add_receiver()
            # Half a minute after the epoch, as a board without a clock chip starts.
            world.move_clock(30 - int(time.time()), "unsynchronised", true_offset_seconds=0)
            world.add_cuff("stamped", count=COUNT, seed=seed, interval=300, options=("--live",), start=False)
            world.add_cuff("bare", count=COUNT, seed=seed + 1, interval=1500, options=("--bare", "--per-link", "1"), start=False)
            world.configure()
            world.start_daemon()
            for name in ("stamped", "bare"):
                world.assign(name, since="1970-01-01T00:00:00Z")
            true_times = {}
            world.start_cuff("stamped")
            world.start_cuff("bare")
            while len(true_times) < COUNT:
                held = len(world.confirmed("bare"))
                for number in range(len(true_times), held):
                    true_times[number] = time.time()
                if len(true_times) < COUNT and not world.daemon.running:
                    raise rig.RigError(world.daemon.tail())
                time.sleep(0.05)
                if time.monotonic() - world.daemon.started > 60:
                    raise rig.RigError(f"only {held} of {COUNT} were confirmed\n{world.daemon.tail()}")
            world.wait_confirmed("stamped", COUNT, 30)
            out.check("all readings are confirmed while the hub thinks it is 1970", True)
            time.sleep(2)
            sent = world.account().transactions
            out.check("nothing is uploaded before the clock is good", not sent, len(sent))
            world.move_clock(0, "ntp")
            world.wait_delivered(60)
            world.check_journal_holds_confirmed(out, ["stamped", "bare"])
            account = world.check_exactly_once(out)
            # Each act is a panel and a pulse, so each time comes twice.
            effective = sorted({one["effective"] for one in account.readings()}, key=seconds_of)
            early = [text for text in effective if seconds_of(text) < time.time() - 3600]
            out.check("no reading is dated before this hour", not early, early[:3])
            stamps = sorted(rig.device_time(value) for value in world.confirmed("stamped").values())
            # The cuff's clock is the machine's own, in its zone.
            expected = [time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) for stamp in stamps]
            found = [seconds_of(text) for text in effective]
            missing = [one for one in expected if not any(abs(one - other) <= 2 for other in found)]
            out.check("stamped readings keep the time of their stamp", not missing, f"{len(missing)} of {len(expected)}")
            missing = [one for one in true_times.values() if not any(abs(one - other) <= 2 for other in found)]
            out.check("readings without a stamp have the true time of their arrival", not missing, f"{len(missing)} of {len(true_times)}")
            world.stop_daemon()
        except rig.RigError as error:
            out.check("the run came to its end", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
