#!/usr/bin/env python3
"""PMD, VKP and HelseID with processes: the Norwegian demo, what a technician does at the command line, then a hub that is killed (SIGKILL)
again and again while tokens are renewed, its key is rotated, and services store and do not answer.

    norway.py [--kills N] [--seed N]

PMD can be asked, so every reading stands there once, whatever happens. VKP cannot, so that a document is there once, or its items are
uncertain and a person is told; it is never there twice. That some are uncertain is the control: the kills and lost answers strike where
they should. The binary is VITALGATE, or the release build.
"""

import argparse
import collections
import glob
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import report
import rig

KEYS = ("readings", "delivered", "duplicatesSuppressed", "quarantined", "held", "latencyMilliseconds")
NUMBERS = (b"01819540094", b"13826540200")


def demo(program, directory, *arguments):
    begun = time.monotonic()
    done = subprocess.run(
        [program, "demo", "--country", "no", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=240, env={**os.environ, "TMPDIR": directory, "HOME": directory})
    return done, time.monotonic() - begun


def technician(out, program, state):
    """What a technician does at the command line, with the demo's state and NHN out of reach."""
    config = os.path.join(state, "vitalgate.toml")
    text = open(config).read()
    bare = os.path.join(state, "home.toml")
    with open(bare, "w") as file:
        file.write(text.replace("allow_on_home_hub = true\n", ""))
    refused = subprocess.run([program, "config", "check", "--config", bare], capture_output=True, text=True)
    out.check("config check refuses a municipality's key on a home hub, and names the override",
              refused.returncode == 78 and "allow_on_home_hub" in refused.stdout + refused.stderr, refused)
    refused = subprocess.run([program, "run", "--config", bare], capture_output=True, text=True, timeout=30)
    out.check("the daemon does not start with one either", refused.returncode == 78, refused)

    log = open(os.path.join(state, "technician.log"), "wb")
    daemon = subprocess.Popen([program, "run", "--config", config], stdout=log, stderr=log)
    socket = os.path.join(state, "control.sock")

    def say(*arguments, lines=""):
        return subprocess.run([program, *arguments, "--socket", socket], input=lines, capture_output=True, text=True, timeout=60)

    try:
        for _ in range(300):
            if say("status").returncode == 0:
                break
            time.sleep(0.1)
        clients = [json.loads(line) for line in say("helseid", "list", "--json").stdout.splitlines()]
        out.check("helseid list: one client for two receivers, with the key of the rotation and the one before standing by",
                  [one["receiver"] for one in clients] == ["pmd", "vkp"] and clients[0]["key"] == clients[1]["key"] and clients[0]["previous"],
                  clients)
        made = say("helseid", "register", "pmd")
        jwk = json.loads(made.stdout)
        out.check("helseid register prints the public half and makes no second key", jwk["kid"] == clients[0]["key"] and "d" not in jwk, made)
        following = json.loads(say("helseid", "rotate", "pmd").stdout)
        out.check("helseid rotate prints another, without its private numbers",
                  following["kid"] != jwk["kid"] and not {"d", "p", "q", "dp", "dq", "qi"} & set(following), following)
        say("helseid", "abandon", "pmd")
        clients = [json.loads(line) for line in say("helseid", "list", "--json").stdout.splitlines()]
        out.check("helseid abandon drops it", "candidate" not in clients[0] and clients[0]["key"] == jwk["kid"], clients)
        out.check("a receiver that does not stand behind HelseID is refused", say("helseid", "rotate", "phd").returncode == 65)

        kept = say("identify", "cecilie", "--receiver", "pmd", lines="018195 40094\n01819540094\n")
        out.check("identify takes a number typed twice, with the spaces that people write, and tells that it is synthetic",
                  kept.returncode == 0 and "synthetic" in kept.stdout and "01819540094" not in kept.stdout + kept.stderr, kept)
        differs = say("identify", "cecilie", "--receiver", "pmd", lines="01819540094\n01819540095\n")
        out.check("two that differ are not taken", differs.returncode == 65 and "differ" in differs.stderr, differs)
        nobody = say("identify", "cecilie", "--receiver", "pmd", lines="1234\n1234\n")
        out.check("nor what is no number of a person", nobody.returncode == 65, nobody)
        forgotten = say("identify", "cecilie", "--receiver", "pmd", "--forget")
        out.check("identify --forget", forgotten.returncode == 0 and "Forgotten" in forgotten.stdout, forgotten)
        audit = say("audit", "--json").stdout
        out.check("both stand in the audit log, without the number", '"identify"' in audit and '"client-key"' in audit and "01819540094" not in audit)
        out.check("outbox notices: none", say("outbox", "notices", "--json").stdout.strip() == "")
        out.check("a decision about none is refused", say("outbox", "notice", "1", "told").returncode == 65)
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
        log.close()
    said = open(os.path.join(state, "technician.log"), "rb").read()
    out.check("R8 no number in what the daemon said", not any(number in said for number in NUMBERS))


class NHN:
    """Simulated HelseID, PMD and VKP as a process of their own."""

    def __init__(self, directory):
        settings = os.path.join(directory, "nhn-settings.json")
        with open(settings, "w", encoding="utf-8") as file:
            # A token that lives 4 s is renewed all the time.
            json.dump({"tokenLifetime": 4, "nonces": "everywhere"}, file)
        self.process = rig.Process("nhn", [rig.BINARY, "simulate", "nhn", "--settings", settings], directory)
        self.origin = self.process.wait_line(["http://127.0.0.1"], 20).strip()

    def control(self, name, message=None):
        request = urllib.request.Request(
            f"{self.origin}/control/{name}", data=None if message is None else json.dumps(message).encode(),
            headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def observations(self):
        """How often each of our identifiers stands at PMD."""
        return collections.Counter(one["identifier"][0]["value"] for one in self.control("observations"))

    def documents(self):
        return collections.Counter(one["identifier"]["value"] for one in self.control("journal"))


def receivers(nhn):
    helseid = f"""
[receiver.helseid]
issuer = "{nhn.origin}/helseid"
client = "hub"
algorithm = "ES256"
allow_on_home_hub = true
"""
    timeouts = """
[receiver.timeouts]
connect_seconds = 2
answer_seconds = 2
total_seconds = 3
settle_seconds = 0
"""
    return f"""
[[receiver]]
name = "pmd"
kind = "pmd"
base = "{nhn.origin}/pmd"
{helseid.replace("allow_on_home_hub = true", "")}
scopes = ["nhn:pmd/observation.write", "nhn:pmd/observation.read"]
{timeouts}
[[receiver]]
name = "vkp"
kind = "vkp"
base = "{nhn.origin}/vkp/epj/r4"
organisation = "999999204"
journals = true
[receiver.author]
number = "999999999"
name = "Kari Prøve"
{helseid}
scopes = ["nhn:vkp/api/user/bundle.write"]
{timeouts}"""


def attempt(action):
    try:
        return action()
    except (OSError, rig.RigError, ValueError, urllib.error.URLError):
        return None


RECORDS = 12
#: Readings an act of a cuff has: pressure and pulse.
EACH = 2


def kills(out, directory, count, dice):
    with rig.Rig(directory) as world:
        nhn = NHN(directory)
        try:
            cuffs = {"anna": "cuff-anna", "bent": "cuff-bent"}
            for seed, name in enumerate(cuffs.values(), 1):
                world.add_cuff(name, scenario="generated", count=RECORDS, seed=seed, start=False)
            world.extra = receivers(nhn)
            world.configure()
            world.start_daemon()

            def change(what):
                return rig.wait_for(f"the key to be {what}", lambda: attempt(
                    lambda: world.operation("change-helseid-key", receiver="pmd", change=what)), 20)

            key = change("generate")
            nhn.control("clients", {"id": "hub", "keys": [key["jwk"]], "allowsBearer": True, "vkpID": "supplier-1-999999204"})
            change("registered")
            for (patient, name), number in zip(cuffs.items(), NUMBERS):
                world.operation("assign", device=name, patient=patient, recipients=["pmd", "vkp"], **{"from": "2000-01-01T00:00:00Z"})
                for receiver in ("pmd", "vkp"):
                    world.operation("identify", patient=patient, receiver=receiver, identifier=number.decode())
            nhn.control("faults", {"rules": [
                {"fault": "slow", "milliseconds": 150, "path": "/token", "times": 20},
                {"fault": "cut", "stored": True, "path": "/pmd", "after": 3, "times": 2},
                {"fault": "slow", "milliseconds": 150, "path": "/pmd", "times": 40},
                {"fault": "cut", "stored": True, "path": "/bundle", "after": 2, "times": 1},
                {"fault": "slow", "milliseconds": 150, "path": "/bundle", "times": 40}]})
            for name in cuffs.values():
                world.start_cuff(name)
            taken = {key["key"]}
            for turn in range(count):
                time.sleep(dice.uniform(0.05, 1.2))
                world.kill_daemon()
                world.start_daemon()
                if turn % 4 == 1:
                    following = change("rotate")
                    if turn % 8 == 1:
                        # Told before it is so: the present key has to go on.
                        change("registered")
                        time.sleep(0.5)
                        world.kill_daemon()
                        world.start_daemon()
                    nhn.control("keys", {"client": "hub", "jwk": following["jwk"]})
                    change("registered")
                    taken.add(following["candidate"])
            nhn.control("faults", {"rules": []})
            expected = RECORDS * len(cuffs)

            def settled():
                states = collections.Counter(
                    (item["receiver"], item["state"]) for item in world.outbox() if item["state"] in ("waiting", "sending"))
                return not states and sum(nhn.observations().values()) >= expected * EACH

            try:
                rig.wait_for("every reading to arrive", settled, 120, pause=0.5, context=world.daemon.tail)
            except rig.RigError as error:
                out.check("every reading arrives", False, error)
            stored, documents = nhn.observations(), nhn.documents()
            out.check(f"{count} kills, {expected} acts: none is lost at PMD", len(stored) == expected * EACH, len(stored))
            out.check("none stands there twice", all(number == 1 for number in stored.values()),
                      [name for name, number in stored.items() if number > 1])
            items = [item for item in world.outbox() if item["receiver"] == "vkp"]
            uncertain = {item["reading"] for item in items if item["state"] == "uncertain"}
            delivered = sum(item["state"] == "delivered" for item in items)
            out.check("VKP: each document is there, or its outcome is a person's", len(items) == expected * EACH
                      and delivered + len(uncertain) == len(items) and len(documents) >= delivered // EACH, collections.Counter(item["state"] for item in items))
            out.check("VKP: none is there twice", all(number == 1 for number in documents.values()), documents)
            conditions = {one["code"] for one in world.conditions()}
            out.check("and that is said", ("outcome-unknown" in conditions) == bool(uncertain), conditions)
            out.check("control: some are, so the kills and lost answers strike sendings", bool(uncertain))
            out.check("the client has no condition", "credential-refused" not in conditions, conditions)
            clients = world.operation("helseid-clients")
            known = set(nhn.control("state")["clients"][0]["keys"])
            out.check("the key in use is one that HelseID knows, and a rotation took effect",
                      clients[0]["key"] in known & taken and clients[0]["key"] != key["key"], (clients, known))
            out.note(f"{len(taken) - 1} rotations, {nhn.control('state')['tokens']} tokens, {len(uncertain) // EACH} documents of unknown outcome")
            world.stop_daemon()
        finally:
            nhn.process.end(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("VITALGATE_SEED", "1")))
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    out = report.Report()
    program = rig.BINARY
    if not os.path.exists(program):
        out.check("the release binary is built", False, program)
        return out.close()
    with tempfile.TemporaryDirectory(prefix="norway-") as directory:
        try:
            state = os.path.join(directory, "state")
            done, seconds = demo(program, directory, "--once", "--json", "--state", state)
            out.check("demo --country no --once --json exits 0", done.returncode == 0, f"{done.returncode}: {done.stderr[-600:]}")
            out.check("within a minute and a half", seconds < 90, f"{seconds:.0f} s")
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            summary = json.loads(lines[-1]) if lines else {}
            out.check("one JSON object with the keys that scripts rely on", len(lines) == 1 and all(k in summary for k in KEYS), lines[:3])
            out.check("as scripted: 5 readings, 4 delivered whole, 1 with an entry refused",
                      summary.get("asScripted") is True and [summary.get(k) for k in ("readings", "delivered", "quarantined")] == [5, 4, 1], summary)
            out.check("nothing lost, nothing doubled", summary.get("lost") == 0 and summary.get("doubled") == 0, summary)
            out.note(json.dumps(summary))

            ledger = [json.loads(line) for line in open(os.path.join(state, "nhn-ledger.jsonl"))]
            requests = [one for one in ledger if one["kind"] == "request"]
            challenged = {one["path"] for one in requests if one.get("code") == "use_dpop_nonce"}
            out.check("HelseID and PMD challenged for their nonces, and each got the request again",
                      {"/helseid/connect/token", "/pmd"} <= challenged, challenged)
            refusals = [one for one in requests if (one["status"] or 0) >= 400 and one.get("code") != "use_dpop_nonce"]
            out.check("nothing else was refused", not refusals, refusals)
            out.check("7 observations at PMD, 1 document at VKP",
                      [sum(one["kind"] == kind for one in ledger) for kind in ("observation", "document")] == [7, 1])

            log = open(os.path.join(state, "daemon.log"), "rb").read()
            files = glob.glob(os.path.join(state, "state", "*"))
            stored = b"".join(open(path, "rb").read() for path in files)
            out.check("R8 no number of a person in the daemon's log or in the clear in its files",
                      files and not any(number in log or number in stored for number in NUMBERS))
            out.check("R8 no private key in the clear in log or files",
                      b'"qi"' not in stored and b'"dp"' not in stored and b'"d":' not in log and b"Authorization" not in log)

            technician(out, program, state)
            done, seconds = demo(program, directory, "--once")
            out.check("demo --country no --once exits 0 and says that nothing was lost or doubled",
                      done.returncode == 0 and "0 lost, 0 doubled" in done.stdout, f"{done.returncode}: {(done.stdout + done.stderr)[-600:]}")
        except (subprocess.TimeoutExpired, ValueError, OSError) as error:
            out.check("the demo ended", False, error)
    with tempfile.TemporaryDirectory(prefix="norway-") as directory:
        try:
            kills(out, directory, arguments.kills, dice)
        except (rig.RigError, ValueError, OSError) as error:
            out.check("the kills ran to their end", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
