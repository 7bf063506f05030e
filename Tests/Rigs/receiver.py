#!/usr/bin/env python3
"""A FHIR R4 receiver that is not ours: transactions with conditional creates, search by identifier, read; in memory, on loopback.

The rigs count with it: its ledger is append-only, one JSON object a line, written before the answer leaves.

    {"request": 7, "method": "POST", "path": "/fhir", "status": 200, "created": 2, "matched": 1}
    {"stored": "Observation/12", "request": 7, "identifiers": ["urn:..|..."], "code": "85354-9", "effective": "...", "subject": "Patient/p"}

    receiver.py --port N --ledger FILE [--faults JSON]

Faults: {"seed": 1, "refuse": 0.5, "statuses": [429, 503], "retryAfter": 0, "bare": 0.02, "cut": 0.05}; `refuse` is the share of requests
(with `slice`, of stretches of so many seconds) that are answered with one of the statuses and change nothing, `bare` the share of those
without Retry-After, `cut` the share whose connection is closed after they were done.
Source of the rules: FHIR R4, http.html, "transaction" and "conditional create".
"""

import argparse
import http.server
import json
import os
import random
import re
import socket
import sys
import threading
import time
import urllib.parse


def tokens(resource):
    found = resource.get("identifier") or []
    found = found if isinstance(found, list) else [found]
    return [f"{one.get('system', '')}|{one.get('value', '')}" for one in found]


class Store:
    def __init__(self, ledger, faults):
        self.lock = threading.Lock()
        self.resources = {}  # "Type/id" -> (version, resource)
        self.by_token = {}  # (type, "system|value") -> ["Type/id"]
        self.next = 1
        self.requests = 0
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.faults = faults
        self.drawn = random.Random(faults.get("seed", 1))

    def write(self, **entry):
        os.write(self.ledger, (json.dumps(entry) + "\n").encode())

    def search(self, kind, query):
        """References that a search finds; None where it asks what is not known here."""
        parameters = urllib.parse.parse_qsl(query, keep_blank_values=True)
        found = None
        for name, value in parameters:
            if name.startswith("_") and name != "_id":
                continue
            if name == "identifier":
                matching = set()
                for one in value.split(","):
                    if "|" in one:
                        matching |= set(self.by_token.get((kind, one), ()))
                    else:
                        matching |= {ref for (its, token), refs in self.by_token.items() if its == kind and token.split("|", 1)[1] == one for ref in refs}
            elif name == "_id":
                matching = {f"{kind}/{one}" for one in value.split(",") if f"{kind}/{one}" in self.resources}
            else:
                return None
            found = matching if found is None else found & matching
        return sorted(found) if found is not None else None

    def create(self, resource, request):
        kind = resource["resourceType"]
        reference = f"{kind}/{self.next}"
        self.next += 1
        resource = {**resource, "id": reference.split("/")[1], "meta": {**resource.get("meta", {}), "versionId": "1"}}
        self.resources[reference] = (1, resource)
        for token in tokens(resource):
            self.by_token.setdefault((kind, token), []).append(reference)
        coding = (resource.get("code", {}).get("coding") or [{}])
        self.write(stored=reference, request=request, identifiers=tokens(resource), code=[one.get("code") for one in coding],
                   effective=resource.get("effectiveDateTime"), subject=resource.get("subject", {}).get("reference"))
        return reference

    def replace(self, reference, resource, request):
        version = self.resources.get(reference, (0, None))[0] + 1
        kind, number = reference.split("/")
        resource = {**resource, "id": number, "meta": {**resource.get("meta", {}), "versionId": str(version)}}
        self.resources[reference] = (version, resource)
        for token in tokens(resource):
            found = self.by_token.setdefault((kind, token), [])
            if reference not in found:
                found.append(reference)
        self.write(replaced=reference, request=request, version=version, resourceStatus=resource.get("status"))
        return version

    def transaction(self, bundle, request):
        """All entries or none; (status, body, created, matched)."""
        plan, names = [], {}
        for entry in bundle.get("entry", []):
            wish = entry["request"]
            kind, _, query = wish["url"].partition("?")
            if wish["method"] == "POST":
                query = wish.get("ifNoneExist", "")
                found = self.search(kind, query.lstrip("?")) if query else []
                if found is None:
                    return 400, outcome("not-supported", f"search {query}"), 0, 0
                if len(found) > 1:
                    return 412, outcome("multiple-matches", f"{kind}?{query}"), 0, 0
                # Two entries of one transaction with the same condition are one resource.
                same = next((one for one in plan if query and one[1] == kind and one[3] == query), None)
                plan.append(["matched" if found or same else "create", kind, entry, query, found[0] if found else None, same])
            elif wish["method"] == "PUT" and "/" in kind:
                plan.append(["replace", kind, entry, query, kind, None])
            elif wish["method"] == "PUT" and query:
                found = self.search(kind, query)
                if found is None or len(found) > 1:
                    return 412, outcome("multiple-matches", f"{kind}?{query}"), 0, 0
                plan.append(["replace" if found else "create", kind, entry, query, found[0] if found else None, None])
            else:
                return 400, outcome("not-supported", wish["method"]), 0, 0
        for step in plan:
            if step[0] == "create":
                step[4] = f"{step[1]}/{self.next + sum(1 for other in plan[: plan.index(step)] if other[0] == 'create')}"
            elif step[5] is not None:
                step[4] = step[5][4]
            if step[2].get("fullUrl"):
                names[step[2]["fullUrl"]] = step[4]
        answers, created, matched = [], 0, 0
        for action, kind, entry, _, reference, _ in plan:
            resource = resolved(entry.get("resource", {}), names)
            if action == "create":
                stored = self.create(resource, request)
                assert stored == reference, (stored, reference)
                created += 1
                answers.append({"response": {"status": "201 Created", "location": f"{stored}/_history/1", "etag": 'W/"1"'}})
            elif action == "replace":
                version = self.replace(reference, resource, request)
                answers.append({"response": {"status": "200 OK", "location": f"{reference}/_history/{version}", "etag": f'W/"{version}"'}})
            else:
                matched += 1
                version = self.resources[reference][0]
                answers.append({"response": {"status": "200 OK", "location": f"{reference}/_history/{version}", "etag": f'W/"{version}"'}})
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}, created, matched


