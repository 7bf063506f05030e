"""Holds a resource against a published StructureDefinition by its own data: cardinalities, fixed values and patterns, types, slices,
required bindings, invariants. Nothing of a profile is written here by hand; what this file knows is how to read one.

A legacy profile that was published as a differential alone stands on the elements of a current one with the same base.
"""

import json
import pathlib

import fhirpathpy
from fhirpathpy.models import models

HERE = pathlib.Path(__file__).resolve().parent / "published"

# Units that the R4 vital-sign profiles bind (hl7.org/fhir/R4, value sets ucum-*): not among the Norwegian data.
UNITS = {
    "http://hl7.org/fhir/ValueSet/ucum-bodyweight": {"g", "kg", "[lb_av]"},
    "http://hl7.org/fhir/ValueSet/ucum-bodytemp": {"Cel", "[degF]"},
    "http://hl7.org/fhir/ValueSet/ucum-bodylength": {"cm", "[in_i]"},
}


def many(value):
    return value if isinstance(value, list) else [] if value is None else [value]


class Terminology:
    def __init__(self):
        data = json.loads((HERE / "terminology.json").read_text())
        self.systems, self.sets = data["codeSystems"], data["valueSets"]
        # The legacy profiles name value sets that their repository does not have; those of the same name in the current family.
        self.tails = {url.rsplit("/", 1)[1].lower(): url for url in self.sets}

    def find(self, url):
        url = url.split("|")[0]
        return self.sets.get(url) or self.sets.get(self.tails.get(url.rsplit("/", 1)[1].lower(), ""))

    def holds(self, url, value):
        """Whether a code, uri, Coding or CodeableConcept is in a value set; None where its content is not published here."""
        if url.split("|")[0] in UNITS:
            return value in UNITS[url.split("|")[0]]
        found = self.find(url)
        if found is None:
            return None
        if isinstance(value, dict) and "coding" in value:
            return any(self.holds(url, c) for c in value["coding"])
        for include in found:
            codes = include["codes"] or self.systems.get(include["system"], [])
            if isinstance(value, dict):
                if value.get("system") == include["system"] and value.get("code") in codes:
                    return True
            elif value in codes:
                return True
        return False


