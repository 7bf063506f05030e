#!/usr/bin/env python3
"""The same work as vitalgate's, as a careful Python programmer would write it: the peer that `make bench` compares with.

Bytes of the standard characteristics are decoded with `struct` and a SFLOAT of our own, as programs on bleak do; mapped to FHIR R4
with `fhir.resources`; stored in SQLite; delivered with `httpx`.

    peer.py conversions --count N --store FILE    frame -> values -> transaction bundle -> SQLite, 100 frames a commit
    peer.py deliveries --count N --base URL       the bundles to a FHIR server, one request after another on one connection
    peer.py check                                 decodes known frames and compares (run by `make bench` first)

Prints one JSON object: count, seconds, perSecond, peakResidentBytes.
"""

import argparse
import datetime
import decimal
import json
import resource
import sqlite3
import struct
import sys
import time
import uuid

from fhir.resources.R4B.bundle import Bundle

LOINC, UCUM, MDC = "http://loinc.org", "http://unitsofmeasure.org", "urn:iso:std:iso:11073:10101"
SPECIAL = {0x07FF: "nan", 0x0800: "nres", 0x07FE: "+inf", 0x0802: "-inf", 0x0801: "reserved"}
COMMIT_EVERY = 100


def sfloat(data, offset):
    """IEEE 11073 SFLOAT: 12-bit mantissa, 4-bit exponent, both signed. None where the device says there is no value."""
    (raw,) = struct.unpack_from("<H", data, offset)
    mantissa, exponent = raw & 0x0FFF, raw >> 12
    if mantissa in SPECIAL:
        return None
    if mantissa >= 0x0800:
        mantissa -= 0x1000
    if exponent >= 8:
        exponent -= 16
    return decimal.Decimal(mantissa).scaleb(exponent)


def date_time(data, offset):
    year, month, day, hour, minute, second = struct.unpack_from("<HBBBBB", data, offset)
    if year == 0 or month == 0 or day == 0:
        return None
    return datetime.datetime(year, month, day, hour, minute, second)


def blood_pressure(data):
    """2A35, Blood Pressure Measurement."""
    flags = data[0]
    reading = {"kind": "blood-pressure", "unit": "kPa" if flags & 1 else "mm[Hg]"}
    reading["systolic"], reading["diastolic"], reading["mean"] = (sfloat(data, 1 + 2 * i) for i in range(3))
    at = 7
    if flags & 2:
        reading["time"] = date_time(data, at)
        at += 7
    if flags & 4:
        reading["pulse"] = sfloat(data, at)
        at += 2
    if flags & 8:
        reading["user"] = data[at]
        at += 1
    if flags & 16:
        (reading["status"],) = struct.unpack_from("<H", data, at)
        at += 2
    if at != len(data):
        raise ValueError("length disagrees with the flags")
    return reading


def spot_check(data):
    """2A5E, PLX Spot-Check Measurement."""
    flags = data[0]
    reading = {"kind": "pulse-oximetry", "spo2": sfloat(data, 1), "pulse": sfloat(data, 3)}
    at = 5
    if flags & 1:
        reading["time"] = date_time(data, at)
        at += 7
    if flags & 2:
        (reading["status"],) = struct.unpack_from("<H", data, at)
        at += 2
    if flags & 4:
        reading["sensor"] = int.from_bytes(data[at : at + 3], "little")
        at += 3
    if flags & 8:
        reading["perfusion"] = sfloat(data, at)
        at += 2
    if at != len(data):
        raise ValueError("length disagrees with the flags")
    return reading


def frames(count):
    """Two blood pressures to one oximeter spot check, each with time; no two alike."""
    start = datetime.datetime(2026, 1, 1)
    for i in range(count):
        at = start + datetime.timedelta(minutes=7 * i)
        stamp = struct.pack("<HBBBBB", at.year, at.month, at.day, at.hour, at.minute, at.second)
        if i % 3 < 2:
            yield "2a35", struct.pack("<BHHH", 0x1E, 110 + i % 40, 70 + i % 20, 85 + i % 25) + stamp + struct.pack("<HBH", 55 + i % 40, 1, 0)
        else:
            yield "2a5e", struct.pack("<BHH", 0x01, 90 + i % 10, 55 + i % 40) + stamp


def concept(code, mdc, text):
    return {"coding": [{"system": LOINC, "code": code, "display": text}, {"system": MDC, "code": str(mdc)}]}


def quantity(value, unit, code):
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def observation(code, mdc, text, subject, device, reading):
    return {
        "resourceType": "Observation",
        "meta": {"profile": ["http://hl7.org/fhir/uv/phd/StructureDefinition/PhdNumericObservation"]},
        "identifier": [{"value": f"{device}-{reading['time'].isoformat()}-{mdc}"}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": concept(code, mdc, text),
        "subject": {"reference": subject},
        "effectiveDateTime": reading["time"].isoformat() + "+00:00",
        "performer": [{"reference": subject}],
        "device": {"reference": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, device)}"},
    }