def resolved(value, names):
    """References to entries of the same transaction become references to what was stored; identifiers stay as they are."""
    if isinstance(value, dict):
        return {key: names.get(inner, inner) if key == "reference" and isinstance(inner, str) else resolved(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, names) for inner in value]
    return value


def outcome(code, text):
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None
    base = "/fhir"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def answer(self, status, body, headers=(), created=0, matched=0, number=0):
        content = json.dumps(body).encode()
        self.store.write(request=number, method=self.command, path=self.path, status=status, created=created, matched=matched)
        head = [f"HTTP/1.1 {status} {http.server.BaseHTTPRequestHandler.responses.get(status, ('',))[0]}", "content-type: application/fhir+json",
                f"content-length: {len(content)}", *(f"{name}: {value}" for name, value in headers)]
        self.wfile.write("\r\n".join(head).encode() + b"\r\n\r\n" + content)

    def refuses(self, faults):
        share = faults.get("refuse", 0)
        if "slice" not in faults:
            return self.store.drawn.random() < share
        turn = int(time.monotonic() / faults["slice"])
        return random.Random(f"{faults.get('seed', 1)} {turn}").random() < share

    def handle_all(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        store = self.store
        with store.lock:
            store.requests += 1
            number = store.requests
            faults = store.faults
            if self.refuses(faults):
                status = store.drawn.choice(faults.get("statuses", [503]))
                named = "retryAfter" in faults and store.drawn.random() >= faults.get("bare", 0)
                headers = [("retry-after", faults["retryAfter"])] if named else []
                return self.answer(status, outcome("throttled" if status == 429 else "processing", "asked to"), headers, number=number)
            cut = store.drawn.random() < faults.get("cut", 0)
            path, _, query = self.path.partition("?")
            if not path.startswith(self.base):
                return self.answer(404, outcome("not-found", path), number=number)
            path = path[len(self.base) :].strip("/")
            headers, created, matched = [], 0, 0
            try:
                if self.command == "GET" and path == "metadata":
                    status, reply = 200, {"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1", "format": ["json"]}
                elif self.command == "GET" and re.fullmatch(r"\w+/[\w.-]+(/_history/\d+)?", path):
                    found = store.resources.get("/".join(path.split("/")[:2]))
                    status, reply = (200, found[1]) if found else (404, outcome("not-found", path))
                    headers = [("etag", f'W/"{found[0]}"')] if found else []
                elif self.command == "GET" and re.fullmatch(r"\w+", path):
                    found = store.search(path, query)
                    if found is None:
                        status, reply = 400, outcome("not-supported", query)
                    else:
                        status, reply = 200, {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": [
                            {"fullUrl": f"http://{self.headers.get('host')}{self.base}/{ref}", "resource": store.resources[ref][1], "search": {"mode": "match"}} for ref in found]}
                elif self.command == "POST" and path == "":
                    status, reply, created, matched = store.transaction(json.loads(body), number)
                elif self.command == "POST" and re.fullmatch(r"\w+", path):
                    resource = json.loads(body)
                    wish = self.headers.get("if-none-exist")
                    found = store.search(path, wish) if wish else []
                    if found:
                        status, reply, matched = (200 if len(found) == 1 else 412), store.resources[found[0]][1], 1
                        headers = [("location", f"{self.base}/{found[0]}/_history/{store.resources[found[0]][0]}")]
                    else:
                        reference = store.create(resource, number)
                        status, reply, created = 201, store.resources[reference][1], 1
                        headers = [("location", f"{self.base}/{reference}/_history/1")]
                elif self.command == "PUT" and re.fullmatch(r"\w+/[\w.-]+", path):
                    version = store.replace(path, json.loads(body), number)
                    status, reply, headers = 200, store.resources[path][1], [("etag", f'W/"{version}"')]
                else:
                    status, reply = 404, outcome("not-found", path)
            except (ValueError, KeyError, TypeError) as error:
                status, reply = 400, outcome("structure", f"{type(error).__name__}: {error}")
            if cut:
                store.write(request=number, method=self.command, path=self.path, status=0, created=created, matched=matched)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            return self.answer(status, reply, headers, created, matched, number)

    do_GET = do_POST = do_PUT = handle_all


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--faults", type=json.loads, default={})
    arguments = parser.parse_args()
    Handler.store = Store(arguments.ledger, arguments.faults)
    http.server.ThreadingHTTPServer.daemon_threads = True
    http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main())
