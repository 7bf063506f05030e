"""Boots the guest of image.sh in QEMU, without KVM, and brings back what it left.

    vm.Machine(share, cache).run("python3 rigs/radio/guest/suite.py --only fuzz", seconds=600)

The share is a folder that the guest sees as /host; `job` in it is run by guest/boot.sh, and its exit status is the result. The root file
system is a snapshot: nothing stays. KVM is not tried: where the host is a virtual machine itself, /dev/kvm may open and no kernel boot.

A guest that is silent after its start is ended and started once more; the result counts it. Only a process started here is ended.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RIGS = os.path.dirname(HERE)
ROOT = os.path.realpath(os.path.join(RIGS, "..", ".."))
#: A stock kernel is in its init after 5 to 10 s; on a busy machine after 40 s.
BOOT_SECONDS = 120
#: cryptomgr.notests: the self-test of the ciphers locked up about one boot in twenty under TCG.
COMMAND_LINE = "console=ttyS0 quiet mitigations=off nokaslr cryptomgr.notests random.trust_cpu=on panic=-1 rig.init=/host/boot.sh"


class VMError(Exception):
    pass


class NoImage(VMError):
    """The image cannot be built here: not root. Nothing is wrong with what is under test."""


def cache_folder():
    return os.path.realpath(os.environ.get("VITALGATE_RIG_CACHE", os.path.join(ROOT, ".build", "rig")))


def make_image():
    """Builds the image where it is missing or old; returns its folder."""
    done = subprocess.run([os.path.join(HERE, "image.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 77:
        raise NoImage("its image needs root, once")
    if done.returncode != 0:
        raise VMError("the image was not built")
    return done.stdout.strip()


def make_share(binary=None, extra=()):
    """A folder for one run: the rigs' scripts, the binary and whatever else the guest needs."""
    share = tempfile.mkdtemp(prefix="radio-")
    os.mkdir(os.path.join(share, "out"))
    shutil.copytree(RIGS, os.path.join(share, "rigs"), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(os.path.join(ROOT, "devices"), os.path.join(share, "devices"))
    shutil.copy(os.path.join(HERE, "guest", "boot.sh"), share)
    if binary:
        shutil.copy(binary, os.path.join(share, "vitalgate"))
    for path in extra:
        shutil.copy(path, share)
    return share


class Machine:
    def __init__(self, share, cache, memory=1536, processors=2):
        self.share, self.cache, self.memory, self.processors = share, cache, memory, processors
        self.reruns = 0
        self.serial = os.path.join(share, "serial.log")
        self.boot_seconds = None

    def command(self):
        return [
            "qemu-system-x86_64", "-M", "pc,hpet=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", str(self.processors),
            "-m", str(self.memory), "-nic", "none", "-vga", "none", "-display", "none", "-no-reboot", "-nodefaults",
            "-serial", f"file:{self.serial}", "-kernel", os.path.join(self.cache, "vmlinuz"), "-initrd", os.path.join(self.cache, "initrd.gz"),
            "-drive", f"file={os.path.join(self.cache, 'root.img')},if=virtio,format=raw,snapshot=on,cache=unsafe,file.locking=off",
            "-virtfs", f"local,path={self.share},mount_tag=share,security_model=none", "-device", "virtio-rng-pci",
            "-append", COMMAND_LINE,
        ]

    def said(self):
        try:
            with open(self.serial, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def run(self, job, seconds, show=None):
        """Runs one shell command line in the guest; its exit status, or VMError. `show` gets each line of the console."""
        with open(os.path.join(self.share, "job"), "w", encoding="utf-8") as file:
            file.write(job + "\n")
        status = os.path.join(self.share, "out", "status")
        for attempt in (1, 2):
            for path in (self.serial, status):
                if os.path.exists(path):
                    os.unlink(path)
            up = self._once(seconds, show)
            if os.path.exists(status):
                with open(status, encoding="ascii") as file:
                    return int(file.read().strip() or 99)
            if up:
                raise VMError("the guest ended, or ran out of time, before its job did\n" + "\n".join(self.said().splitlines()[-15:]))
            if attempt == 1:
                self.reruns += 1
        raise VMError("the guest did not boot, twice\n" + "\n".join(self.said().splitlines()[-15:]))

    def _once(self, seconds, show):
        """One life of the virtual machine; whether its init came up."""
        process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=sys.stderr)
        began, up, shown = time.monotonic(), False, 0
        try:
            while True:
                ended = process.poll() is not None
                lines = self.said().split("\n")
                if not up and any(line.startswith("[up") for line in lines):
                    up, self.boot_seconds = True, time.monotonic() - began
                for line in lines[shown:-1]:
                    if show:
                        show(line.rstrip("\r"))
                shown = max(shown, len(lines) - 1)
                age = time.monotonic() - began
                if ended or age > BOOT_SECONDS + seconds or (not up and age > BOOT_SECONDS):
                    return up
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(20)
