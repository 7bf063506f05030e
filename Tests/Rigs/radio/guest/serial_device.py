#!/usr/bin/env python3
"""A pulse oximeter with a serial port on Bluetooth Classic: Bumble's host stack on a controller's HCI user channel.

    serial_device.py --controller N --log FILE [--name NAME] [--pin DIGITS] [--records N] [--serial DIGITS] [--keys FILE]

Discoverable and connectable, one RFCOMM server with its SDP record (Serial Port, 0x1101). It speaks as a Nonin 9560 does in data format
13: it answers commands, sends each record and keeps it until it is acknowledged. Its log has an object a line, with CLOCK_MONOTONIC:
`got` with every byte that came, `sent` and `confirmed` with the record's number. With --pin it knows no simple pairing and answers with those digits, as devices before Bluetooth
2.1 do.

Source of the packets: Nonin 9560 Bluetooth specification, by way of open implementations (OpenTele; mattjlewis/NoninPulseOx).
"""

import argparse
import asyncio
import datetime
import json
import os
import sys
import time

from bumble import rfcomm
from bumble.core import UUID
from bumble.device import Device, DeviceConfiguration
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport

#: Serial Port service class.
SERIAL_PORT = UUID("1101")
RECORD = 0x00010001


class Log:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event, **more):
        os.write(self.file, (json.dumps({"t": round(time.monotonic(), 6), "event": event, **more}) + "\n").encode())


class Delegate(PairingDelegate):
    def __init__(self, pin):
        # Bumble gives a PIN for a keyboard only.
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY if pin else PairingDelegate.NO_OUTPUT_NO_INPUT)
        self.pin = pin

    async def get_string(self, max_length):
        return self.pin


def decimal(number):
    """Two decimal digits in a byte."""
    return number // 10 << 4 | number % 10


class Oximeter:
    """Its memory and its clock, and what it says to what it hears."""

    START, END, ACKNOWLEDGE, REFUSE = 0x02, 0x03, 0x06, 0x15

    def __init__(self, log, count, serial):
        self.log, self.serial = log, serial
        self.records = [self.record(number, count) for number in range(count)]
        self.confirmed = set()
        self.outstanding = None
        self.port = None
        self.heard = b""

    def record(self, number, count):
        """00 | 02 | 000D | length | data | sum | 03; the data: eight bytes of time, status, pulse, reserved, SpO2."""
        at = datetime.datetime.now() - datetime.timedelta(minutes=count - 1 - number)
        time_bytes = bytes(decimal(one) for one in (at.year // 100, at.year % 100, at.month, at.day, at.hour, at.minute, at.second, 0))
        # Status bit 9: the measurement is one of high quality.
        data = time_bytes + b"\x02\x00" + (60 + number % 30).to_bytes(2, "big") + b"\x00" + bytes([92 + number % 7])
        return b"\x00\x02\x00\x0d" + len(data).to_bytes(2, "big") + data + bytes([sum(data) & 0xFF, self.END])

    def open(self, port):
        self.port, self.heard, self.outstanding = port, b"", None

    def closed(self):
        self.port = self.outstanding = None

    def send_next(self):
        waiting = [number for number in range(1, len(self.records) + 1) if number not in self.confirmed]
        if self.port is None or self.outstanding is not None or not waiting:
            return
        self.outstanding = waiting[0]
        self.log.write("sent", number=self.outstanding, hex=self.records[self.outstanding - 1].hex())
        self.port.write(self.records[self.outstanding - 1])

    def hear(self, data):
        self.log.write("got", hex=bytes(data).hex())
        self.heard += data
        while self.heard:
            if self.heard[0] == self.ACKNOWLEDGE:
                if self.outstanding is None:
                    self.log.write("confirmation-unasked")
                else:
                    self.log.write("confirmed", number=self.outstanding, hex=self.records[self.outstanding - 1].hex())
                    self.confirmed.add(self.outstanding)
                    self.outstanding = None
                used = 1
            elif self.heard[0] == self.REFUSE:
                self.log.write("refused", number=self.outstanding)
                self.outstanding = None
                used = 1
            elif self.heard[0] != self.START:
                used = 1
            else:
                if len(self.heard) < 3 or len(self.heard) < 4 + self.heard[2]:
                    return
                used = 4 + self.heard[2]
                self.answer(self.heard[1], self.heard[3 : used - 1])
            self.heard = self.heard[used:]
            self.send_next()

    def answer(self, code, data):
        now = datetime.datetime.now()
        if code == 0x72 and not data:
            self.port.write(bytes([self.START, 0xF2, 6, now.year - 2000, now.month, now.day, now.hour, now.minute, now.second, self.END]))
        elif code == 0x74 and data == b"\x02\x02":
            body = b"\x02" + self.serial.encode()
            self.port.write(bytes([self.START, 0xF4, len(body) + 1]) + body + bytes([sum(body) & 0xFF, self.END]))
        elif code in (0x70, 0x72):
            self.port.write(bytes([self.ACKNOWLEDGE]))
        else:
            self.port.write(bytes([self.REFUSE]))


async def run(arguments):
    log = Log(arguments.log)
    oximeter = Oximeter(log, arguments.records, arguments.serial)
    transport = await open_transport(f"hci-socket:{arguments.controller}")
    configuration = DeviceConfiguration()
    configuration.name = arguments.name
    configuration.classic_enabled = True
    configuration.le_enabled = False
    configuration.classic_ssp_enabled = arguments.pin is None
    configuration.classic_sc_enabled = False
    # Health: pulse oximeter (Assigned Numbers, class of device: major 0x09, minor 0x05).
    configuration.class_of_device = 0x000914
    configuration.keystore = f"JsonKeyStore:{arguments.keys or arguments.log + '.keys'}"
    device = Device.from_config_with_hci(configuration, transport.source, transport.sink)
    device.pairing_config_factory = lambda _connection: PairingConfig(sc=False, mitm=False, bonding=True, delegate=Delegate(arguments.pin))

    def on_connection(connection):
        log.write("connected", peer=str(connection.peer_address))
        connection.on("disconnection", lambda reason: (oximeter.closed(), log.write("disconnected", reason=int(reason))))
        connection.on("connection_encryption_change", lambda: log.write("encrypted" if connection.encryption else "not-encrypted"))

    device.on("connection", on_connection)
    device.host.on("link_key", lambda address, *_: log.write("paired", peer=str(address)))
    await device.power_on()
    server = rfcomm.Server(device)

    def on_port(port):
        log.write("opened")
        oximeter.open(port)
        port.sink = oximeter.hear
        # Records come by themselves, whatever is asked meanwhile.
        asyncio.get_running_loop().call_later(0.5, oximeter.send_next)

    channel = server.listen(on_port)
    device.sdp_service_records = {RECORD: rfcomm.make_service_sdp_records(RECORD, channel, SERIAL_PORT)}
    await device.set_discoverable(True)
    await device.set_connectable(True)
    log.write("ready", channel=channel, address=str(device.public_address).removesuffix("/P"))
    await transport.source.wait_for_termination()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controller", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--name", default="Nonin_Medical_Inc._501234")
    parser.add_argument("--pin")
    parser.add_argument("--records", type=int, default=3)
    parser.add_argument("--serial", default="0501234567")
    parser.add_argument("--keys")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
