#!/usr/bin/env python3
"""A blood-pressure cuff that is not ours: a small ATT server in Python on a Unix SEQPACKET socket, one link at a time.

The rigs use it where the readings must be chosen (marked values, a pace, hundreds of records) and as a second opinion on the
simulator: nothing here is shared with the Swift code. It keeps each record until its indication was confirmed and sends what was not
confirmed again on the next link, as real cuffs do.

    peripheral.py --socket PATH --ledger FILE --count N [--interval MS] [--seed N] [--frames FILE | --live | --bare] [--per-link N] [--script FILE]

`--live` stamps each record when it is taken (with `--bare` not at all), `--script` names the file that moves the hub's clock: the cuff's
clock moves with it.

The ledger is append-only: `sent N HEX` before each indication, `confirmed N HEX` when its confirmation arrived.
Source of the PDUs: Bluetooth Core 5.4, volume 3, part F, section 3.4.
"""

import argparse
import datetime
import os
import random
import re
import select
import socket
import struct
import sys
import time

ATT_MTU = 185
ERROR, MTU, FIND_INFORMATION, FIND_BY_VALUE, READ_BY_TYPE, READ, READ_BLOB, READ_BY_GROUP, WRITE = 0x01, 0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x10, 0x12
INDICATION, CONFIRMATION = 0x1D, 0x1E
NOT_FOUND, NOT_SUPPORTED, NOT_PERMITTED, INVALID_HANDLE, INVALID_OFFSET = 0x0A, 0x06, 0x03, 0x01, 0x07
PRIMARY, CHARACTERISTIC, CCCD = 0x2800, 0x2803, 0x2902
READABLE, WRITABLE, INDICATES = 0x02, 0x08, 0x20
#: How long a server waits for a confirmation before the link counts as dead (Core 5.4, vol. 3, part F, 3.3.3).
TRANSACTION_SECONDS = 30
HANG_UP_SECONDS = 0.5


def now_as_date_time(at=None):
    at = at or datetime.datetime.now()
    return struct.pack("<HBBBBB", at.year, at.month, at.day, at.hour, at.minute, at.second)


def frame(systolic, diastolic, mean, pulse, at, user=1, status=0):
    """2A35 with time, pulse, user and status; the values are SFLOATs as they go over the wire (16 bits)."""
    return struct.pack("<BHHH", 0x1E, systolic, diastolic, mean) + now_as_date_time(at) + struct.pack("<HBH", pulse, user, status)


def frames(count, seed):
    """Records of the last minutes, one a minute, no two alike."""
    drawn = random.Random(seed)
    first = datetime.datetime.now().replace(second=seed % 60, microsecond=0) - datetime.timedelta(minutes=count + 1)
    for number in range(count):
        yield frame(drawn.randint(100, 160), drawn.randint(60, 95), drawn.randint(75, 110), drawn.randint(50, 99),
                    first + datetime.timedelta(minutes=number))


class Wall:
    """The true time of the rig: the machine's, shifted by `true_offset_seconds` of the script (else not at all)."""

    def __init__(self, script=None):
        self.script = script

    def now(self):
        shift = 0
        if self.script:
            with open(self.script, encoding="utf-8") as file:
                found = re.search(r"^# true_offset_seconds = (-?\d+)", file.read(), re.M)
            shift = int(found.group(1)) if found else 0
        return datetime.datetime.now() + datetime.timedelta(seconds=shift)


