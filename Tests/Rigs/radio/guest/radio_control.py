"""Gives the peripherals their orders and reads their logs. Standard library only."""

import json
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class RadioError(Exception):
    pass


class Radio:
    """The peripherals' process and the way to it.

    with Radio("/run/rig") as radio:
        radio.add("cuff-1", records=3)
        radio.wait_event("cuff-1", "confirmed", 3, seconds=60)
    """

    def __init__(self, folder, adapter=True):
        self.folder = folder
        self.logs = os.path.join(folder, "peripherals")
        self.control = os.path.join(folder, "radio.sock")
        self.adapter = adapter
        self.process = self.link = None
        self.restarts = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, seconds=60):
        os.makedirs(self.logs, exist_ok=True)
        if os.path.exists(self.control):
            os.unlink(self.control)
        command = [sys.executable, os.path.join(HERE, "peripherals.py"), "--control", self.control, "--logs", self.logs]
        with open(os.path.join(self.folder, "peripherals.log"), "ab") as log:
            self.process = subprocess.Popen(command + ([] if self.adapter else ["--no-adapter"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + seconds
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(60)
        while True:
            try:
                self.link.connect(self.control)
                break
            except OSError as error:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RadioError(f"the peripherals did not start: {error}; {self.tail()}") from error
                time.sleep(0.05)
        self.reader = self.link.makefile("r", encoding="utf-8")

    def stop(self):
        if self.process is None:
            return
        self.link.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def tail(self, count=15):
        try:
            with open(os.path.join(self.folder, "peripherals.log"), encoding="utf-8", errors="replace") as file:
                return "\n".join(file.read().splitlines()[-count:])
        except FileNotFoundError:
            return ""

    def order(self, what, **more):
        self.link.sendall((json.dumps({"do": what, **more}) + "\n").encode())
        line = self.reader.readline()
        if not line:
            raise RadioError(f"the peripherals are gone\n{self.tail()}")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise RadioError(f"{what} {more}: {answer['error']}")
        return answer

    def add(self, name, **options):
        # A peripheral of that name in an earlier scenario left a log.
        for end in (".jsonl", ".keys.json"):
            path = os.path.join(self.logs, name + end)
            if os.path.exists(path):
                os.unlink(path)
        return self.order("add", name=name, **options)

    def status(self, name):
        return self.order("status", name=name)

    def clear(self):
        """Removes every peripheral."""
        for one in self.order("status")["peripherals"]:
            self.order("remove", name=one["name"])

    # Logs

    def events(self, name, event=None):
        """What a peripheral wrote down, in order."""
        found = []
        try:
            with open(os.path.join(self.logs, f"{name}.jsonl"), encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        one = json.loads(line)
                        if event is None or one["event"] == event:
                            found.append(one)
        except FileNotFoundError:
            pass
        return found

    def keys(self, name):
        """kind -> bytes of the keys that a peripheral's stack keeps of its bonds."""
        with open(os.path.join(self.logs, f"{name}.keys.json"), encoding="utf-8") as file:
            bonds = [bond for bonds in json.load(file).values() for bond in bonds.values()]
        return {kind: bytes.fromhex(one["value"]) for bond in bonds for kind, one in bond.items() if isinstance(one, dict)}

    def confirmed(self, name):
        """number -> hex of what the peripheral holds as confirmed."""
        return {one["number"]: one["hex"] for one in self.events(name, "confirmed")}

    def wait_event(self, name, event, count=1, seconds=60, where=lambda one: True):
        """Until the peripheral wrote down an event that many times; returns the last."""
        end = time.monotonic() + seconds
        while True:
            found = [one for one in self.events(name, event) if where(one)]
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() > end:
                last = [f"{one['t']:.2f} {one['event']}" for one in self.events(name)[-8:]]
                raise RadioError(f"waited {seconds} s for {name} to log {event!r} {count} times, it did {len(found)} times; its last: {', '.join(last)}")
            time.sleep(0.05)

    def wait_confirmed(self, name, count, seconds=60):
        end = time.monotonic() + seconds
        while len(self.confirmed(name)) < count:
            if time.monotonic() > end:
                last = [f"{one['t']:.2f} {one['event']}" for one in self.events(name)[-8:]]
                raise RadioError(f"waited {seconds} s for {count} confirmed records of {name}, {len(self.confirmed(name))} are; its last: {', '.join(last)}")
            time.sleep(0.05)
