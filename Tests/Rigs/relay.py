#!/usr/bin/env python3
"""An organisation's relay: 20 hubs and kills (SIGKILL) at random moments while they send, a hub silent; one whole hub; a full disk. Every reading
arrives at PMD once.

    relay.py [--kills N] [--hubs N] [--seed N]

A hub is played as far as the relay sees one: PHD bundles made by `vitalgate convert`, sent over the relay's socket as the proxy would, and sent
again until they are answered. In the second part the hub is a daemon with a cuff and an oximeter. The binary is VITALGATE, or the release build.
"""

import argparse
import collections
import http.client
import http.server
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import norway
import report
import rig

#: Synthetic, with right check digits.
NUMBERS = ("01819540094", "13826540200")
ACTS = 6


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("relay", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def ask(path, hub, method, target, body=None):
    """One request as the proxy passes it on: (status, body)."""
    connection = Connection(path)
    try:
        headers = {"content-type": "application/fhir+json"}
        if hub:
            headers["X-Vitalgate-Hub"] = hub
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def bundles(directory, hub, number):
    """A hub's acts as its own daemon would send them."""
    path = os.path.join(directory, f"{hub}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for act in range(ACTS):
            systolic, minute = 110 + act, act * 7
            stamp = f"2026-11-{1 + number:02d}T08:{minute:02d}:00"
            reading = {
                "kind": "blood-pressure", "unit": "mm[Hg]", "deviceTime": stamp, "status": [], "statusBits": 0,
                "values": [{"name": name, "mdc": mdc, "value": value, "unit": unit} for name, mdc, value, unit in (
                    ("systolic", 150021, systolic, "mm[Hg]"), ("diastolic", 150022, 70, "mm[Hg]"), ("pulseRate", 149546, 60 + act, "/min"))],
                "systolic": systolic, "diastolic": 70, "mean": None, "pulseRate": 60 + act,
                "device": {"manufacturer": "sim", "modelNumber": "SIM-BP", "serialNumber": f"S-{hub}", "systemID": f"02000000000000{number:02x}"}}
            file.write(json.dumps(reading) + "\n")
    done = subprocess.run(
        [rig.BINARY, "convert", "--destination", "phd", "--patient", "anna", path], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise rig.RigError(f"convert: {done.stderr}")
    return done.stdout.splitlines()


class Hub(threading.Thread):
    """Sends each bundle until it is answered, then looks whether what the relay has is what was sent."""

    def __init__(self, name, path, acts, dice):
        super().__init__(daemon=True)
        self.name, self.path, self.acts, self.dice = name, path, acts, random.Random(dice.random())
        self.tries, self.wrong = 0, []

    def run(self):
        for body in self.acts:
            while True:
                time.sleep(self.dice.uniform(0, 0.3))
                self.tries += 1
                try:
                    status, answer = ask(self.path, self.name, "POST", "/fhir", body)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.2)
                    continue
                if status == 503:
                    time.sleep(0.5)
                    continue
                if status != 200 or len(json.loads(answer)["entry"]) != len(json.loads(body)["entry"]):
                    self.wrong.append((status, answer[:300]))
                # An impatient one: the same again although it was answered.
                if self.dice.random() < 0.2:
                    continue
                break


def receivers(nhn):
    return f"""
[[receiver]]
name = "pmd"
kind = "pmd"
base = "{nhn.origin}/pmd"
[receiver.helseid]
issuer = "{nhn.origin}/helseid"
client = "relay"
algorithm = "ES256"
key_holder = "organisation"
scopes = ["nhn:pmd/observation.write", "nhn:pmd/observation.read"]
[receiver.timeouts]
connect_seconds = 2
answer_seconds = 2
total_seconds = 3
settle_seconds = 0
"""


def configuration(directory, nhn, hubs):
    text = f"""
[hub]
state_directory = "{directory}/state"
control_socket = "{directory}/control.sock"
[keys]
file = "{directory}/key"
[clock]
declared = true
[log]
format = "json"
[relay]
socket = "{directory}/relay.sock"
"""
    for hub in hubs:
        text += f'[[relay.hub]]\nname = "{hub}"\nsilent_minutes = 1\n'
    path = os.path.join(directory, "relay.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + receivers(nhn))
    return path


class Relay:
    def __init__(self, directory, config):
        self.directory, self.config, self.process = directory, config, None
        self.socket, self.control = os.path.join(directory, "relay.sock"), os.path.join(directory, "control.sock")

    def start(self):
        self.process = rig.Process("relay", [rig.BINARY, "run", "--config", self.config], self.directory)
        self.process.wait_line(["daemon ready"], 30)

        def listens():
            try:
                return ask(self.socket, None, "GET", "/")[0] == 403
            except (OSError, http.client.HTTPException):
                return False

        rig.wait_for("the relay's socket", listens, 20)

    def kill(self):
        self.process.end(signal.SIGKILL)

    def operation(self, name, **parameters):
        connection = Connection(self.control)
        try:
            connection.request("POST", f"/v1/{name}", body=json.dumps(parameters), headers={"content-type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status != 200:
                raise rig.RigError(f"{name}: {body}")
            return body
        finally:
            connection.close()


def kills(out, directory, count, number, dice):
    nhn = norway.NHN(directory)
    names = [f"hub-{index}" for index in range(1, number + 1)]
    relay = Relay(directory, configuration(directory, nhn, names + ["hub-silent"]))
    try:
        relay.start()
        key = relay.operation("change-helseid-key", receiver="pmd", change="generate")
        nhn.control("clients", {"id": "relay", "keys": [key["jwk"]]})
        relay.operation("change-helseid-key", receiver="pmd", change="registered")
        for index, name in enumerate(names):
            relay.operation("identify", patient=f"{name}.anna", receiver="pmd", identifier=NUMBERS[index % 2])
        nhn.control("faults", {"rules": [
            {"fault": "cut", "stored": True, "path": "/pmd", "after": 5, "times": 3},
            {"fault": "slow", "milliseconds": 60, "path": "/pmd", "times": 200}]})
        acts = {name: bundles(directory, name, index + 1) for index, name in enumerate(names)}
        hubs = [Hub(name, relay.socket, acts[name], dice) for name in names]
        for hub in hubs:
            hub.start()
        for _ in range(count):
            time.sleep(dice.uniform(0.1, 0.9))
            relay.kill()
            time.sleep(dice.uniform(0, 0.3))
            relay.start()
        for hub in hubs:
            hub.join(120)
        nhn.control("faults", {"rules": []})
        out.check(f"{number} hubs, {count} kills of the relay: every bundle was answered", not any(hub.is_alive() for hub in hubs))
        wrong = [one for hub in hubs for one in hub.wrong]
        out.check("and answered entry by entry", not wrong, wrong[:2])
        expected = number * ACTS * 2

        def settled():
            counts = relay.operation("status")["receivers"]["pmd"]
            return counts["delivered"] >= expected and not counts["waiting"] and not counts["sending"]

        try:
            rig.wait_for("every reading to arrive", settled, 120, pause=0.5, context=relay.process.tail)
        except rig.RigError as error:
            out.check("every reading arrives", False, error)
        stored = nhn.observations()
        out.check("each reading stands at PMD", len(stored) == expected, f"{len(stored)} of {expected}")
        out.check("once", all(times == 1 for times in stored.values()), [name for name, times in stored.items() if times > 1])
        subjects = collections.Counter(one["subject"]["identifier"]["value"] for one in nhn.control("observations"))
        out.check("under its own patient's number", set(subjects) == set(NUMBERS) and sum(subjects.values()) == expected, subjects)
        out.note(f"{sum(hub.tries for hub in hubs)} requests for {number * ACTS} bundles")

        # What is here can be asked for, by who sent it and by nobody else.
        body = json.loads(acts[names[0]][0])
        observation = next(one["resource"] for one in body["entry"] if one["resource"]["resourceType"] == "Observation"
                           and one["resource"]["code"]["coding"][0]["code"] == "150020")
        own = observation["identifier"][0]["value"]
        status, answer = ask(relay.socket, names[0], "GET", f"/fhir/Observation?identifier=urn%3Aietf%3Arfc%3A3986%7C{own}")
        found = json.loads(answer)
        out.check("a hub finds its reading by its own identifier, as it sent it",
                  status == 200 and found["total"] == 1 and found["entry"][0]["resource"]["component"] == observation["component"], found)
        _, answer = ask(relay.socket, names[1], "GET", f"/fhir/Observation?identifier=urn%3Aietf%3Arfc%3A3986%7C{own}")
        out.check("another hub does not", json.loads(answer)["total"] == 0)
        out.check("a hub that nobody configured is refused", ask(relay.socket, "stranger", "POST", "/fhir", acts[names[0]][0])[0] == 403)
        out.check("and so is a request that came past the proxy", ask(relay.socket, None, "POST", "/fhir", acts[names[0]][0])[0] == 403)
        unknown = acts[names[0]][0].replace('"150020"', '"999999"')
        out.check("a reading that is not known is refused whole", ask(relay.socket, names[0], "POST", "/fhir", unknown)[0] == 422)
        out.check("and so is what is no bundle", ask(relay.socket, names[0], "POST", "/fhir", "{}")[0] == 422)

        # A correction goes through to PMD.
        correction = json.loads(acts[names[0]][0])
        for entry in correction["entry"]:
            if entry["resource"]["resourceType"] == "Observation" and entry["resource"]["code"]["coding"][0]["code"] in ("150020", "149546"):
                entry["resource"]["status"] = "entered-in-error"
                entry["request"] = {"method": "PUT", "url": "Observation/" + entry["resource"]["identifier"][0]["value"][9:]}
        status, _ = ask(relay.socket, names[0], "POST", "/fhir", json.dumps(correction))
        out.check("a correction is taken", status == 200, status)
        try:
            rig.wait_for("the correction to arrive", lambda: nhn.control("state")["retracted"] == 2, 30, pause=0.3)
            out.check("and PMD has the act as entered in error", True)
        except rig.RigError as error:
            out.check("and PMD has the act as entered in error", False, error)

        # Silent is not "not measured".
        def silent():
            return [one for one in relay.operation("status")["conditions"] if one["code"] == "hub-silent"]

        beat = {"resourceType": "Bundle", "type": "transaction", "entry": []}
        end = time.monotonic() + 90
        found = []
        while time.monotonic() < end and not found:
            for name in names:
                ask(relay.socket, name, "POST", "/fhir", json.dumps(beat))
            found = silent()
            time.sleep(2)
        out.check("the hub that was never heard is silent, those with a heartbeat are not",
                  [one["subject"] for one in found] == ["hub-silent"], found)
        ask(relay.socket, "hub-silent", "POST", "/fhir", json.dumps(beat))
        out.check("a heartbeat ends it", not silent(), silent())
        states = collections.Counter(one["state"] for one in relay.operation("hubs"))
        out.check("hubs lists them", states == {"heard": number + 1}, states)
        relay.process.end(signal.SIGTERM)
        said = open(os.path.join(directory, "relay.log"), "rb").read()
        kept = b"".join(open(os.path.join(directory, "state", name), "rb").read() for name in os.listdir(os.path.join(directory, "state")))
        out.check("R8 no number and no reading's name in the log or in the clear on disk",
                  not any(mark.encode() in said + kept for mark in NUMBERS + (own,)))
    finally:
        relay.kill()
        nhn.process.end(signal.SIGKILL)


class Proxy(http.server.BaseHTTPRequestHandler):
    """What nginx does, without TLS: passes a request on, under the name that a certificate would say."""

    protocol_version = "HTTP/1.1"
    socket, hub = "", ""

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            status, answer = ask(self.socket, self.hub, self.command, self.path, body or None)
        except (OSError, http.client.HTTPException):
            status, answer = 502, b""
        self.send_response(status)
        if status == 503:
            self.send_header("retry-after", "1")
        self.send_header("content-type", "application/fhir+json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


def whole(out, directory, dice):
    """A hub's own daemon with a cuff and an oximeter, through a relay that is killed, to PMD."""
    nhn = norway.NHN(directory)
    place = os.path.join(directory, "relay")
    os.mkdir(place)
    relay = Relay(place, configuration(place, nhn, ["hub-1"]))
    Proxy.socket, Proxy.hub = relay.socket, "hub-1"
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        relay.start()
        key = relay.operation("change-helseid-key", receiver="pmd", change="generate")
        nhn.control("clients", {"id": "relay", "keys": [key["jwk"]]})
        relay.operation("change-helseid-key", receiver="pmd", change="registered")
        relay.operation("identify", patient="hub-1.anna", receiver="pmd", identifier=NUMBERS[0])
        with rig.Rig(directory) as world:
            world.add_cuff("cuff", scenario="generated", count=15, seed=3, start=False)
            world.add_cuff("oximeter", kind="oximeter", scenario="stored", model="generic-pulse-oximeter", start=False)
            world.extra = f"""
[[receiver]]
name = "relay"
kind = "phd"
base = "http://127.0.0.1:{proxy.server_port}/fhir"
heartbeat_minutes = 1
[receiver.timeouts]
connect_seconds = 2
answer_seconds = 2
total_seconds = 3
settle_seconds = 0
"""
            world.configure()
            world.start_daemon()
            heard = rig.wait_for("a heartbeat", lambda: [one for one in relay.operation("hubs") if one["state"] == "heard"], 20)
            out.check("a hub without a reading is heard by its heartbeat", len(heard) == 1)
            for name in ("cuff", "oximeter"):
                world.assign(name, patient="anna", recipient="relay")
                world.start_cuff(name)
            for _ in range(5):
                time.sleep(dice.uniform(0.2, 1.0))
                relay.kill()
                time.sleep(0.2)
                relay.start()

            def settled():
                items = world.outbox()
                counts = relay.operation("status")["receivers"]["pmd"]
                # 15 pressures with pulses and 5 saturations with pulses.
                return len(items) >= 40 and all(item["state"] == "delivered" for item in items) and counts["delivered"] >= len(items)

            rig.wait_for("everything to arrive", settled, 120, pause=0.5, context=lambda: world.daemon.tail() + relay.process.tail())
            items, stored = world.outbox(), nhn.observations()
            out.check("from cuff and oximeter through hub and relay to PMD: all, each once",
                      len(stored) == len(items) == 40 and all(times == 1 for times in stored.values()), (len(items), len(stored)))
            reading = next(row for row in world.operation("readings", limit=rig.MOST) if row["kind"] == "blood-pressure")
            world.operation("retract-reading", id=reading["id"], reason="the neighbour's")
            rig.wait_for("the retraction at PMD", lambda: nhn.control("state")["retracted"] == 2, 30, pause=0.3)
            out.check("a reading that is retracted at the hub is entered in error at PMD", True)
            world.stop_daemon()
    finally:
        proxy.shutdown()
        relay.kill()
        nhn.process.end(signal.SIGKILL)


def full(out, directory, dice):
    """A relay whose disk is full says 503 and takes nothing; what was taken before goes on, and all arrives when there is room."""
    nhn = norway.NHN(directory)
    config = configuration(directory, nhn, ["hub-1"])
    text = open(config, encoding="utf-8").read()
    crowded = text.replace('[keys]', '[storage]\nmax_pages = 160\nballast_megabytes = 1\n[keys]')
    with open(config, "w", encoding="utf-8") as file:
        file.write(crowded)
    relay = Relay(directory, config)
    try:
        relay.start()
        key = relay.operation("change-helseid-key", receiver="pmd", change="generate")
        nhn.control("clients", {"id": "relay", "keys": [key["jwk"]]})
        relay.operation("change-helseid-key", receiver="pmd", change="registered")
        relay.operation("identify", patient="hub-1.anna", receiver="pmd", identifier=NUMBERS[0])
        acts = [body for number in range(1, 25) for body in bundles(directory, "hub-1", number)]
        refused = [body for body in acts if ask(relay.socket, "hub-1", "POST", "/fhir", body)[0] != 200]
        out.check("a full relay refuses with 503, so that the hub keeps it", 0 < len(refused) < len(acts), len(refused))
        relay.process.end(signal.SIGTERM)
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        relay.start()
        again = [ask(relay.socket, "hub-1", "POST", "/fhir", body)[0] for body in acts]
        out.check("with room, all are taken", set(again) == {200}, collections.Counter(again))

        def settled():
            return len(nhn.observations()) >= 2 * len(acts)

        rig.wait_for("all to arrive", settled, 120, pause=0.5, context=relay.process.tail)
        out.check("and each stands at PMD once", all(times == 1 for times in nhn.observations().values()))
    finally:
        relay.kill()
        nhn.process.end(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--hubs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("VITALGATE_SEED", "1")))
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    out = report.Report()
    for run in (lambda directory: kills(out, directory, arguments.kills, arguments.hubs, dice), lambda directory: whole(out, directory, dice), lambda directory: full(out, directory, dice)):
        with tempfile.TemporaryDirectory(prefix="relay-") as directory:
            try:
                run(directory)
            except (rig.RigError, ValueError, OSError, KeyError) as error:
                out.check("the rig ran to its end", False, repr(error))
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
