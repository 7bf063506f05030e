#!/usr/bin/env python3
"""FUT from end to end with processes: the Danish demo, the ways of signing in, then a hub that is killed (SIGKILL) again and again while two citizens' tokens
are renewed.

    fut.py [--kills N] [--seed N]     after Tests/Judges/run.sh has made its Python environment, else what was sent is not judged

Every request that the hub really sent, in the demo and beside the kills, is judged by Tests/Judges/fut, which shares nothing with it.

The simulated realm rotates refresh tokens and answers slowly, so that kills fall between what it did and what the hub has on disk.
Where it takes the last token once more, the sign-in survives a kill; where it does not, "sign-in needed" is said and the readings
wait. In both, every reading arrives once. That sign-ins do end in the second is the control: the kills strike where they should.
"""

import argparse
import collections
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

CITIZENS = {"1001": "anna", "1002": "bent"}
#: Pressure whenever they like, since a month.
WORLD = [
    {"citizen": name, "patient": patient, "episodes": [
        {"id": "2" + patient, "carePlan": "25" + patient, "since": -43200,
         "requests": [{"id": "3" + patient, "code": "ZZ3170", "timing": "adhoc"}]}]}
    for patient, name in CITIZENS.items()
]
RECORDS = 12
JUDGE = [os.path.join(rig.ROOT, ".build", "judges", "venv", "bin", "python"), "-B", os.path.join(rig.ROOT, "Tests", "Judges", "fut", "judge_fut.py")]
#: Milliseconds for which the realm sits on an answer that it has acted on.
SLOW = 250


