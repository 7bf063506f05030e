#!/usr/bin/env python3
"""What a careful programmer builds with bleak over bluetoothd: a gateway for one cuff. The peer that the suite compares vitalgate with.

    bleak_peer.py pair ADDRESS                   pairs and trusts
    bleak_peer.py run ADDRESS --database FILE    reads for ever: connect when it advertises, subscribe, commit each reading

Each reading is decoded and committed to SQLite (WAL, synchronous=FULL, as vitalgate does it) inside the notification callback, before
anything else happens. That is all that can be done from here: bluetoothd has confirmed the indication to the device before this process
hears of it. `committed` lines on standard output carry CLOCK_MONOTONIC.
"""

import argparse
import asyncio
import json
import sqlite3
import struct
import sys
import time

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

MEASUREMENT = "00002a35-0000-1000-8000-00805f9b34fb"


def say(event, **more):
    print(json.dumps({"t": round(time.monotonic(), 6), "event": event, **more}), flush=True)


def sfloat(raw):
    mantissa, exponent = raw & 0xFFF, raw >> 12
    mantissa -= 0x1000 if mantissa >= 0x800 else 0
    exponent -= 16 if exponent >= 8 else 0
    return mantissa * 10.0**exponent


def decode(data):
    """2A35: flags, three SFLOATs, and what the flags say (Blood Pressure Service 1.1.1, 3.1)."""
    flags, systolic, diastolic, mean = struct.unpack_from("<BHHH", data)
    at, taken, pulse, user = 7, None, None, None
    if flags & 2:
        year, month, day, hour, minute, second = struct.unpack_from("<HBBBBB", data, at)
        taken, at = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}", at + 7
    if flags & 4:
        pulse, at = sfloat(struct.unpack_from("<H", data, at)[0]), at + 2
    if flags & 8:
        user = data[at]
    return sfloat(systolic), sfloat(diastolic), sfloat(mean), pulse, taken, user


class Database:
    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS reading (id INTEGER PRIMARY KEY, frame BLOB UNIQUE, systolic REAL, diastolic REAL, mean REAL, pulse REAL, taken TEXT, user INTEGER)")

    def commit(self, data):
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(
            "INSERT OR IGNORE INTO reading (frame, systolic, diastolic, mean, pulse, taken, user) VALUES (?, ?, ?, ?, ?, ?, ?)", (data, *decode(data)))
        self.connection.execute("COMMIT")


class Agent(ServiceInterface):
    """Without one, bluetoothd refuses even a pairing without digits."""

    def __init__(self):
        super().__init__("org.bluez.Agent1")

    @method()
    def Release(self):
        pass

    @method()
    def RequestConfirmation(self, device: "o", passkey: "u"):
        pass

    @method()
    def RequestAuthorization(self, device: "o"):
        pass

    @method()
    def Cancel(self):
        pass


async def call(bus, path, interface, member, signature="", body=()):
    answer = await bus.call(Message(destination="org.bluez", path=path, interface=interface, member=member, signature=signature, body=list(body)))
    if answer.message_type == MessageType.ERROR:
        raise RuntimeError(f"{member}: {answer.error_name} {answer.body}")
    return answer.body


async def power_on(bus):
    await call(bus, "/org/bluez/hci0", "org.freedesktop.DBus.Properties", "Set", "ssv", ["org.bluez.Adapter1", "Powered", Variant("b", True)])


async def find(address, seconds=30):
    """The device when it advertises, and when that was."""
    heard = asyncio.get_running_loop().create_future()

    def on_advertisement(device, _data):
        if device.address == address and not heard.done():
            heard.set_result((device, time.monotonic()))

    async with BleakScanner(on_advertisement, bluez={"adapter": "hci0"}):
        try:
            return await asyncio.wait_for(heard, seconds)
        except asyncio.TimeoutError:
            return None, None


async def pair(address):
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    await power_on(bus)
    bus.export("/rig/agent", Agent())
    await call(bus, "/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", "os", ["/rig/agent", "NoInputNoOutput"])
    await call(bus, "/org/bluez", "org.bluez.AgentManager1", "RequestDefaultAgent", "o", ["/rig/agent"])
    device, _ = await find(address)
    if device is None:
        say("not-found")
        return 1
    path = device.details["path"]
    try:
        await call(bus, path, "org.bluez.Device1", "Pair")
    except RuntimeError as error:
        # A plug-in of bluetoothd may have begun a pairing of its own, with which this one collided: what counts is whether it is paired.
        paired = await call(bus, path, "org.freedesktop.DBus.Properties", "Get", "ss", ["org.bluez.Device1", "Paired"])
        say("pair-failed", reason=str(error), paired=paired[0].value)
        if not paired[0].value:
            await call(bus, "/org/bluez/hci0", "org.bluez.Adapter1", "RemoveDevice", "o", [path])
            return 1
    await call(bus, path, "org.freedesktop.DBus.Properties", "Set", "ssv", ["org.bluez.Device1", "Trusted", Variant("b", True)])
    say("paired")
    try:
        await call(bus, path, "org.bluez.Device1", "Disconnect")
    except RuntimeError as error:
        say("disconnect-failed", reason=str(error))
    return 0


async def run(address, database):
    store = Database(database)
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    await power_on(bus)
    say("ready")
    while True:
        device, heard = await find(address, 600)
        if device is None:
            continue
        say("heard", at=round(heard, 6))
        gone = asyncio.Event()

        def on_reading(_characteristic, data):
            store.commit(bytes(data))
            say("committed", hex=bytes(data).hex())

        try:
            async with BleakClient(device, disconnected_callback=lambda _client: gone.set(), timeout=20) as client:
                say("connected")
                await client.start_notify(MEASUREMENT, on_reading)
                say("subscribed")
                await gone.wait()
            say("disconnected")
        except (BleakError, asyncio.TimeoutError, EOFError, KeyError) as error:
            say("connect-failed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pair", "run"))
    parser.add_argument("address")
    parser.add_argument("--database")
    arguments = parser.parse_args()
    if arguments.what == "pair":
        return asyncio.run(asyncio.wait_for(pair(arguments.address), 90))
    return asyncio.run(run(arguments.address, arguments.database))


if __name__ == "__main__":
    sys.exit(main())
