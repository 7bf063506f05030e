"""What the suite shows, one function a scenario. The names are fixed: issue, README and CI call them by these."""

import collections
import dataclasses
import os
import signal
import struct
import subprocess
import threading
import time

import radio_control
import rig
import slowdisk

#: Kills and records of the big one; the names say so.
KILL_RECORDS = 200
KILL_CUFFS = 4


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    seconds: int
    run: object
    needs_hub: bool = True


ALL = []


def scenario(name, seconds, needs_hub=True):
    def register(function):
        ALL.append(Scenario(name, function.__doc__.split("\n")[0].rstrip("."), seconds, function, needs_hub))
        return function

    return register


# What many of them do


def started(hub, fault=None):
    hub.start(fault=fault)
    return hub


def provision(world, hub, name, verify=True, assign=True, passkey=None, model=None, steps=None, **options):
    """Adds a peripheral, finds, pairs, verifies by a power cycle and assigns it. Checks each step; `steps` gets the names of the pairing's."""
    made = world.radio.add(name, **options)
    found = hub.find(name)
    world.check(f"{name} is found with its address and its kind", found["address"].split("/")[0] == made["own"].split("/")[0] and found["type"] == made["type"],
                f"{found} is not {made['own']} {made['type']}")
    code, seen, error = hub.pair(world.radio, found["address"].split("/")[0], name, model=model, passkey=passkey)
    told = [step.get("step") for step in seen]
    if steps is not None:
        steps.extend(told)
    if not world.check(f"{name} is paired", code == 0 and "paired" in told, f"exit {code}, steps {told}: {error}"):
        raise rig.RigError(f"{name} was not paired")
    world.check(f"{name} holds a bond", world.radio.status(name)["bonded"])
    if verify:
        prove(world, hub, name)
    if assign:
        hub.assign(name)
    return made


def prove(world, hub, name):
    """`devices verify` with what it asks for: the device is switched off and on, nobody touches the hub."""
    cycle = threading.Thread(target=power_cycle, args=(world, name, 2.5), daemon=True)
    cycle.start()
    code, steps, error = hub.verify(name, 90)
    cycle.join(30)
    world.check(f"{name} is verified: it came back encrypted by itself", code == 0, f"exit {code}, steps {[step.get('step') for step in steps]}: {error}")


#: Orders to the radio come from one thread at a time.
LOCK = threading.Lock()


def power_cycle(world, name, seconds):
    time.sleep(1)
    with LOCK:
        world.radio.order("power", name=name, on=False)
    world.expected_losses += 1
    time.sleep(seconds)
    with LOCK:
        world.radio.order("power", name=name, on=True)


def compare(world, hub, names, quiet=False):
    """Zero lost, zero doubled, from the peripherals' own accounts to the journal. Returns what is lost."""
    held = collections.Counter((name, value) for name in names for value in world.radio.confirmed(name).values())
    kept = collections.Counter((act["device"], act["hex"].lower()) for act in hub.acts() if act["device"] in names)
    sent = {(one, event["hex"]) for one in names for event in world.radio.events(one, "sent")}
    lost = sorted(set(held) - set(kept))
    doubled = [key for key, number in kept.items() if number > 1]
    world.lost += len(lost)
    world.doubled += len(doubled)
    if not quiet:
        world.check(f"every reading that a device holds as confirmed is in the journal ({sum(held.values())})", held and not lost, f"{len(lost)} lost, such as {lost[:2]}")
        world.check("no reading is in the journal twice", not doubled, doubled[:2])
        world.check("the journal holds nothing that no device sent", not set(kept) - sent, sorted(set(kept) - sent)[:2])
        unasked = [one for name in names for one in world.radio.events(name, "confirmation-unasked")]
        world.check("no device got a confirmation that it waited for no more", not unasked, unasked[:2])
    return lost


def delivered(world, hub, seconds=60):
    hub.wait_delivered(seconds)
    hub.check_exactly_once(world.out)


def take(world, hub, name, count, seconds=90):
    """The device takes so many measurements; until each is confirmed."""
    before = len(world.radio.confirmed(name))
    world.radio.order("queue", name=name, count=count)
    world.radio.wait_confirmed(name, before + count, seconds)


def pairings(world, name):
    return len(world.radio.events(name, "paired"))


# The scenarios


