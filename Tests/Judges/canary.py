#!/usr/bin/env python3
"""Holds the rules against the examples that HL7 itself published, so that a rule that nobody else's data satisfies is seen.

usage: canary.py

Every difference must stand in known-differences.txt with the reason why the example, and not the rule, is taken to be wrong (or why
the rule is ours and stricter). An unlisted difference fails; so does a listed one that is gone.
"""

import sys

import judging

FOLDER = judging.HERE / "examples" / "phd-2.0.0"


def known():
    """(file, rule) -> reason."""
    listed = {}
    for number, line in enumerate((judging.HERE / "known-differences.txt").read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        place, _, reason = line.partition(" : ")
        file, rule = place.split()
        if not reason.strip() or (file, rule) in listed:
            sys.exit(f"known-differences.txt:{number}: no reason, or listed twice")
        listed[file, rule] = reason
    return listed


def resources(path):
    top = judging.load(path)
    if top["resourceType"] != "Bundle":
        return [(top, None)]
    return [(entry["resource"], top) for entry in top["entry"]]


def main():
    loaded, found, judged = judging.rules(), set(), 0
    for path in sorted(FOLDER.glob("*.json")):
        for resource, bundle in resources(path):
            judged += 1
            for rule, _, words in judging.judge_alone(loaded, resource, bundle):
                found.add((path.name, rule))
    listed = known()
    for file, rule in sorted(found - listed.keys()):
        print(f"{file} {rule}: not listed")
    for file, rule in sorted(listed.keys() - found):
        print(f"{file} {rule}: listed, but does not happen")
    bad = found ^ listed.keys()
    print(f"{judged} published resources, {len(listed)} known differences, {'ok' if not bad else f'{len(bad)} unexplained'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
