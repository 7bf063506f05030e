#!/usr/bin/env python3
"""Judges requests to `$submit-measurement`: structure by fhirkit-rs, the published ehealth-observation from its own data, what the guide
says in words by fhirpathpy.

usage: judge_fut.py [--all-rules] FILE...

Exits 1 if anything does not hold. The guide's own example Observations must pass too, else the reading of the data is wrong.
"""

import json
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import judging  # noqa: E402
import published  # noqa: E402

RESOLVED = published.SD + "ehealth-resolved-timing"


def rules():
    return [judging.Rule(table) for table in tomllib.loads((HERE / "rules.toml").read_text())["rule"]]


def observations(request):
    for parameter in request.get("parameter", []):
        for entry in parameter.get("resource", {}).get("entry", []):
            if entry.get("resource", {}).get("resourceType") == "Observation":
                yield entry["resource"]


def judge(loaded, profile, request, asked=None):
    """(rule, where, words) for everything that does not hold."""
    found = [("structure", "Parameters", text) for text in judging.structure(request)]
    for number, observation in enumerate(observations(request)):
        found += [("structure", f"[{number}]", text) for text in judging.structure(observation)]
        found += [(rule, f"[{number}]", words) for rule, words in profile.judge(observation)]
    known = {"rt": RESOLVED}
    for rule in loaded:
        subjects = [("Parameters", request)] if rule.on == "Parameters" else [
            (f"[{n}]", o) for n, o in enumerate(observations(request))]
        found += judging.asks(rule, subjects, known, asked)
    return found


def main():
    files = [a for a in sys.argv[1:] if a != "--all-rules"]
    if not files:
        sys.exit(__doc__)
    loaded, profile, asked, bad = rules(), published.Profile(), set(), 0
    examples = [
        json.loads((HERE / "published/examples" / name).read_text())
        for name in ("GET_Observation.response.json", "PATCH_Observation.response.json", "POST_Observation_validate.request.json")
    ]
    for example in examples:
        observation = example["parameter"][0]["resource"] if example["resourceType"] == "Parameters" else example
        for rule, words in profile.judge(observation):
            print(f"the guide's own example: {rule}: {words}")
            bad += 1
    for path in files:
        try:
            request = judging.load(path)
        except ValueError as error:
            print(f"{pathlib.Path(path).name}: no JSON, {error}")
            bad += 1
            continue
        if not list(observations(request)):
            print(f"{pathlib.Path(path).name}: no observation")
            bad += 1
        for rule, where, words in judge(loaded, profile, request, asked):
            print(f"{pathlib.Path(path).name}: {rule} at {where}: {words}")
            bad += 1
    silent = sorted({rule.id for rule in loaded} - asked)
    if "--all-rules" in sys.argv and silent:
        print("never asked:", ", ".join(silent))
        bad += 1
    read = len(profile.elements) + sum(len(e.parts) for e in profile.extensions.values())
    print(f"{read} published elements, {len(loaded)} rules, {len(files)} requests, {f'{bad} violations' if bad else 'ok'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