@scenario("smoke", 240)
def smoke(world):
    """The short way through: pair, prove, read on a slow disk, come back."""
    with slowdisk.SlowDisk("/run/slow-smoke", milliseconds=60) as disk:
        with world.hub(state=os.path.join(disk.path, "state"), receiver=False) as hub:
            started(hub)
            provision(world, hub, "cuff-1")
            take(world, hub, "cuff-1", 3)
            power_cycle(world, "cuff-1", 2)
            take(world, hub, "cuff-1", 1)
            world.check("it was paired once", pairings(world, "cuff-1") == 1)
            took = confirmation_milliseconds(world, "cuff-1")
            world.facts["millisecondsSentToConfirmed"] = [round(one) for one in took]
            world.check("no confirmation came sooner than one write of the slow disk takes (60 ms)", took[0] >= 60, took)
            compare(world, hub, ["cuff-1"])


def confirmation_milliseconds(world, name):
    """How long the device waited for each confirmation, the shortest first."""
    sent, took = {}, []
    for one in world.radio.events(name):
        if one["event"] == "sent":
            sent[one["number"]] = one["t"]
        elif one["event"] == "confirmed" and one["number"] is not None:
            took.append((one["t"] - sent[one["number"]]) * 1000)
    return sorted(took)


@scenario("justworks", 240)
def justworks(world):
    """Pair without a display, read, set the clock, deliver."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", leaves="done", clock_ahead=-7200.0)
        offset = world.radio.status("cuff-1")["clock_offset"]
        world.check("the cuff's clock was two hours late and was set", world.radio.events("cuff-1", "clock-written") and abs(offset) < 3, f"{offset} s")
        take(world, hub, "cuff-1", 3)
        compare(world, hub, ["cuff-1"])
        encrypted = {act_security(hub, act) for act in hub.acts()}
        world.check("each reading says that its link was encrypted, and not more", encrypted == {"encrypted"}, encrypted)
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        delivered(world, hub)


def act_security(hub, act):
    """How the link was secured over which an act came."""
    return (hub.operation("reading", id=act["id"]).get("link") or {}).get("security")


@scenario("passkey", 300)
def passkey(world):
    """Six digits that the device shows: the right ones, and wrong ones."""
    with world.hub() as hub:
        started(hub)
        world.radio.add("passkey-2", pairing="passkey")
        code, steps, _ = hub.pair(world.radio, hub.find("passkey-2")["address"].split("/")[0], "passkey-2", passkey=111111)
        told = [step.get("step") for step in steps]
        world.check("with the wrong digits it is not paired", code != 0 and not world.radio.events("passkey-2", "paired"), told)
        world.check("and no device is left behind", not any(one.get("name") == "passkey-2" for one in hub.ask("devices", "list")))
        world.radio.order("remove", name="passkey-2")
        provision(world, hub, "passkey-1", pairing="passkey", leaves="done")
        world.check("the bond is authenticated", world.radio.events("passkey-1", "paired")[-1]["authenticated"])
        take(world, hub, "passkey-1", 2)
        compare(world, hub, ["passkey-1"])
        secured = {act_security(hub, act) for act in hub.acts()}
        world.check("each reading says that its link was authenticated", secured == {"authenticated"}, secured)


@scenario("numeric", 240)
def numeric(world):
    """Six digits on both sides, compared by the technician."""
    with world.hub() as hub:
        started(hub)
        steps = []
        provision(world, hub, "numeric-1", steps=steps, pairing="numeric", leaves="done")
        world.check("the digits were compared", "compare" in steps and world.radio.events("numeric-1", "number-shown"), steps)
        world.check("the bond is authenticated", world.radio.events("numeric-1", "paired")[-1]["authenticated"])
        take(world, hub, "numeric-1", 1)
        compare(world, hub, ["numeric-1"])


@scenario("legacy-pairing", 240)
def legacy_pairing(world):
    """A device from before Secure Connections: other keys, with EDIV and Rand, and it comes back with them."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", secure_connections=False)
        keys = world.radio.events("cuff-1", "paired")[-1]["keys"]
        world.check("the keys are those of a legacy pairing", "ltk_central" in keys or "ltk_peripheral" in keys, keys)
        power_cycle(world, "cuff-1", 3)
        take(world, hub, "cuff-1", 2)
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        compare(world, hub, ["cuff-1"])


