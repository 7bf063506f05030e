"""vitalgate beside a fair gateway of bleak over bluetoothd (bleak_peer.py), on the same peripherals in the same virtual machine.

Three things are measured for both: the time from the first advertisement of a waiting record to the committed reading, the readings that
are lost when the reader is killed at random moments while the device gives up what was confirmed, and the resident memory.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time


HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 15
KILL_RECORDS = 80
LATENCY, KILLED = "cuff-time", "cuff-kill"


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class Bleak:
    """The peer: dbus, bluetoothd and a Python process."""

    name = "bleak"

    def __init__(self, world):
        self.world = world
        self.folder = os.path.join(world.folder, "bleak")
        # On the guest's disk, as the daemon's state is.
        self.database = os.path.join(world.state, "bleak.db")
        self.addresses = {}
        self.reader = None
        os.makedirs(self.folder, exist_ok=True)

    def __enter__(self):
        os.makedirs("/run/dbus", exist_ok=True)
        self.log = open(os.path.join(self.world.share, "bleak.log"), "ab", buffering=0)
        # In the foreground: only what was started here is ended here.
        self.bus = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"], stdout=self.log, stderr=self.log)
        wait_for(lambda: os.path.exists("/run/dbus/system_bus_socket"), 20)
        self.bluetoothd = subprocess.Popen(["/usr/libexec/bluetooth/bluetoothd", "-n"], stdout=self.log, stderr=self.log)
        wait_for(self.powered_path, 30)
        return self

    def powered_path(self):
        return subprocess.run(["busctl", "--system", "get-property", "org.bluez", "/org/bluez/hci0", "org.bluez.Adapter1", "Address"],
                              capture_output=True, check=False).returncode == 0

    def __exit__(self, *_):
        self.stop()
        for process in (self.bluetoothd, self.bus):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.log.close()

    def pair(self, name):
        self.addresses[name] = self.world.radio.status(name)["address"].removesuffix("/P")
        for _ in range(3):
            done = subprocess.run([sys.executable, os.path.join(HERE, "bleak_peer.py"), "pair", self.addresses[name]], stdout=self.log, stderr=self.log,
                                  timeout=120, check=False)
            if done.returncode == 0 and self.world.radio.events(name, "paired"):
                return True
        return False

    def start(self, name):
        path = os.path.join(self.folder, "reader.log")
        with open(path, "ab") as output:
            self.reader = subprocess.Popen([sys.executable, os.path.join(HERE, "bleak_peer.py"), "run", self.addresses[name], "--database", self.database],
                                           stdout=output, stderr=self.log)

    def kill(self):
        self.reader.kill()
        self.reader.wait(10)
        self.reader = None

    def stop(self):
        if self.reader is not None:
            self.kill()

    def held(self, _name):
        """Hex of every frame that is committed."""
        if not os.path.exists(self.database):
            return set()
        connection = sqlite3.connect(self.database)
        try:
            return {row[0].hex() for row in connection.execute("SELECT frame FROM reading")}
        except sqlite3.OperationalError:
            return set()
        finally:
            connection.close()

    def commit_time(self, name, number):
        """When the record of that number was committed, by the reader's own word; None before."""
        wanted = self.world.radio.confirmed(name).get(number)
        with open(os.path.join(self.folder, "reader.log"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        return next((one["t"] for one in lines if one["event"] == "committed" and one["hex"] == wanted), None)

    def memory(self):
        return {"reader": resident(self.reader.pid), "bluetoothd": resident(self.bluetoothd.pid)}


class Vitalgate:
    name = "vitalgate"

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        self.context = self.world.hub(receiver=False)
        self.hub = self.context.__enter__()
        self.hub.start()
        return self

    def __exit__(self, *arguments):
        self.context.__exit__(*arguments)

    def pair(self, name):
        import scenarios

        found = self.hub.find(name)
        code, _, _ = self.hub.pair(self.world.radio, found["address"].split("/")[0], name)
        if code == 0:
            scenarios.prove(self.world, self.hub, name)
            self.hub.assign(name)
        return code == 0

    def start(self, _name):
        if not self.hub.daemon.running:
            self.hub.launch_daemon()

    def kill(self):
        self.hub.kill_daemon()

    def stop(self):
        self.hub.kill_daemon()

    def held(self, name):
        if not self.hub.daemon.running:
            self.hub.start()
        return set(self.hub.frames(name))

    def commit_time(self, name, number):
        return next((one["t"] for one in self.world.radio.events(name, "confirmed") if one["number"] == number), None)

    def memory(self):
        return {"daemon": self.hub.memory_kilobytes()}


def wait_for(condition, seconds, pause=0.1):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def latency(world, reader):
    """Rounds of one record each: the cuff appears with it and leaves when it was confirmed. Milliseconds from the appearance to the commit.

    bleak's commit is what its process wrote down after COMMIT returned. vitalgate's is taken when the device had its confirmation, which comes
    after the commit: an upper bound."""
    radio, took, missed = world.radio, [], 0
    reader.start(LATENCY)
    time.sleep(8)
    for number in range(1, ROUNDS + 1):
        began = time.monotonic()
        radio.order("queue", name=LATENCY, count=1)
        if wait_for(lambda: reader.commit_time(LATENCY, number), 60, pause=0.05):
            appeared = next(one["t"] for one in radio.events(LATENCY, "advertising") if one["on"] and one["t"] >= began)
            took.append((reader.commit_time(LATENCY, number) - appeared) * 1000)
        else:
            missed += 1
        wait_for(lambda: not radio.status(LATENCY)["connected"], 30)
        time.sleep(3)
    memory = reader.memory()
    took.sort()
    return {
        "rounds": ROUNDS, "missed": missed, "milliseconds": {"least": round(took[0]), "median": round(took[len(took) // 2]), "most": round(took[-1])} if took else None,
        "residentKilobytes": memory, "residentKilobytesTotal": sum(memory.values()),
    }


def lost_to_kills(world, reader):
    """The cuff sends record after record and gives up each that is confirmed; the reader is killed again and again, and started again."""
    radio = world.radio
    radio.order("queue", name=KILLED, count=KILL_RECORDS)
    kills, until = 0, time.monotonic() + 240
    while len(radio.confirmed(KILLED)) < KILL_RECORDS and time.monotonic() < until:
        reader.start(KILLED)
        before = len(radio.events(KILLED, "sent"))
        wait_for(lambda: len(radio.events(KILLED, "sent")) > before, 40, pause=0.02)
        time.sleep(world.drawn.uniform(0.5, 5.0))
        reader.kill()
        kills += 1
    reader.start(KILLED)
    time.sleep(15)
    confirmed = {value for value in radio.confirmed(KILLED).values()}
    lost = confirmed - reader.held(KILLED)
    reader.stop()
    return {"readings": len(confirmed), "kills": kills, "lost": len(lost)}


def measure(world, make):
    radio = world.radio
    radio.add(LATENCY, leaves="done", interval=100)
    radio.add(KILLED, pace=0.2, interval=100)
    found = {}
    with make(world) as reader:
        for name in (LATENCY, KILLED):
            if not world.check(f"{reader.name} pairs with {name}", reader.pair(name)):
                return found
            # Out of the way of the other until it is its turn.
            radio.order("set", name=name, advertises="pending")
            wait_for(lambda one=name: not radio.status(one)["connected"], 30)
        found["toCommit"] = latency(world, reader)
        reader.stop()
        found["kills"] = lost_to_kills(world, reader)
    radio.clear()
    return found


def run(world):
    results = {"bleak": measure(world, Bleak)}
    world.note(f"bleak: {results['bleak']}")
    # hci0 anew, without what bluetoothd set there.
    world.radio.order("adapter", on=False)
    time.sleep(1)
    world.radio.order("adapter", on=True)
    time.sleep(1)
    if os.path.exists(world.binary):
        results["vitalgate"] = measure(world, Vitalgate)
        world.note(f"vitalgate: {results['vitalgate']}")
        ahead(world, results["vitalgate"], results["bleak"])
    else:
        world.skip("vitalgate's half", f"there is no {world.binary}")
    world.facts.update(results)


def ahead(world, ours, theirs):
    world.check("vitalgate loses no reading to kills", ours.get("kills", {}).get("lost") == 0, ours.get("kills"))
    if not ours.get("toCommit") or not theirs.get("toCommit"):
        return
    mine, peer = ours["toCommit"], theirs["toCommit"]
    if mine["milliseconds"] and peer["milliseconds"]:
        world.check("vitalgate commits sooner after the advertisement (median)", mine["milliseconds"]["median"] <= peer["milliseconds"]["median"],
                    f"{mine['milliseconds']['median']} ms, bleak {peer['milliseconds']['median']} ms")
    world.check("vitalgate needs less memory", mine["residentKilobytesTotal"] <= peer["residentKilobytesTotal"],
                f"{mine['residentKilobytesTotal']} kB, bleak with bluetoothd {peer['residentKilobytesTotal']} kB")
