#!/usr/bin/env python3
"""Judges bundles for PMD and documents for VKP: structure by fhirkit-rs, each observation against the published profiles of all families by their own
data, what the documentation says in words by fhirpathpy.

usage: judge_norway.py [--all-rules] FILE...

Exits 1 if anything does not hold. HL7 Norway's own examples that claim a profile must pass too, else the reading of the data is
wrong.
"""

import json
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import judging  # noqa: E402
import profiles  # noqa: E402

LOINC = "http://loinc.org"
CURRENT = "http://hl7.no/fhir/vkpobservation/StructureDefinition/"
LEGACY = "http://ehelse.no/fhir/StructureDefinition/vkp-Observation-v090"
DOCUMENT = {t: f"http://ehelse.no/fhir/StructureDefinition/vkp-{t}-v090" for t in ("Composition", "DetectedIssue")}


def rules():
    return [judging.Rule(table) for table in tomllib.loads((HERE / "rules.toml").read_text())["rule"]]


class Norway:
    def __init__(self):
        self.profiles = profiles.load()
        self.by_loinc = {}
        for url, profile in self.profiles.items():
            if profile.type == "Observation":
                for code in self.codes(profile):
                    self.by_loinc.setdefault(code, []).append(url)

    @staticmethod
    def codes(profile):
        """The LOINC code that a profile demands, from its slice of code.coding."""
        for name, element in profile.elements.items():
            if name.startswith("Observation.code.coding:") and name.endswith(".system") and LOINC in element.values():
                code = profile.elements.get(name[: -len("system")] + "code", {})
                yield from (v for k, v in code.items() if k.startswith(("fixed", "pattern")))

    def wanted(self, observation):
        """The profiles that an observation is held against: those that it claims, and, where nobody performed it, those of all
        families that demand its LOINC code. A performer that is an organisation satisfies the generic one alone."""
        wanted = set(observation.get("meta", {}).get("profile", []))
        if not observation.get("performer"):
            wanted |= {CURRENT + "vkp-Observation", LEGACY}
            for coding in observation.get("code", {}).get("coding", []):
                if coding.get("system") == LOINC:
                    # A pulse is one of two in no-domain; its claim says which.
                    wanted |= {u for u in self.by_loinc.get(coding.get("code"), []) if not u.endswith("heartrate")}
        return sorted(wanted)

    def document(self, resource):
        """A Composition or a DetectedIssue, which must claim VKP's profile."""
        url = DOCUMENT[resource["resourceType"]]
        found = [("structure", text) for text in judging.structure(resource)]
        if url not in resource.get("meta", {}).get("profile", []):
            found.append(("meta.profile", f"does not claim {url}"))
        return found + self.profiles[url].judge(resource)

    def observation(self, observation):
        found = [("structure", text) for text in judging.structure(observation)]
        for url in self.wanted(observation):
            if url not in self.profiles:
                found.append(("meta.profile", f"{url} is not published"))
                continue
            name = url.rsplit("/", 1)[1]
            found += [(rule, f"{name}: {words}") for rule, words in self.profiles[url].judge(observation)]
        return found


def judge(loaded, norway, bundle, asked=None):
    """(rule, where, words) for everything that does not hold."""
    found = [("structure", "Bundle", text) for text in judging.structure(bundle)]
    for url in bundle.get("meta", {}).get("profile", []):
        if url in norway.profiles:
            found += [(rule, "Bundle", words) for rule, words in norway.profiles[url].judge(bundle)]
        else:
            found.append(("meta.profile", "Bundle", f"{url} is not published"))
    resources = [e.get("resource", {}) for e in bundle.get("entry", [])]
    is_document = bundle.get("type") == "document"
    for number, resource in enumerate(resources):
        if resource.get("resourceType") == "Observation":
            found += [(rule, f"[{number}]", words) for rule, words in norway.observation(resource)]
        elif is_document and resource.get("resourceType") in DOCUMENT:
            found += [(rule, f"[{number}]", words) for rule, words in norway.document(resource)]
        else:
            found.append(("entries", f"[{number}]", f"a {resource.get('resourceType')}"))
    for rule in loaded:
        if rule.on in ("Bundle", "Document"):
            subjects = [("Bundle", bundle)] if is_document == (rule.on == "Document") else []
        else:
            subjects = [(f"[{n}]", r) for n, r in enumerate(resources) if r.get("resourceType") == rule.on]
        found += judging.asks(rule, subjects, {}, asked)
    return found


def main():
    files = [a for a in sys.argv[1:] if a != "--all-rules"]
    if not files:
        sys.exit(__doc__)
    loaded, norway, asked, bad = rules(), Norway(), set(), 0
    for path in sorted((HERE / "published/examples").glob("*.json")):
        example = judging.load(path)
        for url in example.get("meta", {}).get("profile", []):
            for rule, words in norway.profiles[url].judge(example):
                print(f"HL7 Norway's own example {path.name}: {rule}: {words}")
                bad += 1
    held = set()
    for path in files:
        try:
            bundle = judging.load(path)
        except ValueError as error:
            print(f"{pathlib.Path(path).name}: no JSON, {error}")
            bad += 1
            continue
        if not bundle.get("entry"):
            print(f"{pathlib.Path(path).name}: no entry")
            bad += 1
        for entry in bundle.get("entry", []):
            resource = entry.get("resource", {})
            held.update([DOCUMENT[resource["resourceType"]]] if resource.get("resourceType") in DOCUMENT else norway.wanted(resource))
        for rule, where, words in judge(loaded, norway, bundle, asked):
            print(f"{pathlib.Path(path).name}: {rule} at {where}: {words}")
            bad += 1
    silent = sorted({rule.id for rule in loaded} - asked)
    if "--all-rules" in sys.argv and silent:
        print("never asked:", ", ".join(silent))
        bad += 1
    read = sum(len(norway.profiles[u].elements) for u in held if u in norway.profiles)
    print(f"{len(held)} profiles, {read} published elements, {len(loaded)} rules, {len(files)} bundles, "
          f"{f'{bad} violations' if bad else 'ok'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
