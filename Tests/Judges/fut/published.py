"""Rules read from FUT's published data in `published/`: cardinalities, types, bindings, targets and extensions. Nothing of them is
written here by hand; what this file knows is how to read a differential and the few rules of FHIR Shorthand that FUT's extensions use.
"""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent / "published"
SD = "http://ehealth.sundhed.dk/fhir/StructureDefinition/"


def load(path):
    return json.loads((HERE / path).read_text())


# --- Terminology -----------------------------------------------------------------------------------------------------------------


def concepts(items):
    for item in items:
        yield item["code"]
        yield from concepts(item.get("concept", []))


class Terminology:
    def __init__(self):
        self.systems, self.sets = {}, {}
        for path in sorted((HERE / "terminology").glob("*.json")):
            resource = json.loads(path.read_text())
            kind = resource.get("resourceType")
            if kind == "CodeSystem":
                self.systems[resource["url"]] = set(concepts(resource["concept"]))
            elif kind == "ValueSet":
                self.sets[resource["url"]] = resource
        # The value set of the latest guide, which the transcription has as a list.
        newest = load("terminology/observation-codes-v10.0.2.json")
        self.newest = {newest["valueSet"]: {(c["system"], c["code"]) for c in newest["codes"]}}
        self.units = {c["code"]: c["ucum"] for c in newest["codes"] if "ucum" in c}
        types = load("terminology/ConceptMap-obs-code-to-value-type.json")
        self.types = {e["code"]: e["target"][0]["code"] for g in types["group"] for e in g["element"]}

    def holds(self, url, coding):
        """Whether a coding is in a value set; None where the set is not among the published data here."""
        pair = (coding.get("system"), coding.get("code"))
        if url in self.newest:
            return pair in self.newest[url]
        if url not in self.sets:
            return None
        for include in self.sets[url]["compose"]["include"]:
            if include.get("system") != pair[0]:
                continue
            if "concept" in include:
                if pair[1] in {c["code"] for c in include["concept"]}:
                    return True
            elif pair[1] in self.systems.get(pair[0], set()):
                return True
        return False


# --- Extensions, in FHIR Shorthand -----------------------------------------------------------------------------------------------


class Extension:
    """`contains NAME MIN..MAX`, `extension[NAME].value[x] only TYPE`, `extension[NAME].valueTYPE from URL`, and the same of a simple one."""

    def __init__(self, text):
        body = re.sub(r"(^|\s)//.*", "", text)
        self.parts = {name: (int(low), high) for name, low, high in re.findall(r"^\s+(\w+) (\d)\.\.(\d|\*)", body, re.M)}
        self.types = dict(re.findall(r"^\* extension\[(\w+)\]\.value\[x\] only (\w+)", body, re.M))
        self.bindings = dict(re.findall(r"^\* extension\[(\w+)\]\.value\w+ from (\S+)", body, re.M))
        self.required = set(re.findall(r"^\* extension\[(\w+)\]\.value\w+ 1\.\.1", body, re.M))
        assert self.parts and set(self.types) == set(self.parts), "an extension that this reader does not understand"


def extensions():
    return {
        SD + "ehealth-" + path.stem.removeprefix("ehealth-ext-"): Extension(path.read_text())
        for path in (HERE / "profiles").glob("ehealth-ext-*.fsh")
    }


def base_types():
    """Profile URL to the type that it is of: `Parent:` of its source, DkCore's own names by what follows."""
    found = {}
    for path in (HERE / "profiles").glob("ehealth-*.fsh"):
        parent = re.search(r"^Parent: (\w+)", path.read_text(), re.M)
        if parent:
            found[SD + path.stem] = parent[1].removeprefix("DkCore")
    return found


# --- The profile -----------------------------------------------------------------------------------------------------------------


