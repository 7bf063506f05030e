#!/usr/bin/env python3
"""A serial-port device on Bluetooth Classic, of Bumble's host stack on a controller's HCI user channel.

    serial_device.py --controller N --log FILE [--name NAME] [--pin DIGITS] [--send HEX]... [--keys FILE]

Discoverable and connectable, one RFCOMM server with its SDP record (Serial Port, 0x1101). When its port is opened it sends each HEX, and it
writes down what it gets: {"t": CLOCK_MONOTONIC, "event": "got", "hex": ...}. With --pin it knows no simple pairing and answers with
those digits, as devices before Bluetooth 2.1 do.
"""

import argparse
import asyncio
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


async def run(arguments):
    log = Log(arguments.log)
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
        connection.on("disconnection", lambda reason: log.write("disconnected", reason=int(reason)))
        connection.on("connection_encryption_change", lambda: log.write("encrypted" if connection.encryption else "not-encrypted"))

    device.on("connection", on_connection)
    device.host.on("link_key", lambda address, *_: log.write("paired", peer=str(address)))
    await device.power_on()
    server = rfcomm.Server(device)

    def on_port(port):
        log.write("opened")

        def on_bytes(data):
            log.write("got", hex=bytes(data).hex())

        port.sink = on_bytes
        for one in arguments.send:
            port.write(bytes.fromhex(one))
            log.write("sent", hex=one)

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
    parser.add_argument("--name", default="RIG-SPP")
    parser.add_argument("--pin")
    parser.add_argument("--send", action="append", default=[])
    parser.add_argument("--keys")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
