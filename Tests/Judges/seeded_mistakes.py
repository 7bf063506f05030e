#!/usr/bin/env python3
"""Proves that the judges can say no: good bundles with one mistake each, every one of which must be caught by the rule named.

usage: seeded_mistakes.py FOLDER

FOLDER holds the sample bundles that the Swift tests write (VITALGATE_SAMPLES).
"""

import copy
import pathlib
import sys

import judging

MDC = judging.MDC
PHD = "http://hl7.org/fhir/uv/phd/StructureDefinition/PhdBaseObservation"


def observation(bundle, code):
    """The entry of the observation with this MDC code."""
    for entry in bundle["entry"]:
        codings = entry["resource"]["code"]["coding"] if entry["resource"]["resourceType"] == "Observation" else []
        if any(c["code"] == code for c in codings):
            return entry
    raise SystemExit(f"no observation {code} in the sample")


def resource(bundle, code):
    return observation(bundle, code)["resource"]


def identifier(bundle, code):
    return next(i for i in resource(bundle, code)["identifier"] if i["system"] == PHD)


def component(bundle, code, part):
    return next(c for c in resource(bundle, code)["component"] if any(x["code"] == part for x in c["code"]["coding"]))


def device(bundle, profile):
    return next(e["resource"] for e in bundle["entry"] if profile in str(e["resource"]["meta"]))


def rename(bundle, code, old, new):
    """One identifier's value, in the resource and in its conditional create."""
    entry = observation(bundle, code)
    identifier(bundle, code)["value"] = identifier(bundle, code)["value"].replace(old, new)
    entry["request"]["ifNoneExist"] = entry["request"]["ifNoneExist"].replace(old, new)


def drop(items, keep):
    items[:] = [item for item in items if keep(item)]


def set_(target, key, value):
    target[key] = value


BP, BITS, CLOCK, SPOT, POOR, EARLY, NOMEAN, PLAIN = (
    "blood-pressure", "blood-pressure-status", "blood-pressure-clock", "oximeter-spot", "oximeter-poor-signal", "oximeter-early",
    "blood-pressure-no-mean", "blood-pressure-live")

