#!/usr/bin/env python3
"""A receiver that nobody here wrote: the daemon delivers to sekmet-fhir (PyPI) on loopback, and what it stored is read back.

Values, times and patient are compared with the bytes that the cuff sent, decoded here with a few lines of Python. Halfway the daemon is
killed and started again; each reading stands there once.

    foreign.py     after Tests/Judges/run.sh has made its Python environment (else it is made first)
"""

import decimal
import json
import os
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import report
import rig

COUNT = 8
PYTHON = os.path.join(rig.ROOT, ".build", "judges", "venv", "bin", "python")
SERVER = os.path.join(rig.ROOT, "Tests", "Judges", "sekmet_roundtrip.py")


def request(method, url, body=None):
    message = urllib.request.Request(url, data=body, method=method, headers={"accept": "application/fhir+json", "content-type": "application/fhir+json"})
    with urllib.request.urlopen(message, timeout=30) as answer:
        return json.loads(answer.read(), parse_float=decimal.Decimal)


def values_of(value):
    """Systolic, diastolic, mean and pulse of a 2A35 frame; SFLOATs without exponent, as the rigs' cuff sends them."""
    data = bytes.fromhex(value)
    return (*struct.unpack_from("<HHH", data, 1), struct.unpack_from("<H", data, 14)[0])


def pressures(observation):
    found = {}
    for component in observation.get("component", []):
        for coding in component["code"]["coding"]:
            if coding.get("system") == "http://loinc.org":
                found[coding["code"]] = component["valueQuantity"]["value"]
    return tuple(found.get(code) for code in ("8480-6", "8462-4", "8478-0"))


def main():
    out = report.Report()
    if not os.path.exists(PYTHON):
        out.skip("a receiver that nobody here wrote", "the judges' Python environment is not there (Tests/Judges/run.sh makes it)")
        return out.close()
    server = subprocess.Popen([PYTHON, SERVER, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    base = server.stdout.readline().strip()
    try:
        with tempfile.TemporaryDirectory(prefix="foreign-") as directory, rig.Rig(directory) as world:
            request("PUT", f"{base}/Patient/{rig.PATIENT}", json.dumps({"resourceType": "Patient", "id": rig.PATIENT}).encode())
            world.receivers["fhir"] = {"base": base, "process": None}
            world.add_cuff("cuff", count=COUNT, interval=300)
            world.configure()
            world.start_daemon()
            world.assign("cuff")
            world.wait_confirmed("cuff", COUNT // 2, 30)
            world.kill_daemon()
            world.start_daemon()
            world.wait_confirmed("cuff", COUNT, 30)
            world.wait_delivered(60)
            world.check_journal_holds_confirmed(out, ["cuff"])
            stored, once = [], True
            for item in world.outbox():
                search = urllib.parse.quote(f"urn:ietf:rfc:3986|urn:uuid:{item['reading']}", safe="")
                found = [entry["resource"] for entry in request("GET", f"{base}/Observation?identifier={search}").get("entry", [])
                         if entry["resource"]["resourceType"] == "Observation"]
                once = once and len(found) == 1
                stored += found
            out.check("each reading is found by its own identifier, once", once and len(stored) == 2 * COUNT, len(stored))
            sent = sorted(values_of(value) for value in world.confirmed("cuff").values())
            panels = sorted(pressures(one) for one in stored if one.get("component"))
            out.check("pressures are what the cuff sent", panels == [one[:3] for one in sent] or sorted(panels) == sorted(one[:3] for one in sent), (panels[:1], sent[:1]))
            pulses = sorted(one["valueQuantity"]["value"] for one in stored if "valueQuantity" in one)
            out.check("pulses are what the cuff sent", pulses == sorted(one[3] for one in sent), (pulses[:2], sent[:1]))
            out.check("all stand in the right patient's record", {one["subject"]["reference"].split("/")[-1] for one in stored} == {rig.PATIENT})
            stamps = {rig.device_time(value)[:16] for value in world.confirmed("cuff").values()}
            out.check("at the times that the cuff stamped", {one["effectiveDateTime"][:16] for one in stored} == stamps,
                      sorted({one["effectiveDateTime"] for one in stored})[:2])
            total = request("GET", f"{base}/Observation?category=vital-signs&_summary=count").get("total")
            if total is not None:
                out.check("and there are no others", total == 2 * COUNT, total)
            world.stop_daemon()
    except (rig.RigError, OSError, ValueError, KeyError) as error:
        out.check("the run came to its end", False, f"{type(error).__name__} {error}")
    finally:
        server.stdin.close()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
