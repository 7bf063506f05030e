#!/usr/bin/env python3
"""Sends PMD's batches to a FHIR server that nobody of this project wrote, and reads back what it stored.

usage: plain_server.py FILE...

Each FILE is a batch of PUTs. Every entry must be created; sent again, every entry must be an update of the same observation and nothing
stand there twice; what is stored must say what was sent, numbers numerically. A retraction, which goes to ids that another server gave,
is left out. Last a control that must be caught: a value changed behind our back.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import sekmet_roundtrip as plain  # noqa: E402


def answers(base, body):
    """The status of each entry, in order: a plain server echoes no full URL."""
    status, answer = plain.request("POST", base, body)
    if status != 200 or answer.get("type") != "batch-response":
        return [f"{status} {answer}"]
    return [entry["response"]["status"][:3] for entry in answer["entry"]]


def compare(base, bundle):
    """(id, path) of what is stored differently, by the observations' own ids."""
    found = []
    for entry in bundle["entry"]:
        sent = {k: v for k, v in entry["resource"].items() if k != "meta"}
        status, stored = plain.request("GET", f"{base}/Observation/{sent['id']}")
        if status != 200:
            found.append((sent["id"], status))
        else:
            found += [(sent["id"], path) for path in plain.differences(sent, stored, {})]
    return found


def main():
    files = [path for path in sys.argv[1:] if "retraction" not in path]
    if not files:
        sys.exit(__doc__)
    server, bad, sent = plain.Server(), 0, set()
    try:
        for path in files:
            body = pathlib.Path(path).read_bytes()
            bundle = plain.parse(body)
            ids = {entry["resource"]["id"] for entry in bundle["entry"]}
            first, second = answers(server.base, body), answers(server.base, body)
            wanted = ["200" if i in sent else "201" for i in (entry["resource"]["id"] for entry in bundle["entry"])]
            sent |= ids
            found = compare(server.base, bundle)
            for what, good in ((f"first {first}", first == wanted), (f"again {second}", second == ["200"] * len(ids)), (f"stored {found}", not found)):
                if not good:
                    print(f"{pathlib.Path(path).name}: {what}")
                    bad += 1
        total = plain.count(server.base, "Observation", "status=final")
        if total != len(sent):
            print(f"{total} observations for {len(sent)} readings")
            bad += 1
        changed = plain.parse(pathlib.Path(files[0]).read_bytes())
        resource = dict(changed["entry"][0]["resource"], status="amended")
        plain.request("PUT", f"{server.base}/Observation/{resource['id']}", plain.json.dumps(resource, default=float).encode())
        if not compare(server.base, changed):
            print("CONTROL: a changed status was not seen")
            bad += 1
    finally:
        server.stop()
    print(f"sekmet-fhir: {len(files)} batches sent twice and read back, {f'{bad} problems' if bad else 'ok'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
