"""Reads an strace recording (`strace -f -xx -y`) into the events that decide what a power cut leaves on disk.

Each system call becomes two events in the order of the recording: its entry and its return. A sync covers what was written before its
entry and promises it only from its return on.
"""

import re
from dataclasses import dataclass, field

#: What has to be recorded: every call that changes a file, a name or what is promised of them, and what leaves through sockets.
RECORDED = (
    "openat,open,creat,close,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync,syncfs,sync_file_range,msync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,sendto,sendmsg,sendmmsg,"
    "copy_file_range,sendfile,splice"
)

_HEAD = re.compile(r"^(?:\[pid +)?(\d+)\]? +(?:\d+\.\d+ +)?(.*)$", re.S)
_CALL = re.compile(r"^(\w+)\(", re.S)
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>", re.S)
_RETURN = re.compile(r"\)\s+= (-?\d+|0x[0-9a-f]+|\?)(<[^>]*>)?(?: .*)?$", re.S)
_PATH_END = re.compile(r">(?=[,)\]} ]|$)")


@dataclass
class Call:
    """One system call; `arguments` are the raw texts between its commas, `result` is None when it failed or never returned."""

    pid: int
    name: str
    arguments: list = field(default_factory=list)
    result: int = None
    result_path: str = None
    entered: int = 0
    returned: int = None


def unescape(text):
    """The bytes of a `-xx` string: `\\x41\\x42`, with what was not escaped taken as it is."""
    if "\\" not in text:
        return text.encode("latin-1", "replace")
    out = bytearray()
    i = 0
    while i < len(text):
        if text[i] == "\\" and text[i + 1] == "x":
            out.append(int(text[i + 2 : i + 4], 16))
            i += 4
        else:
            out.append(ord(text[i]) & 0xFF)
            i += 1
    return bytes(out)


def string(argument):
    """The bytes of a quoted argument; raises ValueError when the recording cut it short."""
    argument = argument.strip()
    if not argument.startswith('"'):
        raise ValueError(f"not a string: {argument[:60]}")
    if argument.endswith("..."):
        raise ValueError("the recording cut a string short: raise strace's -s")
    body = argument[1 : argument.rindex('"')]
    # bytes.fromhex is a hundred times faster than a loop, and nearly every string is wholly escaped.
    if len(body) % 4 == 0 and body.count("\\x") * 4 == len(body):
        return bytes.fromhex(body.replace("\\x", ""))
    return unescape(body)


def descriptor(argument):
    """(number, path or None) of `5</path>`; sockets and pipes have a path such as `socket:[123]`."""
    match = re.match(r"\s*(-?\d+|AT_FDCWD)(?:<(.*)>)?\s*$", argument, re.S)
    if not match:
        return None, None
    number = -100 if match.group(1) == "AT_FDCWD" else int(match.group(1))
    path = match.group(2)
    if path is not None:
        path = unescape(path).decode("utf-8", "surrogateescape")
    return number, path


def _split(text):
    """Splits a call's arguments at its outer commas."""
    parts, depth, quoted, start = [], 0, False, 0
    i = 0
    while i < len(text):
        c = text[i]
        if quoted:
            # In -xx recordings a backslash is always an escape, so a quote always ends the string.
            end = text.find('"', i)
            i = end if end >= 0 else len(text)
            quoted = False
        elif c == '"':
            quoted = True
        elif c == "<":
            # A descriptor's path: it ends where an argument can end, whatever is in it (`UNIX-SEQPACKET:[7->8]`).
            end = _PATH_END.search(text, i)
            i = end.start() if end else len(text)
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
        i += 1
    last = text[start:].strip()
    if last or parts:
        parts.append(last)
    return parts


def parse(lines):
    """Yields ("enter", call) and ("return", call), in the order of the recording."""
    pending = {}
    for index, line in enumerate(lines):
        head = _HEAD.match(line.rstrip("\n"))
        if not head:
            continue
        pid, rest = int(head.group(1)), head.group(2)
        if rest.startswith(("+++", "---")):
            continue
        resumed = _RESUMED.match(rest)
        if resumed:
            if pid not in pending:
                continue
            call, begun = pending.pop(pid)
            text = begun + rest[resumed.end() :]
        else:
            opening = _CALL.match(rest)
            if not opening:
                continue
            call = Call(pid=pid, name=opening.group(1), entered=index)
            text = rest[opening.end() :]
            if text.rstrip().endswith("<unfinished ...>"):
                begun = text[: text.rindex("<unfinished ...>")]
                call.arguments = _split(begun.rstrip().rstrip(","))
                pending[pid] = (call, begun)
                yield "enter", call
                continue
        ending = None
        for ending in _RETURN.finditer(text):
            pass
        body = text[: ending.start()] if ending else text
        call.arguments = _split(body)
        if ending and ending.group(1) != "?":
            value = int(ending.group(1), 0)
            call.result = value if value >= 0 else None
            if ending.group(2):
                call.result_path = unescape(ending.group(2)[1:-1]).decode("utf-8", "surrogateescape")
        call.returned = index
        if not resumed:
            yield "enter", call
        yield "return", call
