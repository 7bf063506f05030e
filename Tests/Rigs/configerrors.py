#!/usr/bin/env python3
"""What can be wrong at the start: each gives a clear error (what, why, what to do) and the right exit code, and spoils nothing.

Malformed configuration, wrong certificate, a state directory that cannot be written, a locked, damaged, newer or foreign database, a key
that is missing, wrong or open to others, a second daemon, a daemon that is not there, wrong usage.

    configerrors.py
"""

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import report
import rig

DATABASE = "vitalgate.db"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def lines_of(error):
    """The lines that the error is made of: the daemon's log on the same stream left out."""
    return [line for line in error.splitlines() if line.strip() and not line.startswith("{") and not re.match(r"^\d{4}-\d\d-\d\dT", line)]


class Cases:
    def __init__(self, out, world):
        self.out, self.world = out, world
        world.configure()
        self.good = open(world.config, encoding="utf-8").read()

    def start(self, text=None, prefix=(), seconds=15):
        """(exit status or None where it went on running, standard error)."""
        path = os.path.join(self.world.directory, "case.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.good if text is None else text)
        os.chmod(path, 0o644)
        child = subprocess.Popen([*prefix, rig.BINARY, "run", "--config", path, "--log", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, cwd=self.world.directory, start_new_session=True)
        try:
            _, error = child.communicate(timeout=seconds)
            return child.returncode, error
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            _, error = child.communicate()
            return None, error

    def expect(self, what, codes, words, text=None, prefix=()):
        codes = (codes,) if isinstance(codes, int) else codes
        code, error = self.start(text, prefix)
        said = lines_of(error)
        missing = [word for word in words if not re.search(word, error, re.I)]
        self.out.check(f"{what}: exit {' or '.join(map(str, codes))}", code in codes, f"{code}: {error[-300:]}")
        self.out.check(f"{what}: says what, why and what to do", len(said) >= 3 and not missing, f"without {missing}: {error[-400:]}" if missing else error[-400:])

    def configuration(self):
        good = self.good
        expect = self.expect
        code, _, error = self.world.command("run", "--config", "/nowhere/vitalgate.toml")
        self.out.check("no configuration file: exit 78", code == 78 and len(lines_of(error)) >= 3, f"{code}: {error}")
        expect("broken TOML", 78, [r"case\.toml", r":\d+|line \d+"], good.replace("[keys]", "[keys", 1))
        expect("unknown key", 78, ["colour", r":\d+|line \d+"], good.replace("[hub]", '[hub]\ncolour = "blue"', 1))
        expect("wrong type", 78, ["ballast_megabytes"], good.replace("ballast_megabytes = 1", 'ballast_megabytes = "much"'))
        expect("out of range", 78, ["ballast_megabytes"], good.replace("ballast_megabytes = 1", "ballast_megabytes = 0"))
        expect("health data in the clear", 78, ["https"], re.sub(r'base = "[^"]*"', 'base = "http://192.0.2.1/fhir"', good))
        expect("an unknown model", 78, ["model", "generic-blood-pressure"], good.replace('model = "generic-blood-pressure"', 'model = "generic-crystal-ball"'))
        expect("two receivers of one name", 78, ["fhir"], good + "\n" + good[good.index("[[receiver]]") : good.index("[receiver.timeouts]")])
        code, out_, error = self.world.command("config", "check", "--config", os.path.join(self.world.directory, "case.toml"))
        self.out.check("config check finds the same: exit 78", code == 78, f"{code}: {out_[-200:]}{error[-200:]}")
        code, out_, error = self.world.command("config", "check", "--config", self.world.config)
        self.out.check("config check takes the good one: exit 0", code == 0, f"{code}: {out_[-200:]}{error[-200:]}")

    def certificates(self):
        world, good = self.world, self.good
        garbage = os.path.join(world.directory, "garbage.pem")
        with open(garbage, "w", encoding="ascii") as file:
            file.write("no certificate\n")
        os.chmod(garbage, 0o600)
        secured = re.sub(r'base = "[^"]*"', 'base = "https://127.0.0.1:1/fhir"', good)
        self.expect("a CA file that is none", 78, [r"garbage\.pem"], secured.replace('kind = "phd"', f'kind = "phd"\nca_file = "{garbage}"'))
        self.expect("a client certificate that is none", 78, [r"garbage\.pem"],
                    secured.replace('kind = "phd"', f'kind = "phd"\ncertificate_file = "{garbage}"\nkey_file = "{garbage}"'))
        self.untrusted()

    def untrusted(self):
        """A receiver whose certificate nobody vouches for: the channel is held with a condition, nothing is sent."""
        if not shutil.which("openssl"):
            self.out.skip("a receiver's wrong certificate", "openssl is not installed")
            return
        world = self.world
        key, certificate, other = (os.path.join(world.directory, name) for name in ("tls.key", "tls.pem", "other.pem"))
        for path in (certificate, other):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key if path == certificate else key + ".other", "-out", path],
                           check=True, capture_output=True)
        port = rig.free_port()
        server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-www"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with tempfile.TemporaryDirectory(prefix="tls-") as directory, rig.Rig(directory) as hub:
            try:
                hub.add_receiver(start=False)
                hub.add_cuff("cuff", count=1)
                hub.configure()
                text = open(hub.config, encoding="utf-8").read()
                text = re.sub(r'base = "[^"]*"', f'base = "https://127.0.0.1:{port}/fhir"', text).replace('kind = "phd"', f'kind = "phd"\nca_file = "{other}"')
                with open(hub.config, "w", encoding="utf-8") as file:
                    file.write(text)
                hub.start_daemon()
                hub.assign("cuff")
                hub.wait_confirmed("cuff", 1, 30)

                def condition():
                    return next((one for one in hub.conditions() if re.search("certificate|tls", str(one), re.I)), None)

                found = rig.wait_for("a condition about the certificate", condition, 30, pause=0.3, context=lambda: str(hub.conditions()))
                self.out.check("a receiver's wrong certificate is a condition with reason and remedy", found.get("reason") and found.get("remedy"), found)
                self.out.check("and the reading waits", set(hub.item_states()) == {"waiting"}, hub.item_states())
            except rig.RigError as error:
                self.out.check("a receiver's wrong certificate is a condition", False, error)
            finally:
                server.kill()
                server.wait()

    def places(self):
        good, world = self.good, self.world
        self.expect("a state directory that cannot be made", (73, 77), ["/proc/vitalgate"], re.sub(r'state_directory = "[^"]*"', 'state_directory = "/proc/vitalgate"', good))
        if os.geteuid() == 0 and shutil.which("setpriv"):
            closed = os.path.join(world.directory, "closed")
            os.makedirs(closed, mode=0o555, exist_ok=True)
            os.chmod(world.directory, 0o755)
            text = re.sub(r'state_directory = "[^"]*"', f'state_directory = "{closed}"', good)
            text = re.sub(r'control_socket = "[^"]*"', 'control_socket = "/tmp/vitalgate-nobody/control.sock"', text).replace(world.state, closed)
            self.expect("a state directory without the right to write", (73, 77), ["closed"], text,
                        prefix=("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"))
        else:
            self.out.skip("a state directory without the right to write", "needs root to become somebody else")

    def databases(self):
        world = self.world
        world.start_daemon()
        world.add_cuff("late", start=False)
        code, error = self.start()
        self.out.check("a second daemon on the same state: exit 75 and three lines", code == 75 and len(lines_of(error)) >= 3, f"{code}: {error[-300:]}")
        self.out.check("the first one goes on", bool(world.operation("status")))
        world.stop_daemon()
        path = os.path.join(world.state, DATABASE)
        keep = os.path.join(world.directory, "keep")
        shutil.copytree(world.state, keep)

        def restore():
            shutil.rmtree(world.state)
            shutil.copytree(keep, world.state)
            os.chmod(world.state, 0o700)

        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        self.expect("a locked database", 75, ["lock|in use"])
        holder.execute("ROLLBACK")
        holder.close()
        restore()

        def as_a_later_release(oldest_reader):
            """As a later release would leave the database: a schema of its own, and who may still read it."""
            later = sqlite3.connect(path, isolation_level=None)
            version = later.execute("PRAGMA user_version").fetchone()[0]
            later.execute(f"PRAGMA user_version = {version + 1}")
            later.execute("UPDATE meta SET value = ? WHERE name = 'min_reader'", (oldest_reader(version),))
            later.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            later.close()
            for name in os.listdir(world.state):
                if name.endswith(("-wal", "-shm")):
                    os.unlink(os.path.join(world.state, name))
            return version

        version = as_a_later_release(lambda version: version + 1)
        before = digest(path)
        self.expect("a database of a later release", 78, ["schema|release"])
        self.out.check("a database of a later release is left untouched", digest(path) == before)
        self.out.note(f"this release writes schema {version}")
        restore()
        as_a_later_release(lambda version: version)
        world.start_daemon()
        self.out.check("a database of the next release that this one may still read opens", bool(world.operation("status")))
        world.stop_daemon()
        restore()

        with open(path, "r+b") as file:
            file.write(b"this is no database at all, but it was one before   ")
        self.expect("a damaged database", (74, 78), ["damaged|database"])
        restore()

        key = os.path.join(world.state, "key")
        os.chmod(key, 0o644)
        self.expect("a key file that others may read", 77, ["key", "chmod"])
        restore()
        os.unlink(key)
        self.expect("a missing key", 78, ["key"])
        self.out.check("no new key is made for old data", not os.path.exists(key))
        restore()
        with open(key, "wb") as file:
            file.write(os.urandom(32))
        os.chmod(key, 0o600)
        self.expect("a wrong key", 78, ["key"])
        restore()
        world.start_daemon()
        self.out.check("after all that the kept state opens as before", bool(world.operation("status")))
        world.stop_daemon()

    def usage(self):
        for what, arguments, expected in (
            ("a daemon that is not there", ["status", "--socket", "/nowhere/control.sock"], 69),
            ("an unknown subcommand", ["frobnicate"], 64),
            ("an unknown option", ["status", "--frobnicate"], 64),
            ("a time without zone", ["assign", "cuff", "--patient", "p", "--from", "yesterday", "--socket", "/nowhere/control.sock"], 64),
            ("bytes that are no frame", ["decode", "--format", "gatt:2a35", "--hex", "00"], 65),
            ("a format that is none", ["decode", "--format", "gatt:ffff", "--hex", "00"], 64),
        ):
            code, _, error = self.world.command(*arguments)
            self.out.check(f"{what}: exit {expected}", code == expected, f"{code}: {error[-300:]}")


def main():
    out = report.Report()
    with tempfile.TemporaryDirectory(prefix="configerrors-") as directory:
        try:
            with rig.Rig(directory) as world:
                world.add_receiver(start=False)
                world.add_cuff("cuff", start=False)
                cases = Cases(out, world)
                for part in (cases.configuration, cases.certificates, cases.places, cases.databases, cases.usage):
                    try:
                        part()
                    except rig.RigError as error:
                        out.check(f"{part.__name__} came to its end", False, error)
                        if world.daemon is not None and world.daemon.running:
                            world.kill_daemon()
        except rig.RigError as error:
            out.check("the rig could start", False, error)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
