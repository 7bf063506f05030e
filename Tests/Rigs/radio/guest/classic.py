"""Bluetooth Classic for the suite: btvirt's two linked dual-mode controllers, the first the hub's, a Bumble serial-port device on the second.

Bumble's own controller has too little of BR/EDR for the kernel's side; btvirt (of BlueZ's own tests) has inquiry, pages, names, simple pairing and legacy PINs. The device takes
its controller through the HCI user channel, so that the kernel leaves it alone.
"""

import contextlib
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def controllers():
    """Indexes of the kernel's controllers."""
    return sorted(int(name[3:]) for name in os.listdir("/sys/class/bluetooth") if name.startswith("hci") and name[3:].isdigit())


class ClassicDevice:
    """btvirt and a serial-port device; `events` are what the device wrote down."""

    def __init__(self, folder, name, pin=None, records=3):
        self.folder, self.name, self.pin, self.records = folder, name, pin, records
        self.path = os.path.join(folder, f"{name}.classic.jsonl")
        self.emulator = self.device = None

    def __enter__(self):
        before = controllers()
        self.log = open(os.path.join(self.folder, "classic.log"), "ab", buffering=0)
        self.emulator = subprocess.Popen(["btvirt", "-l2"], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 20
        while len(controllers()) < len(before) + 2:
            if time.monotonic() > end:
                raise RuntimeError(f"btvirt made no controllers: {controllers()}")
            time.sleep(0.1)
        self.ours, self.theirs = [one for one in controllers() if one not in before][:2]
        # The kernel sets a new controller up for a moment; until then the user channel is busy.
        self.start_device()
        return self

    def start_device(self, seconds=30):
        command = [sys.executable, os.path.join(HERE, "serial_device.py"), "--controller", str(self.theirs), "--log", self.path, "--name", self.name]
        command += ["--pin", self.pin] if self.pin else []
        command += ["--records", str(self.records)]
        end = time.monotonic() + seconds
        while True:
            self.device = subprocess.Popen(command, stdout=self.log, stderr=self.log)
            while self.device.poll() is None and not self.events("ready"):
                if time.monotonic() > end:
                    raise RuntimeError("the serial device did not start")
                time.sleep(0.1)
            if self.device.poll() is None:
                return
            if time.monotonic() > end:
                raise RuntimeError("the serial device ended at its start")
            time.sleep(0.5)

    def events(self, event=None):
        found = []
        with contextlib.suppress(FileNotFoundError):
            with open(self.path, encoding="utf-8") as file:
                found = [json.loads(line) for line in file if line.endswith("\n")]
        return [one for one in found if event is None or one["event"] == event]

    @property
    def address(self):
        return self.events("ready")[-1]["address"]

    def __exit__(self, *_):
        for process in (self.device, self.emulator):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)
        self.log.close()


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def run(world):
    # The LE radio makes room: its adapter is not what is under test.
    world.radio.order("adapter", on=False)
    try:
        one_way(world, "an old PIN", "Nonin_Medical_Inc._501234", pin="501234")
        one_way(world, "simple pairing", "rig-serial", model="rig-serial")
    finally:
        world.radio.order("adapter", on=True)


def one_way(world, how, name, pin=None, model=None):
    with ClassicDevice(world.folder, name, pin=pin) as device, world.hub(receiver=False) as hub:
        hub.start()
        found = hub.find(name, seconds=13)
        world.check(f"{how}: the device is found, as one of Bluetooth Classic", found["type"] == "classic" and found["address"].split("/")[0] == device.address, found)
        code, steps, error = hub.pair(world.radio, device.address, "oxi", model=model, pin=pin, seconds=120)
        told = [step.get("step") for step in steps]
        if not world.check(f"{how}: it is paired", code == 0 and device.events("paired"), f"exit {code}, {told}: {error}"):
            return
        code, steps, error = hub.verify("oxi", 120)
        world.check(f"{how}: it is verified", code == 0, f"exit {code}, {[step.get('step') for step in steps]}: {error}")
        world.check(f"{how}: the serial port was found by SDP and opened", wait_for(lambda: device.events("opened"), 60), [one["event"] for one in device.events()])
        world.check(f"{how}: every record is acknowledged", wait_for(lambda: len(device.events("confirmed")) >= device.records, 60),
                    [one["event"] for one in device.events()][-12:])
        held = {one["hex"] for one in device.events("confirmed")}
        kept = hub.frames("oxi")
        world.lost += len(held - set(kept))
        world.check(f"{how}: what was acknowledged is in the journal once", held and not held - set(kept) and len(kept) == len(set(kept)), f"{len(held)} acknowledged, {len(kept)} kept")
        world.check(f"{how}: nothing was acknowledged that was not sent", not device.events("confirmation-unasked"))
