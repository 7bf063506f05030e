#!/usr/bin/env python3
"""Writes the entries beside this file into Sources/Catalogue/BuiltInEntry.swift. Run it after each change of an entry."""
import pathlib

here = pathlib.Path(__file__).resolve().parent
out = here.parent / "Sources" / "Catalogue" / "BuiltInEntry.swift"

parts = ["""/// The entries of `devices/` as they are compiled in. Written by `devices/embed.py`; a test holds it against the files.
struct BuiltInEntry {
    let id: String
    let text: String

    static let all: [BuiltInEntry] = [
"""]
for path in sorted(here.glob("*.toml")):
    text = path.read_text()
    assert '"""###' not in text and text.endswith("\n")
    parts.append(f'        BuiltInEntry(\n            id: "{path.stem}",\n            text: ###"""\n')
    # Indented like the closing quotes, which Swift takes away again.
    parts += [("                " + line).rstrip() + "\n" for line in text.splitlines()]
    parts.append('\n                """###),\n')
parts.append("    ]\n}\n")
out.write_text("".join(parts))
