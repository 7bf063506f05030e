"""A peripheral that pairs properly and then misbehaves, as told: for the hub, which must neither crash nor leak nor neglect the others.

Added with `fuzzer: true`; an order {"do": "behave", "name": ..., "how": ...} changes its manners at once, links included:

    well         as a cuff
    lengths      every request is answered with a PDU of the right kind and a wrong length
    unasked      answers and confirmations to nothing, as soon as there is a link and after every request
    endless      discovery without an end: each request finds another service or characteristic, up to handle 0xFFFF
    circling     discovery that comes back: the handles that are found never grow
    requests     requests and commands to the hub, of every opcode, well-formed and not; the answers are counted
    flood        notifications of full length without a pause, and indications without waiting for a confirmation
    silent       no request is ever answered
    wild         PDUs of random bytes, also on the channels of the security manager, of signalling and of none
    connects     hangs up as soon as it is connected, and advertises at once again
    advertising  its advertising data is malformed, another each time, and hundreds of addresses advertise so

Its log has `behaves`, and `answered` with what came back to `requests`.
"""

import asyncio
import random
import struct

from bumble import hci, ll

import peripherals

ATT, SIGNALLING, SECURITY = 4, 5, 6
ERROR, MTU, FIND_INFORMATION, FIND_BY_VALUE, READ_BY_TYPE, READ, READ_BLOB, READ_BY_GROUP, WRITE = 0x01, 0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x10, 0x12
ANSWERS = (0x01, 0x03, 0x05, 0x07, 0x09, 0x0B, 0x0D, 0x0F, 0x11, 0x13, 0x17, 0x1E, 0x21)
REQUESTS = (0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0E, 0x10, 0x12, 0x16, 0x18, 0x20, 0x52, 0xD2, 0x00, 0x1F, 0x23, 0x3E, 0xFF)


def malformed_advertising(drawn):
    """Up to 31 bytes that are no sequence of AD structures, or one that says nonsense (Core 5.4, volume 3, part C, section 11)."""
    kind = drawn.randrange(9)
    if kind == 0:
        return bytes([31]) + drawn.randbytes(5)  # longer than what is there
    if kind == 1:
        return bytes([0] * 10) + b"\x02\x01\x06"  # ends early
    if kind == 2:
        return bytes([1, 0x03, 2, 0x03, 0x10, 4, 0x02, 0x10, 0x18, 0x22])  # lists of services of odd length
    if kind == 3:
        return b"\x02\x01\x06\x0c\x09" + b"\xff\xfe\x1b[31m\n\x00\xc3("  # a name that is no text, with an escape sequence
    if kind == 4:
        return b"\xff" * 31
    if kind == 5:
        return b""
    if kind == 6:
        return b"\x03\x03\x10\x18" * 7 + b"\x03\x03\x10"  # the same service again and again, cut
    if kind == 7:
        return b"\x02\x01\x06\x03\x03\x10\x18\x02\xff\x4c\x01\xff"  # manufacturer data without a whole company
    return drawn.randbytes(drawn.randrange(32))


