#!/usr/bin/env python3
"""Holds the TOML that people write against the JSON Schemas, with readers that nobody here wrote: tomllib and jsonschema.

What must pass: the example configuration, and every entry of the device catalogue. What must not: each of them with one mistake sown in.
"""

import copy
import json
import pathlib
import sys
import tomllib

import jsonschema

root = pathlib.Path(__file__).resolve().parents[2]
failed = 0
checks = 0


def check(what, good, detail=""):
    global failed, checks
    checks += 1
    if not good:
        failed += 1
        print(f"FAIL - {what} {detail}")


def validator(path):
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def said(judge, document):
    return [f"{list(error.absolute_path)}: {error.message}" for error in judge.iter_errors(document)]


def changed(document, path, value):
    """The document with one value put in, or with None taken out."""
    document = copy.deepcopy(document)
    at = document
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


configuration = validator(root / "config" / "vitalgate.schema.json")
example = tomllib.loads((root / "config" / "vitalgate.example.toml").read_text())
check("the example configuration", not said(configuration, example), said(configuration, example))
for path, value in [
    (["hub", "state_dir"], "/x"), (["hub", "state_directory"], "x"), (["keys", "file"], "/k"), (["storage", "low_megabytes"], "many"),
    (["storage", "retention_delivered_days"], 0), (["clock", "declared"], "yes"), (["programme", "absent_consent"], "never"),
    (["programme", "bound", 0, "low"], None), (["receiver", 0, "base"], "http://fhir.example.org"), (["receiver", 0, "name"], "A b"),
    (["receiver", 0, "kind"], None), (["receiver", 0, "token"], "secret"), (["receiver", 0, "certificate_file"], "/c"),
    (["receiver", 0, "timeouts", "connect_seconds"], 0), (["receiver", 0, "rounding", 0, "unit"], None), (["device", 0, "address"], "00:00:5E:00:53:01"),
    (["receiver", 1, "sign_in"], None), (["receiver", 1, "sign_in", "issuer"], None), (["receiver", 1, "token_file"], "/t"),
    (["receiver", 1, "sign_in", "way"], "qr"), (["receiver", 0, "sign_in"], {"issuer": "https://a", "client": "a"}),
    (["receiver", 2, "helseid"], None), (["receiver", 2, "helseid", "scopes"], []), (["receiver", 2, "helseid", "algorithm"], "RS256"),
    (["receiver", 2, "municipality"], "Oslo"), (["receiver", 2, "journals"], True), (["receiver", 2, "kind"], "vkp"),
    (["receiver", 0, "municipality"], "0301"), (["receiver", 1, "helseid"], {"issuer": "https://a", "client": "a", "scopes": ["s"]}),
    (["device", 0, "bearer"], None), (["log", "level"], "loud"),
]:
    check(f"a mistake in {path} is found", said(configuration, changed(example, path, value)))

model = validator(root / "devices" / "schema.json")
for entry in sorted((root / "devices").glob("*.toml")):
    document = tomllib.loads(entry.read_text())
    check(entry.name, not said(model, document), said(model, document))
    for path, value in [
        (["driver"], "scale"), (["name"], None), (["acknowledges"], "hope"), (["users"], 2), (["match", "services"], [0x12345]),
        (["clock", "read"], 0x2A00), (["session", "steps"], ["clock"]), (["session", "settle"], 1),
    ]:
        check(f"{entry.name}: a mistake in {path} is found", said(model, changed(document, path, value)))

print(f"{checks - failed} of {checks} schema checks passed")
sys.exit(1 if failed else 0)
