#!/usr/bin/env python3
"""Takes from the published profiles and code systems what can be judged by, and nothing else: no texts, no mappings, no examples.

usage: transcribe.py DATA

DATA holds the repositories that `published/SOURCE.md` names, each in a folder of its own. Writes `published/*.json`; run it again when
a newer version is taken, and read the difference.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent / "published"
KEPT = {"id", "min", "max", "sliceName", "contentReference"}
CURRENT = "HL7Norway-VkpObservation/gh-pages-currentbuild"
LEGACY = "HL7Norway-Velferdsteknologi/VKP-R4"
NO_DOMAIN = "HL7Norway-no-domain-VitalSigns/gh-pages-CurrentBuild"


def reduced(element):
    kept = {key: value for key, value in element.items() if key in KEPT or key.startswith(("fixed", "pattern"))}
    if "type" in element:
        kept["type"] = [
            {k: t[k] for k in ("code", "profile", "targetProfile") if k in t} for t in element["type"]
        ]
    binding = element.get("binding", {})
    if binding.get("strength") == "required":
        kept["binding"] = binding["valueSet"]
    if "slicing" in element:
        slicing = element["slicing"]
        kept["slicing"] = {"by": [[d["type"], d["path"]] for d in slicing.get("discriminator", [])], "rules": slicing["rules"]}
    rules = [
        [c["key"], c["expression"]]
        for c in element.get("constraint", [])
        if c["severity"] == "error" and "expression" in c and c["key"] not in ("ele-1", "ext-1") and not c["key"].startswith("dom-")
    ]
    if rules:
        kept["constraint"] = rules
    return kept


def profile(resource):
    read = {"url": resource["url"], "type": resource["type"], "base": resource["baseDefinition"]}
    for form in ("differential", "snapshot"):
        if form in resource:
            elements = resource[form]["element"]
            sliced = {e["id"].rsplit(":", 1)[0] for e in elements if "sliceName" in e}
            read[form] = [reduced(e) for e in elements if e["id"] in sliced or not open_extension(e)]
    return read


def open_extension(element):
    """`X.extension`, any number of any: says nothing."""
    return element["id"].endswith(".extension") and "sliceName" not in element and element.get("max") != "0"


def from_xml(node):
    """FHIR XML as JSON, as far as a StructureDefinition's differential, a ValueSet or a CodeSystem needs it."""
    many = {"element", "type", "targetProfile", "profile", "discriminator", "include", "concept", "constraint"}
    name = lambda n: n.tag.split("}")[-1]
    if "value" in node.attrib and not len(node):
        return node.attrib["value"]
    read = {}
    if "id" in node.attrib:
        read["id"] = node.attrib["id"]
    for child in node:
        key, value = name(child), from_xml(child)
        if key == "min":
            value = int(value)
        if key in many and not isinstance(value, str) or key == "targetProfile":
            read.setdefault(key, []).append(value)
        else:
            read[key] = value
    return read


def concepts(items):
    for item in items:
        yield item["code"]
        yield from concepts(item.get("concept", []))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = pathlib.Path(sys.argv[1])
    HERE.mkdir(exist_ok=True)
    families = {
        "vkpobservation": sorted((data / CURRENT).glob("StructureDefinition-*.json")),
        "velferdsteknologi": sorted((data / LEGACY / "StructureDefinition").glob("vkp-Observation*.json"))
        + [data / LEGACY / "StructureDefinition" / f"vkp-{n}-v090.structuredefinition-profile.xml" for n in ("Composition", "DetectedIssue")],
        "no-domain-vitalsigns": sorted((data / NO_DOMAIN).glob("StructureDefinition-no-domain-*.json")),
    }
    for name, paths in families.items():
        profiles = []
        for path in paths:
            text = path.read_text("utf-8-sig")
            profiles.append(profile(json.loads(text) if path.suffix == ".json" else from_xml(ET.fromstring(text))))
        body = ",\n".join(json.dumps(p, ensure_ascii=False, separators=(",", ":")) for p in profiles)
        (HERE / f"{name}.json").write_text(f"[\n{body}\n]\n")
    systems, sets = {}, {}
    for path in [*(data / CURRENT).glob("*.json"), *(data / NO_DOMAIN).glob("ValueSet-*.json"), *(data / LEGACY).rglob("*.xml")]:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            resource = json.loads(text)
            kind = resource["resourceType"]
        else:
            node = ET.fromstring(text)
            resource, kind = from_xml(node), node.tag.split("}")[-1]
        if kind == "CodeSystem":
            systems[resource["url"]] = sorted(concepts(resource["concept"]))
        elif kind == "ValueSet" and "include" in resource.get("compose", {}):
            sets[resource["url"]] = [
                {"system": i.get("system"), "codes": sorted(c["code"] for c in i["concept"]) if "concept" in i else None}
                for i in resource["compose"]["include"]
            ]
    written = {"codeSystems": dict(sorted(systems.items())), "valueSets": dict(sorted(sets.items()))}
    (HERE / "terminology.json").write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
