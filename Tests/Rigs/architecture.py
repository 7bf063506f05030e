#!/usr/bin/env python3
"""Holds the house to its own rules: what may import what, where SQL may stand, what the linked binary may hold.

Reads Package.swift, the sources and `.build/release/vitalgate`; changes nothing. A second's work: `python3 Tests/Rigs/architecture.py`.
"""

import json
import os
import re
import subprocess
import sys

import report

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SOURCES = os.path.join(ROOT, "Sources")
BINARY = os.environ.get("VITALGATE", os.path.join(ROOT, ".build", "release", "vitalgate"))

#: The modules that a package's product brings, where they are more than its own.
PRODUCTS = {
    "Crypto": {"Crypto", "CryptoExtras", "_CryptoExtras"},
    "Hummingbird": {"Hummingbird", "HummingbirdCore", "HTTPTypes", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOHTTPTypes"},
}
#: What the toolchain brings and every room may use.
TOOLCHAIN = {"Swift", "Synchronization", "FoundationEssentials"}
#: What touches the machine. Rooms that only hold values and decisions may not.
MACHINE = {"Glibc", "Dispatch", "CLinux", "CBlueZ", "CCurl", "CSQLite", "CSystemd", "EventLoop"}
PURE = {"ExactJSON", "Vitals", "Protocols", "Steward", "FHIR", "HTTPMessage", "Trust", "Devices", "Destinations"}
#: Debian's libraries that the binary may need at run time; everything else is linked in.
LIBRARIES = {
    "libcurl.so.4", "libsqlite3.so.0", "libsystemd.so.0", "libbluetooth.so.3", "libusb-1.0.so.0", "libstdc++.so.6", "libgcc_s.so.1",
    "libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |fileprivate |private )?import\s+"
    r"(?:struct |class |enum |protocol |func |typealias |var |let )?(\w+)", re.M)
SQL = re.compile(
    r'"[^"\n]*\b(?:SELECT\s+[\w*(,. ]+\s+FROM\s|INSERT\s+(?:OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+TABLE\s|PRAGMA\s+\w+)')


def swift_files(folder):
    for directory, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(".swift"):
                yield os.path.join(directory, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group(0).count("\n"), text, flags=re.S)
    return re.sub(r"(?m)^(\s*)//.*$|(?<=[\s;{}),])//[^\"\n]*$", r"\1", text)


def rooms_of_package():
    """Room -> (own rooms it depends on, module names of products), in the order of Package.swift, as SwiftPM itself understands it."""
    text = subprocess.run(["swift", "package", "--package-path", ROOT, "dump-package"], capture_output=True, text=True, check=True).stdout
    rooms = {}
    for target in json.loads(text)["targets"]:
        if target["type"] == "test":
            continue
        own, products = set(), set()
        for dependency in target["dependencies"]:
            if "byName" in dependency:
                own.add(dependency["byName"][0])
            elif "target" in dependency:
                own.add(dependency["target"][0])
            elif "product" in dependency:
                products |= PRODUCTS.get(dependency["product"][0], {dependency["product"][0]})
        rooms[target["name"]] = (own, products)
    return rooms


def imports(out, rooms):
    order = list(rooms)
    wrong = [f"{name} depends on {other}" for name in order for other in rooms[name][0]
             if other not in order or order.index(other) > order.index(name)]
    out.check("Package.swift lists the rooms lowest first, and no room depends on one above it", not wrong, wrong)

    folders = {name for name in os.listdir(SOURCES) if any(swift_files(os.path.join(SOURCES, name))) or
               os.path.exists(os.path.join(SOURCES, name, "module.modulemap"))}
    out.check("every room is a folder and every folder a room", folders == set(order), sorted(folders ^ set(order)))

    undeclared, foundation, touching, essentials = [], [], [], set()
    for name in order:
        own, products = rooms[name]
        allowed = own | products | TOOLCHAIN | {"Glibc", "Dispatch", name}
        for path in swift_files(os.path.join(SOURCES, name)):
            short = os.path.relpath(path, ROOT)
            for module in IMPORT.findall(without_comments(read(path))):
                if module == "Foundation":
                    foundation.append(short)
                elif module not in allowed:
                    undeclared.append(f"{short} imports {module}")
                if module == "FoundationEssentials":
                    essentials.add(short)
                if name in PURE and module in MACHINE:
                    touching.append(f"{short} imports {module}")
    out.check("a room imports only what Package.swift says", not undeclared, undeclared)
    out.check("nothing imports Foundation", not foundation, foundation)
    out.check("rooms of values and decisions import nothing that touches the machine", not touching, touching)
    out.note(f"FoundationEssentials in {len(essentials)} files")


def rules_of_the_code(out, rooms):
    sql, unchecked, forced, tasks, unfinished, paths = [], [], [], [], [], []
    for name in rooms:
        for path in swift_files(os.path.join(SOURCES, name)):
            text = read(path)
            code = without_comments(text)
            short = os.path.relpath(path, ROOT)
            for number, line in enumerate(code.splitlines(), 1):
                where = f"{short}:{number}"
                if name != "Journal" and SQL.search(line):
                    sql.append(where)
                if "@unchecked Sendable" in line:
                    above = "\n".join(text.splitlines()[max(0, number - 12) : number])
                    if "//" not in above:
                        unchecked.append(where)
                if re.search(r"\btry!|\bas!", line):
                    forced.append(where)
                if name not in ("Gateway", "vitalgate") and re.search(r"\bTask(?:\.detached)?\s*(?:\([^)]*\))?\s*\{", line):
                    above = "\n".join(text.splitlines()[max(0, number - 15) : number - 1])
                    if not re.search(r"//.*\btask\b", above):
                        tasks.append(where)
            for number, line in enumerate(text.splitlines(), 1):
                if re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", line):
                    unfinished.append(f"{short}:{number}")
                if re.search(r"/(?:work|home|opt)/", line):
                    paths.append(f"{short}:{number}")
    out.check("SQL stands in the journal only", not sql, sql)
    out.check("every `@unchecked Sendable` has its reason beside it", not unchecked, unchecked)
    out.check("no `try!` and no `as!`", not forced, forced)
    out.check("no Task outside the composition root without its reason beside it", not tasks, tasks)
    out.check("nothing is marked unfinished", not unfinished, unfinished)
    out.check("no paths of somebody's machine", not paths, paths)


def promises(out):
    """R1 to R10: each has tests that carry its number."""
    found = set()
    for directory, _, names in os.walk(os.path.join(ROOT, "Tests")):
        for name in names:
            if name.endswith((".swift", ".py", ".sh")):
                found |= set(re.findall(r"\b[Rr](10|[1-9])[ _:,)]", read(os.path.join(directory, name))))
    missing = [f"R{number}" for number in range(1, 11) if str(number) not in found]
    out.check("each rule R1 to R10 has tests that carry its number", not missing, missing)
    document = os.path.join(ROOT, "ARCHITECTURE.md")
    if os.path.exists(document):
        text = read(document)
        unnamed = [name for name in os.listdir(SOURCES) if f"`{name}" not in text]
        out.check("ARCHITECTURE.md names every room", not unnamed, unnamed)
    else:
        out.skip("ARCHITECTURE.md names every room", "there is no ARCHITECTURE.md")


def binary(out):
    if not os.path.exists(BINARY):
        out.skip("the linked binary", f"{os.path.relpath(BINARY, ROOT)} is not built")
        return
    with open(BINARY, "rb") as file:
        content = file.read()
    traces = [mark for mark in (b"icudt", b"_FoundationICU", b"FoundationInternationalization", b"uloc_getDefault", b"ucal_open")
              if mark in content]
    out.check("the linked binary holds no ICU and no full Foundation", not traces, traces)
    dynamic = subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=False).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)\]", dynamic))
    out.check("the binary needs Debian's libraries only", needed and needed <= LIBRARIES, sorted(needed - LIBRARIES))


def main():
    out = report.Report()
    rooms = rooms_of_package()
    out.check("Package.swift was understood", len(rooms) > 15, sorted(rooms))
    imports(out, rooms)
    rules_of_the_code(out, rooms)
    promises(out)
    binary(out)
    return out.close()


if __name__ == "__main__":
    sys.exit(main())
