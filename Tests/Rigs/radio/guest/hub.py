"""The hub in the guest: vitalgate's daemon on the kernel's adapter, its commands and its receiver.

Everything that the suite takes for granted about the command line stands in this module, and nowhere else:

    vitalgate scan --json --seconds N            one object a step; of step "device": {address, type, name, rssi, model, services}
    vitalgate pair ADDRESS --name NAME [--model ID] [--passkey N] [--pin N] --json     one object a step: {step, ...}; 0 when paired
    vitalgate devices verify NAME --json --timeout SECONDS                             steps likewise; 0 when proved
    vitalgate devices show NAME --log --json     one entry of the communication log a line
    vitalgate devices forget NAME --json
    [bluetooth] enabled = true                   in the configuration
"""

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))

import rig

#: The catalogue's entries, in the share.
CATALOGUE = os.environ.get("VITALGATE_CATALOGUE", "/host/devices")
#: Steps of `pair` that wait for an answer on standard input, and what is asked.
PASSKEY_STEPS = ("passkey-wanted",)
NUMBER_STEPS = ("compare",)
PIN_STEPS = ("pin-wanted",)
#: Words in the daemon's log that mean a connect that failed.
CONNECT_FAILED = ("connect failed", "link failed")


class Hub(rig.Rig):
    """rig.Rig with a radio in place of sockets. `state` may lie on another disk than the rest."""

    def __init__(self, directory, state=None, faults=False, receiver=True, cooldown=1):
        os.makedirs(directory, exist_ok=True)
        super().__init__(directory, faults=faults)
        if state is not None:
            os.makedirs(state, mode=0o700, exist_ok=True)
            self.state = state
        self.bluetooth = ["enabled = true"]
        # Management commands and events by name: what a failure is understood by.
        self.level = "trace"
        self.own_catalogue(cooldown)
        # The guest's disks are small.
        self.tables["storage"] = ("low_megabytes = 8", "full_megabytes = 4")
        if receiver:
            self.add_receiver()
        self.wants_receiver = receiver

    def own_catalogue(self, cooldown):
        """The catalogue's own entries with a shorter pause between two sessions (the suite has no 15 s for each), and two that pair with digits."""
        folder = os.path.join(self.directory, "devices")
        os.makedirs(folder, exist_ok=True)

        def entry(source, name, *changes):
            with open(os.path.join(CATALOGUE, f"{source}.toml"), encoding="utf-8") as file:
                text = file.read()
            for pattern, value in ((r"^cooldown_seconds = \d+$", f"cooldown_seconds = {cooldown}"), *changes):
                text, count = re.subn(pattern, value, text, flags=re.M)
                if count != 1:
                    raise rig.RigError(f"{source}.toml has no line {pattern}")
            with open(os.path.join(folder, f"{name}.toml"), "w", encoding="utf-8") as file:
                file.write(text)

        for name in ("generic-blood-pressure", "generic-pulse-oximeter"):
            entry(name, name)
        for method in ("passkey", "numeric"):
            entry("generic-blood-pressure", f"rig-{method}", (r'^method = "just-works"$', f'method = "{method}"'),
                  (r"^services = \[0x1810\].*$", f'name_prefixes = ["{method}"]'))
        entry("nonin-9560", "rig-serial", (r'^method = "pin"$', 'method = "just-works"'), (r"^pin_hint = .*$", ""),
              (r"^name_prefixes = .*$", 'name_prefixes = ["rig-serial"]'))
        self.tables["hub"] = (f'devices_directory = "{folder}"',)

    def configure(self):
        self.extra = "\n" + "\n".join(["[bluetooth]", *self.bluetooth, ""])
        super().configure()

    def start(self, fault=None, seconds=60):
        return self.start_daemon(fault=fault, seconds=seconds)

    # Commands that only a hub with a radio has

    def scan(self, seconds=5):
        return [one for one in self.ask("scan", "--seconds", str(seconds), seconds=seconds + 60) if one.get("step", "device") == "device"]

    def find(self, name, seconds=5, tries=3):
        """What a scan finds under a name."""
        for _ in range(tries):
            for one in self.scan(seconds):
                if one.get("name") == name:
                    return one
        raise rig.RigError(f"{tries} scans of {seconds} s did not find {name}")

    def steps(self, arguments, seconds, answer=None):
        """Runs a command that tells its steps as JSON lines; (exit status, steps, standard error). `answer` may return what to type after a step."""
        command = [rig.BINARY, *arguments, "--json", "--socket", self.control]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines, errors, steps = queue.Queue(), [], []

        def read():
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        threads = [threading.Thread(target=read, daemon=True), threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        try:
            while True:
                line = lines.get(timeout=max(0.01, end - time.monotonic()))
                if line is None:
                    break
                if not line.strip():
                    continue
                step = json.loads(line)
                step["t"] = time.monotonic()
                steps.append(step)
                typed = answer(step) if answer else None
                if typed is not None:
                    process.stdin.write(f"{typed}\n")
                    process.stdin.flush()
            code = process.wait(max(1, end - time.monotonic()))
        except (queue.Empty, subprocess.TimeoutExpired):
            raise rig.RigError(f"vitalgate {' '.join(arguments)} was not done after {seconds} s; its steps: {[one.get('step') for one in steps]}"
                               f"\n{self.daemon.tail()}") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
            for thread in threads:
                thread.join(5)
        return code, steps, "".join(errors).strip()

    def pair(self, radio, address, name, model=None, passkey=None, pin=None, seconds=150):
        """Pairs with a peripheral of the radio. What its display shows is typed where it is asked for. (exit status, steps, error)"""
        arguments = ["pair", address, "--name", name]
        arguments += ["--model", model] if model else []
        arguments += ["--passkey", str(passkey)] if passkey is not None else []
        arguments += ["--pin", str(pin)] if pin is not None else []

        def shown(event):
            return radio.wait_event(name, event, seconds=20)["number"]

        def answer(step):
            kind = step.get("step")
            if kind in PASSKEY_STEPS:
                return shown("passkey-shown")
            if kind in NUMBER_STEPS:
                return "yes" if f"{int(step['value']):06d}" == shown("number-shown") else "no"
            return None

        return self.steps(arguments, seconds, answer)

    def verify(self, name, seconds=120):
        return self.steps(["devices", "verify", name, "--timeout", str(seconds)], seconds + 30)

    def forget(self, name):
        return self.ask("devices", "forget", name)

    def assign(self, device, patient=rig.PATIENT, recipient="fhir", since="2000-01-01T00:00:00Z"):
        arguments = ["assign", device, "--patient", patient, "--from", since]
        return self.ask(*arguments, *(["--recipient", recipient] if self.wants_receiver else []))

    def log(self, name):
        """The device's communication log: entries with `monotonicMilliseconds` (CLOCK_MONOTONIC) and `kind`."""
        return self.ask("devices", "show", name, "--log")

    def commit_times(self, name):
        """When the daemon says that it committed each frame: hex -> monotonic seconds. The log names acts, never what they hold."""
        frames = {act["id"][:8]: act["hex"].lower() for act in self.acts()}
        found = {}
        for one in self.log(name):
            word = (one.get("detail") or "").split(" ")[0]
            if one.get("kind") == "committed" and word in frames:
                found.setdefault(frames[word], one["monotonicMilliseconds"] / 1000)
        return found

    def claim_adapter(self):
        return self.command("adapter", "claim")

    def reset_adapter(self):
        return self.command("adapter", "reset", "--socket", self.control, seconds=60)

    # What it holds

    def frames(self, name=None):
        """Hex of every frame that stands in the journal as an act, of one device or of all, with repeats."""
        return [act["hex"].lower() for act in self.acts() if name is None or act["device"] == name]

    def connect_failures(self):
        """Connects that failed, as the daemon's own log tells."""
        return sum(1 for line in self.daemon_lines() if any(word in line for word in CONNECT_FAILED))

    def daemon_lines(self):
        try:
            with open(os.path.join(self.directory, "daemon.log"), encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def memory_kilobytes(self):
        """Resident memory of the daemon."""
        with open(f"/proc/{self.daemon_pid()}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
