#!/usr/bin/env python3
"""Power cuts (R1): what a device was told is received is on disk, whatever a cut leaves.

The daemon runs under strace with one simulated cuff. From the recorded system calls the files of the state directory are rebuilt as
a cut at any moment could leave them: with everything unsynced dropped, and with random parts of it, down to torn sectors. Each image
is opened with SQLite, checked, and must hold every frame whose confirmation (one byte 0x1E on the link) had been sent by then.
So "the confirmation follows the sync of its frame" needs no look at the store's own code.

    powercut.py               the daemon as it is: every image must be whole
    powercut.py --control     the daemon with synchronous=OFF (a test switch): the rig must find lost frames
    powercut.py --self-test   the rig alone, on a small store that keeps the promise and two that break it
    powercut.py --images N --seed N
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import durability
import report
import syscalls

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIRMATION = b"\x1e"
STRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-y", "-s", str(1 << 20), "-e", "trace=" + syscalls.RECORDED, "-e", "signal=none"]


def confirmations_in(call):
    """How many confirmations this call puts on a link."""
    if call.name not in ("write", "sendto", "sendmsg", "writev", "sendmmsg"):
        return 0
    _, path = syscalls.descriptor(call.arguments[0])
    if path is not None and path.startswith("/"):
        return 0
    if call.name in ("write", "sendto"):
        try:
            return int(syscalls.string(call.arguments[1]) == CONFIRMATION)
        except ValueError:
            return 0
    return sum(argument.count('iov_base="\\x1e", iov_len=1}') for argument in call.arguments[1:2])


class Image:
    """One state of the files, written out and opened as SQLite would open it after a cut."""

    def __init__(self, files, scratch):
        self.files = files
        self.problem = None
        self.frames = {}
        database = next((name for name in files if name + "-wal" in files or files[name][:15] == b"SQLite format 3"), None)
        if database is None:
            return
        shutil.rmtree(scratch, ignore_errors=True)
        os.makedirs(scratch)
        for name, content in files.items():
            if name.startswith(database):
                path = os.path.join(scratch, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as out:
                    out.write(content)
        try:
            connection = sqlite3.connect(os.path.join(scratch, database), isolation_level=None)
            try:
                verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
                if verdict != "ok":
                    self.problem = f"integrity_check: {verdict[:100]}"
                self.frames = frames_of(connection)
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            self.problem = f"does not open: {error}"


def frames_of(connection):
    """Row id -> (the word's state, what never changes of the frame), in the order of intake."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'frame'").fetchone():
        return {}
    return {row: (word, sealed) for row, word, sealed in connection.execute("SELECT id, word, sealed FROM frame ORDER BY id")}


class Verdict:
    def __init__(self):
        self.images = self.confirmations = self.syncs = self.writes = 0
        self.broken = []
        self.lost = []
        self.names = set()
        self.final = None
        self.unknown = set()


def judge(recording, root, seed, images, keys=()):
    """Replays a recording twice: once to its end, to learn which frames there are, then cut by cut."""
    drawn = random.Random(seed)
    verdict = Verdict()
    scratch = tempfile.mkdtemp(prefix="powercut-")
    try:
        with open(recording, encoding="latin-1") as lines:
            events = list(syscalls.parse(lines))
        tree = durability.Directory(root)
        moments = []  # indices after which something was confirmed or synced
        for index, (what, call) in enumerate(events):
            if what == "enter":
                tree.enter(call)
                found = confirmations_in(call)
                verdict.confirmations += found
                if found:
                    moments.append(index)
            else:
                before = tree.sync_count, tree.write_count
                tree.leave(call)
                if (tree.sync_count, tree.write_count) != before:
                    moments.append(index)
        verdict.syncs, verdict.writes, verdict.unknown = tree.sync_count, tree.write_count, tree.unknown
        final = Image(tree.image_with_everything(), os.path.join(scratch, "final"))
        verdict.final = final
        verdict.names = set(final.files)
        # The n-th confirmation is for the n-th frame that has a word to send: one cuff, each record once, in order.
        told = [(row, kept) for row, (word, kept) in final.frames.items() if word != "none"]
        keys_at_end = {name: final.files.get(name) for name in keys}

        def examine(files, confirmed, index, kind):
            verdict.images += 1
            image = Image(files, os.path.join(scratch, "image"))
            if image.problem:
                verdict.broken.append(f"event {index} ({kind}): {image.problem}")
                return
            missing = [row for row, kept in told[:confirmed] if image.frames.get(row, (None, None))[1] != kept]
            if missing:
                verdict.lost.append(f"event {index} ({kind}): {len(missing)} of {confirmed} confirmed frames missing, first row {missing[0]}")
            for name, content in keys_at_end.items():
                if confirmed and content is not None and files.get(name) != content:
                    verdict.lost.append(f"event {index} ({kind}): {name} is not whole")

        # At every confirmation the strict image; elsewhere a random choice of moments, each with a few random images.
        chosen = {}
        for _ in range(images):
            if moments:
                moment = drawn.choice(moments)
                chosen[moment] = chosen.get(moment, 0) + 1
        tree = durability.Directory(root)
        confirmed = 0
        for index, (what, call) in enumerate(events):
            if what == "enter":
                tree.enter(call)
                found = confirmations_in(call)
                if found:
                    confirmed += found
                    examine(tree.image_without_unsynced(), confirmed, index, "all unsynced dropped, at a confirmation")
            else:
                tree.leave(call)
            for turn in range(chosen.get(index, 0)):
                if turn == 0:
                    examine(tree.image_without_unsynced(), confirmed, index, "all unsynced dropped")
                examine(tree.image_with_some(drawn, torn=False), confirmed, index, "some unsynced kept")
                examine(tree.image_with_some(drawn, torn=True), confirmed, index, "torn sectors")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return verdict


def record_subject(mode, directory):
    state = os.path.join(directory, "state")
    os.makedirs(state)
    recording = os.path.join(directory, "trace")
    subprocess.run(STRACE + ["-o", recording, sys.executable, os.path.join(HERE, "powercut_subject.py"), state, mode], check=True, timeout=120)
    return recording, state


def self_test(out, seed, images):
    for mode, promise in (("FULL", True), ("OFF", False), ("EARLY", False)):
        with tempfile.TemporaryDirectory(prefix="powercut-") as directory:
            verdict = judge(*record_subject(mode, directory), seed, images, keys=("key",))
        out.note(f"{mode}: {verdict.confirmations} confirmations, {verdict.syncs} syncs, {verdict.writes} writes, {verdict.images} images, "
                 f"{len(verdict.broken)} broken, {len(verdict.lost)} with lost frames")
        out.check(f"{mode}: all 40 confirmations were seen", verdict.confirmations == 40, verdict.confirmations)
        if promise:
            out.check(f"{mode}: every image opens and is whole", not verdict.broken, verdict.broken[:3])
            out.check(f"{mode}: no confirmed row is lost", not verdict.lost, verdict.lost[:3])
        else:
            out.check(f"{mode}: lost rows are found", verdict.lost)


def record_daemon(directory, readings, fault):
    """The daemon with one cuff of `readings` stored records, under strace, until all are confirmed."""
    import rig

    recording = os.path.join(directory, "trace")
    with rig.Rig(directory, faults=fault is not None) as world:
        world.add_receiver()
        world.add_cuff("cuff", count=readings, interval=20)
        world.configure()
        world.start_daemon(prefix=STRACE + ["-o", recording], fault=fault)
        world.assign("cuff")
        world.wait_confirmed("cuff", readings, seconds=120)
        world.stop_daemon()
        return recording, world.state


def judge_daemon(out, seed, images, readings, fault):
    with tempfile.TemporaryDirectory(prefix="powercut-") as directory:
        recording, state = record_daemon(directory, readings, fault)
        import rig

        verdict = judge(recording, state, seed, images, keys=rig.KEY_FILES)
        out.note(f"{verdict.confirmations} confirmations, {verdict.syncs} syncs, {verdict.writes} writes, {verdict.images} images, "
                 f"{len(verdict.broken)} broken, {len(verdict.lost)} with lost frames; files: {', '.join(sorted(verdict.names))}")
        out.check(f"the cuff was told of all {readings} readings", verdict.confirmations >= readings, verdict.confirmations)
        out.check("the recording holds nothing that the rebuilder does not know", not verdict.unknown, verdict.unknown)
        if fault is None:
            out.check("every image opens and passes integrity_check", not verdict.broken, verdict.broken[:5])
            out.check("every image holds every confirmed frame and the key", not verdict.lost, verdict.lost[:5])
        else:
            out.check("control: with synchronous=OFF the rig finds lost frames", verdict.lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--readings", type=int, default=40)
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    out = report.Report()
    if shutil.which("strace") is None:
        out.skip("power cuts", "strace is not installed")
        return out.close()
    elif not arguments.self_test and os.geteuid() != 0:
        out.skip("power cuts", "the daemon keeps processes of its own user out of its memory (R8), so strace must be root's")
        return out.close()
    if arguments.self_test:
        self_test(out, seed, min(arguments.images, 100))
    elif arguments.control:
        judge_daemon(out, seed, min(arguments.images, 30), arguments.readings, "synchronous-off")
    else:
        judge_daemon(out, seed, arguments.images, arguments.readings, None)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
