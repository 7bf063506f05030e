"""What a power cut leaves of a directory, by the rules that POSIX promises and no more.

A write is on disk for certain only after fsync or fdatasync of its file returned; until then any part of it may be there, in any order,
down to single 512-byte sectors. A name (created, renamed, removed) is certain only after fsync of its directory. Cuts are taken
from the recording of real system calls, so nothing of the store's own code is trusted.
"""

import os
from dataclasses import dataclass, field

import syscalls

SECTOR = 512
#: Not rebuilt: -shm is a cache that SQLite rebuilds, locks hold nothing, the ballast's content does not matter.
IGNORED_SUFFIXES = ("-shm", ".lock", "ballast", ".sock")


@dataclass
class Write:
    offset: int
    data: bytes


@dataclass
class Truncate:
    length: int


@dataclass
class Extend:
    length: int


@dataclass
class File:
    """A file's content as synced, and what was done to it since, oldest first."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list = field(default_factory=list)

    def settle(self, operations):
        for operation in operations:
            apply(self.durable, operation)
        done = set(map(id, operations))
        self.pending = [operation for operation in self.pending if id(operation) not in done]


def apply(content, operation):
    if isinstance(operation, Write):
        end = operation.offset + len(operation.data)
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        content[operation.offset : end] = operation.data
    elif isinstance(operation, Truncate):
        if operation.length < len(content):
            del content[operation.length :]
        else:
            content.extend(bytes(operation.length - len(content)))
    elif isinstance(operation, Extend) and operation.length > len(content):
        content.extend(bytes(operation.length - len(content)))


def sectors(write):
    """The write's parts as a disk may tear it: at the file's 512-byte boundaries."""
    parts, position, end = [], write.offset, write.offset + len(write.data)
    while position < end:
        stop = min(end, (position // SECTOR + 1) * SECTOR)
        parts.append(Write(position, write.data[position - write.offset : stop - write.offset]))
        position = stop
    return parts


class Directory:
    """The state of one directory tree while a recording is replayed. `images` gives what a cut at this moment could leave."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.files = {}  # path -> File, as the running program sees it
        self.durable_names = {}  # path -> File, as promised
        self.pending_names = []  # (directory, action, path, File)
        self.offsets = {}  # (pid group is one process) descriptor -> [offset, append, synchronous]
        self.syncs = {}  # id(call) -> (File, operations covered)
        self.sync_count = 0
        self.write_count = 0
        self.unknown = set()

    # Names

    def inside(self, path):
        return path is not None and (path == self.root or path.startswith(self.root + "/"))

    def kept(self, path):
        return self.inside(path) and not path.endswith(IGNORED_SUFFIXES) and not path.endswith(" (deleted)")

    def _create(self, path):
        file = File()
        self.files[path] = file
        self.pending_names.append((os.path.dirname(path), "add", path, file))
        return file

    def _file(self, path):
        return self.files.get(path) or self._create(path)

    def _settle_names(self, directory):
        rest = []
        for entry in self.pending_names:
            if entry[0] == directory:
                self._apply_name(self.durable_names, entry)
            else:
                rest.append(entry)
        self.pending_names = rest

    @staticmethod
    def _apply_name(names, entry):
        _, action, path, file = entry
        if action == "add":
            names[path] = file
        elif action == "rename":
            old, new = path
            names.pop(old, None)
            names[new] = file
        else:
            names.pop(path, None)

    # Replay

    def enter(self, call):
        """What may be on disk from the entry of a call on, and what its sync will cover."""
        name, args = call.name, call.arguments
        if name in ("fsync", "fdatasync", "msync", "sync_file_range"):
            _, path = syscalls.descriptor(args[0])
            if self.kept(path) and path in self.files:
                file = self.files[path]
                self.syncs[id(call)] = (file, list(file.pending), path)
        elif name in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile", "splice"):
            _, path = syscalls.descriptor(args[0] if name not in ("copy_file_range", "splice") else args[2])
            if name in ("writev", "pwritev", "pwritev2", "copy_file_range", "splice") and self.kept(path):
                self.unknown.add(name)

    def leave(self, call):
        """The effect of a call that returned. (A write counts here, with the length that the kernel took: the thread that wrote could
        not go on before, and no sync of ours relies on it earlier.)"""
        name, args = call.name, call.arguments
        if call.result is None:
            self.syncs.pop(id(call), None)
            return
        if name in ("openat", "open", "creat"):
            self._open(call)
        elif name in ("pwrite64", "write"):
            number, path = syscalls.descriptor(args[0])
            if not self.kept(path):
                return
            data = syscalls.string(args[1])[: call.result]
            file = self._file(path)
            state = self.offsets.setdefault(number, [0, False, False])
            if name == "pwrite64":
                offset = int(args[3])
            else:
                offset = self._length(file) if state[1] else state[0]
                state[0] = offset + len(data)
            operation = Write(offset, data)
            self.write_count += 1
            file.pending.append(operation)
            if state[2]:
                file.settle(list(file.pending))
        elif name == "lseek":
            number, path = syscalls.descriptor(args[0])
            if self.kept(path):
                self.offsets.setdefault(number, [0, False, False])[0] = call.result
        elif name == "ftruncate":
            _, path = syscalls.descriptor(args[0])
            if self.kept(path):
                self._file(path).pending.append(Truncate(int(args[1])))
        elif name == "truncate":
            path = self._path(args[0])
            if self.kept(path):
                self._file(path).pending.append(Truncate(int(args[1])))
        elif name == "fallocate":
            _, path = syscalls.descriptor(args[0])
            if self.kept(path):
                self._file(path).pending.append(Extend(int(args[2]) + int(args[3])))
        elif name in ("fsync", "fdatasync"):
            if id(call) in self.syncs:
                file, covered, _ = self.syncs.pop(id(call))
                file.settle(covered)
                self.sync_count += 1
            else:
                _, path = syscalls.descriptor(args[0])
                if self.inside(path) and path not in self.files:
                    self._settle_names(path)
        elif name in ("sync", "syncfs"):
            for file in self.files.values():
                file.settle(list(file.pending))
            for directory in {entry[0] for entry in self.pending_names}:
                self._settle_names(directory)
        elif name in ("unlink", "unlinkat"):
            path = self._path(args[0]) if name == "unlink" else self._at(args[0], args[1])
            if self.kept(path) and path in self.files:
                file = self.files.pop(path)
                self.pending_names.append((os.path.dirname(path), "remove", path, file))
        elif name in ("rename", "renameat", "renameat2"):
            old, new = (self._path(args[0]), self._path(args[1])) if name == "rename" else (self._at(*args[:2]), self._at(*args[2:4]))
            if old in self.files and self.kept(new):
                file = self.files.pop(old)
                self.files[new] = file
                self.pending_names.append((os.path.dirname(new), "rename", (old, new), file))
        elif name in ("link", "linkat"):
            new = self._path(args[1]) if name == "link" else self._at(*args[2:4])
            if self.kept(new):
                self.unknown.add(name)

    def _open(self, call):
        args = call.arguments
        path = self._at(args[0], args[1]) if call.name == "openat" else self._path(args[0])
        flags = args[2] if call.name == "openat" else (args[1] if call.name == "open" else "O_CREAT|O_TRUNC|O_WRONLY")
        if not self.kept(path) or os.path.isdir(path) or "O_DIRECTORY" in flags:
            return
        writable = "O_RDWR" in flags or "O_WRONLY" in flags
        if path not in self.files and "O_CREAT" in flags:
            self._create(path)
        if path in self.files and "O_TRUNC" in flags:
            self.files[path].pending.append(Truncate(0))
        if writable:
            synchronous = "O_SYNC" in flags or "O_DSYNC" in flags
            self.offsets[call.result] = [0, "O_APPEND" in flags, synchronous]

    def _path(self, argument):
        path = syscalls.string(argument).decode("utf-8", "surrogateescape")
        return os.path.normpath(path)

    def _at(self, directory, argument):
        path = syscalls.string(argument).decode("utf-8", "surrogateescape")
        if path.startswith("/"):
            return os.path.normpath(path)
        _, base = syscalls.descriptor(directory)
        return os.path.normpath(os.path.join(base, path)) if base else path

    @staticmethod
    def _length(file):
        content = len(file.durable)
        for operation in file.pending:
            if isinstance(operation, Write):
                content = max(content, operation.offset + len(operation.data))
            elif isinstance(operation, Truncate):
                content = operation.length
            else:
                content = max(content, operation.length)
        return content

    # What a cut leaves

    def unsynced(self):
        return sum(len(file.pending) for file in self.files.values()) + len(self.pending_names)

    def image_without_unsynced(self):
        """Only what was promised: path relative to the root -> bytes."""
        return {os.path.relpath(path, self.root): bytes(file.durable) for path, file in self.durable_names.items()}

    def image_with_everything(self):
        """As if the last moment had been synced (a process that died while the machine went on)."""
        image = {}
        for path, file in self.files.items():
            content = bytearray(file.durable)
            for operation in file.pending:
                apply(content, operation)
            image[os.path.relpath(path, self.root)] = bytes(content)
        return image

    def image_with_some(self, random, torn):
        """What was promised and a random part of the rest; `torn` breaks writes at sectors and shuffles what the disk did first."""
        chance = random.choice((0.1, 0.5, 0.9))
        names = dict(self.durable_names)
        for entry in self.pending_names:
            if random.random() < 0.5:
                self._apply_name(names, entry)
        image = {}
        for path, file in names.items():
            content = bytearray(file.durable)
            for operation in file.pending:
                # A disk may keep only the new length: the file system's own journal is ahead of the data.
                if isinstance(operation, Write) and random.random() < 0.1:
                    apply(content, Extend(operation.offset + len(operation.data)))
                if isinstance(operation, Write) and torn:
                    for part in sectors(operation):
                        if random.random() < chance:
                            apply(content, part)
                elif random.random() < chance:
                    apply(content, operation)
            image[os.path.relpath(path, self.root)] = bytes(content)
        return image
