#!/usr/bin/env python3
"""Bluetooth LE peripherals for the radio rig: Bumble's stack, on a virtual radio, behaving as real devices do.

    peripherals.py --control SOCKET --logs FOLDER [--no-adapter]

Opens /dev/vhci, which makes the kernel's hci0, and takes orders over a Unix socket, one JSON object a line, answered by one. `do` is
one of Station's methods that begin with `do_`; what a peripheral can be is told by the fields of Options.

Each peripheral writes FOLDER/NAME.jsonl, one object a line: {"t": CLOCK_MONOTONIC, "event": ...}. The daemon on the same kernel reads the
same clock, so its log and this one can be laid side by side. `sent` and `confirmed` carry the number of a record, from 1; a record is given up only when it is
confirmed, as a cuff does.
"""

import argparse
import asyncio
import dataclasses
import datetime
import json
import logging
import os
import random
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from bumble import att, gatt, hci
from bumble.core import AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.profiles.gap import GenericAccessService
from bumble.profiles.gatt_service import GenericAttributeProfileService

import air
import peripheral as wire

ATT_CID = 4
INDICATION, CONFIRMATION, NOTIFICATION = 0x1D, 0x1E, 0x1B
#: How long a server waits for a confirmation before the link counts as dead (Core 5.4, vol. 3, part F, 3.3.3).
TRANSACTION_SECONDS = 30
HUB_ADDRESS = "00:AA:01:00:00:42/P"
CUFF, OXIMETER = 0x1810, 0x1822
APPEARANCE = {"cuff": 0x0381, "oximeter": 0x0C41}
P, A = Characteristic.Properties, att.Attribute


@dataclasses.dataclass
class Options:
    """What a peripheral is like."""

    name: str
    kind: str = "cuff"  # or oximeter
    address: str = ""  # the identity address; drawn from the name where absent
    address_type: str = "random"  # random (static), private (resolvable) or public
    pairing: str = "justworks"  # or passkey (shown here), numeric, none
    passkey: int = 123456
    secure_connections: bool = True
    asks_for_security: bool = False  # sends a Security Request when connected
    serial: str = ""
    records: int = 0  # in its memory from the start
    seed: int = 1
    pace: float = 0.0  # seconds between two records of one transfer
    settle: float = 0.1  # seconds from the subscription to the first record
    keeps_subscriptions: bool = False  # a bonded hub need not subscribe again: records come as soon as the link is encrypted
    advertises: str = "always"  # or pending (while it holds a record), never
    interval: int = 250  # of advertising, in milliseconds
    name_in_scan_response: bool = False
    leaves: str = "never"  # or done (when all is confirmed)
    leaves_after: float = 0.0  # seconds from the connection; 0: not
    patience: float = 15.0  # seconds on a link on which nothing was asked yet; 0: without end
    leaves_after_pairing: float = 3.0  # seconds from the first subscription of the link on which it was paired; 0: not
    database_hash: bool = True
    service_changed: bool = True
    clock: bool = True  # has Current Time
    clock_ahead: float = 0.0  # seconds that its clock is ahead, until somebody sets it
    intermediate: int = 0  # cuff pressures (2A36) before each record
    stream: int = 0  # samples of 2A5F, one every 100 ms, after its subscription
    asked: bool = True  # an oximeter sends its memory when it is asked through RACP, not by itself


class Log:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event, **more):
        os.write(self.file, (json.dumps({"t": round(time.monotonic(), 6), "event": event, **more}) + "\n").encode())


class Delegate(PairingDelegate):
    """The person at the device."""

    def __init__(self, peripheral, capability):
        super().__init__(capability)
        self.peripheral = peripheral

    async def generate_passkey(self):
        return self.peripheral.options.passkey

    async def display_number(self, number, digits=6):
        self.peripheral.log.write("passkey-shown", number=f"{number:06d}")

    async def compare_numbers(self, number, digits):
        self.peripheral.log.write("number-shown", number=f"{number:06d}")
        return self.peripheral.agrees

    async def accept(self):
        self.peripheral.log.write("pairing-asked")
        return self.peripheral.options.pairing != "none"

    async def confirm(self, auto=False):
        """A pairing in which nobody compares anything. A device that has a display for it does not put up with that."""
        agreed = self.peripheral.options.pairing == "justworks"
        if not agreed:
            self.peripheral.log.write("just-works-refused")
        return agreed


