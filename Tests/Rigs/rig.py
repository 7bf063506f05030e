"""A hub, its devices and its receiver as processes of their own, for the rigs.

    with rig.Rig(directory) as world:
        world.add_receiver()
        world.add_cuff("cuff", count=10)
        world.configure()
        world.start_daemon()
        world.assign("cuff")
        world.wait_confirmed("cuff", 10)

Everything lies in one directory and is ended when the block ends. Every wait has an end; one that runs out raises RigError with what
was waited for and the last lines of the daemon's log.
"""

import collections
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
BINARY = os.environ.get("VITALGATE", os.path.join(ROOT, ".build", "release", "vitalgate"))
PATIENT = "patient-1"
#: The longest list that the hub gives.
MOST = 10000
#: Files that must survive with the database, relative to the state directory.
KEY_FILES = ("key",)


#: MDC codes of observations that go along with a reading: the status bits of a cuff and of an oximeter.
STATUS_CODES = frozenset({"8410608", "150604"})


class RigError(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds, pause=0.05, context=None):
    """Calls `condition` until it gives something true; returns that."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= end:
            raise RigError(f"waited {seconds} s for {what}" + (f"\n{context()}" if context else ""))
        time.sleep(pause)


def device_time(value):
    """The time stamp of a Blood Pressure Measurement (2A35) in hex, as ISO 8601 without zone; None where it has none."""
    data = bytes.fromhex(value)
    if not data[0] & 2:
        return None
    year, month, day, hour, minute, second = struct.unpack_from("<HBBBBB", data, 7)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


class Process:
    """A child with its output in files, and its lines as they come for those who wait for one."""

    def __init__(self, name, command, directory, environment=None, prefix=()):
        self.name = name
        self.output = os.path.join(directory, f"{name}.log")
        self.lines = collections.deque(maxlen=20000)
        self.count = 0
        self._changed = threading.Condition()
        self._log = open(self.output, "ab", buffering=0)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory,
            env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **(environment or {})}, start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._log.write(line)
            with self._changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.count += 1
                self._changed.notify_all()

    @property
    def running(self):
        return self.process.poll() is None

    def wait_line(self, words, seconds, since=0):
        """Waits for a line that holds one of `words`, counted from the `since`-th line; None when time runs out or the child ends."""
        end = time.monotonic() + seconds
        words = (words,) if isinstance(words, str) else words
        with self._changed:
            seen = since
            while True:
                first = self.count - len(self.lines)
                for line in list(self.lines)[max(0, seen - first) :]:
                    if any(word in line for word in words):
                        return line
                seen = self.count
                left = end - time.monotonic()
                if left <= 0 or (not self.running and not self._reader.is_alive()):
                    return None
                self._changed.wait(min(left, 0.2))

    def send(self, number):
        if self.running:
            os.kill(self.process.pid, number)

    def end(self, number=signal.SIGTERM, seconds=10):
        """Ends the child and returns its exit status; kills it where it does not go."""
        self.send(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self._reader.join(5)
        return self.process.returncode

    def tail(self, count=15):
        return "\n".join(f"  {self.name}: {line}" for line in list(self.lines)[-count:])


class Account:
    """What a receiver wrote down: the resources that it stored and the requests that it got."""

    def __init__(self, ledger):
        self.stored, self.asked, self.replaced = [], [], []
        if os.path.exists(ledger):
            with open(ledger, encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        entry = json.loads(line)
                        (self.stored if "stored" in entry else self.replaced if "replaced" in entry else self.asked).append(entry)

    def readings(self):
        """What is stored of patients' readings, less what goes along with them (clock, battery, status bits)."""
        return [one for one in self.stored if (one["subject"] or "").startswith("Patient/") and not set(one["code"]) & STATUS_CODES]

    def reading_ids(self):
        """The hub's own id of each stored reading, once for each time it is stored."""
        return [token.rsplit("urn:uuid:", 1)[1] for one in self.readings() for token in one["identifiers"] if "urn:uuid:" in token]

    def twice(self):
        """Identifiers that stand at more than one stored resource of a type."""
        found = collections.Counter((one["stored"].split("/")[0], token) for one in self.stored for token in one["identifiers"])
        return [key for key, number in found.items() if number > 1]

    @property
    def transactions(self):
        return [one for one in self.asked if one["method"] == "POST"]

    @property
    def resent(self):
        """Requests that stored nothing because all of it was there: the answer to an earlier one was lost."""
        return [one for one in self.transactions if one["status"] in (0, 200) and not one["created"] and one["matched"]]


