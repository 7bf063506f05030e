"""An ext4 file system on which every write and flush takes its time: dm-delay over a loop device. Root, in the guest.

    with SlowDisk("/run/slow", megabytes=96, milliseconds=30) as path: ...
"""

import os
import subprocess
import time

#: Without udev, dmsetup makes the nodes itself.
ENVIRONMENT = {**os.environ, "DM_DISABLE_UDEV": "1"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout.strip()


class SlowDisk:
    def __init__(self, path, megabytes=96, milliseconds=30):
        self.path, self.megabytes, self.milliseconds = path, megabytes, milliseconds
        self.name = "slow" + os.path.basename(path)
        self.backing = path + ".img"
        self.loop = None

    def table(self, milliseconds):
        sectors = run("blockdev", "--getsz", self.loop)
        # Reads are not delayed, writes and flushes are (device-mapper/delay.rst).
        return f"0 {sectors} delay {self.loop} 0 0 {self.loop} 0 {milliseconds} {self.loop} 0 {milliseconds}"

    def __enter__(self):
        run("modprobe", "-a", "loop", "dm-delay")
        with open(self.backing, "wb") as file:
            file.truncate(self.megabytes << 20)
        self.loop = run("losetup", "--find", "--show", self.backing)
        run("mke2fs", "-q", "-t", "ext4", "-J", "size=8", self.loop)
        run("dmsetup", "create", self.name, "--table", self.table(self.milliseconds))
        os.makedirs(self.path, exist_ok=True)
        run("mount", f"/dev/mapper/{self.name}", self.path)
        return self

    def sync_milliseconds(self, count=5):
        """What a write and fsync of 4 KiB takes: the least of some."""
        took = []
        path = os.path.join(self.path, "probe")
        with open(path, "wb", buffering=0) as file:
            for _ in range(count):
                began = time.monotonic()
                file.write(bytes(4096))
                os.fsync(file.fileno())
                took.append((time.monotonic() - began) * 1000)
        os.unlink(path)
        return min(took)

    def __exit__(self, *_):
        for command in (["umount", self.path], ["dmsetup", "remove", self.name], ["losetup", "-d", self.loop]):
            subprocess.run(command, check=False, capture_output=True, env=ENVIRONMENT)
        if os.path.exists(self.backing):
            os.unlink(self.backing)