def bundle(reading, subject="Patient/p1", serial="0001"):
    """One act as a transaction with conditional creates: its observations, the device and the gateway."""
    device = f"00-11-22-33-44-55-66-77-{serial}"
    gateway = "hub-1"
    found = []
    if reading["kind"] == "blood-pressure":
        panel = observation("85354-9", 150020, "Blood pressure panel", subject, device, reading)
        panel["component"] = [
            {"code": concept(code, mdc, text), "valueQuantity": quantity(reading[name], "mmHg", "mm[Hg]")}
            for name, code, mdc, text in (
                ("systolic", "8480-6", 150021, "Systolic"), ("diastolic", "8462-4", 150022, "Diastolic"), ("mean", "8478-0", 150023, "Mean"))
            if reading[name] is not None
        ]
        found.append(panel)
        pulse_code = 149546
    else:
        saturation = observation("59408-5", 150456, "Oxygen saturation", subject, device, reading)
        saturation["valueQuantity"] = quantity(reading["spo2"], "%", "%")
        found.append(saturation)
        pulse_code = 149530
    if reading.get("pulse") is not None:
        pulse = observation("8867-4", pulse_code, "Pulse rate", subject, device, reading)
        pulse["valueQuantity"] = quantity(reading["pulse"], "bpm", "/min")
        found.append(pulse)
    entries = []
    for resource_ in found:
        entries.append({
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": resource_,
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=" + resource_["identifier"][0]["value"]},
        })
    for identifier, profile in ((device, "PhdDevice"), (gateway, "PhgDevice")):
        entries.append({
            "fullUrl": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, identifier)}",
            "resource": {
                "resourceType": "Device",
                "meta": {"profile": ["http://hl7.org/fhir/uv/phd/StructureDefinition/" + profile]},
                "identifier": [{"system": "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680", "value": identifier}],
                "manufacturer": "A&D Medical", "modelNumber": "UA-651BLE", "serialNumber": serial,
            },
            "request": {"method": "POST", "url": "Device", "ifNoneExist": "identifier=" + identifier},
        })
    return Bundle.model_validate({"resourceType": "Bundle", "type": "transaction", "entry": entries})


DECODERS = {"2a35": blood_pressure, "2a5e": spot_check}


def converted(count):
    for characteristic, data in frames(count):
        yield data, bundle(DECODERS[characteristic](data)).model_dump_json(exclude_none=True)


def report(count, seconds):
    print(json.dumps({
        "count": count, "seconds": round(seconds, 4), "perSecond": round(count / seconds, 1),
        "peakResidentBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


def conversions(count, store):
    database = sqlite3.connect(store, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, frame BLOB NOT NULL, bundle TEXT NOT NULL)")
    list(converted(20))  # the models are built on first use
    begun = time.perf_counter()
    database.execute("BEGIN")
    for number, (frame, text) in enumerate(converted(count), 1):
        database.execute("INSERT INTO reading (frame, bundle) VALUES (?, ?)", (frame, text))
        if number % COMMIT_EVERY == 0:
            database.execute("COMMIT")
            database.execute("BEGIN")
    database.execute("COMMIT")
    report(count, time.perf_counter() - begun)


def deliveries(count, base):
    import httpx

    bodies = [text for _, text in converted(count)]
    headers = {"content-type": "application/fhir+json", "accept": "application/fhir+json"}
    with httpx.Client(headers=headers, timeout=30) as client:
        begun = time.perf_counter()
        for body in bodies:
            client.post(base, content=body).raise_for_status()
        report(count, time.perf_counter() - begun)


def check():
    reading = blood_pressure(bytes.fromhex("1e7800500060 00ea0701020304053f00010000".replace(" ", "")))
    assert (reading["systolic"], reading["diastolic"], reading["mean"], reading["pulse"]) == (120, 80, 96, 63), reading
    assert reading["time"] == datetime.datetime(2026, 1, 2, 3, 4, 5), reading
    assert sfloat(bytes.fromhex("cff3"), 0) == decimal.Decimal("97.5"), sfloat(bytes.fromhex("cff3"), 0)
    assert sfloat(bytes.fromhex("ff07"), 0) is None
    text = json.loads(bundle(reading).model_dump_json(exclude_none=True))
    assert text["entry"][0]["resource"]["component"][0]["valueQuantity"]["code"] == "mm[Hg]"
    print(json.dumps({"checked": True}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("conversions", "deliveries", "check"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--store", default=":memory:")
    parser.add_argument("--base")
    arguments = parser.parse_args()
    if arguments.work == "conversions":
        conversions(arguments.count, arguments.store)
    elif arguments.work == "deliveries":
        deliveries(arguments.count, arguments.base)
    else:
        check()


if __name__ == "__main__":
    sys.exit(main())