class Rig:
    def __init__(self, directory, faults=False, name="rig"):
        if not os.path.exists(BINARY):
            raise RigError(f"{BINARY} is not built: run make test, or swift build -c release")
        self.directory = os.path.realpath(directory)
        self.name = name
        self.state = os.path.join(self.directory, "state")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.control = os.path.join(self.directory, "control.sock")
        self.config = os.path.join(self.directory, "vitalgate.toml")
        self.faults = faults
        self.receivers = {}  # name -> dict(port, ledger, faults, process)
        self.cuffs = {}  # name -> dict(socket, ledger, process, model)
        self.tables = {}  # table -> more lines of it, as TOML
        self.extra = ""  # more tables, as TOML
        self.script = None  # a file that moves the hub's clock
        self.level = "info"
        self.daemon = None
        self.starts = 0

    def __enter__(self):
        # A rig that is told to stop ends its processes too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        for process in [self.daemon, *[c["process"] for c in self.cuffs.values()], *[r["process"] for r in self.receivers.values()]]:
            if process is not None and process.running:
                process.end(signal.SIGKILL)

    # Devices and receivers

    def add_receiver(self, name="fhir", start=True, faults=None):
        """A FHIR receiver of the rigs' own; `faults` as receiver.py takes them."""
        self.receivers[name] = {"port": free_port(), "ledger": os.path.join(self.directory, f"{name}.ledger"), "process": None}
        if start:
            self.start_receiver(name, faults)

    def start_receiver(self, name="fhir", faults=None):
        entry = self.receivers[name]
        command = [sys.executable, os.path.join(HERE, "receiver.py"), "--port", str(entry["port"]), "--ledger", entry["ledger"]]
        if faults:
            command += ["--faults", json.dumps(faults)]
        entry["process"] = Process(f"receiver-{name}", command, self.directory)

        def answers():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", entry["port"])) == 0

        wait_for(f"receiver {name} to listen", answers, 20, context=entry["process"].tail)

    def stop_receiver(self, name="fhir"):
        self.receivers[name]["process"].end()

    def base(self, name="fhir"):
        entry = self.receivers[name]
        return entry.get("base") or f"http://127.0.0.1:{entry['port']}/fhir"

    def add_cuff(self, name, count=10, seed=1, interval=0, scenario=None, kind="cuff", model=None, frames=None, options=(), start=True):
        """A device as a process of its own. With a `scenario` it is vitalgate's simulator, otherwise the rigs' own peripheral."""
        entry = {
            "socket": os.path.join(self.directory, f"{name}.sock"), "ledger": os.path.join(self.directory, f"{name}.ledger"),
            "kind": kind, "scenario": scenario, "count": count, "seed": seed, "interval": interval, "frames": frames, "options": options,
            "process": None,
            "model": model or ("generic-blood-pressure" if kind == "cuff" else "generic-pulse-oximeter"),
        }
        self.cuffs[name] = entry
        if start:
            self.start_cuff(name)
        return entry

    def start_cuff(self, name, wait=True):
        """Without `wait` where the hub may have been there and gone before anybody else could look."""
        entry = self.cuffs[name]
        if entry["scenario"]:
            command = [BINARY, "simulate", entry["kind"], "--scenario", entry["scenario"], *entry["options"]]
        else:
            command = [sys.executable, os.path.join(HERE, "peripheral.py"), "--interval", str(entry["interval"]), *entry["options"]]
            if entry["frames"]:
                path = os.path.join(self.directory, f"{name}.frames")
                with open(path, "w", encoding="ascii") as out:
                    out.write("".join(frame.hex() + "\n" for frame in entry["frames"]))
                command += ["--frames", path]
        command += ["--socket", entry["socket"], "--ledger", entry["ledger"], "--count", str(entry["count"]), "--seed", str(entry["seed"])]
        entry["process"] = Process(name, command, self.directory)
        if not wait:
            return
        wait_for(f"{name} to listen", lambda: os.path.exists(entry["socket"]), 20, context=entry["process"].tail)

    def stop_cuff(self, name):
        self.cuffs[name]["process"].end(signal.SIGKILL)

    # Configuration

    def configuration(self):
        """The hub's configuration as text; `tables` adds keys to a table, `extra` whole tables at the end."""
        def table(name, *lines):
            return [f"[{name}]", *lines, *self.tables.get(name, ()), ""]

        text = table("hub", f'state_directory = "{self.state}"', f'control_socket = "{self.control}"', 'system_id = "02-00-5e-ff-fe-00-53-01"')
        text += table("keys", f'file = "{os.path.join(self.state, "key")}"')
        text += table("storage", "ballast_megabytes = 1")
        text += table("clock", *([] if self.script else ["declared = true"]), *([f'script = "{self.script}"'] if self.script else []))
        text += table("log", 'format = "json"', f'level = "{self.level}"')
        if self.faults:
            text += table("test", "faults = true")
        for name in self.receivers:
            text += ["[[receiver]]", f'name = "{name}"', 'kind = "phd"', f'base = "{self.base(name)}"', *self.tables.get("receiver", ())]
            text += ["[receiver.timeouts]", "connect_seconds = 2", "answer_seconds = 5", "total_seconds = 10", "settle_seconds = 0", ""]
        for name, entry in self.cuffs.items():
            text += ["[[device]]", f'name = "{name}"', f'model = "{entry["model"]}"', f'bearer = "socket:{entry["socket"]}"', ""]
        # A machine without a radio would tell so as a condition.
        radio = "" if "[bluetooth]" in self.extra else "\n[bluetooth]\nenabled = false\n"
        return "\n".join(text) + radio + self.extra

    def move_clock(self, offset_seconds, source, true_offset_seconds=None):
        """Writes the script that the hub's clock follows; the rigs' cuffs follow what it calls true."""
        true = offset_seconds if true_offset_seconds is None else true_offset_seconds
        text = f'# true_offset_seconds = {true}\noffset_seconds = {offset_seconds}\nsource = "{source}"\n'
        self.script = self.script or os.path.join(self.directory, "clock.toml")
        with open(self.script + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(self.script + ".new", self.script)

    def configure(self):
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(self.configuration())
        os.chmod(self.config, 0o600)

    # The daemon

    def launch_daemon(self, prefix=(), fault=None, environment=None):
        """Starts the daemon and does not wait."""
        self.starts += 1
        environment = dict(environment or {})
        if fault:
            environment["VITALGATE_FAULT"] = fault
        self.daemon = Process("daemon", [BINARY, "run", "--config", self.config, "--log", "json"], self.directory, environment, prefix)
        return self.daemon

    def start_daemon(self, prefix=(), fault=None, environment=None, seconds=30):
        """Starts the daemon and waits until its control socket answers."""
        daemon = self.launch_daemon(prefix, fault, environment)

        def ready():
            if not daemon.running:
                raise RigError(f"the daemon ended with {daemon.process.returncode} at its start\n{daemon.tail()}")
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.control)
                    return True
                except OSError:
                    return False

        wait_for("the daemon to answer", ready, seconds, pause=0.01, context=daemon.tail)
        return daemon

    def daemon_pid(self):
        """The daemon's own process, also below strace."""
        pid = self.daemon.process.pid
        while True:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() not in ("strace", "env", "sh", "bash"):
                    return pid
            with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
                pid = int(file.read().split()[0])

    def kill_daemon(self):
        self.daemon.end(signal.SIGKILL)

    def stop_daemon(self, seconds=20):
        """Ends the daemon as systemd would; returns its exit status."""
        if self.daemon.running:
            os.kill(self.daemon_pid(), signal.SIGTERM)
        return self.daemon.end(0, seconds)

    # Commands

    def command(self, *arguments, seconds=30):
        """(exit status, standard output, standard error) of one command."""
        done = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
        return done.returncode, done.stdout, done.stderr

    def ask(self, *arguments, seconds=30):
        """What a command of the control socket answers: a list of objects, one a line. Raises RigError when it fails."""
        code, out, error = self.command(*arguments, "--json", "--socket", self.control, seconds=seconds)
        if code != 0:
            raise RigError(f"vitalgate {' '.join(arguments)} ended with {code}: {error.strip()}")
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def operation(self, name, seconds=60, **parameters):
        """An operation over the control socket without a process of its own: what the commands send, for rigs that ask often."""
        body = json.dumps(parameters).encode()
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(seconds)
            link.connect(self.control)
            link.sendall(b"POST /v1/%s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
                         % (name.encode(), len(body)) + body)
            answer = http.client.HTTPResponse(link)
            answer.begin()
            content = answer.read()
        if answer.status != 200:
            raise RigError(f"{name} was answered with {answer.status}: {content[:300].decode('utf-8', 'replace')}")
        return json.loads(content)

    def try_ask(self, *arguments):
        try:
            return self.ask(*arguments, seconds=10)
        except (RigError, subprocess.TimeoutExpired, ValueError):
            return None

    def assign(self, device, patient=PATIENT, recipient="fhir", since="2000-01-01T00:00:00Z"):
        return self.ask("assign", device, "--patient", patient, "--recipient", recipient, "--from", since)

    def readings(self, limit=MOST):
        return self.ask("readings", "list", "--limit", str(limit), seconds=60)

    def outbox(self, limit=MOST):
        return self.ask("outbox", "list", "--limit", str(limit), seconds=60)

    # Ledgers

    def ledger(self, device):
        """What a simulated device holds: {"sent": {number: hex}, "confirmed": {number: hex}}."""
        found = {"sent": {}, "confirmed": {}}
        try:
            with open(self.cuffs[device]["ledger"], encoding="utf-8") as file:
                for line in file:
                    parts = line.split()
                    if len(parts) >= 3 and parts[0] in found and line.endswith("\n"):
                        found[parts[0]][int(parts[1])] = parts[2]
        except FileNotFoundError:
            pass
        return found

    def confirmed(self, device):
        return self.ledger(device)["confirmed"]

    def wait_confirmed(self, device, count, seconds=60):
        return wait_for(f"{count} confirmed readings of {device}", lambda: len(self.confirmed(device)) >= count, seconds,
                        context=lambda: f"{len(self.confirmed(device))} are\n{self.daemon.tail()}")

    def account(self, name="fhir"):
        return Account(self.receivers[name]["ledger"])

    def acts(self):
        """Each act in the journal with the bytes that it was decoded from: {"id", "device", "hex", "effective", "state", "readings"}."""
        rows = self.operation("readings", limit=MOST)
        found = []
        for act in dict.fromkeys(row["act"] for row in rows):
            story = self.operation("reading", id=act)
            found.append({
                "id": act, "device": story["device"], "hex": story["frame"]["hex"], "readings": story["readings"],
                "state": story["decisions"]["state"], "effective": story["decisions"].get("effective")})
        return found

    def item_states(self):
        """State of an item -> how many are in it."""
        return dict(collections.Counter(item["state"] for item in self.operation("outbox", limit=MOST)))

    def conditions(self):
        return self.operation("status").get("conditions", [])

    def check_journal_holds_confirmed(self, out, names):
        """Zero lost, zero doubled between the devices' own accounts and the journal. Returns (confirmed, lost)."""
        held = collections.Counter((name, value) for name in names for value in self.confirmed(name).values())
        kept = collections.Counter((act["device"], act["hex"].lower()) for act in self.acts())
        lost = sorted(set(held) - set(kept))
        doubled = [key for key, number in kept.items() if number > 1]
        extra = sorted(set(kept) - set(held) - {(name, value) for name in names for value in self.ledger(name)["sent"].values()})
        if out is not None:
            out.check("every reading that a device holds as confirmed is in the journal", not lost, f"{len(lost)} of {len(held)} lost, such as {lost[:2]}")
            out.check("no reading is in the journal twice", not doubled, f"{len(doubled)}, such as {doubled[:2]}")
            out.check("the journal holds nothing that no device sent", not extra, extra[:2])
        return held, lost

    def check_exactly_once(self, out, name="fhir"):
        """The receiver holds what the journal owes it, each reading once, in resources and in requests."""
        items = self.outbox()
        states = collections.Counter(item["state"] for item in items)
        out.check("every item is delivered", set(states) == {"delivered"}, dict(states))
        account = self.account(name)
        out.check("the receiver holds no identifier twice", not account.twice(), account.twice()[:3])
        stored, owed = collections.Counter(account.reading_ids()), collections.Counter(item["reading"] for item in items)
        missing, extra = owed - stored, stored - owed
        out.check("the receiver has each reading", not missing, f"{sum(missing.values())} missing, such as {list(missing)[:2]}")
        out.check("the receiver has each reading only once", not extra, f"{sum(extra.values())} too many, such as {list(extra)[:2]}")
        makers = {}
        for one in account.readings():
            makers.setdefault(one["request"], set()).add(one["effective"])
        out.check("each act was taken with one request of its own", all(len(times) == 1 for times in makers.values()))
        out.note(f"{len(items)} readings owed, {len(account.transactions)} transactions at the receiver, {len(account.resent)} of them for "
                 "what it had already (a conditional create answered it)")
        return account

    def wait_delivered(self, seconds=60):
        """Until something is owed and all of it is delivered."""

        def done():
            states = self.item_states()
            return states and not any(states.get(state) for state in ("waiting", "sending", "uncertain"))

        return wait_for("everything owed to be delivered", done, seconds, pause=0.25,
                        context=lambda: f"{self.item_states()}\n{self.daemon.tail()}")