@scenario("reconnect-power-cycle", 300)
def reconnect_power_cycle(world):
    """The device goes away and comes back, again and again, with new readings."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1")
        waits = []
        for _ in range(4):
            power_cycle(world, "cuff-1", 4)
            began = time.monotonic()
            take(world, hub, "cuff-1", 2)
            waits.append(round(time.monotonic() - began, 2))
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        world.facts["secondsToConfirmed"] = waits
        compare(world, hub, ["cuff-1"])


@scenario("reconnect-daemon-restart", 300)
def reconnect_daemon_restart(world):
    """The daemon is stopped, and killed in the middle of a transfer; the bond is in its store, not in the kernel."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1")
        world.check("the daemon ends when it is asked to", hub.stop_daemon() == 0)
        world.radio.order("queue", name="cuff-1", count=2)
        started(hub)
        world.radio.wait_confirmed("cuff-1", 2, 90)
        world.radio.order("set", name="cuff-1", pace=0.3)
        world.radio.order("queue", name="cuff-1", count=10)
        world.radio.wait_event("cuff-1", "sent", 5, 90)
        hub.kill_daemon()
        started(hub)
        world.radio.wait_confirmed("cuff-1", 12, 120)
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        compare(world, hub, ["cuff-1"])


@scenario("reconnect-adapter-reset", 300)
def reconnect_adapter_reset(world):
    """The adapter is reset, and pulled out and plugged in again."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1")
        code, _, error = hub.reset_adapter()
        world.check("vitalgate adapter reset succeeds", code == 0, error)
        take(world, hub, "cuff-1", 2)
        world.radio.order("adapter", on=False)
        world.expected_losses += 1
        time.sleep(3)
        conditions = [one.get("code") for one in hub.conditions()]
        world.check("without an adapter a condition says so", any("adapter" in (code or "") for code in conditions), conditions)
        world.radio.order("adapter", on=True)
        take(world, hub, "cuff-1", 2)
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        world.check("the daemon was not restarted", hub.starts == 1 and hub.daemon.running)
        rig.wait_for("the condition to go", lambda: not any("adapter" in (one.get("code") or "") for one in hub.conditions()), 30)
        compare(world, hub, ["cuff-1"])


@scenario("service-changed", 300)
def service_changed(world):
    """Other handles after a firmware update: told by Service Changed, by the Database Hash alone, and while away."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", database_hash=False)
        take(world, hub, "cuff-1", 1)
        world.radio.order("change", name="cuff-1")
        world.radio.wait_event("cuff-1", "change-told", 1, 60)
        take(world, hub, "cuff-1", 1)
        world.radio.order("power", name="cuff-1", on=False)
        world.expected_losses += 1
        world.radio.order("change", name="cuff-1")
        world.radio.order("power", name="cuff-1", on=True)
        take(world, hub, "cuff-1", 1)
        provision(world, hub, "cuff-2", database_hash=True, service_changed=False)
        take(world, hub, "cuff-2", 1)
        world.radio.order("power", name="cuff-2", on=False)
        world.expected_losses += 1
        world.radio.order("change", name="cuff-2")
        world.radio.order("power", name="cuff-2", on=True)
        take(world, hub, "cuff-2", 1)
        compare(world, hub, ["cuff-1", "cuff-2"])