class FUT:
    """A simulated FUT as a process of its own."""

    def __init__(self, directory, reuses):
        self.ledger = os.path.join(directory, "fut.ledger")
        self.requests = os.path.join(directory, "fut-requests")
        world, settings = os.path.join(directory, "world.json"), os.path.join(directory, "settings.json")
        with open(world, "w", encoding="utf-8") as file:
            json.dump(WORLD, file)
        with open(settings, "w", encoding="utf-8") as file:
            # A token that lives 2 s is renewed before nearly every request.
            json.dump({"accessLife": 2, "deviceInterval": 1, "rotates": True, "allowsReuseOfLast": reuses}, file)
        self.process = rig.Process(
            "fut", [rig.BINARY, "simulate", "fut", "--ledger", self.ledger, "--keep-requests", self.requests, "--world", world,
                    "--settings", settings], directory)
        self.origin = self.process.wait_line(["http://127.0.0.1"], 20).strip()

    def control(self, name, message=None):
        request = urllib.request.Request(
            f"{self.origin}/control/{name}", data=None if message is None else json.dumps(message).encode(),
            headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stored(self):
        """How often each of our identifiers was stored."""
        counts = collections.Counter()
        for observation in self.control("observations"):
            counts.update(identifier["value"] for identifier in observation.get("identifier", []))
        return counts


def configuration(fut, directory):
    services = {name: f"{fut.origin}/{name}/fhir" for name in ("patient", "careplan", "measurement", "device", "task")}
    codes = os.path.join(directory, "fut-codes.json")
    with open(codes, "w", encoding="utf-8") as file:
        json.dump({"services": services}, file)
    return f"""
[[receiver]]
name = "fut"
kind = "fut"
base = "{services['measurement']}"
codes_file = "{codes}"

[receiver.sign_in]
issuer = "{fut.origin}/auth/realms/nemlogin"
client = "vitalgate"

[receiver.timeouts]
connect_seconds = 2
answer_seconds = 5
total_seconds = 10
settle_seconds = 0
"""


def sign_in(world, fut, patient):
    """What citizen and technician do together."""
    begun = rig.wait_for("a sign-in to begin", lambda: attempt(lambda: world.operation("begin-sign-in", receiver="fut", patient=patient)), 20)
    fut.control("device", {"user_code": begun["userCode"], "citizen": CITIZENS[patient]})

    def done():
        state = attempt(lambda: world.operation("sign-in", id=begun["id"]))
        if state and state["state"] == "failed":
            raise rig.RigError(f"the sign-in failed: {state['reason']}")
        return state and state["state"] == "signed-in"

    rig.wait_for("the citizen to be signed in", done, 30, pause=0.2)


def attempt(action):
    try:
        return action()
    except (OSError, rig.RigError, ValueError, urllib.error.URLError):
        return None


def needed(world):
    """The patients who have to sign in."""
    rows = attempt(lambda: world.operation("sign-ins")) or []
    return [row["patient"] for row in rows if row["state"] == "sign-in-needed"]


def kills(out, directory, reuses, count, dice, signal_name="SIGKILL", fault=None):
    """How many sign-ins ended, and how often the realm was sent a token whose follower it had seen in use."""
    about = f"{signal_name}, the realm takes " + ("the last token again" if reuses else "no token twice") + (f", {fault}" if fault else "")
    with rig.Rig(directory, faults=fault is not None) as world:
        fut = FUT(directory, reuses)
        try:
            names = {patient: f"cuff-{patient}" for patient in CITIZENS}
            for seed, name in enumerate(names.values(), 1):
                world.add_cuff(name, scenario="generated", count=RECORDS, seed=seed, start=False)
            world.extra = configuration(fut, directory)
            world.configure()
            world.start_daemon(fault=fault)
            for patient, name in names.items():
                world.assign(name, patient=patient, recipient="fut")
                sign_in(world, fut, patient)
            fut.control("faults", {"rules": [{"fault": "slow", "milliseconds": SLOW, "path": "/token"}]})
            for name in names.values():
                world.start_cuff(name, wait=False)
            ended, silent = 0, []
            for _ in range(count):
                time.sleep(dice.uniform(0.1, 1.6))
                if signal_name == "SIGKILL":
                    world.kill_daemon()
                else:
                    world.stop_daemon()
                world.start_daemon(fault=fault)
                for patient in needed(world):
                    ended += 1
                    # Whatever waits for it says so, once the hub has looked at it.
                    if not any(one["code"] == "sign-in-needed" for one in world.conditions()):
                        found = attempt(lambda: rig.wait_for(
                            "the condition", lambda: any(one["code"] == "sign-in-needed" for one in world.conditions()), 10))
                        if not found:
                            silent.append(patient)
                    sign_in(world, fut, patient)
            fut.control("faults", {"rules": []})

            late = []

            def settled():
                for patient in needed(world):
                    late.append(patient)
                    sign_in(world, fut, patient)
                return sum(fut.stored().values()) >= RECORDS * len(names) and not pending(world)

            try:
                rig.wait_for("every reading to arrive", settled, 180, pause=0.5, context=world.daemon.tail)
            except rig.RigError as error:
                out.check(f"every reading arrives ({about})", False, error)
            ended += len(late)
            stored = fut.stored()
            out.check(f"{count} ends of the daemon, {RECORDS * len(names)} readings: none lost ({about})", len(stored) == RECORDS * len(names), len(stored))
            out.check(f"none twice ({about})", all(number == 1 for number in stored.values()),
                      [key for key, number in stored.items() if number > 1])
            state = fut.control("state")
            if not fault:
                out.check(f"a sign-in that ended was told as a condition ({about})", not silent, silent)
                left = [one for one in world.conditions() if one["code"] not in ("no-key-protection",)]
                out.check(f"at the end no condition stands ({about})", not left, left)
                out.check(f"no refresh token was used before it was durable: the realm saw none that was left behind ({about})",
                          state["staleTokens"] == 0, state["staleTokens"])
            out.note(f"{ended} sign-ins ended, {state['staleTokens']} of them by a token left behind, {len(state['sessions'])} were made")
            world.stop_daemon()
            judge(out, fut.requests, fut.ledger, about)
            return ended, state["staleTokens"]
        finally:
            fut.process.end(signal.SIGKILL)


def pending(world):
    """Pressures that are not delivered yet."""
    rows = world.operation("readings", limit=rig.MOST)
    return [row for row in rows if row["kind"] == "blood-pressure" and row["delivery"] != ["fut delivered"]]


def judge(out, requests, ledger, about):
    """Every request to `$submit-measurement` that the simulator counted, by the published profile; and one spoilt on purpose."""
    if not os.path.exists(JUDGE[0]):
        out.skip(f"the requests judged ({about})", "the judges' Python environment is not there (Tests/Judges/run.sh makes it)")
        return
    with open(ledger, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    sent = sum(line["kind"] == "request" and line["path"].endswith("/$submit-measurement") for line in lines)
    kept = sorted(os.path.join(requests, name) for name in os.listdir(requests))
    said = subprocess.run(JUDGE + kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    out.check(f"every request that was sent holds the published ehealth-observation: {len(kept)} of {sent} judged ({about})",
              said.returncode == 0 and len(kept) == sent > 0, (said.stdout + said.stderr)[-600:])
    out.note(said.stdout.strip().splitlines()[-1] if said.stdout.strip() else said.stderr[-200:])
    with open(kept[0], encoding="utf-8") as file:
        spoilt = json.load(file)
    del spoilt["parameter"][0]["resource"]["entry"][0]["resource"]["basedOn"]
    with tempfile.NamedTemporaryFile("w", suffix=".fut", encoding="utf-8") as file:
        json.dump(spoilt, file)
        file.flush()
        said = subprocess.run(JUDGE + [file.name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    out.check(f"control: one of them without its request is refused ({about})",
              said.returncode == 1 and "Observation.basedOn" in said.stdout, said.stdout + said.stderr)


def demo(out, directory):
    done = subprocess.run(
        [rig.BINARY, "demo", "--country", "dk", "--once", "--json", "--state", os.path.join(directory, "demo")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    out.check("demo --country dk --once --json exits 0", done.returncode == 0, f"{done.returncode}: {done.stderr[-600:]}")
    judge(out, os.path.join(directory, "demo", "fut-requests"), os.path.join(directory, "demo", "fut-ledger.jsonl"), "the demo")
    summary = json.loads(done.stdout) if done.stdout.strip() else {}
    out.check("as scripted: six acts delivered, two held, nothing lost or doubled",
              summary.get("asScripted") is True and (summary.get("delivered"), summary.get("held")) == (6, 2), summary)
    out.note(json.dumps(summary))


def ways(out, directory):
    """The two ways with a browser, through the command as a person uses it; the browser is urllib."""
    with rig.Rig(directory) as world:
        fut = FUT(directory, True)
        try:
            redirect = f"http://127.0.0.1:{rig.free_port()}/callback"
            world.extra = configuration(fut, directory).replace('client = "vitalgate"', f'client = "vitalgate"\nredirect = "{redirect}"')
            world.add_cuff("cuff-1001", start=False)
            world.configure()
            world.start_daemon()
            world.assign("cuff-1001", patient="1001", recipient="fut")

            def told():
                return attempt(lambda: rig.wait_for(
                    "the condition", lambda: any(one["code"] == "sign-in-needed" for one in world.conditions()), 5))

            out.check("assigned and not signed in: told at once, before a reading waits", told(), world.conditions())
            fut.control("settings", {"approves": "anna"})

            def begin(way):
                return subprocess.Popen(
                    [rig.BINARY, "sign-in", "begin", "fut", "--patient", "1001", "--way", way, "--socket", world.control, "--json"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

            command = begin("loopback")
            address = json.loads(command.stdout.readline())["address"]
            # Somebody else's page reaches the listener first, with a state of its own.
            for attack in (redirect + "?state=forged&code=stolen", redirect.replace("/callback", "/favicon.ico")):
                rig.wait_for("the listener", lambda attack=attack: attempt(lambda: page(attack)), 10)
            shown = page(address)
            out.check("loopback: a forged return is passed over, the browser's own signs in",
                      "You are signed in" in shown and command.wait(20) == 0, shown)
            signed = [row["state"] for row in world.operation("sign-ins")]
            out.check("loopback: the citizen is signed in", signed == ["signed-in"], signed)
            told_of = [one["code"] for one in world.conditions()]
            out.check("signed in: the condition is gone", "sign-in-needed" not in told_of, told_of)
            world.operation("sign-out", receiver="fut", patient="1001")
            out.check("sign-out: told at once", told(), world.conditions())
            out.check("sign-out: the citizen has to sign in", needed(world) == ["1001"], needed(world))

            command = begin("paste")
            address = json.loads(command.stdout.readline())["address"]
            request = urllib.request.build_opener(Stay).open(address, timeout=10)
            said, error = command.communicate(request.headers["location"] + "\n", timeout=20)
            out.check("paste: the copied address signs in", command.returncode == 0 and "signed-in" in said, said + error)

            fut.control("settings", {"approves": "bent"})
            command = begin("paste")
            address = json.loads(command.stdout.readline())["address"]
            request = urllib.request.build_opener(Stay).open(address, timeout=10)
            said, error = command.communicate(request.headers["location"] + "\n", timeout=20)
            out.check("the spouse on this patient's page is refused in three lines",
                      command.returncode == 75 and "somebody else than this patient" in error and len(error.strip().splitlines()) == 3, error)
            out.check("and the citizen stays signed in", needed(world) == [], needed(world))
            with open(world.daemon.output, encoding="utf-8") as log:
                text = log.read()
            found = [mark for mark in ("eyJ", "Patient/", "code=", "state=") if mark in text]
            out.check("R8: no token, code or patient in the log", not found, found)
            world.stop_daemon()
        finally:
            fut.process.end(signal.SIGKILL)


class Stay(urllib.request.HTTPRedirectHandler):
    """A browser that shows where it was sent to."""

    def http_error_302(self, request, file, code, message, headers):
        return file


def page(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("VITALGATE_SEED", "1")))
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    out = report.Report()
    try:
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            demo(out, directory)
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            ways(out, directory)
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            kills(out, directory, True, arguments.kills, dice)
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            lost, stale = kills(out, directory, True, arguments.kills, dice, fault="use-before-durable")
        out.check("control: used before it is durable, the newest token is lost and the sign-in with it, and the rig finds it",
                  lost > 0 and stale > 0, (lost, stale))
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            ended, _ = kills(out, directory, False, arguments.kills, dice)
        with tempfile.TemporaryDirectory(prefix="fut-") as directory:
            orderly, _ = kills(out, directory, False, arguments.kills, dice, "SIGTERM")
        out.check("an orderly end costs no sign-in, at whatever moment it comes", orderly == 0, orderly)
        out.check("control: without reuse some kills cost a sign-in, so they strike renewals", ended > 0, ended)
    except (rig.RigError, subprocess.TimeoutExpired, ValueError) as error:
        out.check("the rig ran to its end", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
