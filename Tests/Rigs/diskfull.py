#!/usr/bin/env python3
"""R9: a full disk. Intake stops confirming, nothing is lost, and it goes on by itself when there is room.

Twice: with SQLite's own limit (max_page_count, a test switch of the configuration; works everywhere) and, where this may mount, on a
tmpfs of 24 MiB that a file fills up and leaves again while the daemon runs.

    diskfull.py [--seed N]
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import report
import rig

COUNT = 400


def stalled(world, seconds=3.0, within=60):
    """Waits until no reading was confirmed for `seconds`; how many were."""
    end = time.monotonic() + within
    last, since = len(world.confirmed("cuff")), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.1)
        held = len(world.confirmed("cuff"))
        if held != last:
            last, since = held, time.monotonic()
        elif time.monotonic() - since >= seconds:
            return last
    raise rig.RigError(f"confirmations did not stop: {last} of {COUNT}\n{world.daemon.tail()}")


def told(world):
    """The condition that tells of the full disk, if it stands."""
    return next((one for one in world.conditions() if one.get("code") == "storage-full"), None)


def check_full(out, world, before):
    held = stalled(world)
    out.check("intake stops confirming when there is no room", before <= held < COUNT, f"{held} of {COUNT}")
    out.check("the daemon still runs", world.daemon.running)
    try:
        rig.wait_for("the condition", lambda: told(world), 20, pause=0.5)
    except rig.RigError:
        pass
    condition = told(world)
    out.check("a condition says so, with reason and remedy", condition and condition.get("reason") and condition.get("remedy"), world.conditions())
    return held


def finish(out, world):
    world.wait_confirmed("cuff", COUNT, 120)
    out.check("the rest is confirmed when there is room", True)
    world.wait_delivered(120)
    world.check_journal_holds_confirmed(out, ["cuff"])
    world.check_exactly_once(out)
    try:
        rig.wait_for("the condition to go", lambda: not told(world), 20, pause=0.5)
    except rig.RigError:
        pass
    out.check("the condition is gone", not told(world), world.conditions())
    world.stop_daemon()


def pages(state):
    """The database's size in pages, with what still stands in its log; looked at in a copy."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("vitalgate.db", "vitalgate.db-wal"):
            if os.path.exists(os.path.join(state, name)):
                shutil.copy(os.path.join(state, name), copy)
        database = sqlite3.connect(os.path.join(copy, "vitalgate.db"))
        try:
            return database.execute("PRAGMA page_count").fetchone()[0]
        finally:
            database.close()


def with_page_limit(out, seed):
    with tempfile.TemporaryDirectory(prefix="diskfull-") as directory, rig.Rig(directory) as world:
        world.add_receiver()
        world.add_cuff("cuff", count=COUNT, seed=seed, interval=2, start=False)
        world.configure()
        world.start_daemon()
        world.assign("cuff")
        world.stop_daemon()
        size = pages(world.state)
        world.tables["storage"] = [f"max_pages = {size + 40}"]
        world.configure()
        world.start_daemon()
        world.start_cuff("cuff")
        out.note(f"max_page_count {size + 40} for an empty database of {size} pages")
        held = check_full(out, world, 1)
        out.note(f"{held} readings fitted in")
        world.check_journal_holds_confirmed(out, ["cuff"])
        world.stop_daemon()
        world.tables["storage"] = []
        world.configure()
        world.start_daemon()
        finish(out, world)


def on_a_small_disk(out, seed):
    with tempfile.TemporaryDirectory(prefix="diskfull-") as directory:
        disk = os.path.join(directory, "disk")
        os.mkdir(disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", disk], capture_output=True, text=True)
        if mounted.returncode != 0:
            out.skip("a size-limited tmpfs", f"this user may not mount one ({mounted.stderr.strip() or mounted.returncode})")
            return
        try:
            with rig.Rig(directory) as world:
                world.state = os.path.join(disk, "state")
                os.mkdir(world.state, mode=0o700)
                world.tables["storage"] = ["low_megabytes = 8", "full_megabytes = 4"]
                world.add_receiver()
                world.add_cuff("cuff", count=COUNT, seed=seed, interval=20, start=False)
                world.configure()
                world.start_daemon()
                world.assign("cuff")
                world.start_cuff("cuff")
                world.wait_confirmed("cuff", 20, 60)
                filler = os.path.join(disk, "filler")
                with open(filler, "wb", buffering=0) as file:
                    try:
                        while True:
                            file.write(bytes(65536))
                    except OSError:
                        pass
                out.note(f"the disk has {os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize} bytes left")
                check_full(out, world, 20)
                os.unlink(filler)
                finish(out, world)
        finally:
            subprocess.run(["umount", "-l", disk], check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    out = report.Report()
    for name, part in (("max_page_count", with_page_limit), ("tmpfs", on_a_small_disk)):
        out.note(name)
        try:
            part(out, seed)
        except rig.RigError as error:
            out.check(f"{name}: the run came to its end", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