CAPABILITIES = {
    "none": PairingDelegate.NO_OUTPUT_NO_INPUT, "justworks": PairingDelegate.NO_OUTPUT_NO_INPUT, "passkey": PairingDelegate.DISPLAY_OUTPUT_ONLY,
    "numeric": PairingDelegate.DISPLAY_OUTPUT_AND_YES_NO_INPUT,
}


def drawn_address(name, kind):
    """A static random address has its two highest bits set (Core 5.4, volume 6, part B, 1.3.2.1)."""
    drawn = random.Random(name)
    octets = [drawn.randrange(256) for _ in range(6)]
    octets[0] |= 0xC0
    return ":".join(f"{octet:02X}" for octet in octets) + ("/P" if kind == "public" else "")


class Peripheral:
    def __init__(self, station, options):
        self.station, self.options = station, options
        self.name = options.name
        self.log = Log(os.path.join(station.logs, f"{self.name}.jsonl"))
        self.keys = os.path.join(station.logs, f"{self.name}.keys.json")
        self.address = options.address or drawn_address(self.name, options.address_type)
        address = hci.Address(self.address)
        self.controller = air.PeripheralController(
            self.name, link=station.air, public_address=address if address.is_public else hci.Address("00:00:00:00:00:00/P"))
        host = Host()
        host.controller = self.controller
        self.controller.host = host
        configuration = DeviceConfiguration()
        configuration.name = self.name
        configuration.address = address
        configuration.irk = random.Random("irk" + self.name).randbytes(16)
        configuration.keystore = f"JsonKeyStore:{self.keys}"
        # Bumble's device turns milliseconds into units of 0.625 ms, and its controller takes those for milliseconds.
        configuration.advertising_interval_min = configuration.advertising_interval_max = options.interval * 0.625
        configuration.le_privacy_enabled = options.address_type == "private"
        configuration.le_rpa_timeout = 0
        configuration.gap_service_enabled = configuration.gatt_service_enabled = False
        self.device = Device(config=configuration, host=host)
        self.device.pairing_config_factory = self.pairing_configuration
        host.long_term_key_provider = self.long_term_key
        self.device.on("connection", self.on_connection)
        # The device hands every PDU to this; what a confirmation answers is known here, to the microsecond of its arrival.
        self.serve = self.device.gatt_server.on_gatt_pdu
        self.device.gatt_server.on_gatt_pdu = self.on_pdu
        self.powered = True
        self.agrees = True
        self.records = []  # the bytes of each
        self.confirmed = set()  # numbers
        self.outstanding = None  # (number, future) of the indication that waits
        self.sender = None
        self.connection = None
        self.pairing_link = None  # the one on which it was paired, until its first subscription
        self.connections = 0
        self.kept = {}  # UUID -> CCCD value, of the bonded hub
        self.extra_services = 0
        self.changed = False  # the hub has yet to be told
        self.clock_offset = datetime.timedelta(seconds=options.clock_ahead)
        self.requests = {}
        self.build()

    # What it offers

    def pairing_configuration(self, _connection):
        return PairingConfig(
            sc=self.options.secure_connections, mitm=self.options.pairing in ("passkey", "numeric"), bonding=True,
            delegate=Delegate(self, CAPABILITIES[self.options.pairing]),
            identity_address_type=PairingConfig.AddressType.PUBLIC if self.options.address_type == "public" else PairingConfig.AddressType.RANDOM)

    async def long_term_key(self, handle, rand, ediv):
        """The key that a hub asks for. After a legacy pairing there are two, and the hub's is the one that came from here, by its EDIV and Rand
        (Core 5.4, volume 3, part H, 2.4.4.2); Bumble 0.0.236 takes the other."""
        keys = await self.device.keystore.get(str(self.device.lookup_connection(handle).peer_address)) if self.device.keystore else None
        for one in (keys.ltk_central, keys.ltk_peripheral) if keys else ():
            if one is not None and one.ediv == ediv and one.rand == rand:
                return one.value
        return await self.device.get_long_term_key(handle, rand, ediv)

    def main_services(self):
        """The services of its kind; sets self.measurement, whose indications are its records."""
        if self.options.kind == "cuff":
            self.measurement = Characteristic("2A35", P.INDICATE, 0, b"")
            self.intermediate = Characteristic("2A36", P.NOTIFY, 0, b"")
            return [Service("1810", [self.measurement, self.intermediate, Characteristic("2A49", P.READ, A.READABLE, struct.pack("<H", 0))])]
        self.measurement = Characteristic("2A5E", P.INDICATE, 0, b"")
        self.continuous = Characteristic("2A5F", P.NOTIFY, 0, b"")
        # Supported features: measurement status, stored measurements (bits 0 and 2, PLXS 1.0.1, 3.3).
        features = Characteristic("2A60", P.READ, A.READABLE, struct.pack("<H", 0x0005) + struct.pack("<H", 0x0180))
        self.racp = Characteristic("2A52", P.WRITE | P.INDICATE, A.WRITEABLE, CharacteristicValue(write=self.on_racp))
        return [Service("1822", [self.measurement, self.continuous, features, self.racp])]

    def build(self):
        """The attribute table, from nothing."""
        server = self.device.gatt_server
        server.attributes.clear()
        server.attributes_by_handle.clear()
        server.services.clear()
        server.subscribers.clear()

        def readable(uuid, value):
            return Characteristic(uuid, P.READ, A.READABLE, value)

        generic = GenericAttributeProfileService(
            database_hash_enabled=self.options.database_hash, service_change_enabled=self.options.service_changed)
        self.service_changed = generic.service_changed_characteristic
        appearance = APPEARANCE.get(self.options.kind, 0)
        services = [GenericAccessService(self.name, appearance), generic]
        # Services that were not there before: everything behind them has other handles.
        services += [Service(f"FFE{number}", [readable(f"FFF{number}", b"new")]) for number in range(self.extra_services)]
        services += self.main_services()
        serial = self.options.serial or f"SN-{self.name}"
        services += [
            Service("180A", [readable("2A29", b"Rig"), readable("2A24", b"RR-1"), readable("2A25", serial.encode()), readable("2A26", b"1.0")]),
            Service("180F", [Characteristic("2A19", P.READ | P.NOTIFY, A.READABLE, bytes([87]))]),
        ]
        if self.options.clock:
            clock = Characteristic("2A2B", P.READ | P.WRITE, A.READABLE | A.WRITEABLE, CharacteristicValue(read=self.read_clock, write=self.write_clock))
            services.append(Service("1805", [clock]))
        server.add_services(services)
        for characteristic in [one for service in services for one in service.characteristics]:
            characteristic.on("subscription", lambda link, notify, indicate, one=characteristic: self.on_subscription(link, one, notify, indicate))
        if self.options.pairing != "none":
            self.protect()

    def protect(self):
        """What belongs to a person needs an encrypted link, and one that was paired with a passkey an authenticated one."""
        needed = A.WRITE_REQUIRES_ENCRYPTION | (A.WRITE_REQUIRES_AUTHENTICATION if self.options.pairing != "justworks" else 0)
        owner = None
        for attribute in self.device.gatt_server.attributes:
            if isinstance(attribute, Characteristic):
                owner = attribute
                if attribute.uuid.to_hex_str()[:4].upper() in ("2A2B", "2A52"):
                    attribute.permissions |= needed
            elif attribute.type == gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR and owner in (
                    self.measurement, getattr(self, "racp", None), getattr(self, "continuous", None), getattr(self, "intermediate", None)):
                attribute.permissions |= needed

    # Its radio

    async def start(self):
        await self.device.power_on()
        self.log.write("made", address=self.address, address_type=self.options.address_type)
        self.queue(self.options.records)
        await self.advertise_if_wanted()

    def advertising_data(self):
        service = CUFF if self.options.kind == "cuff" else OXIMETER
        structures = [
            (AdvertisingData.FLAGS, bytes([0x06])),
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, struct.pack("<H", service)),
            (AdvertisingData.APPEARANCE, struct.pack("<H", APPEARANCE.get(self.options.kind, 0))),
        ]
        name = [(AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode())]
        if self.options.name_in_scan_response:
            return bytes(AdvertisingData(structures)), bytes(AdvertisingData(name))
        return bytes(AdvertisingData(structures + name)), b""

    def wants_to_advertise(self):
        if not self.powered or self.connection is not None:
            return False
        if self.options.advertises == "pending":
            return len(self.confirmed) < len(self.records)
        return self.options.advertises == "always"

    async def advertise_if_wanted(self):
        wanted = self.wants_to_advertise()
        if wanted == self.device.is_advertising:
            return
        if wanted:
            data, response = self.advertising_data()
            kind = hci.OwnAddressType.PUBLIC if self.options.address_type == "public" else hci.OwnAddressType.RANDOM
            await self.device.start_advertising(own_address_type=kind, advertising_data=data, scan_response_data=response)
        else:
            await self.device.stop_advertising()
        self.log.write("advertising", on=wanted, address=str(self.device.random_address))

    async def rotate(self):
        """A new resolvable address. Not while it advertises or is connected."""
        address = hci.Address.generate_private_address(self.device.irk)
        await self.device.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))
        self.device.random_address = address

    async def power(self, on):
        """Switched off, it is gone without a word; what it has stored stays."""
        if on == self.powered:
            return
        self.powered = on
        self.log.write("power", on=on)
        if on:
            self.station.air.silent.discard(self.controller)
            if self.options.address_type == "private":
                await self.rotate()
            await self.advertise_if_wanted()
        else:
            await self.advertise_if_wanted()
            self.controller.vanish()
            self.station.air.silent.add(self.controller)
            while self.connection is not None:
                await asyncio.sleep(0.01)

    async def end(self):
        if self.device.is_advertising:
            await self.device.stop_advertising()
        self.powered = False
        self.controller.vanish()
        # The links' ends are told on the next turn of the loop.
        await asyncio.sleep(0.05)
        self.station.air.silent.discard(self.controller)
        self.station.air.remove_controller(self.controller)
        await self.device.power_off()
        self.log.write("removed")

    # Its links

    def on_connection(self, connection):
        self.connection = connection
        self.connections += 1
        self.requests = {}
        self.log.write("connected", peer=str(connection.peer_address), own=str(connection.self_address), number=self.connections)
        connection.on("disconnection", lambda reason: self.on_disconnection(connection, reason))
        connection.on("pairing", lambda keys: self.on_pairing(connection, keys))
        connection.on("pairing_failure", lambda reason: self.log.write("pairing-failed", reason=int(reason)))
        connection.on("connection_encryption_change", lambda: self.on_encryption(connection))
        connection.on("connection_att_mtu_update", lambda: self.log.write("mtu", value=connection.att_mtu))
        if self.options.asks_for_security:
            self.device.request_pairing(connection)
        # The kernel gives up a connect after 4 s and forgets the link where the cancel crosses the connection: nobody is there to end it but the peer.
        if self.options.patience:
            asyncio.get_running_loop().call_later(self.options.patience, self.lose_patience, connection)
        if self.options.leaves_after:
            asyncio.get_running_loop().call_later(self.options.leaves_after, self.leave, connection, "time")

    def on_pairing(self, connection, keys):
        kinds = [name for name in ("ltk", "ltk_central", "ltk_peripheral", "irk", "link_key") if getattr(keys, name, None)]
        long_term = keys.ltk or keys.ltk_peripheral
        self.log.write("paired", keys=kinds, authenticated=bool(long_term and long_term.authenticated))
        self.pairing_link = connection

    def on_disconnection(self, connection, reason):
        self.log.write("disconnected", reason=int(reason), requests=self.requests, reads=self.requests.get("0a", 0))
        if self.connection is connection:
            self.connection = None
        if self.sender is not None:
            self.sender.cancel()
            self.sender = None
        if self.outstanding is not None:
            # Whoever waits for the confirmation waits no more.
            self.outstanding[1].cancel()
            self.outstanding = None
        asyncio.get_running_loop().create_task(self.after_disconnection())

    async def after_disconnection(self):
        if self.powered and self.options.address_type == "private":
            await self.rotate()
        await self.advertise_if_wanted()

    def leave(self, connection, why):
        if self.connection is connection:
            self.log.write("leaves", why=why)
            asyncio.get_running_loop().create_task(self.hang_up(connection))

    def lose_patience(self, connection):
        if not self.requests and not connection.encryption:
            self.leave(connection, "nothing was asked")

    async def hang_up(self, connection):
        try:
            await connection.disconnect()
        except (hci.HCI_Error, asyncio.TimeoutError) as error:
            self.log.write("hang-up-failed", reason=str(error))

    def on_encryption(self, connection):
        self.log.write("encrypted" if connection.encryption else "not-encrypted", authenticated=bool(connection.authenticated))
        if not connection.encryption or not os.path.exists(self.keys):
            return
        if self.options.keeps_subscriptions:
            for characteristic in [one for service in self.device.gatt_server.services for one in service.characteristics]:
                value = self.kept.get(str(characteristic.uuid))
                if value:
                    self.device.gatt_server.subscribers.setdefault(connection, {})[characteristic.handle] = value
            if self.kept.get(str(self.measurement.uuid)):
                self.log.write("subscription-kept")
                self.send_soon(connection, 0)
        if self.changed and self.service_changed is not None and self.kept.get(str(self.service_changed.uuid)):
            asyncio.get_running_loop().create_task(self.tell_change(connection))

    def on_subscription(self, connection, characteristic, notify, indicate):
        uuid = characteristic.uuid.to_hex_str()[:4].lower()
        self.log.write("subscribed", characteristic=uuid, notify=notify, indicate=indicate)
        if self.pairing_link is connection and self.options.leaves_after_pairing:
            self.pairing_link = None
            asyncio.get_running_loop().call_later(self.options.leaves_after_pairing, self.leave, connection, "paired")
        self.kept[str(characteristic.uuid)] = bytes([(1 if notify else 0) | (2 if indicate else 0), 0])
        if characteristic is self.measurement and indicate and not (self.options.kind == "oximeter" and self.options.asked):
            self.send_soon(connection, self.options.settle)
        if self.options.kind == "oximeter" and characteristic is self.continuous and notify and self.options.stream:
            asyncio.get_running_loop().create_task(self.stream(connection))

    # ATT

    def on_pdu(self, connection, pdu):
        if pdu.op_code == CONFIRMATION:
            self.on_confirmation()
            return
        code = f"{pdu.op_code:02x}"
        self.requests[code] = self.requests.get(code, 0) + 1
        self.serve(connection, pdu)

    def on_confirmation(self):
        outstanding, self.outstanding = self.outstanding, None
        if outstanding is None:
            self.log.write("confirmation-unasked")
            return
        number, waiting = outstanding
        if number is not None:
            self.log.write("confirmed", number=number, hex=self.records[number - 1].hex())
            self.confirmed.add(number)
        if not waiting.done():
            waiting.set_result(None)

    def write_pdu(self, connection, pdu):
        self.device.send_l2cap_pdu(connection.handle, ATT_CID, pdu)

    async def indicate(self, connection, handle, value, number=None):
        """One indication, until it is confirmed. One at a time, which ATT demands."""
        while self.outstanding is not None:
            await asyncio.wait([self.outstanding[1]])
        waiting = asyncio.get_running_loop().create_future()
        self.outstanding = (number, waiting)
        if number is not None:
            self.log.write("sent", number=number, hex=value.hex())
        self.write_pdu(connection, struct.pack("<BH", INDICATION, handle) + value)
        try:
            await asyncio.wait_for(waiting, TRANSACTION_SECONDS)
        except asyncio.TimeoutError:
            self.log.write("confirmation-missing", number=number)
            self.outstanding = None
            await self.hang_up(connection)
            raise

    async def tell_change(self, connection):
        await self.indicate(connection, self.service_changed.handle, struct.pack("<HH", 0x0001, 0xFFFF))
        self.changed = False
        self.log.write("change-told")

    # Its records

    def take(self, at, drawn):
        if self.options.kind == "oximeter":
            # With time stamp (bit 0), which the clock has been set for.
            return struct.pack("<BHH", 0x01, drawn.randint(90, 99), drawn.randint(50, 110)) + wire.now_as_date_time(at)
        return wire.frame(drawn.randint(100, 160), drawn.randint(60, 95), drawn.randint(75, 110), drawn.randint(50, 99), at)

    def queue(self, count, spacing=60):
        """More records in its memory, taken one a minute up to now, no two alike."""
        first = len(self.records)
        drawn = random.Random(f"{self.options.seed}/{self.name}/{first}")
        now = (datetime.datetime.now() + self.clock_offset).replace(microsecond=0)
        for number in range(count):
            self.records.append(self.take(now - datetime.timedelta(seconds=spacing * (count - 1 - number)), drawn))
        if count:
            self.log.write("queued", first=first + 1, count=count)

    def send_soon(self, connection, delay):
        if self.sender is None or self.sender.done():
            self.sender = asyncio.get_running_loop().create_task(self.send_records(connection, delay))

    async def send_records(self, connection, delay):
        await asyncio.sleep(delay)
        sent = False
        while self.connection is connection:
            waiting = [number for number in range(1, len(self.records) + 1) if number not in self.confirmed]
            if not waiting:
                break
            for _ in range(self.options.intermediate):
                self.write_pdu(connection, struct.pack("<BHBH", NOTIFICATION, self.intermediate.handle, 0, random.randint(40, 180)) + bytes(4))
            if sent and self.options.pace:
                await asyncio.sleep(self.options.pace)
            try:
                await self.indicate(connection, self.measurement.handle, self.records[waiting[0] - 1], waiting[0])
            except asyncio.TimeoutError:
                return
            sent = True
        if self.options.leaves == "done" and self.connection is connection:
            # A cuff hangs up when it has told all; not before the hub had time to look at its clock.
            await asyncio.sleep(wire.HANG_UP_SECONDS)
            self.leave(connection, "done")

    async def stream(self, connection):
        for number in range(self.options.stream):
            if self.connection is not connection:
                return
            self.write_pdu(connection, struct.pack("<BHBHH", NOTIFICATION, self.continuous.handle, 0, 97 - number % 3, 70 + number % 5))
            await asyncio.sleep(0.1)

    def on_racp(self, connection, value):
        """Report (1), delete (2) and count (4) of all records (operator 1); PLXS 1.0.1, 3.4, and the RACP of the GATT supplement."""
        self.log.write("racp", hex=value.hex())
        asyncio.get_running_loop().create_task(self.answer_racp(connection, value))

    async def answer_racp(self, connection, value):
        code, operator = value[0], value[1] if len(value) > 1 else 0
        if operator != 1 or code not in (1, 2, 4):
            await self.indicate(connection, self.racp.handle, bytes([6, 0, code, 2 if code not in (1, 2, 4) else 3]))
            return
        waiting = [number for number in range(1, len(self.records) + 1) if number not in self.confirmed]
        if code == 4:
            await self.indicate(connection, self.racp.handle, bytes([5, 0]) + struct.pack("<H", len(waiting)))
            return
        if code == 2:
            self.log.write("deleted", numbers=waiting)
            self.confirmed.update(waiting)
        else:
            for number in waiting:
                await self.indicate(connection, self.measurement.handle, self.records[number - 1], number)
        # Success, or no records found (6).
        await self.indicate(connection, self.racp.handle, bytes([6, 0, code, 1 if waiting else 6]))
        if code == 1 and self.options.leaves == "done":
            await asyncio.sleep(wire.HANG_UP_SECONDS)
            self.leave(connection, "done")

    # Its clock

    def read_clock(self, _connection):
        at = datetime.datetime.now() + self.clock_offset
        return wire.now_as_date_time(at) + bytes([at.isoweekday(), at.microsecond * 256 // 1000000, 0])

    def write_clock(self, _connection, value):
        try:
            year, *rest = struct.unpack_from("<HBBBBB", value)
            self.clock_offset = datetime.datetime(year, *rest) - datetime.datetime.now()
        except (struct.error, ValueError) as error:
            self.log.write("clock-refused", hex=value.hex(), reason=str(error))
            raise att.ATT_Error(0x80) from error
        self.log.write("clock-written", hex=value.hex(), offset=self.clock_offset.total_seconds())

    # Orders

    def forget(self):
        """The bond is gone from here, not from the hub."""
        if os.path.exists(self.keys):
            os.unlink(self.keys)
        self.kept.clear()
        self.log.write("bond-forgotten")

    async def change(self):
        """Other firmware, other handles. A hub that is there is told at once, a bonded one when it is back."""
        self.extra_services += 1
        self.build()
        self.changed = True
        self.log.write("changed")
        connection = self.connection
        if connection is not None and self.service_changed is not None and self.kept.get(str(self.service_changed.uuid)):
            self.device.gatt_server.subscribers.setdefault(connection, {})[self.service_changed.handle] = b"\x02\x00"
            asyncio.get_running_loop().create_task(self.tell_change(connection))

    def status(self):
        return {
            "name": self.name, "address": self.address, "type": "public" if self.options.address_type == "public" else "random",
            "own": str(self.device.random_address), "connected": self.connection is not None, "connections": self.connections,
            "encrypted": bool(self.connection and self.connection.encryption), "records": len(self.records), "confirmed": len(self.confirmed),
            "bonded": os.path.exists(self.keys), "advertising": self.device.is_advertising, "powered": self.powered,
            "clock_offset": self.clock_offset.total_seconds(),
        }


class Station:
    """The process: the radio, the peripherals, and who gives orders."""

    def __init__(self, control, logs):
        self.control, self.logs = control, logs
        self.air = air.Air()
        self.hub = None
        self.transport = None
        self.plugged = 0
        self.peripherals = {}
        self.stopped = asyncio.Event()

    async def plug(self):
        self.plugged += 1
        self.transport = air.KernelPort(os.path.join(self.logs, f"hci-{self.plugged}.btsnoop"))
        self.hub = air.HubController("hub", host_source=self.transport, host_sink=self.transport, link=self.air, public_address=HUB_ADDRESS)

    async def unplug(self):
        self.hub.vanish(tell_host=False)
        self.air.remove_controller(self.hub)
        self.transport.close()
        self.hub = self.transport = None

    def find(self, name):
        if name not in self.peripherals:
            raise ValueError(f"no peripheral {name!r}")
        return self.peripherals[name]

    # What can be ordered

    async def do_add(self, **options):
        if options.get("name") in self.peripherals:
            raise ValueError(f"{options['name']!r} is there already")
        kind = Peripheral
        if options.pop("fuzzer", False):
            import fuzzer

            kind = fuzzer.Fuzzer
        made = kind(self, Options(**options))
        self.peripherals[made.name] = made
        await made.start()
        return made.status()

    async def do_remove(self, name):
        await self.peripherals.pop(name).end()

    async def do_set(self, name, **options):
        """Changes options of one that is there."""
        found = self.find(name)
        found.options = dataclasses.replace(found.options, **options)
        await found.advertise_if_wanted()

    async def do_advertise(self, name, on):
        await self.do_set(name, advertises="always" if on else "never")

    async def do_power(self, name, on):
        await self.find(name).power(on)

    async def do_queue(self, name, count, spacing=60):
        found = self.find(name)
        found.queue(count, spacing)
        if found.connection is not None and found.kept.get(str(found.measurement.uuid)) and found.connection.encryption:
            found.send_soon(found.connection, 0)
        await found.advertise_if_wanted()

    async def do_drop(self, name):
        """Hangs up."""
        found = self.find(name)
        if found.connection is not None:
            await found.hang_up(found.connection)

    async def do_vanish(self, name):
        """Out of reach and back: the link ends by itself."""
        self.find(name).controller.vanish()

    async def do_forget(self, name):
        self.find(name).forget()

    async def do_change(self, name):
        await self.find(name).change()

    async def do_agree(self, name, yes):
        self.find(name).agrees = yes

    async def do_behave(self, name, how, **more):
        return await self.find(name).behave(how, **more)

    async def do_status(self, name=None):
        return self.find(name).status() if name else {"peripherals": [one.status() for one in self.peripherals.values()], "adapter": self.hub is not None}

    async def do_adapter(self, on):
        """Pulls the hub's adapter out, or plugs it in."""
        if on and self.hub is None:
            await self.plug()
        elif not on and self.hub is not None:
            await self.unplug()

    async def do_stop(self):
        self.stopped.set()

    # Who orders

    async def serve(self, reader, writer):
        while line := await reader.readline():
            try:
                order = json.loads(line)
                done = await getattr(self, "do_" + order.pop("do"))(**order)
                answer = {"ok": True, **(done or {})}
            except Exception as error:  # The rig must hear of it, whatever it is.
                logging.exception("an order failed")
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            writer.write((json.dumps(answer) + "\n").encode())
            await writer.drain()
        writer.close()

    async def run(self, adapter):
        os.makedirs(self.logs, exist_ok=True)
        if adapter:
            await self.plug()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopped.set)
        server = await asyncio.start_unix_server(self.serve, self.control)
        await self.stopped.wait()
        server.close()
        if self.transport is not None:
            await self.unplug()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--control", required=True)
    parser.add_argument("--logs", required=True)
    parser.add_argument("--no-adapter", action="store_true", help="without /dev/vhci, for tests of the peripherals alone")
    arguments = parser.parse_args()
    logging.basicConfig(level=os.environ.get("BUMBLE_LOGLEVEL", "WARNING"), format="%(asctime)s %(name)s %(levelname)s %(message)s")

    async def run():
        await Station(arguments.control, arguments.logs).run(not arguments.no_adapter)

    asyncio.run(run())


if __name__ == "__main__":
    main()
