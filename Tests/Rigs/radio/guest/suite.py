#!/usr/bin/env python3
"""The suite on a real kernel with a virtual radio: runs in the guest, as root.

    suite.py --out FOLDER [--only NAME,NAME] [--binary PATH] [--seed N]

Prints a line a check, as every rig does, and writes FOLDER/results.json:

    {"seed": N, "scenarios": [{"name", "passed", "failed", "skipped", "seconds", "connectFailures", "linkLosses", "readingsLost", "readingsDoubled",
                               "facts": {...}}], "kernel": "..."}

A scenario runs once: what fails is a failure. Connects that failed and links that were lost are counted whether or not the daemon got over them.
"""

import argparse
import contextlib
import glob
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", ".."))

import report

import radio_control

RUN = "/run/rig"
#: States of several scenarios lie on the guest's ext4, not in memory.
STATES = "/var/rig"
#: HCI reasons of links that nobody ended on purpose (Core 5.4, volume 1, part F): timeout, MIC failure, failed to be established.
LOST = (0x08, 0x3D, 0x3E)


class TooLong(Exception):
    pass


class World:
    """What a scenario has to work with."""

    def __init__(self, name, out, radio, seed, binary, share):
        self.name, self.out, self.radio, self.share = name, out, radio, share
        self.drawn = random.Random(f"{seed}/{name}")
        self.binary = binary
        self.folder = os.path.join(RUN, name)
        self.state = os.path.join(STATES, name)
        self.facts = {}
        self.lost = self.doubled = self.failed = 0
        self.expected_losses = 0
        self.hubs = []
        for folder in (self.folder, self.state):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)

    def check(self, what, good, detail=""):
        self.failed += not good
        return self.out.check(f"{self.name}: {what}", good, detail)

    def skip(self, what, why):
        self.out.skip(f"{self.name}: {what}", why)

    def note(self, text):
        self.out.note(f"{self.name}: {text}")

    @contextlib.contextmanager
    def hub(self, **options):
        """A daemon of its own, started, ended with the block."""
        import hub as hubs

        options.setdefault("state", os.path.join(self.state, f"hub-{len(self.hubs)}"))
        with hubs.Hub(os.path.join(self.folder, f"hub-{len(self.hubs)}"), **options) as made:
            self.hubs.append(made)
            made.configure()
            yield made
            if made.daemon is not None and made.daemon.running:
                made.stop_daemon()

    def columns(self, names):
        """Connects that came to nothing and links that were lost, from the peripherals' own logs."""
        failures = losses = 0
        for name in names:
            useful = False
            for one in self.radio.events(name):
                if one["event"] == "connected":
                    useful = False
                elif one["event"] in ("encrypted", "subscribed", "sent", "paired"):
                    useful = True
                elif one["event"] == "disconnected":
                    failures += not useful
                    losses += one["reason"] in LOST
        return failures + sum(one.connect_failures() for one in self.hubs), max(0, losses - self.expected_losses)


class Suite:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = report.Report()
        self.results = []
        self.only = arguments.only.split(",") if arguments.only else None

    def run(self):
        import scenarios

        os.makedirs(RUN, exist_ok=True)
        seed = report.seed_of(self.arguments.seed)
        print(f"seed {seed}", flush=True)
        chosen = [one for one in scenarios.ALL if self.only is None or one.name in self.only]
        unknown = set(self.only or ()) - {one.name for one in scenarios.ALL}
        if unknown:
            report.stop(f"There is no scenario {', '.join(sorted(unknown))}.", "The names are fixed.", "Take one of: " + ", ".join(one.name for one in scenarios.ALL))
        signal.signal(signal.SIGALRM, self.too_long)
        radio = radio_control.Radio(RUN)
        radio.start()
        try:
            for one in chosen:
                radio = self.run_one(one, radio, seed)
                self.write(seed)
        finally:
            radio.stop()
        return self.out.close()

    @staticmethod
    def too_long(*_):
        raise TooLong()

    def run_one(self, scenario, radio, seed):
        """One scenario with its own time limit; returns the radio to go on with."""
        print(f"--   {scenario.name}: {scenario.title}", flush=True)
        before = (self.out.passed, self.out.failed, self.out.skipped)
        world = World(scenario.name, self.out, radio, seed, self.arguments.binary, self.arguments.out)
        began, stuck = time.monotonic(), False
        if scenario.needs_hub and not os.path.exists(self.arguments.binary):
            world.skip("all of it", f"there is no {self.arguments.binary}")
        else:
            signal.alarm(scenario.seconds)
            try:
                scenario.run(world)
            except TooLong:
                # An order may have been under way: its answer would be taken for that to the next.
                stuck = True
                world.check(f"ends within {scenario.seconds} s", False, "".join(traceback.format_exc().splitlines(keepends=True)[-6:-2]))
            except Exception as error:  # One scenario's fault is not the others'.
                where = traceback.extract_tb(error.__traceback__)
                place = next((f"{os.path.basename(one.filename)}:{one.lineno}" for one in where if "scenarios" in one.filename or "beside" in one.filename), "")
                world.check("runs to its end", False, f"{type(error).__name__} at {place}: {error}")
            finally:
                signal.alarm(0)
        names = [one[:-6] for one in sorted(os.listdir(radio.logs)) if one.endswith(".jsonl")]
        failures, losses = world.columns(names)
        self.keep(world, radio, names)
        self.results.append({
            "name": scenario.name, "passed": self.out.passed - before[0], "failed": self.out.failed - before[1],
            "skipped": self.out.skipped - before[2], "seconds": round(time.monotonic() - began, 1), "connectFailures": failures,
            "linkLosses": losses, "readingsLost": world.lost, "readingsDoubled": world.doubled, "facts": world.facts})
        # The next one finds an empty room. A radio that does not answer is made again.
        try:
            if stuck:
                raise radio_control.RadioError("the scenario was ended")
            radio.clear()
            radio.order("adapter", on=True)
        except (radio_control.RadioError, OSError, ValueError) as error:
            if not stuck:
                world.check("the peripherals are still well", False, error)
            radio.stop()
            radio = radio_control.Radio(RUN)
            radio.start()
        for name in names:
            for end in (".jsonl", ".keys.json"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(radio.logs, name + end))
        return radio

    def keep(self, world, radio, names):
        """What a person wants to see after a failure, and of every run the peripherals' logs."""
        folder = os.path.join(self.arguments.out, world.name)
        os.makedirs(folder, exist_ok=True)
        for name in names:
            shutil.copy(os.path.join(radio.logs, f"{name}.jsonl"), folder)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(os.path.join(radio.folder, "peripherals.log"), folder)
        if world.failed:
            for one in glob.glob(os.path.join(radio.logs, "*.btsnoop")):
                shutil.copy(one, folder)
        for number, one in enumerate(world.hubs):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(os.path.join(one.directory, "daemon.log"), os.path.join(folder, f"daemon-{number}.log"))

    def write(self, seed):
        with open(os.path.join(self.arguments.out, "results.json"), "w", encoding="utf-8") as file:
            json.dump({"seed": seed, "kernel": os.uname().release, "scenarios": self.results}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only")
    parser.add_argument("--binary", default="/opt/vitalgate")
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    os.environ["VITALGATE"] = arguments.binary
    # The guest has one user and no terminal; programs that the suite starts need no more than this.
    os.environ.setdefault("SWIFT_BACKTRACE", "enable=no")
    return Suite(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
