#!/usr/bin/env python3
"""No health data and no national id in what the hub writes for others to read (R8).

A hub runs with markers that nothing else can produce: in the patient's id, the cuff's serial number, the receiver's token, the values
and the raw frames. A receiver refuses some readings, so that error paths speak too, and the daemon is killed once. Then everything
that was written is searched: the state directory (sealed), the logs, standard output and error of the daemon and of the commands
that carry no reading. Each marker is looked for as text, in hex, in base64 at all three alignments, and in UTF-16. A leak planted in
each of these forms must be found.

    leak.py [--seed N]
"""

import argparse
import base64
import datetime
import os
import random
import sys
import tempfile
import time

import report
import rig
from peripheral import frame

COUNT = 12


def forms(marker):
    """Every form in which a marker counts as leaked: name -> what to look for, and whether case matters."""
    found = {"plain": (marker, True), "hex": (marker.hex().encode(), False)}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + marker)
        # The first and last groups depend on the neighbours: drop what is not the marker's alone.
        start = (0, 2, 3)[shift]
        end = (len(marker) + shift) * 8 // 6
        core = encoded[start:end]
        found[f"base64 at {shift}"] = (core, True)
        found[f"base64url at {shift}"] = (core.replace(b"+", b"-").replace(b"/", b"_"), True)
    try:
        found["utf-16"] = (marker.decode("ascii").encode("utf-16-le"), True)
    except UnicodeDecodeError:
        pass
    return found


def search(paths, markers):
    """[(file, marker's name, form)] for every marker found."""
    wanted = [(name, form, needle, exact) for name, marker in markers.items() for form, (needle, exact) in forms(marker).items()]
    leaks = []
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        lower = content.lower()
        for name, form, needle, exact in wanted:
            if needle in content if exact else needle.lower() in lower:
                leaks.append((os.path.basename(path), name, form))
    return leaks


def planted(out, markers, directory):
    """The search finds what is planted, in each form and at any place."""
    missed = []
    noise = random.Random(1)
    for name, marker in markers.items():
        plants = {"plain": marker, "hex": marker.hex().encode(), "HEX": marker.hex().upper().encode()}
        for shift in range(3):
            plants[f"base64 at {shift}"] = base64.b64encode(noise.randbytes(shift) + marker + noise.randbytes(5))
        for form, plant in plants.items():
            path = os.path.join(directory, "planted")
            with open(path, "wb") as file:
                file.write(noise.randbytes(1000) + plant + noise.randbytes(1000))
            if not any(leak[1] == name for leak in search([path], {name: marker})):
                missed.append(f"{name} {form}")
            os.unlink(path)
    out.check("control: a leak planted in each form is found", not missed, missed[:5])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    arguments = parser.parse_args()
    seed = report.seed_of(arguments.seed)
    print(f"seed {seed}", flush=True)
    drawn = random.Random(seed)
    out = report.Report()
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    patient = "p" + "".join(drawn.choice(letters) for _ in range(24))
    serial = "S" + "".join(drawn.choice(letters.upper()) for _ in range(18))
    token = "".join(drawn.choice(letters) for _ in range(40))
    # SFLOATs with an exponent of -6: 0.001234 is no number that a log holds by chance, 123 would be.
    mantissas = [drawn.randint(1025, 2000) for _ in range(3 * COUNT)]
    wire = [(0xA << 12) | mantissa for mantissa in mantissas]
    frames = [frame(*wire[3 * i : 3 * i + 3], drawn.randint(50, 99),
                    datetime.datetime.now() - datetime.timedelta(minutes=COUNT - i)) for i in range(COUNT)]
    markers = {"patient": patient.encode(), "serial number": serial.encode(), "token": token.encode()}
    for index, mantissa in enumerate(mantissas):
        markers[f"value {index}"] = f"0.00{mantissa}".encode()
    for index, content in enumerate(frames):
        # The values' and the time's bytes as they stand in the frame.
        markers[f"frame {index}"] = content[1:14]
    with tempfile.TemporaryDirectory(prefix="leak-") as directory:
        planted(out, {name: markers[name] for name in ("patient", "serial number", "token", "value 0", "frame 0")}, directory)
        with rig.Rig(directory) as world:
            try:
                secret = os.path.join(directory, "token")
                with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
                    file.write(token)
                world.level = "trace"
                world.tables["receiver"] = [f'token_file = "{secret}"']
                world.add_receiver(faults={"seed": seed, "refuse": 0.3, "statuses": [422, 503, 429], "retryAfter": 0, "cut": 0.1})
                world.add_cuff("cuff", count=COUNT, seed=seed, interval=100, frames=frames, options=("--serial", serial))
                world.configure()
                world.start_daemon()
                # Assigned late, so that readings are held first.
                world.wait_confirmed("cuff", 3, 30)
                world.assign("cuff", patient=patient)
                world.wait_confirmed("cuff", 6, 30)
                world.kill_daemon()
                world.start_daemon()
                world.wait_confirmed("cuff", COUNT, 60)
                time.sleep(3)
                outputs = []
                for command in (["status"], ["outbox", "list"], ["audit"], ["doctor"]):
                    code, text, error = world.command(*command, "--socket", world.control) if command != ["doctor"] else world.command(
                        "doctor", "--config", world.config)
                    path = os.path.join(directory, f"command-{command[0]}.out")
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(text + error)
                    outputs.append(path)
                world.stop_daemon()
            except rig.RigError as error:
                out.check("the run came to its end", False, error)
                return out.close()
        states = [os.path.join(folder, name) for folder, _, names in os.walk(world.state) for name in names]
        log = os.path.join(directory, "daemon.log")
        out.check("there is something to search", len(states) >= 2 and os.path.getsize(log) > 1000, f"{states}, {os.path.getsize(log)} bytes of log")
        out.note(f"{len(states)} files of the state directory ({sum(map(os.path.getsize, states)) // 1024} KiB), {os.path.getsize(log) // 1024} KiB of log "
                 f"at level trace, {len(outputs)} commands, {len(markers)} markers")
        for what, paths in (("the state directory", states), ("the log", [log]), ("the commands that carry no reading", outputs)):
            leaks = search(paths, markers)
            out.check(f"no marker in {what}", not leaks, leaks[:5])
        names = [name for name in os.listdir(world.state) if any(marker.decode("latin-1") in name for marker in markers.values())]
        out.check("no marker in a file's name", not names, names)
        # The rig itself: the receiver did get them, so they were in the process that was searched around.
        with open(world.receivers["fhir"]["ledger"], "rb") as file:
            out.check("the receiver was sent the patient's id", patient.encode() in file.read())
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