# What was done, to which sample, the rule that must catch it, and how.
MISTAKES = [
    ("no status", BP, "structure", lambda b: resource(b, "150020").pop("status")),
    ("a value as text", BP, "structure", lambda b: set_(resource(b, "149546")["valueQuantity"], "value", "93")),
    ("a time without zone", BP, "structure", lambda b: set_(resource(b, "150020"), "effectiveDateTime", "2023-02-23T10:24:08")),
    ("an element that FHIR does not have", BP, "structure", lambda b: set_(resource(b, "150020"), "pulse", 93)),
    ("a collection instead of a transaction", BP, "TX-01", lambda b: set_(b, "type", "collection")),
    ("two entries with one full URL", BP, "TX-02", lambda b: set_(b["entry"][3], "fullUrl", b["entry"][2]["fullUrl"])),
    ("a logical id of our own", BP, "TX-03", lambda b: set_(resource(b, "150020"), "id", "ours")),
    ("an unconditional create", BP, "TX-04", lambda b: observation(b, "150020")["request"].pop("ifNoneExist")),
    ("a device created every time", BP, "TX-05", lambda b: b["entry"][1]["request"].pop("ifNoneExist")),
    ("a raw bar in the search", BP, "TX-06", lambda b: set_(
        b["entry"][2]["request"], "ifNoneExist", b["entry"][2]["request"]["ifNoneExist"].replace("%7C", "|"))),
    ("a search for another identifier", BP, "TX-06", lambda b: set_(
        b["entry"][2]["request"], "ifNoneExist", b["entry"][2]["request"]["ifNoneExist"] + "9")),
    ("pressure and pulse under one identifier", BP, "TX-07", lambda b: set_(
        b["entry"][3]["request"], "ifNoneExist", b["entry"][2]["request"]["ifNoneExist"])),
    ("a device that is not in the transaction", BP, "TX-08", lambda b: set_(
        resource(b, "150020")["device"], "reference", "urn:uuid:00000000-0000-4000-8000-000000000000")),
    ("a national id in the patient's URL", BP, "TX-09", lambda b: set_(
        resource(b, "150020")["subject"], "reference", "Patient?identifier=urn:oid:1.2.208.176.1.2|3001749995")),
    ("a patient resource along with it", BP, "TX-10", lambda b: b["entry"].append({
        "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000", "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient"}})),
    ("no gateway", BP, "TX-11", lambda b: b["entry"].pop(0)),
    ("no profile", BP, "PHD-01", lambda b: resource(b, "150020").pop("meta")),
    ("no gateway extension", BP, "PHD-02", lambda b: resource(b, "150020").pop("extension")),
    ("two gateway extensions", BP, "PHD-02", lambda b: resource(b, "150020")["extension"].append(resource(b, "150020")["extension"][0])),
    ("the category of 1.1.0", BP, "PHD-03", lambda b: set_(resource(b, "150020")["category"][1]["coding"][0], "code", "phd-observation")),
    ("two conditional-create identifiers", BP, "PHD-04", lambda b: resource(b, "150020")["identifier"].append(
        dict(identifier(b, "150020"), value="C4F312FFFE53F2C9-x-150020-1"))),
    ("a typed conditional-create identifier", BP, "PHD-05", lambda b: set_(identifier(b, "150020"), "type", {"text": "PHD"})),
    ("the identifier's calendar time of 1.x", BP, "PHD-06", lambda b: rename(b, "150020", "-730463048", "-20230223T102408.00")),
    ("lower-case system id in the identifier", BP, "PHD-06", lambda b: rename(b, "150020", "C4F312FFFE53F2C9", "c4f312fffe53f2c9")),
    ("the pulse's code in the pressure's identifier", BP, "PHD-07", lambda b: rename(b, "150020", "-150020-", "-149530-")),
    ("an amended reading", BP, "PHD-08", lambda b: set_(resource(b, "150020"), "status", "amended")),
    ("LOINC alone", BP, "PHD-09", lambda b: drop(resource(b, "149546")["code"]["coding"], lambda c: c["system"] != MDC)),
    ("nobody's reading", BP, "PHD-10", lambda b: resource(b, "150020").pop("subject")),
    ("no time", BP, "PHD-11", lambda b: resource(b, "150020").pop("effectiveDateTime")),
    ("no device", BP, "PHD-12", lambda b: resource(b, "150020").pop("device")),
    ("an interpretation of HL7 v3", SPOT, "PHD-13", lambda b: set_(
        resource(b, "150456")["interpretation"][0]["coding"][0], "system",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")),
    ("an unknown measurement status", SPOT, "PHD-14", lambda b: set_(
        resource(b, "150456")["interpretation"][0]["coding"][0], "code", "good")),
    ("an early estimate that is final", EARLY, "PHD-15", lambda b: set_(resource(b, "150456"), "status", "final")),
    ("a reason of our own for a missing value", NOMEAN, "PHD-16", lambda b: set_(
        component(b, "150020", "150023")["dataAbsentReason"]["coding"][0], "code", "nan")),
    ("a supplemental type that is no MDC code", SPOT, "PHD-17", lambda b: set_(
        component(b, "150456", "68193")["valueCodeableConcept"]["coding"][0], "system", "http://loinc.org")),
    ("a number without unit code", BP, "PHD-18", lambda b: resource(b, "149546")["valueQuantity"].pop("code")),
    ("a component's unit outside UCUM", BP, "PHD-18", lambda b: set_(
        component(b, "150020", "150021")["valueQuantity"], "system", MDC)),
    ("a pulse without number and reason", BP, "PHD-19", lambda b: resource(b, "149546").pop("valueQuantity")),
    ("a compound with a value of its own", BP, "PHD-20", lambda b: set_(
        resource(b, "150020"), "valueQuantity", component(b, "150020", "150021")["valueQuantity"])),
    ("a component with a number and a reason why there is none", BP, "PHD-21", lambda b: set_(
        component(b, "150020", "150023"), "dataAbsentReason",
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "error"}]})),
    ("our identifier twice", BP, "PHD-22", lambda b: resource(b, "150020")["identifier"].append(
        {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:00000000-0000-4000-8000-000000000000"})),
    ("without our own identifier", BP, "PHD-23", lambda b: drop(resource(b, "150020")["identifier"], lambda i: i["system"] == PHD)),
    ("a bit as a number", BITS, "BITS-01", lambda b: (
        resource(b, "8410608")["component"][0].pop("valueBoolean"),
        set_(resource(b, "8410608")["component"][0], "valueInteger", 1))),
    ("an oximeter's bit on a cuff", BITS, "BITS-02", lambda b: set_(
        resource(b, "8410608")["component"][0]["code"]["coding"][0], "code", "150604.1")),
    ("a bit that does not exist", BITS, "BITS-03", lambda b: set_(
        resource(b, "8410608")["component"][0]["code"]["coding"][0], "code", "8410608.6")),
    ("bits that speak of nothing", BITS, "BITS-03", lambda b: resource(b, "8410608").pop("derivedFrom")),
    ("an oximeter's bit beyond the sixteenth", POOR, "BITS-04", lambda b: set_(
        resource(b, "150604")["component"][0]["code"]["coding"][0], "code", "150604.16")),
    ("bits derived from a device", BITS, "BITS-05", lambda b: set_(
        resource(b, "8410608")["derivedFrom"][0], "reference", b["entry"][0]["fullUrl"])),
    ("a preliminary coincident timestamp", CLOCK, "COIN-01", lambda b: set_(resource(b, "67975"), "status", "preliminary")),
    ("a coincident timestamp without the device's time", CLOCK, "COIN-02", lambda b: resource(b, "67975").pop("valueDateTime")),
    ("gateway and device of a coincident timestamp exchanged", CLOCK, "COIN-03", lambda b: (
        set_(resource(b, "67975"), "subject", {"reference": b["entry"][0]["fullUrl"]}),
        set_(resource(b, "67975"), "device", {"reference": b["entry"][1]["fullUrl"]}))),
    ("a coincident timestamp that is a battery", CLOCK, "COIN-04", lambda b: set_(
        resource(b, "150020")["extension"][1]["valueReference"], "reference", observation(b, "67996")["fullUrl"])),
    ("the patient's battery", CLOCK, "BATT-01", lambda b: set_(resource(b, "67996")["subject"], "reference", "Patient/hub-7f3a")),
    ("no vital-signs category", BP, "VS-01", lambda b: resource(b, "150020")["category"].pop(0)),
    ("an empty vital sign", BP, "VS-02", lambda b: resource(b, "149546").pop("valueQuantity")),
    ("an empty component", BP, "VS-03", lambda b: component(b, "150020", "150023").pop("valueQuantity")),
    ("a time precise to the month", BP, "VS-04", lambda b: set_(resource(b, "150020"), "effectiveDateTime", "2023-02")),
    ("a unit that only machines read", BP, "VS-05", lambda b: component(b, "150020", "150021")["valueQuantity"].pop("unit")),
    ("a device's blood pressure", BP, "VS-06", lambda b: set_(resource(b, "150020")["subject"], "reference", "Device/7")),
    ("MDC alone", BP, "BP-01", lambda b: drop(resource(b, "150020")["code"]["coding"], lambda c: c["system"] == MDC)),
    ("no diastolic pressure", BP, "BP-02", lambda b: drop(
        resource(b, "150020")["component"], lambda c: c["code"]["coding"][0]["code"] != "150022")),
    ("a pressure in kPa", BP, "BP-03", lambda b: component(b, "150020", "150021")["valueQuantity"].update(value=15.7, unit="kPa", code="kPa")),
    ("systolic and diastolic exchanged in one vocabulary", BP, "BP-04", lambda b: (
        set_(component(b, "150020", "150021")["code"]["coding"][1], "code", "8462-4"),
        set_(resource(b, "150020")["component"][1]["code"]["coding"][1], "code", "8480-6"))),
    ("a pulse in beats", BP, "HR-01", lambda b: resource(b, "149546")["valueQuantity"].update(unit="{beat}/min", code="{beat}/min")),
    ("a saturation without the oximetry code", SPOT, "SAT-01", lambda b: drop(
        resource(b, "150456")["code"]["coding"], lambda c: c["code"] != "59408-5")),
    ("a saturation as a ratio", SPOT, "SAT-02", lambda b: resource(b, "150456")["valueQuantity"].update(value=0.975)),
    ("a weight in stones", "weight", "BW-01", lambda b: resource(b, "188736")["valueQuantity"].update(unit="[stone_av]", code="[stone_av]")),
    ("a temperature in kelvin", "temperature", "BT-01", lambda b: resource(b, "150364")["valueQuantity"].update(unit="K", code="K")),
    ("a device without identifier", BP, "DEV-01", lambda b: device(b, "PhdDevice").pop("identifier")),
    ("a system id without dashes", BP, "DEV-02", lambda b: set_(device(b, "PhdDevice")["identifier"][0], "value", "C4F312FFFE53F2C9")),
    ("a Bluetooth address with colons", BP, "DEV-03", lambda b: set_(device(b, "PhdDevice")["identifier"][1], "value", "C4:F3:12:53:F2:C9")),
    ("a device without manufacturer", BP, "DEV-04", lambda b: device(b, "PhdDevice").pop("manufacturer")),
    ("a device without type", BP, "DEV-05", lambda b: device(b, "PhdDevice").pop("type")),
    ("a specialisation without version", BP, "DEV-06", lambda b: device(b, "PhdDevice")["specialization"][0].pop("version")),
    ("a device without version", BP, "DEV-07", lambda b: device(b, "PhdDevice").pop("version")),
    ("a device with a parent", BP, "DEV-08", lambda b: set_(device(b, "PhdDevice"), "parent", {"reference": b["entry"][0]["fullUrl"]})),
    ("a gateway without specialisation", BP, "DEV-09", lambda b: device(b, "PhgDevice").pop("specialization")),
    ("a clock setting in words", BP, "DEV-10", lambda b: set_(device(b, "PhgDevice")["property"][0], "valueCode", [{"text": "NTP"}])),
    ("a certification that nobody gave", BP, "DEV-11", lambda b: device(b, "PhgDevice")["property"].append(
        {"type": {"coding": [{"system": MDC, "code": "532355"}]}, "valueCode": [{"coding": [{"code": "7"}]}]})),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    loaded, missed = judging.rules(), 0
    for words, sample, expected, mistake in MISTAKES:
        bundle = judging.load(folder / f"{sample}.json")
        if judging.judge(loaded, bundle):
            print(f"the sample {sample} is not good to begin with")
            return 1
        mutated = copy.deepcopy(bundle)
        mistake(mutated)
        caught = sorted({rule for rule, _, _ in judging.judge(loaded, mutated)})
        if expected in caught:
            print(f"caught by {', '.join(caught)}: {words}")
        else:
            missed += 1
            print(f"MISSED, {expected} should have caught it (only {', '.join(caught) or 'nobody'} did): {words}")
    untested = sorted({rule.id for rule in loaded} - {expected for _, _, expected, _ in MISTAKES})
    if untested:
        print("rules without a mistake of their own:", ", ".join(untested))
    verdict = "ok" if not missed and not untested else f"{missed} missed, {len(untested)} rules untested"
    print(f"{len(MISTAKES)} seeded mistakes, {verdict}")
    return 1 if missed or untested else 0


if __name__ == "__main__":
    sys.exit(main())