@scenario("wrong-key", 300)
def wrong_key(world):
    """The device forgot the bond: a condition, never a new pairing by itself, and the technician puts it right."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", asks_for_security=True)
        power_cycle(world, "cuff-1", 3)
        world.radio.order("forget", name="cuff-1")
        world.radio.order("power", name="cuff-1", on=False)
        world.expected_losses += 1
        world.radio.order("queue", name="cuff-1", count=2)
        world.radio.order("power", name="cuff-1", on=True)
        rig.wait_for("the condition that the bond is lost", lambda: [one for one in hub.conditions() if "bond" in (one.get("code") or "")], 120, context=hub.daemon.tail)
        time.sleep(10)
        world.check("it was not paired again by itself", pairings(world, "cuff-1") == 1)
        world.check("no reading was taken over an unencrypted link", not world.radio.confirmed("cuff-1") and not hub.acts())
        connections = world.radio.status("cuff-1")["connections"]
        time.sleep(10)
        world.check("it is left in peace", world.radio.status("cuff-1")["connections"] == connections, f"{connections} connections, then more")
        code, steps, error = hub.pair(world.radio, world.radio.status("cuff-1")["address"], "cuff-1")
        world.check("the technician pairs it again", code == 0, f"exit {code}, {[step.get('step') for step in steps]}: {error}")
        prove(world, hub, "cuff-1")
        world.radio.wait_confirmed("cuff-1", 2, 90)
        compare(world, hub, ["cuff-1"])


@scenario("capture", 300)
def capture(world):
    """A technician's capture of a pairing and a reading: sealed while the hub has it, read back by btmon once it was exported."""
    with world.hub(receiver=False) as hub:
        started(hub)
        hub.ask("adapter", "capture", "start", "--reason", "rig", "--minutes", "5")
        codes = [one["code"] for one in hub.conditions()]
        world.check("while it runs a condition says so", "capture-running" in codes, codes)
        provision(world, hub, "cuff-1")
        take(world, hub, "cuff-1", 1)
        ended = hub.ask("adapter", "capture", "stop")[0]
        world.check("it ends when it is told to, and nothing of it is lost", ended["state"] == "kept" and ended["drops"] == 0, ended)
        exported = os.path.join(hub.directory, "capture.btsnoop")
        hub.ask("adapter", "capture", "export", exported)
        with open(exported, "rb") as file:
            plain = file.read()
        with open(os.path.join(hub.state, "capture.sealed"), "rb") as file:
            sealed = file.read()
        frame = hub.frames("cuff-1")[-1]
        world.check("the exported file holds the reading as it went over the radio", bytes.fromhex(frame) in plain, frame)
        world.check("the hub's own file does not", bytes.fromhex(frame) not in sealed and len(sealed) > len(plain) // 2, f"{len(sealed)} of {len(plain)} bytes")
        world.check("neither holds a key of the pairing", not keys_in(world, "cuff-1", plain + sealed), keys_in(world, "cuff-1", plain + sealed))
        told = subprocess.run(["btmon", "-r", exported], capture_output=True, text=True, errors="replace", timeout=120, check=False)
        indications = [part.split("\n< ")[0].split("\n> ")[0] for part in told.stdout.split("ATT: Handle Value Indication")[1:]]
        world.check("btmon reads it to its end", told.returncode == 0 and not told.stderr.strip(), f"{told.returncode} {told.stderr[:200]}")
        world.check("btmon shows the indication with the reading's bytes", any(frame in "".join(part.split()).lower() for part in indications),
                    f"{len(indications)} indications in {len(told.stdout.splitlines())} lines: {indications[:1]}")
        world.check("and its confirmation", "ATT: Handle Value Confirmation" in told.stdout)
        hub.ask("adapter", "capture", "delete")
        world.check("deleted, nothing of it is left", not os.path.exists(os.path.join(hub.state, "capture.sealed")))
        world.check("and no condition", not [one for one in hub.conditions() if one["code"].startswith("capture")])
        # As its unit starts it: without CAP_NET_RAW.
        hub.stop_daemon()
        hub.start_daemon(prefix=("setpriv", "--bounding-set", "-net_raw"))
        code, _, error = hub.command("adapter", "capture", "start", "--reason", "rig", "--socket", hub.control)
        world.check("without the drop-in it is refused, with the command that installs it", code == 77 and "vitalgate-capture.conf" in error, f"exit {code}: {error}")
        take(world, hub, "cuff-1", 1)
        compare(world, hub, ["cuff-1"])


def keys_in(world, name, data):
    """Names of those keys of a peripheral's bond that stand in the data, in either order of their bytes."""
    keys = world.radio.keys(name)
    if not keys:
        raise rig.RigError(f"{name} has no keys to look for")
    return [one for one, key in keys.items() if key in data or key[::-1] in data]


@scenario("technician", 300)
def technician(world):
    """A technician's day: a scan that is ended, a device paired again under its old name, an adapter lost in the middle of a pairing."""
    with world.hub(receiver=False) as hub:
        started(hub)
        scan = subprocess.Popen([rig.BINARY, "scan", "--seconds", "120", "--socket", hub.control], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        scan.send_signal(signal.SIGINT)
        error = scan.communicate(timeout=30)[1]
        world.check("Ctrl-C ends a scan with 130", scan.returncode == 130, f"{scan.returncode}: {error}")
        code, _, error = hub.command("scan", "--seconds", "1", "--socket", hub.control)
        world.check("and the hub is free for the next one at once", code == 0, f"{code}: {error}")
        made = provision(world, hub, "cuff-1", assign=False)
        address = made["own"].split("/")[0]
        for what, orders in (("forgotten by the hub and by itself", ("devices", "forget", "cuff-1")), ("forgotten by itself alone", None)):
            if orders:
                hub.ask(*orders)
            world.radio.order("forget", name="cuff-1")
            power_cycle(world, "cuff-1", 1)
            code, steps, error = hub.pair(world.radio, address, "cuff-1")
            world.check(f"a device that was {what} is paired again under its name", code == 0, f"exit {code}, {[one.get('step') for one in steps]}: {error}")
            prove(world, hub, "cuff-1")
        kinds = [one["kind"] for one in hub.log("cuff-1")]
        wanted = {"found", "paired", "connected", "encrypted", "subscribed", "disconnected"}
        world.check("its log has each step of it", wanted <= set(kinds), kinds)
        world.check("it was found once before each link, not at each advertisement", kinds.count("found") <= kinds.count("connected") + 1, kinds)
        world.radio.add("passkey-1", pairing="passkey")
        found = hub.find("passkey-1")["address"].split("/")[0]

        def block(step):
            # In the moment in which the digits are asked for.
            if step.get("step") in ("passkey-wanted",):
                with open("/dev/rfkill", "wb", buffering=0) as switch:
                    # struct rfkill_event: index, type bluetooth, all of that type, soft block (linux/rfkill.h).
                    switch.write(struct.pack("IBBBB", 0, 2, 3, 1, 0))

        code, steps, error = hub.steps(["pair", found, "--name", "passkey-1"], 60, block)
        world.check("a pairing that loses its adapter says so", code == 69 and "adapter was lost" in error, f"exit {code}, {[one.get('step') for one in steps]}: {error}")


@scenario("leaves-after-1s", 420)
def leaves_after_1s(world):
    """A cuff that hangs up one second after the connect, ten times with one reading each."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", advertises="always")
        world.radio.order("set", name="cuff-1", advertises="pending", leaves_after=1.0, settle=0.0, keeps_subscriptions=True)
        power_cycle(world, "cuff-1", 3)
        before = world.radio.status("cuff-1")["connections"]
        rounds = 10
        for number in range(1, rounds + 1):
            take(world, hub, "cuff-1", 1)
            world.radio.wait_event("cuff-1", "disconnected", 1, 30, where=lambda one, since=time.monotonic() - 5: one["t"] > since)
            time.sleep(0.5)
        used = world.radio.status("cuff-1")["connections"] - before
        world.facts["connections"], world.facts["readings"] = used, rounds
        world.check(f"{rounds} readings need at most {rounds + 3} connections of one second", used <= rounds + 3, used)
        compare(world, hub, ["cuff-1"])


@scenario("indicates-at-once", 240)
def indicates_at_once(world):
    """A bonded cuff that sends as soon as the link is encrypted, before anybody subscribes."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1")
        world.radio.order("set", name="cuff-1", keeps_subscriptions=True, settle=0.0)
        took = []
        for number in range(1, 6):
            world.radio.order("power", name="cuff-1", on=False)
            world.expected_losses += 1
            world.radio.order("queue", name="cuff-1", count=1)
            time.sleep(3)
            world.radio.order("power", name="cuff-1", on=True)
            world.radio.wait_confirmed("cuff-1", number, 60)
            events = world.radio.events("cuff-1")
            sent = next(one["t"] for one in events if one["event"] == "sent" and one["number"] == number)
            done = next(one["t"] for one in events if one["event"] == "confirmed" and one["number"] == number)
            took.append(round((done - sent) * 1000))
        repeats = len(world.radio.events("cuff-1", "sent")) - 5
        world.check("each was heard the first time it was sent", repeats == 0, f"{repeats} were sent again")
        world.facts["millisecondsSentToConfirmed"] = took
        compare(world, hub, ["cuff-1"])


@scenario("ten-at-once", 600)
def ten_at_once(world):
    """Ten peripherals, cuffs and oximeters, that all have something to say in the same moment."""
    with world.hub() as hub:
        started(hub)
        names = [f"cuff-{number}" for number in range(1, 9)] + ["oxi-1", "oxi-2"]
        for name in names:
            provision(world, hub, name, verify=False, kind="cuff" if name.startswith("cuff") else "oximeter", leaves="done", interval=500)
            # A device that has said all is quiet.
            world.radio.order("set", name=name, advertises="pending")
        for name in names:
            prove_quietly(world, hub, name)
        for name in names:
            world.radio.order("queue", name=name, count=3)
        began = time.monotonic()
        for name in names:
            world.radio.wait_confirmed(name, 4, 180)
        world.facts["secondsForThirty"] = round(time.monotonic() - began, 1)
        compare(world, hub, names)


def prove_quietly(world, hub, name):
    """Verification by a new reading, which the device advertises for."""
    queued = threading.Timer(1.0, lambda: queue_locked(world, name))
    queued.start()
    code, steps, error = hub.verify(name, 90)
    queued.join()
    world.check(f"{name} is verified by a new reading", code == 0, f"exit {code}, {[step.get('step') for step in steps]}: {error}")
    world.radio.wait_confirmed(name, 1, 60)


def queue_locked(world, name):
    with LOCK:
        world.radio.order("queue", name=name, count=1)


@scenario("private-address", 300)
def private_address(world):
    """A device with resolvable private addresses: a new one at each connect, known by its identity."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "cuff-1", address_type="private")
        keys = world.radio.events("cuff-1", "paired")[-1]["keys"]
        world.check("the identity keys were exchanged", "irk" in keys or "ltk" in keys, keys)
        for _ in range(3):
            power_cycle(world, "cuff-1", 3)
            take(world, hub, "cuff-1", 1)
        own = {one["own"] for one in world.radio.events("cuff-1", "connected")}
        world.check("it came under several addresses", len(own) >= 4, own)
        world.check("it was paired once", pairings(world, "cuff-1") == 1)
        compare(world, hub, ["cuff-1"])
        listed = [one for one in hub.ask("devices", "list") if one.get("name") == "cuff-1"]
        world.check("it is one device", len(listed) == 1, listed)


@scenario("unencrypted-refused", 180)
def unencrypted_refused(world):
    """A device that cannot pair is not taken, and a stranger is not connected to."""
    with world.hub() as hub:
        started(hub)
        world.radio.add("cuff-1", pairing="none", records=2)
        world.radio.add("stranger", records=2, asks_for_security=True)
        code, steps, error = hub.pair(world.radio, hub.find("cuff-1")["address"].split("/")[0], "cuff-1")
        world.check("it is not paired", code != 0, f"exit {code}, {[step.get('step') for step in steps]}")
        world.check("the error says why", bool(error) or any(step.get("step") in ("failed", "error") for step in steps), error)
        time.sleep(15)
        world.check("no reading of it was taken", not world.radio.confirmed("cuff-1"))
        world.check("nobody connected to the stranger", world.radio.status("stranger")["connections"] == 0)
        world.check("the journal is empty", not hub.acts())


@scenario("oximeter", 240)
def oximeter(world):
    """An oximeter: stored spot-checks by RACP, and a stream that is no result by itself."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "oxi-1", kind="oximeter", stream=20)
        world.radio.order("power", name="oxi-1", on=False)
        world.expected_losses += 1
        world.radio.order("queue", name="oxi-1", count=3)
        world.radio.order("power", name="oxi-1", on=True)
        world.radio.wait_confirmed("oxi-1", 3, 90)
        world.check("its memory was asked for, and not deleted", world.radio.events("oxi-1", "racp") and not world.radio.events("oxi-1", "deleted"))
        compare(world, hub, ["oxi-1"])


@scenario("r1-timing", 300)
def r1_timing(world):
    """No confirmation before the commit: on a slow disk each comes later than the disk's delay, and later than the daemon's own commit time."""
    with slowdisk.SlowDisk("/run/slow-r1", milliseconds=60) as disk:
        least = disk.sync_milliseconds()
        world.facts["fsyncMilliseconds"] = round(least, 1)
        world.check("a sync of the slow disk takes its time", least >= 60, least)
        with world.hub(state=os.path.join(disk.path, "state")) as hub:
            started(hub)
            provision(world, hub, "cuff-1", verify=True)
            take(world, hub, "cuff-1", 20, 120)
            confirmed = {one["number"]: one["t"] for one in world.radio.events("cuff-1", "confirmed")}
            took = confirmation_milliseconds(world, "cuff-1")
            world.facts["millisecondsSentToConfirmed"] = {"least": round(took[0], 1), "median": round(took[len(took) // 2], 1), "most": round(took[-1], 1)}
            world.check(f"no confirmation of {len(took)} came sooner than one write of the disk takes (60 ms)", took[0] >= 60, took[:3])
            commits = hub.commit_times("cuff-1")
            known = {value: confirmed[number] for number, value in world.radio.confirmed("cuff-1").items() if value in commits}
            early = [value for value, at in known.items() if at < commits[value]]
            world.check(f"each confirmation came after the commit that the daemon logged ({len(known)})", known and not early, f"{len(early)} early")
            compare(world, hub, ["cuff-1"])


def fire(world, hub, names, total, fault=None, most_kills=60, most_seconds=600):
    """Kills the daemon at random moments while the cuffs send, until they have sent all. Returns how many kills there were."""
    kills = ended = 0
    until = time.monotonic() + most_seconds
    while kills < most_kills and time.monotonic() < until and sum(len(world.radio.confirmed(name)) for name in names) < total:
        hub.launch_daemon(fault=fault)
        before = {name: len(world.radio.events(name, "sent")) for name in names}
        # Work to be disturbed: at least one record on its way, then any moment of the next ones.
        end = time.monotonic() + 30
        while time.monotonic() < end and hub.daemon.running and all(len(world.radio.events(name, "sent")) == before[name] for name in names):
            time.sleep(0.02)
        time.sleep(world.drawn.uniform(0, 2.5))
        if not hub.daemon.running:
            ended += 1
        hub.kill_daemon()
        kills += 1
    world.check("the daemon never ended by itself", ended == 0, f"{ended} times")
    return kills


def prepare_fire(world, hub, names, each):
    for name in names:
        provision(world, hub, name, pace=0.1)
    hub.stop_daemon()
    for name in names:
        world.radio.order("queue", name=name, count=each)


@scenario("kill-200", 1500)
def kill_200(world):
    """200 readings, the daemon killed at random moments, the disk slow: zero lost, zero doubled."""
    names = [f"cuff-{number}" for number in range(1, KILL_CUFFS + 1)]
    with slowdisk.SlowDisk("/run/slow-kill", milliseconds=40) as disk:
        world.facts["fsyncMilliseconds"] = round(disk.sync_milliseconds(), 1)
        with world.hub(state=os.path.join(disk.path, "state")) as hub:
            started(hub)
            prepare_fire(world, hub, names, KILL_RECORDS // KILL_CUFFS)
            world.facts["kills"] = fire(world, hub, names, KILL_RECORDS, most_seconds=900)
            world.check("there were at least ten kills", world.facts["kills"] >= 10, world.facts["kills"])
            started(hub)
            for name in names:
                world.radio.wait_confirmed(name, KILL_RECORDS // KILL_CUFFS, 240)
            world.facts["readings"] = sum(len(world.radio.confirmed(name)) for name in names)
            world.facts["sentAgain"] = sum(len(world.radio.events(name, "sent")) for name in names) - world.facts["readings"]
            compare(world, hub, names)
            delivered(world, hub, 180)


@scenario("kill-control", 900)
def kill_control(world):
    """The same with a daemon that confirms before it commits: the rig must find lost readings."""
    names = ["cuff-1", "cuff-2"]
    with slowdisk.SlowDisk("/run/slow-control", milliseconds=40) as disk:
        with world.hub(state=os.path.join(disk.path, "state"), faults=True) as hub:
            started(hub)
            prepare_fire(world, hub, names, 60)
            world.facts["kills"] = fire(world, hub, names, 120, fault="confirm-before-commit", most_seconds=420)
            started(hub)
            time.sleep(5)
            lost = compare(world, hub, names, quiet=True)
            world.check("confirm before commit loses readings, and the rig finds it", lost)
            world.facts["lost"] = len(lost)
            # Asked for: not a loss of the product.
            world.lost = 0


def vital_signs(hub):
    """Process, resident kilobytes and open descriptors of the daemon."""
    pid = hub.daemon_pid()
    return pid, hub.memory_kilobytes(), len(os.listdir(f"/proc/{pid}/fd"))


def unharmed(world, hub, before):
    world.check("the same daemon is still there", hub.daemon.running and hub.daemon_pid() == before[0] and hub.starts == 1)
    _, memory, descriptors = vital_signs(hub)
    world.facts["grownKilobytes"] = memory - before[1]
    world.check("its memory did not grow by more than 16 MB", memory - before[1] <= 16384, f"{memory - before[1]} kB")
    world.check("no descriptor is left open", descriptors <= before[2] + 2, f"{before[2]}, then {descriptors}")


@scenario("fuzz", 900)
def fuzz(world):
    """A peer that misbehaves in every way: the daemon lives, does not grow, and serves the others."""
    with world.hub() as hub:
        started(hub)
        provision(world, hub, "bad", fuzzer=True, advertises="always", records=0)
        provision(world, hub, "good", leaves="done")
        world.radio.order("set", name="good", advertises="pending")
        take(world, hub, "good", 1)
        before = vital_signs(hub)
        served, waits = 1, {}
        for how in ("lengths", "unasked", "endless", "circling", "requests", "flood", "wild", "silent", "advertising", "connects"):
            world.radio.order("behave", name="bad", how=how)
            world.radio.order("power", name="bad", on=False)
            world.radio.order("power", name="bad", on=True)
            time.sleep(4)
            began = time.monotonic()
            world.radio.order("queue", name="good", count=1)
            served += 1
            try:
                world.radio.wait_confirmed("good", served, 90)
            except radio_control.RadioError as error:
                world.check(f"{how}: the good device is served", False, error)
                served = len(world.radio.confirmed("good"))
                continue
            waits[how] = round(time.monotonic() - began, 1)
            world.check(f"{how}: the good device is served within 45 s, and the daemon lives", waits[how] <= 45 and hub.daemon.running, f"{waits[how]} s")
            if not hub.daemon.running:
                started(hub)
        world.facts["secondsToServe"] = waits
        world.radio.order("behave", name="bad", how="well")
        time.sleep(3)
        answered = [one for one in world.radio.events("bad", "answered")]
        world.check("what it asked was answered, with errors where it was nonsense", answered and any(one.get("01", 0) > 0 for one in answered), answered[-1:])
        unharmed(world, hub, before)
        compare(world, hub, ["good"])


@scenario("thousand-connects", 1500)
def thousand_connects(world):
    """A device that hangs up as soon as it is connected, a thousand times: the daemon lives, does not grow, and serves the others."""
    with world.hub(cooldown=0) as hub:
        started(hub)
        provision(world, hub, "bad", fuzzer=True, advertises="always", records=0)
        provision(world, hub, "good", leaves="done")
        world.radio.order("set", name="good", advertises="pending")
        take(world, hub, "good", 1)
        before = vital_signs(hub)
        world.radio.order("behave", name="bad", how="connects")
        first, served, deadline = world.radio.status("bad")["connections"], 1, time.monotonic() + 1200
        waits = []
        while (made := world.radio.status("bad")["connections"] - first) < 1000 and time.monotonic() < deadline and hub.daemon.running:
            if made >= 100 * served:
                began, served = time.monotonic(), served + 1
                world.radio.order("queue", name="good", count=1)
                world.radio.wait_confirmed("good", served, 90)
                waits.append(round(time.monotonic() - began, 1))
            time.sleep(0.5)
        world.facts["connects"], world.facts["secondsToServe"] = made, waits
        world.check("a thousand connects were made", made >= 1000, made)
        world.check("the good device was served within 45 s each time", waits and max(waits) <= 45, waits)
        world.radio.order("behave", name="bad", how="well")
        time.sleep(8)
        unharmed(world, hub, before)
        compare(world, hub, ["good"])


@scenario("classic-serial", 300)
def classic_serial(world):
    """A serial-port device on Bluetooth Classic: SDP, RFCOMM, simple pairing and an old PIN."""
    import classic

    classic.run(world)


@scenario("beside-bleak", 1500, needs_hub=False)
def beside_bleak(world):
    """bleak 3 over bluetoothd and vitalgate, on the same peripheral: time to commit, readings lost by kills, memory."""
    import beside_bleak as comparison

    comparison.run(world)