class Profile:
    def __init__(self):
        self.elements = load("profiles/StructureDefinition-ehealth-observation.json")["differential"]["element"]
        self.url = load("profiles/StructureDefinition-ehealth-observation.json")["url"]
        self.terms, self.extensions, self.bases = Terminology(), extensions(), base_types()

    def judge(self, observation):
        """(rule, words) for everything that does not hold."""
        found = []
        if self.url not in observation.get("meta", {}).get("profile", []):
            found.append(("meta.profile", "does not claim the profile"))
        for element in self.elements:
            name = element["id"]
            if name.startswith("Observation.extension:"):
                found += self.slice(element, observation)
            elif "." in name and not name.startswith("Observation.extension"):
                found += self.element(element, observation)
            elif name == "Observation.extension":
                found += self.count(name, element, observation.get("extension", []))
        for where, extension in [("Observation", e) for e in observation.get("extension", [])]:
            found += self.extension(extension)
        return found + self.units(observation)

    def count(self, name, element, values):
        low, high = element.get("min", 0), element.get("max", "*")
        if len(values) < low or (high != "*" and len(values) > int(high)):
            return [(f"{name} {low}..{high}", f"{len(values)} of it")]
        return []

    def parents(self, observation, steps):
        """The objects that hold the last step of a path."""
        holders = [observation]
        for step in steps[:-1]:
            holders = [v for h in holders for v in (h.get(step) if isinstance(h.get(step), list) else [h[step]] if step in h else [])]
        return holders

    def element(self, element, observation):
        name, found = element["id"], []
        steps = name.split(".")[1:]
        for holder in self.parents(observation, steps):
            last = steps[-1]
            if last.endswith("[x]"):
                stem = last[:-3]
                present = {k: v for k, v in holder.items() if re.fullmatch(stem + "[A-Z]\\w*", k)}
                values = list(present.values())
                allowed = {t["code"][0].upper() + t["code"][1:] for t in element.get("type", [])}
                for key in present:
                    if allowed and key.removeprefix(stem) not in allowed:
                        found.append((name + " type", f"{key} is none of {', '.join(sorted(allowed))}"))
            else:
                value = holder.get(last)
                values = value if isinstance(value, list) else [] if value is None else [value]
                for type_ in element.get("type", []):
                    if type_["code"] == "Reference":
                        for reference in values:
                            found += self.reference(name, type_, reference)
            found += self.count(name, element, values)
            binding = element.get("binding", {})
            if binding.get("strength") == "required":
                for concept in values:
                    found += self.bound(name, binding["valueSet"], concept)
        return found

    def bound(self, name, url, concept):
        answers = [self.terms.holds(url, coding) for coding in concept.get("coding", [])]
        if None in answers:
            return [(name + " binding", f"{url} is not among the published data")]
        return [] if any(answers) else [(name + " binding", f"not in {url}")]

    def reference(self, name, type_, reference):
        text = reference.get("reference", "")
        if "referenced" in type_.get("aggregation", []) and text.startswith("#"):
            return [(name + " aggregation", "contained")]
        kinds = {self.bases[profile] for profile in type_.get("targetProfile", [])}
        match = re.fullmatch(r"https?://[^/\s]+(?:/[^/\s]+)*/([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}", text)
        if not match:
            return [(name + " reference", "not absolute")]
        if match[1] not in kinds:
            return [(name + " target", f"{match[1]} is none of {', '.join(sorted(kinds))}")]
        return []

    def slice(self, element, observation):
        if "sliceName" in element:
            url = element["type"][0]["profile"][0]
            present = [e for e in observation.get("extension", []) if e.get("url") == url]
            return self.count(element["id"], element, present)
        # The value of a slice of a simple extension.
        owner = next(e for e in self.elements if e["id"] == element["id"].rsplit(".", 1)[0])
        url, found = owner["type"][0]["profile"][0], []
        for extension in observation.get("extension", []):
            if extension.get("url") == url:
                if set(extension) != {"url", "valueReference"}:
                    found.append((element["id"], "no reference alone"))
                else:
                    found += self.reference(element["id"], element["type"][0], extension["valueReference"])
        return found

    def extension(self, extension):
        known = self.extensions.get(extension.get("url"))
        if not known:
            return []
        name, found = extension["url"].rsplit("/", 1)[1], []
        parts = extension.get("extension", [])
        for part in parts:
            if part.get("url") not in known.parts:
                found.append((f"{name} parts", f"{part.get('url')} is none of it"))
        for part, (low, high) in known.parts.items():
            present = [p for p in parts if p.get("url") == part]
            found += self.count(f"{name}.{part}", {"min": low, "max": high}, present)
            key = "value" + known.types[part][0].upper() + known.types[part][1:]
            for one in present:
                if set(one) != {"url", key}:
                    found.append((f"{name}.{part} type", f"not {key} alone"))
                elif part in known.bindings:
                    found += self.bound(f"{name}.{part}", known.bindings[part], one[key])
        # The code of a quality is of one of the sets that its definition names.
        if name == "ehealth-quality":
            for one in parts:
                if one.get("url") == "qualityCode":
                    sets = [u for u in self.terms.sets if u.endswith("-quality")]
                    codings = one.get("valueCodeableConcept", {}).get("coding", [])
                    if not any(self.terms.holds(u, c) for u in sets for c in codings):
                        found.append(("ehealth-quality.qualityCode binding", "in none of the quality sets"))
        return found

    def units(self, observation):
        """Unit and number form by the ConceptMaps; and the guidance that every Coding and Quantity is whole."""
        found = []
        for holder in [observation, *observation.get("component", [])]:
            quantity = holder.get("valueQuantity")
            if not quantity:
                continue
            for key in ("value", "unit", "system", "code"):
                if key not in quantity:
                    found.append(("Quantity", f"no {key}"))
            for coding in holder["code"].get("coding", []):
                code = coding.get("code")
                if code in self.terms.units and quantity.get("code") != self.terms.units[code]:
                    found.append(("obs-code-to-ucum", f"{quantity.get('code')} for {code}"))
                if self.terms.types.get(code) == "integer" and not isinstance(quantity.get("value"), int):
                    found.append(("obs-code-to-value-type", f"{code} is no whole number"))
        found += [("Coding", "without system or code") for c in codings(observation) if not (c.get("system") and c.get("code"))]
        return found


def codings(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "coding":
                yield from inner
            else:
                yield from codings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from codings(inner)