class Profile:
    def __init__(self, data, terms, base=None):
        self.url, self.type, self.terms, self.compiled = data["url"], data["type"], terms, {}
        elements = {e["id"]: e for e in data.get("snapshot", [])}
        if not elements:
            elements = {e["id"]: e for e in base or []}
            for e in data["differential"]:
                elements[e["id"]] = elements.get(e["id"], {}) | e
        self.elements = elements
        self.children, self.slices = {}, {}
        for name in elements:
            parts = name.split(".")
            for depth in range(1, len(parts)):
                parent, part = ".".join(parts[:depth]), parts[depth].split(":")[0]
                group = self.children.setdefault(parent, [])
                if part not in group:
                    group.append(part)
            if ":" in parts[-1]:
                self.slices.setdefault(name.rsplit(":", 1)[0], []).append(name)

    def judge(self, resource):
        """(rule, words) for everything that does not hold."""
        if resource.get("resourceType") != self.type:
            return [("resourceType", f"{resource.get('resourceType')} is no {self.type}")]
        return self.invariants(resource) + self.inside(self.type, resource)

    # One element ---------------------------------------------------------------------------------------------------------------

    def inside(self, parent, holder):
        found = []
        if not isinstance(holder, dict):
            return found
        for part in self.children.get(parent, []):
            name = f"{parent}.{part}"
            values = self.values(part, holder)
            found += self.all(name, values)
            for slice_ in self.slices.get(name, []):
                found += self.all(slice_, [v for v in values if self.belongs(name, slice_, v)])
            slicing = self.elements.get(name, {}).get("slicing", {})
            if slicing.get("rules") == "closed" and self.slices.get(name):
                for v in values:
                    if not any(self.belongs(name, s, v) for s in self.slices[name]):
                        found.append((name, "in none of its closed slices"))
        return found

    @staticmethod
    def values(part, holder):
        """(key, value) of what stands there."""
        if part.endswith("[x]"):
            stem = part[:-3]
            return [(k, v) for k, v in holder.items() if k.startswith(stem) and k != stem and k[len(stem)].isupper()]
        return [(part, v) for v in many(holder.get(part))]

    def all(self, name, values):
        element, found = self.elements.get(name, {}), []
        low, high = int(element.get("min", 0)), element.get("max", "*")
        if len(values) < low or (high != "*" and len(values) > int(high)):
            found.append((f"{name} {low}..{high}", f"{len(values)} of it"))
        for key, value in values:
            found += self.one(name, element, key, value) + self.inside(name, value)
        return found

    def one(self, name, element, key, value):
        found = []
        for rule, wanted in element.items():
            if rule.startswith("fixed") and value != wanted:
                found.append((name + " fixed", f"{value!r} is not {wanted!r}"))
            if rule.startswith("pattern") and not self.matches(value, wanted):
                found.append((name + " pattern", f"{value!r} is not {wanted!r}"))
        if "binding" in element and self.terms.holds(element["binding"], value) is False:
            found.append((name + " binding", f"not in {element['binding']}"))
        return found + self.typed(name, element, key, value)

    def matches(self, value, wanted):
        if isinstance(wanted, dict):
            return isinstance(value, dict) and all(k in value and self.matches(value[k], v) for k, v in wanted.items())
        if isinstance(wanted, list):
            return all(any(self.matches(v, w) for v in many(value)) for w in wanted)
        return value == wanted

    def typed(self, name, element, key, value):
        types = element.get("type", [])
        if name.split(".")[-1].split(":")[0].endswith("[x]"):
            suffix = key[len(name.split(".")[-1].split("[x]")[0]):]
            allowed = {t["code"][0].upper() + t["code"][1:] for t in types}
            return [] if not allowed or suffix in allowed else [(name + " type", f"{key} is none of {sorted(allowed)}")]
        if isinstance(value, dict) and "resourceType" in value and types:
            codes = {t["code"] for t in types}
            return [] if codes & {value["resourceType"], "Resource"} else [(name + " type", f"a {value['resourceType']}")]
        targets = [p for t in types if t["code"] == "Reference" for p in t.get("targetProfile", [])]
        if targets and isinstance(value, dict):
            # `no-basis-Patient`, `vkp-Patient-v090`: the type is in the name.
            names = {p.split("|")[0].rsplit("/", 1)[1].removeprefix("no-basis-").removeprefix("vkp-").removesuffix("-v090") for p in targets}
            said = value.get("type") or (value.get("reference", "").split("/")[-2:-1] or [None])[0]
            if said and said not in names and "Resource" not in names:
                return [(name + " target", f"{said} is none of {sorted(names)}")]
        return []

    def invariants(self, resource):
        """Each from the resource on, since only so the types of what it speaks of are known."""
        found = []
        for name, element in self.elements.items():
            for key, expression in element.get("constraint", []) if ":" not in name else []:
                path = ".".join(name.replace("[x]", "").split(".")[1:])
                whole = f"{path}.where(({expression}) = false).empty()" if path else expression
                if whole not in self.compiled:
                    self.compiled[whole] = fhirpathpy.compile(whole, models["r4"])
                try:
                    answer = self.compiled[whole](resource, {"resource": resource})
                except Exception:  # what fhirpathpy cannot decide is nobody's fault
                    continue
                if answer == [False]:
                    found.append((key, f"at {name}"))
        return found

    # Slices --------------------------------------------------------------------------------------------------------------------

    def belongs(self, name, slice_, keyed):
        key, value = keyed
        rules = self.elements.get(name, {}).get("slicing", {}).get("by", [])
        answers = []
        for kind, path in rules:
            if kind == "type":
                stem = name.split(".")[-1]
                if stem.endswith("[x]"):
                    types = [t["code"] for t in self.elements[slice_].get("type", [])]
                    answers.append(key[len(stem) - 3:] in [t[0].upper() + t[1:] for t in types])
                continue
            if path == "url":
                profiles = [p.split("|")[0] for t in self.elements[slice_].get("type", []) for p in t.get("profile", [])]
                if profiles:
                    answers.append(value.get("url") in profiles)
                    continue
            wanted, sets = self.expected(slice_, path)
            there = self.at(value, path)
            if wanted:
                answers.append(any(t in wanted for t in there))
            elif sets:
                answers.append(any(self.terms.holds(s, t) for s in sets for t in there))
        return bool(answers) and all(answers)

    def expected(self, slice_, path):
        """Fixed values and required sets of a discriminator within a slice; of optional sub-slices only where there is no other."""
        level = [slice_]
        for step in path.split("."):
            following = []
            for one in level:
                plain = f"{one}.{step}"
                inner = [s for s in self.slices.get(plain, [])]
                needed = [s for s in inner if int(self.elements[s].get("min", 0)) > 0]
                following += [plain] + (needed or inner)
            level = following
        wanted, sets = [], []
        for one in level:
            element = self.elements.get(one, {})
            wanted += [v for k, v in element.items() if k.startswith(("fixed", "pattern"))]
            if "binding" in element:
                sets.append(element["binding"])
        return wanted, sets

    @staticmethod
    def at(value, path):
        level = [value]
        for step in path.split("."):
            level = [v for one in level if isinstance(one, dict) for v in many(one.get(step))]
        return level


def load():
    """All published profiles by URL."""
    terms, found, snapshots = Terminology(), {}, {}
    data = [p for n in ("vkpobservation", "no-domain-vitalsigns", "velferdsteknologi") for p in json.loads((HERE / f"{n}.json").read_text())]
    for one in data:
        if "snapshot" in one and one["base"] not in snapshots:
            snapshots[one["base"]] = plain(one)
    for one in data:
        found[one["url"]] = Profile(one, terms, snapshots.get(one["base"]))
    return found


def plain(data):
    """A snapshot without what its own differential added: its base, near enough."""
    touched = {e["id"] for e in data["differential"]}
    sliced = {i for i in touched if ":" in i.split(".")[-1] and any(e["id"] == i and "sliceName" in e for e in data["differential"])}
    own = {i for i in sliced if not i.endswith(("SystolicBP", "DiastolicBP"))}
    kept = []
    for element in data["snapshot"]:
        name = element["id"]
        if any(name == i or name.startswith(i + ".") for i in own):
            continue
        if name in touched:
            element = {k: v for k, v in element.items() if k not in ("binding", "type") and not k.startswith(("fixed", "pattern"))}
            if element.get("slicing", {}).get("by") and name in touched and not any(
                    e["id"].startswith(name + ":") and e["id"] not in own for e in data["snapshot"]):
                element.pop("slicing")
        kept.append(element)
    return kept
