#!/usr/bin/env python3
"""The suite on a real kernel with a virtual radio: Debian's own kernel in a virtual machine, peripherals whose stack is Bumble's.

    radio.py --smoke              the image where it is missing, one boot: pair, read, come back, no confirmation before the commit
    radio.py --all                every scenario
    radio.py --only NAME[,NAME]   some of them
    radio.py --list               their names
    radio.py ... --binary PATH    another vitalgate than .build/release/vitalgate
    radio.py ... --keep           leaves the folder with every log, and says where

Needs root for the image (once) and nothing from the network after it. Closes with a table (connects that failed, links that were lost, readings lost and doubled), the number
of times that the virtual machine had to be started again, and the usual totals.
"""

import argparse
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "radio"), os.path.join(HERE, "radio", "guest")]
os.environ.setdefault("VITALGATE_CATALOGUE", os.path.join(HERE, "..", "..", "devices"))

import report
import rig
import vm

SMOKE = ["smoke"]
#: In one boot: what went wrong in one scenario is not to spoil many others.
PER_BOOT = 5
#: What the kernel says on its console when something in it went wrong. Nothing after it can be trusted.
KERNEL_FAULTS = ("kernel BUG at", "BUG: ", "Oops:", "general protection fault", "Kernel panic", "refcount_t: ", "corruption")
#: The kernel names the thread that a fault ends.
CLOSING = "Comm: vg-close "
#: The guest's share of a run beside the scenarios: the peripherals start, logs are copied.
OVERHEAD_SECONDS = 120


class Run:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = report.Report()
        self.results = []
        self.reruns = self.boots = 0
        self.kernel_faults = []
        self.closing_faults = 0
        self.folders = []

    def show(self, line):
        """One line of the guest's console: checks are counted here, for a guest that dies takes its own count along."""
        if line.startswith("ok - "):
            self.out.passed += 1
        elif line.startswith("FAIL - "):
            self.out.failed += 1
        elif line.startswith("skip - "):
            self.out.skipped += 1
        self.watch_kernel(line)
        if self.arguments.verbose or line.startswith(("ok - ", "FAIL - ", "skip - ", "--   ", "     ", "seed ", "Traceback")):
            print(line, flush=True)

    def watch_kernel(self, line):
        """Linux 6.1.187 to 6.1.192 take a fault in the close of a lost link's socket. In the thread that the daemon has for closing it is the
        kernel's alone, and counted; in any other it is the daemon's too."""
        if any(word in line for word in KERNEL_FAULTS):
            self.kernel_faults.append(line.strip())
        elif self.kernel_faults and CLOSING in line:
            self.closing_faults += 1
            self.kernel_faults.clear()

    def boot(self, names, seconds):
        """Runs scenarios in one virtual machine; returns the results of those that came to an end."""
        share = vm.make_share(self.arguments.binary if os.path.exists(self.arguments.binary) else None)
        self.folders.append(share)
        seed = f" --seed {self.seed}"
        # The binary goes to the guest's disk: pages read over the share are slow.
        job = "mkdir -p /opt && { [ ! -f /host/vitalgate ] || cp /host/vitalgate /opt/vitalgate; }\n" \
            f"python3 /host/rigs/radio/guest/suite.py --out /host/out --only {','.join(names)}{seed}"
        machine = vm.Machine(share, self.cache)
        self.boots += 1
        try:
            machine.run(job, seconds, self.show)
        except vm.VMError as error:
            self.out.check(f"the virtual machine runs {', '.join(names)} to the end", False, error)
        self.reruns += machine.reruns
        self.out.check(f"the kernel took no harm ({', '.join(names)})", not self.kernel_faults, "; ".join(self.kernel_faults[:3]))
        self.kernel_faults.clear()
        if self.closing_faults:
            self.out.note(f"the kernel took {self.closing_faults} faults while a lost link was closed, each in a thread for that alone")
        self.closing_faults = 0
        try:
            with open(os.path.join(share, "out", "results.json"), encoding="utf-8") as file:
                return json.load(file)["scenarios"]
        except (OSError, ValueError):
            return []

    def run(self, chosen):
        self.seed = report.seed_of(self.arguments.seed)
        self.cache = vm.make_image()
        limits = {one.name: one.seconds for one in chosen}
        left = [one.name for one in chosen]
        while left:
            names = left[:PER_BOOT]
            found = self.boot(names, sum(limits[name] for name in names) + OVERHEAD_SECONDS)
            self.results += found
            done = len(found)
            if done < len(names):
                # The one in which the machine ended has failed; what stands behind it gets another machine.
                done += 1
            left = left[done:]

    def table(self):
        columns = ("connectFailures", "linkLosses", "readingsLost", "readingsDoubled")
        print(f"\n{'scenario':26} {'passed':>6} {'failed':>6} {'skipped':>7} {'seconds':>8} {'connect failures':>17} {'link losses':>12} {'readings lost':>14} {'doubled':>8}")
        for one in self.results:
            numbers = [one[column] for column in columns]
            print(f"{one['name']:26} {one['passed']:6} {one['failed']:6} {one['skipped']:7} {one['seconds']:8.1f} {numbers[0]:17} {numbers[1]:12} {numbers[2]:14} {numbers[3]:8}")
        for one in self.results:
            if one["facts"]:
                print(f"     {one['name']}: {json.dumps(one['facts'])}")
        totals = {column: sum(one[column] for one in self.results) for column in columns}
        print(f"\nboots {self.boots}, reruns of the virtual machine {self.reruns}, connect failures {totals['connectFailures']}, link losses {totals['linkLosses']}, "
              f"readings lost {totals['readingsLost']}, doubled {totals['readingsDoubled']}")

    def close(self):
        if self.results:
            self.table()
        if self.arguments.results:
            with open(self.arguments.results, "w", encoding="utf-8") as file:
                json.dump({"seed": self.seed, "boots": self.boots, "reruns": self.reruns, "scenarios": self.results}, file, indent=1)
        if self.arguments.keep or self.out.failed:
            self.out.note("logs are in " + " ".join(self.folders))
        else:
            for folder in self.folders:
                shutil.rmtree(folder, ignore_errors=True)
        return self.out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--smoke", action="store_true")
    what.add_argument("--all", action="store_true")
    what.add_argument("--only")
    what.add_argument("--list", action="store_true")
    parser.add_argument("--binary", default=rig.BINARY)
    parser.add_argument("--seed")
    parser.add_argument("--results", help="a file for the results as JSON")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="the whole console of the guest")
    arguments = parser.parse_args()

    import scenarios

    if arguments.list:
        for one in scenarios.ALL:
            print(f"{one.name:26} {one.title}")
        return 0
    wanted = SMOKE if arguments.smoke else arguments.only.split(",") if arguments.only else None
    unknown = set(wanted or ()) - {one.name for one in scenarios.ALL}
    if unknown:
        report.stop(f"There is no scenario {', '.join(sorted(unknown))}.", "radio.py --list names them.", "Choose among those.")
    chosen = [one for one in scenarios.ALL if (one.name in wanted if wanted else one.name not in SMOKE)]
    arguments.binary = os.path.realpath(arguments.binary)
    run = Run(arguments)
    try:
        run.run(chosen)
    except vm.NoImage as error:
        run.out.skip("the virtual machine", error)
    except vm.VMError as error:
        run.out.check("the virtual machine can be made", False, error)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
