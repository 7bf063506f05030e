"""Rules as FHIRPath over FHIR resources: shared by the judges in this folder."""

import json
import pathlib
import tomllib

import fhirkit
import fhirpathpy
from fhirpathpy.models import models

HERE = pathlib.Path(__file__).resolve().parent
MDC = "urn:iso:std:iso:11073:10101"
# IG, value set MDCClockTypes.
CLOCKS = ["67975", "68226", "67983", "68072"]


class Rule:
    def __init__(self, table):
        self.id, self.on, self.says, self.source = table["id"], table["on"], table["says"], table["source"]
        self.must = fhirpathpy.compile(table["must"], models["r4"])
        self.when = fhirpathpy.compile(table["when"], models["r4"]) if "when" in table else None

    def holds(self, resource, variables):
        """True, False, or None where the rule is not asked of this resource."""
        context = variables | {"resource": resource}
        if self.when and self.when(resource, context) != [True]:
            return None
        return self.must(resource, context) == [True]


def rules():
    loaded = [Rule(table) for table in tomllib.loads((HERE / "rules.toml").read_text())["rule"]]
    assert len({rule.id for rule in loaded}) == len(loaded), "rule ids are not unique"
    return loaded


def variables(bundle):
    gateway = ""
    for entry in bundle.get("entry", []):
        codings = entry.get("resource", {}).get("type", {})
        codings = codings.get("coding", []) if isinstance(codings, dict) else []
        if any(c.get("system") == MDC and c.get("code") == "531981" for c in codings):
            gateway = entry.get("fullUrl", "")
    return {"bundle": bundle, "mdc": MDC, "clocks": CLOCKS, "gatewayUrl": gateway}


def structure(resource):
    """What fhirkit-rs, which has all of FHIR R4's definitions, finds wrong."""
    try:
        return [str(issue) for issue in fhirkit.validate(resource)]
    except fhirkit.ParseError as error:
        return [str(error)]


def judge(loaded, bundle, asked=None):
    """(rule id or 'structure', where, words) for everything that does not hold in a transaction Bundle."""
    found = [("structure", "Bundle", text) for text in structure(bundle)]
    known = variables(bundle)
    for rule in loaded:
        if rule.on == "Bundle":
            subjects = [("Bundle", bundle)]
        else:
            subjects = [
                (f"entry[{number}]", entry["resource"])
                for number, entry in enumerate(bundle.get("entry", []))
                if entry.get("resource", {}).get("resourceType") == rule.on
            ]
        found += asks(rule, subjects, known, asked)
    return found


def judge_alone(loaded, resource, bundle=None, asked=None):
    """As judge, for a resource that stands outside a transaction of ours."""
    found = [("structure", resource.get("resourceType", "?"), text) for text in structure(resource)]
    for rule in loaded:
        if rule.on == resource.get("resourceType") and rule.on != "Bundle":
            found += asks(rule, [(rule.on, resource)], variables(bundle or {}), asked)
    return found


def asks(rule, subjects, known, asked):
    found = []
    for where, resource in subjects:
        try:
            answer = rule.holds(resource, known)
        except Exception as error:  # fhirpathpy raises plain exceptions on values of an unexpected shape
            answer = False
            found.append((rule.id, where, f"{rule.says}: not decidable, {error}"))
        else:
            if answer is False:
                found.append((rule.id, where, rule.says))
        if asked is not None and answer is not None:
            asked.add(rule.id)
    return found


def load(path):
    return json.loads(pathlib.Path(path).read_text())