class Server:
    """The attribute table, and what a client's requests are answered with."""

    def __init__(self, serial, wall):
        self.wall = wall
        self.attributes = {}  # handle -> (type, value or None, properties)
        self.services = []  # (first, last, uuid)
        handle = 1
        self.values = {
            0x2A00: b"RIG-CUFF", 0x2A49: struct.pack("<H", 0), 0x2A29: b"Rig", 0x2A24: b"RC-1", 0x2A25: serial.encode(), 0x2A26: b"1.0",
            0x2A19: bytes([87]), 0x2A2B: None, 0x2A35: b"",
        }
        for service, characteristics in (
            (0x1800, ((0x2A00, READABLE),)),
            (0x1810, ((0x2A35, INDICATES), (0x2A49, READABLE))),
            (0x1805, ((0x2A2B, READABLE | WRITABLE),)),
            (0x180A, ((0x2A29, READABLE), (0x2A24, READABLE), (0x2A25, READABLE), (0x2A26, READABLE))),
            (0x180F, ((0x2A19, READABLE),)),
        ):
            first = handle
            self.attributes[handle] = (PRIMARY, struct.pack("<H", service), READABLE)
            handle += 1
            for uuid, properties in characteristics:
                self.attributes[handle] = (CHARACTERISTIC, struct.pack("<BHH", properties, handle + 1, uuid), READABLE)
                self.attributes[handle + 1] = (uuid, None, properties)
                if uuid == 0x2A35:
                    self.measurement = handle + 1
                handle += 2
                if properties & INDICATES:
                    self.attributes[handle] = (CCCD, None, READABLE | WRITABLE)
                    self.configuration = handle
                    handle += 1
            self.services.append((first, handle - 1, service))
        self.subscribed = False
        self.mtu = 23
        self.clock_offset = datetime.timedelta()

    def value(self, handle):
        kind, fixed, _ = self.attributes[handle]
        if fixed is not None:
            return fixed
        if kind == CCCD:
            return struct.pack("<H", 2 if self.subscribed else 0)
        if kind == 0x2A2B:
            at = self.wall.now() + self.clock_offset
            return now_as_date_time(at) + bytes([at.isoweekday(), at.microsecond * 256 // 1000000, 0])
        return self.values[kind]

    def answer(self, pdu):
        """The answer to a request; None for what needs none."""
        op = pdu[0]

        def error(code, handle=0):
            return struct.pack("<BBHB", ERROR, op, handle, code)

        try:
            if op == MTU:
                self.mtu = max(23, min(ATT_MTU, struct.unpack_from("<H", pdu, 1)[0]))
                return struct.pack("<BH", MTU + 1, ATT_MTU)
            if op == READ_BY_GROUP:
                start, end, kind = struct.unpack_from("<HHH", pdu, 1)
                found = b"".join(struct.pack("<HHH", *service) for service in self.services if start <= service[0] <= end)
                if kind != PRIMARY or len(pdu) != 7 or not found:
                    return error(NOT_FOUND, start)
                return bytes([READ_BY_GROUP + 1, 6]) + found[: (self.mtu - 2) // 6 * 6]
            if op == FIND_BY_VALUE:
                start, end, kind = struct.unpack_from("<HHH", pdu, 1)
                found = b"".join(struct.pack("<HH", first, last) for first, last, uuid in self.services
                                 if start <= first <= end and kind == PRIMARY and pdu[7:] == struct.pack("<H", uuid))
                return bytes([FIND_BY_VALUE + 1]) + found if found else error(NOT_FOUND, start)
            if op == READ_BY_TYPE:
                start, end = struct.unpack_from("<HH", pdu, 1)
                kind = struct.unpack_from("<H", pdu, 5)[0] if len(pdu) == 7 else None
                found, size = b"", None
                for handle, (its, _, properties) in self.attributes.items():
                    if start <= handle <= end and its == kind and properties & READABLE:
                        entry = struct.pack("<H", handle) + self.value(handle)
                        size = size or len(entry)
                        if len(entry) != size or len(found) + size > self.mtu - 2:
                            break
                        found += entry
                return bytes([READ_BY_TYPE + 1, size]) + found if found else error(NOT_FOUND, start)
            if op == FIND_INFORMATION:
                start, end = struct.unpack_from("<HH", pdu, 1)
                found = b"".join(struct.pack("<HH", handle, its) for handle, (its, _, _) in self.attributes.items() if start <= handle <= end)
                return bytes([FIND_INFORMATION + 1, 1]) + found[: (self.mtu - 2) // 4 * 4] if found else error(NOT_FOUND, start)
            if op in (READ, READ_BLOB):
                (handle,) = struct.unpack_from("<H", pdu, 1)
                offset = struct.unpack_from("<H", pdu, 3)[0] if op == READ_BLOB else 0
                if handle not in self.attributes:
                    return error(INVALID_HANDLE, handle)
                if not self.attributes[handle][2] & READABLE:
                    return error(0x02, handle)
                content = self.value(handle)
                return error(INVALID_OFFSET, handle) if offset > len(content) else bytes([op + 1]) + content[offset : offset + self.mtu - 1]
            if op == WRITE:
                (handle,) = struct.unpack_from("<H", pdu, 1)
                if handle not in self.attributes:
                    return error(INVALID_HANDLE, handle)
                kind = self.attributes[handle][0]
                if kind == CCCD:
                    self.subscribed = pdu[3:4] == b"\x02"
                elif kind == 0x2A2B:
                    year, *rest = struct.unpack_from("<HBBBBB", pdu, 3)
                    self.clock_offset = datetime.datetime(year, *rest) - self.wall.now()
                else:
                    return error(NOT_PERMITTED, handle)
                return bytes([WRITE + 1])
            # Commands (bit 6) and confirmations want no answer.
            return None if op & 0x40 or op == CONFIRMATION else error(NOT_SUPPORTED)
        except (struct.error, ValueError):
            return error(0x04)


class Cuff:
    def __init__(self, arguments):
        self.records = (
            [bytes.fromhex(line) for line in open(arguments.frames, encoding="ascii").read().split()]
            if arguments.frames else list(frames(arguments.count, arguments.seed)))
        self.interval = arguments.interval / 1000
        self.wall = Wall(arguments.script)
        self.per_link = arguments.per_link
        self.live, self.bare = arguments.live, arguments.bare
        self.stamped = set()
        self.server = Server(arguments.serial or f"RIG{arguments.seed:06d}", self.wall)
        self.ledger = os.open(arguments.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.done = 0  # records that were confirmed, oldest first
        self.began = time.monotonic()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.path.exists(arguments.socket):
            os.unlink(arguments.socket)
        self.listener.bind(arguments.socket)
        self.listener.listen(1)

    def account(self, what):
        os.write(self.ledger, f"{what} {self.done + 1} {self.records[self.done].hex()}\n".encode())

    def due(self):
        """Whether the next record was taken already: one every interval."""
        if self.done >= len(self.records) or time.monotonic() < self.began + self.done * self.interval:
            return False
        if (self.live or self.bare) and self.done not in self.stamped:
            self.stamped.add(self.done)
            self.records[self.done] = self.taken(self.records[self.done])
        return True

    def taken(self, record):
        """The record as taken now. Records of one minute differ in their minute, as those of a slower life would."""
        if self.bare:
            # Without bit 1 there is no time stamp.
            return bytes([record[0] & ~2]) + record[1:7] + record[14:]
        at = self.wall.now() + self.server.clock_offset - datetime.timedelta(minutes=9 - self.done % 10)
        return record[:7] + now_as_date_time(at) + record[14:]

    def serve(self, link):
        self.server.subscribed = False
        self.server.mtu = 23
        outstanding = None  # since when an indication waits for its confirmation
        told, leaving = 0, None
        while leaving is None or time.monotonic() < leaving:
            if outstanding is None and leaving is None and self.server.subscribed and self.due():
                self.account("sent")
                link.send(struct.pack("<BH", INDICATION, self.server.measurement) + self.records[self.done])
                outstanding = time.monotonic()
            wait = 0.5
            if leaving is not None:
                wait = 0.05
            elif outstanding is None and self.server.subscribed and self.done < len(self.records):
                wait = min(wait, max(0, self.began + self.done * self.interval - time.monotonic()))
            if not select.select([link], [], [], wait)[0]:
                if outstanding is not None and time.monotonic() - outstanding > TRANSACTION_SECONDS:
                    return
                continue
            pdu = link.recv(1024)
            if not pdu:
                return
            if pdu[0] == CONFIRMATION:
                if outstanding is not None:
                    self.account("confirmed")
                    self.done += 1
                    told += 1
                    outstanding = None
                    if told == self.per_link:
                        # A cuff hangs up when it has told all; not before the hub had time to look at its clock.
                        leaving = time.monotonic() + HANG_UP_SECONDS
                continue
            answer = self.server.answer(pdu)
            if answer is not None:
                link.send(answer)

    def run(self):
        while True:
            link, _ = self.listener.accept()
            try:
                self.serve(link)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                link.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--interval", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", help="a file of frames in hex, one a line, in place of drawn ones")
    parser.add_argument("--serial", help="the serial number in place of one made from the seed")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--script")
    parser.add_argument("--per-link", type=int, help="hang up after so many records")
    Cuff(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
