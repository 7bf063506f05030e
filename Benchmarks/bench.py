#!/usr/bin/env python3
"""Measures vitalgate beside its peers and prints ratios, because a ratio of one run says more than seconds of one machine.

Started by Benchmarks/bench.sh. What is compared with what:

  conversions   bytes -> values -> FHIR transaction -> SQLite, beside Benchmarks/python/peer.py on the same frames; both alone on the
                machine, one after the other, peak memory as the kernel counts it (ru_maxrss)
  commits       the journal's commit of one frame, beside an append of as many bytes and fdatasync on the same file system
  deliveries    through journal and courier, beside libcurl alone with the same bodies, and beside httpx
  the daemon    start to ready (its own READY=1), memory idle and with a backlog (smaps_rollup), an idle time's processor time, wake-ups
                and bytes written, bytes written for a reading
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Rigs"))
import rig  # noqa: E402

BINARY = rig.BINARY
PEER = os.path.join(ROOT, "Benchmarks", "python", "peer.py")
OUT = os.path.join(ROOT, ".build", "bench")


def run(command, seconds=900):
    """(the JSON object that a program prints, its peak resident bytes)."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, error = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        raise rig.RigError(f"{' '.join(command)} took more than {seconds} s") from None
    if child.returncode != 0:
        raise rig.RigError(f"{' '.join(command)} ended with {child.returncode}: {error.decode()[-500:]}")
    return json.loads(out.decode().strip().splitlines()[-1])


def memory(pid):
    """Bytes from /proc/PID/smaps_rollup."""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        for line in file:
            parts = line.split()
            if len(parts) == 3 and parts[2] == "kB":
                found[parts[0].rstrip(":")] = int(parts[1]) * 1024
    return {"resident": found["Rss"], "anonymous": found["Anonymous"], "proportional": found["Pss"]}


def written(pid):
    with open(f"/proc/{pid}/io", encoding="utf-8") as file:
        values = dict(line.split(": ") for line in file.read().splitlines())
    return int(values["write_bytes"])


def switches(pid):
    """(voluntary, involuntary) context switches of all threads: a wake-up each."""
    voluntary = involuntary = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches"):
                    voluntary += int(line.split()[1])
                elif line.startswith("nonvoluntary_ctxt_switches"):
                    involuntary += int(line.split()[1])
    return voluntary, involuntary


