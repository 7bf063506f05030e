#!/usr/bin/env python3
"""R1 under fire: the daemon is killed (SIGKILL) again and again while cuffs send and a receiver takes.

Cuffs and receiver are processes of their own and keep their own account. A cuff sends each reading until it is confirmed; the receiver
cuts one connection in fifty after it stored what came. The daemon
is killed after a random time, or right after it said that it committed, confirmed or delivered, and started again. At the end it may
finish; then every reading that a cuff holds as confirmed must stand in the journal once, and at the receiver once, counting
resources and requests.

    crash.py --kills 30         zero lost, zero doubled
    crash.py --control          the daemon confirms before it commits (a test switch): the rig must find lost readings
    crash.py --kills 1000 --seed N
"""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time

import report
import rig

#: What the daemon says when it is about to do, or has just done, what a kill must not spoil.
MOMENTS = ("device connected", "frame committed", "word sent", "item delivered")


def one_life(world, drawn, moments):
    """Starts the daemon and kills it at a random moment of its life; returns which kind of moment it was."""
    daemon = world.launch_daemon(fault=world.fault)
    if moments is None:
        # The control: at work, at any moment of a reading.
        daemon.wait_line("frame committed", 5)
        time.sleep(drawn.uniform(0, 0.3))
        kind = "at work"
    elif drawn.random() < 0.5:
        # From before it is ready until well into its work.
        time.sleep(drawn.uniform(0, 0.8))
        kind = "after a random time"
    else:
        word = drawn.choice(moments)
        since = 0
        for _ in range(drawn.randint(1, 6)):
            if daemon.wait_line(word, 1.5, since) is None:
                break
            since = daemon.count
        if drawn.random() < 0.5:
            time.sleep(drawn.uniform(0, 0.005))
        kind = f"after {word!r}"
    alive = daemon.running
    world.kill_daemon()
    return kind if alive else "it had ended by itself"


def finished(world, names, count):
    """Whether every cuff has got rid of its readings and nothing is owed any more."""
    if any(len(world.confirmed(name)) < count for name in names):
        return False
    states = world.item_states()
    return bool(states) and not any(states.get(state) for state in ("waiting", "sending", "uncertain"))


def compare(out, world, names, control):
    """Zero lost, zero doubled, from the cuffs' accounts to the journal and to the receiver's."""
    if control:
        held, lost = world.check_journal_holds_confirmed(None, names)
        out.check("control: confirm before commit loses readings, and the rig finds it", lost)
        out.note(f"{len(lost)} of {len(held)} lost")
        return
    held, _ = world.check_journal_holds_confirmed(out, names)
    out.check("the devices' readings can be told apart", max(held.values(), default=0) == 1)
    world.check_exactly_once(out)
    out.note(f"{len(held)} readings confirmed by {len(names)} cuffs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--cuffs", type=int, default=3)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--seed")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    drawn = random.Random(seed)
    out = report.Report()
    kills = min(arguments.kills, 20) if arguments.control else arguments.kills
    # A record every 100 ms from each cuff: about as many as there is time for, so that every life has work. No more than the hub lists.
    count = max(20, min(kills * 6, rig.MOST // 2 // arguments.cuffs))
    interval = max(100, kills * 600 // count)
    directory = tempfile.mkdtemp(prefix="crash-")
    try:
        with rig.Rig(directory, faults=arguments.control) as world:
            world.fault = "confirm-before-commit" if arguments.control else None
            world.add_receiver(faults={"seed": seed, "cut": 0.02})
            names = [f"cuff-{number}" for number in range(1, arguments.cuffs + 1)]
            for number, name in enumerate(names):
                if number == 0:
                    # vitalgate's own simulator, four records a link; the others are the rigs'.
                    world.add_cuff(name, count=count, seed=seed, scenario="generated", options=("--per-link", "4"))
                else:
                    world.add_cuff(name, count=count, seed=seed + number, interval=interval)
            world.configure()
            world.start_daemon(fault=world.fault)
            for name in names:
                world.assign(name)
            world.kill_daemon()
            moments = None if arguments.control else MOMENTS
            kinds = collections.Counter(one_life(world, drawn, moments) for _ in range(kills))
            for kind, number in sorted(kinds.items()):
                out.note(f"{number} kills {kind}")
            out.check(f"the daemon was killed {kills} times and never ended by itself", "it had ended by itself" not in kinds, kinds)
            world.fault = None
            world.start_daemon()
            rig.wait_for("all readings to be confirmed and delivered", lambda: finished(world, names, count), 120 + count // 4, pause=0.5,
                         context=lambda: f"{world.item_states()}, confirmed {[len(world.confirmed(name)) for name in names]} of {count}\n"
                         + world.daemon.tail())
            compare(out, world, names, arguments.control)
            world.stop_daemon()
    except rig.RigError as error:
        out.check("the run came to its end", False, error)
        arguments.keep = True
    finally:
        if out.failed and not arguments.keep:
            out.note(f"what was left is in {directory}")
        elif not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
