#!/usr/bin/env python3
"""Judges transaction bundles: structure by fhirkit-rs, the PHD IG's and the vital-signs profiles' rules by fhirpathpy.

usage: judge_bundle.py [--all-rules] FILE...

Exits 1 if anything does not hold. --all-rules also fails if a rule was asked of none of the files: a rule that never speaks judges
nothing.
"""

import pathlib
import sys

import judging


def main():
    files = [a for a in sys.argv[1:] if a != "--all-rules"]
    if not files:
        sys.exit(__doc__)
    loaded, asked, bad = judging.rules(), set(), 0
    for path in files:
        try:
            bundle = judging.load(path)
        except ValueError as error:
            print(f"{pathlib.Path(path).name}: no JSON, {error}")
            bad += 1
            continue
        for rule, where, words in judging.judge(loaded, bundle, asked):
            print(f"{pathlib.Path(path).name}: {rule} at {where}: {words}")
            bad += 1
    silent = sorted({rule.id for rule in loaded} - asked)
    if "--all-rules" in sys.argv and silent:
        print("never asked:", ", ".join(silent))
        bad += 1
    print(f"{len(loaded)} rules, {len(files)} bundles, {f'{bad} violations' if bad else 'ok'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