def processor_seconds(pid):
    """Time on a processor of all threads, in seconds (schedstat counts nanoseconds)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="utf-8") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def conversions(quick):
    count = 3000 if quick else 30000
    peer_count = count // 10
    with tempfile.TemporaryDirectory(dir=OUT) as directory:
        ours = run([BINARY, "bench", "conversions", "--count", str(count), "--store", os.path.join(directory, "ours.db"), "--json"])
        peer = run([sys.executable, PEER, "conversions", "--count", str(peer_count), "--store", os.path.join(directory, "peer.db")])
    return {"vitalgate": ours, "python": peer, "ratio": ours["perSecond"] / peer["perSecond"],
            "memoryRatio": peer["peakResidentBytes"] / ours["peakResidentBytes"]}


def commits(quick):
    with tempfile.TemporaryDirectory(dir=OUT) as directory:
        found = run([BINARY, "bench", "commits", "--count", "200" if quick else "2000", "--directory", directory, "--json"])
    found["ratio"] = found["commit"]["p50Microseconds"] / found["bareFsync"]["p50Microseconds"]
    return found


def deliveries(quick):
    count = 300 if quick else 3000
    with tempfile.TemporaryDirectory() as directory, rig.Rig(directory) as world:
        world.add_receiver()
        ours = run([BINARY, "bench", "deliveries", "--count", str(count), "--base", world.base(), "--json"])
        peer = run([sys.executable, PEER, "deliveries", "--count", str(count // 5), "--base", world.base()])
    ours["python"] = {"perSecond": peer["perSecond"]}
    ours["ratioToCurl"] = ours["perSecond"] / ours["curl"]["perSecond"]
    ours["ratioToPython"] = ours["perSecond"] / peer["perSecond"]
    return ours


def start_times(world, runs):
    """Milliseconds from the start of the process to its READY=1, as systemd would see it."""
    times = []
    for number in range(runs):
        path = os.path.join(world.directory, "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            begun = time.perf_counter()
            world.launch_daemon(environment={"NOTIFY_SOCKET": path})
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except TimeoutError:
                raise rig.RigError(f"no READY=1 within 20 s\n{world.daemon.tail()}") from None
            times.append((time.perf_counter() - begun) * 1000)
        if number < runs - 1:
            world.stop_daemon()
    return {"medianMilliseconds": statistics.median(times), "worstMilliseconds": max(times), "runs": runs}


def idle(pid, seconds):
    before = switches(pid), processor_seconds(pid), written(pid)
    time.sleep(seconds)
    after = switches(pid), processor_seconds(pid), written(pid)
    found = {
        "seconds": seconds,
        "wakeUpsPerMinute": (after[0][0] - before[0][0]) * 60 / seconds,
        "corePercent": (after[1] - before[1]) * 100 / seconds,
        "bytesWrittenPerHour": (after[2] - before[2]) * 3600 / seconds,
    }
    if shutil.which("strace"):
        # Which calls the wake-ups end in: named, because the number alone helps nobody.
        with tempfile.NamedTemporaryFile(mode="r") as summary:
            tracer = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", summary.name, "-p", str(pid)], stderr=subprocess.DEVNULL)
            time.sleep(min(seconds, 20))
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
            calls = {}
            for line in summary.read().splitlines():
                parts = line.split()
                if len(parts) == 2 and parts[0].isdigit() and parts[1] != "total":
                    calls[parts[1]] = int(parts[0])
        found["systemCalls"] = {"seconds": min(seconds, 20), **calls}
    return found


def daemon(quick):
    found = {}
    count = 100 if quick else 500
    with tempfile.TemporaryDirectory(dir=OUT) as directory, rig.Rig(directory) as world:
        world.add_receiver()
        world.configure()
        found["start"] = start_times(world, 3 if quick else 11)
        pid = world.daemon_pid()
        time.sleep(3)
        found["idleMemory"] = memory(pid)
        # Without a simulated device: a radio wakes the daemon when there is something, an absent socket has to be looked for.
        found["idle"] = idle(pid, 10 if quick else 60)
        cuff = world.add_cuff("cuff", count=count, interval=5)
        world.ask("devices", "add", "cuff", "--model", cuff["model"], "--bearer", "socket:" + cuff["socket"])
        world.assign("cuff")
        before = written(pid)
        world.wait_confirmed("cuff", count, 120)
        rig.wait_for("all to be delivered", lambda: set(world.item_states()) == {"delivered"}, 120, pause=0.5)
        time.sleep(3)
        found["bytesWrittenPerReading"] = (written(pid) - before) / count
        found["memoryAfterReadings"] = memory(pid)
        world.stop_daemon()
    return found


def backlog(quick):
    count = 5000 if quick else 100000
    with tempfile.TemporaryDirectory(dir=OUT) as directory, rig.Rig(directory) as world:
        world.add_receiver(start=False)
        world.configure()
        run([BINARY, "bench", "fill", "--config", world.config, "--count", str(count), "--json"])
        starts = start_times(world, 1)
        time.sleep(5)
        found = memory(world.daemon_pid())
        world.stop_daemon()
    return {"queued": count, **found, "startMilliseconds": starts["medianMilliseconds"]}


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


def rows(found):
    """(what, vitalgate, beside, ratio, aim, whether it is met)"""
    if "conversions" in found:
        c = found["conversions"]
        yield ("conversions a second", f"{c['vitalgate']['perSecond']:,.0f}", f"Python {c['python']['perSecond']:,.0f}", f"{c['ratio']:.1f} x",
               ">= 10 x", c["ratio"] >= 10)
        yield ("  peak memory", megabytes(c["vitalgate"]["peakResidentBytes"]), f"Python {megabytes(c['python']['peakResidentBytes'])}",
               f"1/{c['memoryRatio']:.1f}", "", None)
    if "commits" in found:
        c = found["commits"]
        yield ("commit of a reading, median", f"{c['commit']['p50Microseconds']:,.0f} us", f"bare fsync {c['bareFsync']['p50Microseconds']:,.0f} us",
               f"{c['ratio']:.2f} x", "<= 1.5 x", c["ratio"] <= 1.5)
        yield ("  99th percentile", f"{c['commit']['p99Microseconds']:,.0f} us", f"bare fsync {c['bareFsync']['p99Microseconds']:,.0f} us", "", "", None)
    if "deliveries" in found:
        d = found["deliveries"]
        yield ("deliveries a second", f"{d['perSecond']:,.0f}", f"libcurl alone {d['curl']['perSecond']:,.0f}", f"{d['ratioToCurl']:.2f} x", "", None)
        yield ("", "", f"Python httpx {d['python']['perSecond']:,.0f}", f"{d['ratioToPython']:.1f} x", "", None)
    if "daemon" in found:
        d = found["daemon"]
        start, still = d["start"]["medianMilliseconds"], d["idle"]
        yield ("start to ready, median", f"{start:.0f} ms", "", "", "< 200 ms", start < 200)
        yield ("idle: anonymous memory", megabytes(d["idleMemory"]["anonymous"]), "", "", "< 8 MB", d["idleMemory"]["anonymous"] < 8e6)
        yield ("idle: resident memory", megabytes(d["idleMemory"]["resident"]), "", "", "< 35 MB", d["idleMemory"]["resident"] < 35e6)
        yield ("idle: processor", f"{still['corePercent']:.3f} % of a core", "", "", "< 0.1 %", still["corePercent"] < 0.1)
        yield ("idle: wake-ups", f"{still['wakeUpsPerMinute']:.1f} a minute", "", "", "", None)
        yield ("idle: bytes written", f"{still['bytesWrittenPerHour']:,.0f} an hour", "", "", "", None)
        yield ("bytes written for a reading", f"{d['bytesWrittenPerReading']:,.0f}", "", "", "", None)
    if "backlog" in found:
        b = found["backlog"]
        yield (f"{b['queued']:,} queued: anonymous memory", megabytes(b["anonymous"]), "", "", "< 12 MB", b["anonymous"] < 12e6)
        yield (f"{b['queued']:,} queued: resident memory", megabytes(b["resident"]), "", "", "", None)
        yield (f"{b['queued']:,} queued: start to ready", f"{b['startMilliseconds']:.0f} ms", "", "", "", None)


PARTS = {"conversions": conversions, "commits": commits, "deliveries": deliveries, "daemon": daemon, "backlog": backlog}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    arguments = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    run([sys.executable, PEER, "check"])
    found, failed = {}, []
    for name, part in PARTS.items():
        if arguments.only and name != arguments.only:
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            found[name] = part(arguments.quick)
        except (rig.RigError, KeyError, OSError, ValueError) as error:
            failed.append(f"{name}: {type(error).__name__} {error}")
    with open(os.path.join(OUT, "results.json"), "w", encoding="utf-8") as out:
        json.dump(found, out, indent=1)
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"{'':36}{'vitalgate':>18}  {'beside':26}{'ratio':>8}  {'aim':10}")
        for what, ours, beside, ratio, aim, met in rows(found):
            mark = "" if met is None else ("met" if met else "MISSED")
            print(f"{what:36}{ours:>18}  {beside:26}{ratio:>8}  {aim:10}{mark}")
        calls = found.get("daemon", {}).get("idle", {}).get("systemCalls")
        if calls:
            seconds = calls["seconds"]
            print(f"\nidle system calls in {seconds} s: " + (", ".join(f"{name} {number}" for name, number in calls.items() if name != "seconds") or "none"))
        print(f"load average while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; figures in .build/bench/results.json")
    for line in failed:
        print(f"not measured: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