class Fuzzer(peripherals.Peripheral):
    def __init__(self, station, options):
        self.how = "well"
        self.drawn = random.Random(options.seed)
        self.work = None
        self.addresses = []
        self.answered = {}
        super().__init__(station, options)
        # Before Bumble parses it: what the hub sends to us matters little, what it answers is counted.
        self.pass_on = self.device.on_gatt_pdu
        self.device.l2cap_channel_manager.register_fixed_channel(ATT, self.on_raw)

    async def behave(self, how, **_):
        self.log.write("behaves", how=how)
        self.how = how
        self.stop_work()
        if how == "advertising":
            self.work = asyncio.get_running_loop().create_task(self.advertise_badly())
        if self.connection is not None:
            self.begin(self.connection)
        await self.advertise_if_wanted()
        return {"answered": self.answered}

    def stop_work(self):
        if self.work is not None:
            self.work.cancel()
            self.work = None

    def begin(self, connection):
        """What it does of its own accord on a link."""
        makers = {"unasked": self.unasked, "requests": self.ask_everything, "flood": self.flood, "wild": self.wild}
        if self.how in makers:
            self.work = asyncio.get_running_loop().create_task(makers[self.how](connection))
        elif self.how == "connects":
            self.leave(connection, "at once")

    def on_encryption(self, connection):
        super().on_encryption(connection)
        self.begin(connection)

    def on_connection(self, connection):
        super().on_connection(connection)
        if self.how in ("connects", "unasked", "wild"):
            self.begin(connection)

    def on_disconnection(self, connection, reason):
        if self.how != "advertising":
            self.stop_work()
        super().on_disconnection(connection, reason)

    def send(self, connection, pdu, channel=ATT):
        if self.connection is connection:
            self.device.send_l2cap_pdu(connection.handle, channel, bytes(pdu))

    # Answers

    def on_raw(self, handle, pdu):
        connection = self.connection
        if connection is None or not pdu:
            return
        op = pdu[0]
        if op & 1:
            key = f"{op:02x}"
            self.answered[key] = self.answered.get(key, 0) + 1
            if self.how != "well":
                return
        if self.how in ("lengths", "endless", "circling", "silent", "unasked") and not op & 0x40 and not op & 1 and op != peripherals.CONFIRMATION:
            answer = getattr(self, "answer_" + self.how)(op, pdu)
            if answer is not None:
                self.send(connection, answer)
                return
            if self.how == "silent":
                return
        self.pass_on(handle, pdu)

    def answer_silent(self, _op, _pdu):
        return None

    def answer_unasked(self, op, _pdu):
        # First what belongs to other requests; the right answer follows.
        for code in ANSWERS:
            if code != op + 1:
                self.send(self.connection, bytes([code]) + self.drawn.randbytes(self.drawn.randrange(0, 22)))
        return None

    def answer_lengths(self, op, _pdu):
        return bytes([op + 1]) + self.drawn.randbytes(self.drawn.choice((0, 1, 2, 3, 5, 21, 22, 200)))

    def answer_endless(self, op, pdu):
        """One more at each request, handles as small as they may be."""
        if op not in (READ_BY_GROUP, READ_BY_TYPE, FIND_INFORMATION, FIND_BY_VALUE):
            return None
        start = max(1, struct.unpack_from("<H", pdu, 1)[0])
        if op == READ_BY_GROUP:
            return struct.pack("<BBHHH", READ_BY_GROUP + 1, 6, start, start, 0x1810)
        if op == READ_BY_TYPE:
            return struct.pack("<BBHBHH", READ_BY_TYPE + 1, 7, start, 0x20, min(0xFFFF, start + 1), 0x2A35)
        if op == FIND_INFORMATION:
            return struct.pack("<BBHH", FIND_INFORMATION + 1, 1, start, 0x2902)
        return struct.pack("<BHH", FIND_BY_VALUE + 1, start, start)

    def answer_circling(self, op, pdu):
        if op == READ_BY_GROUP:
            return struct.pack("<BBHHH", READ_BY_GROUP + 1, 6, 1, 1, 0x1810)
        if op == READ_BY_TYPE:
            return struct.pack("<BBHBHH", READ_BY_TYPE + 1, 7, 1, 0x20, 2, 0x2A35)
        if op == FIND_INFORMATION:
            return struct.pack("<BBHH", FIND_INFORMATION + 1, 1, 1, 0x2902)
        if op == FIND_BY_VALUE:
            return struct.pack("<BHH", FIND_BY_VALUE + 1, 1, 1)
        return None

    # Of its own accord

    async def unasked(self, connection):
        for _ in range(20):
            for code in ANSWERS:
                self.send(connection, bytes([code]) + self.drawn.randbytes(self.drawn.randrange(0, 22)))
            await asyncio.sleep(0.05)

    async def ask_everything(self, connection):
        self.answered = {}
        try:
            for code in REQUESTS:
                for size in (0, 1, 2, 4, 6, 20, 40, 240):
                    self.send(connection, bytes([code]) + self.drawn.randbytes(size))
                    await asyncio.sleep(0.02)
                self.send(connection, bytes([code]) + struct.pack("<HHH", 1, 0xFFFF, 0x2800))
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)
        finally:
            # Also when it is broken off: by other orders, or by the end of the link.
            self.log.write("answered", **self.answered)

    async def flood(self, connection):
        body = self.drawn.randbytes(240)
        for number in range(5000):
            handle = self.measurement.handle if number % 3 else self.drawn.randrange(1, 0x10000)
            code = 0x1D if number % 50 == 0 else 0x1B
            self.send(connection, struct.pack("<BH", code, handle) + body[: self.drawn.randrange(0, 240)])
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        self.log.write("flooded")

    async def wild(self, connection):
        for _ in range(400):
            channel = self.drawn.choice((ATT, ATT, ATT, SIGNALLING, SECURITY, 0x3A, 0x40))
            self.send(connection, self.drawn.randbytes(self.drawn.randrange(1, 60)), channel)
            await asyncio.sleep(0.01)

    async def advertise_badly(self):
        """Straight onto the air: Bumble's host and controller would refuse most of it."""
        number = 0
        while True:
            number += 1
            address = hci.Address(bytes(self.drawn.randbytes(5)) + bytes([0xC0 | self.drawn.randrange(64)]), hci.Address.RANDOM_DEVICE_ADDRESS)
            for _ in range(3):
                self.station.air.send_advertising_pdu(self.controller, ll.AdvInd(advertiser_address=address, data=malformed_advertising(self.drawn)))
            if number % 200 == 0:
                self.log.write("advertised", addresses=number)
            await asyncio.sleep(0.02)
