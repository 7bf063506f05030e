#!/usr/bin/env python3
"""Sends bundles to a FHIR server that nobody of this project wrote, reads back what it stored, and compares.

usage: sekmet_roundtrip.py [--serve] FILE...

Starts sekmet-fhir (PyPI) in a process of its own on a free loopback port, with a fresh store. Each transaction bundle is posted once:
every entry must be created; posted again: every entry must be found again and nothing stand there twice. Then every observation is
searched by its own identifier and compared element by element with what was sent, references resolved. A file NAME.correction beside
NAME.json is the retraction of its readings: posted last, it must leave them entered-in-error, and must be refused when the version has
moved on. Last a control that must be caught: one bundle without its conditional creates stands there twice.

--serve starts the server, prints its base URL on one line, and runs until standard input ends: for tests that bring their own client.
"""

import decimal
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """sekmet-fhir with a store of its own; strict validation, no credentials, its simulator off."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="vitalgate-sekmet-")
        folder = pathlib.Path(self.folder.name)
        port = free_port()
        self.base = f"http://127.0.0.1:{port}/fhir"
        settings = folder / "settings.yaml"
        settings.write_text(
            json.dumps(
                {
                    "host": "127.0.0.1",
                    "port": port,
                    "base_url": self.base,
                    "db_path": str(folder / "store.db"),
                    "simulator": {"enabled": False},
                }
            )
        )
        self.log = open(folder / "log", "w")
        program = pathlib.Path(sys.executable).parent / "sekmet"
        self.process = subprocess.Popen(
            [str(program), "serve", "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                request("GET", self.base + "/metadata")
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    sys.exit("sekmet-fhir did not start")
                time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()


def request(method, url, body=None):
    headers = {"accept": "application/fhir+json", "content-type": "application/fhir+json"}
    message = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(message, timeout=30) as answer:
            return answer.status, parse(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, parse(error.read())


def parse(data):
    return json.loads(data, parse_float=decimal.Decimal) if data else None


def own_identifier(resource):
    for identifier in resource.get("identifier", []):
        if identifier.get("system") == "urn:ietf:rfc:3986":
            return identifier.get("value")
    return None


def differences(sent, stored, places, path=""):
    """Paths at which the stored copy does not say what was sent. The server may add; it may not change or drop."""
    if isinstance(sent, dict):
        if not isinstance(stored, dict):
            return [path]
        found = []
        for key, value in sent.items():
            if key == "reference" and isinstance(value, str):
                if places.get(value, value) != stored.get(key):
                    found.append(f"{path}.{key}")
            elif key not in stored:
                found.append(f"{path}.{key}")
            else:
                found += differences(value, stored[key], places, f"{path}.{key}")
        return found
    if isinstance(sent, list):
        if not isinstance(stored, list) or len(sent) != len(stored):
            return [path]
        return [d for i, (a, b) in enumerate(zip(sent, stored)) for d in differences(a, b, places, f"{path}[{i}]")]
    if isinstance(sent, bool) or isinstance(stored, bool):
        return [] if sent is stored else [path]
    if isinstance(sent, (int, decimal.Decimal)) and isinstance(stored, (int, decimal.Decimal)):
        # Numerically; whether the digits survive is the server's own affair.
        return [] if decimal.Decimal(sent) == decimal.Decimal(stored) else [path]
    return [] if sent == stored else [path]


def count(base, kind, search):
    status, found = request("GET", f"{base}/{kind}?{search}&_summary=count")
    if status != 200:
        raise SystemExit(f"search for {kind} answered {status}")
    return found["total"]


def roundtrip(base, path):
    data = pathlib.Path(path).read_bytes()
    bundle = parse(data)
    problems = []
    entries = bundle["entry"]
    # The patient stands at the receiver before readings of it come.
    for reference in {e["resource"]["subject"]["reference"] for e in entries if "subject" in e["resource"]}:
        if reference.startswith("Patient/"):
            request("PUT", f"{base}/{reference}", json.dumps({"resourceType": "Patient", "id": reference[8:]}).encode())
    status, first = request("POST", base, data)
    if status != 200:
        return [f"first post answered {status}: {json.dumps(first, default=str)[:2000]}"]
    places = {}
    for entry, answer in zip(entries, first["entry"], strict=True):
        location = answer["response"].get("location", "")
        places[entry["fullUrl"]] = "/".join(location.split("/_history")[0].split("/")[-2:])
        code = answer["response"]["status"][:3]
        # Devices are shared by the bundles of a run.
        if code != "201" and not (code == "200" and entry["resource"]["resourceType"] == "Device"):
            problems.append(f"first post: {entry['fullUrl']} answered {code}")
    status, second = request("POST", base, data)
    if status != 200:
        return problems + [f"second post answered {status}"]
    for entry, answer in zip(entries, second["entry"], strict=True):
        code = answer["response"]["status"][:3]
        if code != "200" and "ifNoneExist" in entry["request"]:
            problems.append(f"second post: {entry['fullUrl']} answered {code}, not found again")
    for entry in entries:
        resource, search = entry["resource"], entry["request"].get("ifNoneExist")
        if search and (found := count(base, resource["resourceType"], search)) != 1:
            problems.append(f"{search} stands there {found} times")
        if resource["resourceType"] != "Observation":
            continue
        own = urllib.parse.quote(f"urn:ietf:rfc:3986|{own_identifier(resource)}", safe="")
        status, result = request("GET", f"{base}/Observation?identifier={own}")
        stored = [e["resource"] for e in result.get("entry", []) if e["resource"]["resourceType"] == "Observation"]
        if status != 200 or len(stored) != 1:
            problems.append(f"search by our own identifier found {len(stored)}")
            continue
        problems += [f"stored differently: {d}" for d in differences(resource, stored[0], places, "Observation")]
    correction = pathlib.Path(path).with_suffix(".correction")
    if correction.exists():
        problems += retraction(base, correction.read_text(), entries, places)
    return problems


def retraction(base, text, entries, places):
    problems = []
    # Readings, in order: what is an observation of the patient, and not derived from another.
    readings = [
        places[e["fullUrl"]] for e in entries
        if e["resource"].get("subject", {}).get("reference", "").startswith("Patient/") and "derivedFrom" not in e["resource"]
    ]
    for number, place in enumerate(readings, 1):
        text = text.replace(f"srv-{number}", place.split("/")[1])
    text = text.replace('W/\\"3\\"', 'W/\\"1\\"')
    status, answer = request("POST", base, text.encode())
    if status != 200:
        return [f"the retraction answered {status}: {json.dumps(answer, default=str)[:500]}"]
    derived = [places[e["fullUrl"]] for e in entries if "derivedFrom" in e["resource"]]
    for place in readings + derived:
        _, stored = request("GET", f"{base}/{place}")
        if stored.get("status") != "entered-in-error":
            problems.append(f"{place} still stands as {stored.get('status')}")
    status, _ = request("POST", base, text.encode())
    if status != 412:
        problems.append(f"a retraction of an old version answered {status}, not 412")
    return problems


def control(base, path):
    """Whether an unconditional create is noticed as standing there twice."""
    bundle = parse(pathlib.Path(path).read_bytes())
    for entry in bundle["entry"]:
        entry["request"].pop("ifNoneExist", None)
    with tempfile.TemporaryDirectory() as folder:
        careless = pathlib.Path(folder) / "careless.json"
        careless.write_text(json.dumps(bundle, default=float))
        return any("search by our own identifier found" in problem for problem in roundtrip(base, careless))


def main():
    arguments = sys.argv[1:]
    serve = "--serve" in arguments
    files = [a for a in arguments if a != "--serve"]
    if not serve and not files:
        sys.exit(__doc__)
    server = Server()
    try:
        if serve:
            print(server.base, flush=True)
            sys.stdin.read()
            return 0
        bad = 0
        for path in files:
            problems = roundtrip(server.base, path)
            for problem in problems:
                print(f"{pathlib.Path(path).name}: {problem}")
            bad += bool(problems)
        if not control(server.base, files[0]):
            print("the control was not caught: a doubled reading goes unnoticed")
            bad += 1
        print(f"sekmet-fhir: {len(files)} bundles sent twice and read back, {'ok' if not bad else f'{bad} differ'}")
        return 1 if bad else 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
