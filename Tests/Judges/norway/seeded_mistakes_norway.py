#!/usr/bin/env python3
"""Puts mistakes into bundles that are good and looks whether the judge catches each by the rule that it is against.

usage: seeded_mistakes_norway.py SAMPLES
"""

import copy
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import judging  # noqa: E402
import judge_norway  # noqa: E402

SCT, MDC = "http://snomed.info/sct", "urn:iso:std:iso:11073:10101"
BP, BATCH, LEGACY, ORG = "blood-pressure.pmd", "batch-blood-pressure.pmd", "legacy-blood-pressure.pmd", "organisation-blood-pressure.pmd"
WEIGHT, TEMPERATURE, SPOT, GLUCOSE = "weight.pmd", "temperature.pmd", "oximeter-spot.pmd", "glucose.pmd"


def obs(bundle, number=0):
    return bundle["entry"][number]["resource"]


def set_(target, key, value):
    target[key] = value


def drop(items, keep):
    items[:] = [item for item in items if keep(item)]


def coding(observation, code):
    return next(c for c in observation["code"]["coding"] if c["code"] == code)


def component(bundle, code):
    return next(c for c in obs(bundle)["component"] if any(k["code"] == code for k in c["code"]["coding"]))


DOC, ABSENT, LATE = "blood-pressure.vkp", "not-reported.vkp", "late.vkp"


def resource(bundle, type_):
    return next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == type_)


def composition(bundle):
    return resource(bundle, "Composition")


def issue(bundle):
    return resource(bundle, "DetectedIssue")


FNR = {"system": "urn:oid:2.16.578.1.12.4.1.4.1", "value": "01819540094"}

# What was done, to which sample, the rule that must catch it, and how.
MISTAKES = [
    ("no status", BP, "structure", lambda b: obs(b).pop("status")),
    ("a time without zone", BP, "structure", lambda b: set_(obs(b), "effectiveDateTime", "2023-02-23T10:24:08")),
    ("no category", BP, "Observation.category 1..*", lambda b: obs(b).pop("category")),
    ("another category", BP, "Observation.category:VSCat 1..1", lambda b: set_(
        obs(b)["category"][0]["coding"][0], "code", "laboratory")),
    ("no LOINC code of a blood pressure", BP, "Observation.code.coding:BPCode 1..1", lambda b: drop(
        obs(b)["code"]["coding"], lambda c: c["code"] != "85354-9")),
    ("the IG page's misprint of weight", WEIGHT, "Observation.code.coding:BodyWeightCode 1..1", lambda b: set_(
        coding(obs(b), "29463-7"), "code", "29563-7")),
    ("the international code of a saturation alone", SPOT, "Observation.code.coding:OxygenSatCode 1..1", lambda b: drop(
        obs(b)["code"]["coding"], lambda c: c["code"] != "2708-6")),
    ("LOINC's code twice", TEMPERATURE, "Observation.code.coding:BodyTempCode 1..1", lambda b: obs(b)["code"]["coding"].append(
        dict(coding(obs(b), "8310-5")))),
    ("no-domain's code twice", TEMPERATURE, "Observation.code.coding:BodyTempSnomedCode 0..1", lambda b: obs(b)["code"]["coding"].append(
        dict(coding(obs(b), "276885007")))),
    ("nobody's reading", BP, "Observation.subject 1..1", lambda b: obs(b).pop("subject")),
    ("a patient by H-number", BP, "Observation.subject.identifier.system binding", lambda b: set_(
        obs(b)["subject"]["identifier"], "system", "HNR")),
    ("a group as subject", BP, "Observation.subject target", lambda b: set_(obs(b)["subject"], "type", "Group")),
    ("no time", BP, "Observation.effective[x] 1..1", lambda b: obs(b).pop("effectiveDateTime")),
    ("the moment as a timing", BP, "Observation.effective[x] type", lambda b: (
        obs(b).pop("effectiveDateTime"), set_(obs(b), "effectiveInstant", "2023-02-23T10:24:08+01:00"))),
    ("a month", WEIGHT, "vs-1", lambda b: set_(obs(b), "effectiveDateTime", "2023-02")),
    ("an organisation under a vital sign's profile", ORG, "Observation.performer.identifier.system binding", lambda b: set_(
        obs(b)["meta"], "profile", ["http://hl7.no/fhir/vkpobservation/StructureDefinition/vkp-Observation-Bloodpressure"])),
    ("an organisation under the legacy profile", ORG, "Observation.performer target", lambda b: set_(
        obs(b)["meta"], "profile", ["http://ehelse.no/fhir/StructureDefinition/vkp-Observation-v090"])),
    ("a location as performer", ORG, "Observation.performer target", lambda b: set_(obs(b)["performer"][0], "type", "Location")),
    ("no diastolic pressure", BP, "Observation.component:DiastolicBP 1..1", lambda b: drop(
        obs(b)["component"], lambda c: c is not component(b, "8462-4"))),
    ("two systolic pressures", LEGACY, "Observation.component:SystolicBP 1..1", lambda b: obs(b)["component"].append(
        copy.deepcopy(component(b, "8480-6")))),
    ("one component", BP, "Observation.component 2..*", lambda b: set_(obs(b), "component", [component(b, "8480-6")])),
    ("an empty component", BP, "vs-3", lambda b: component(b, "8480-6").pop("valueQuantity")),
    ("a pressure in kPa", BP, "Observation.component:SystolicBP.value[x].code fixed", lambda b: set_(
        component(b, "8480-6")["valueQuantity"], "code", "kPa")),
    ("a pressure without unit", BP, "Observation.component:SystolicBP.value[x].unit 1..1", lambda b: component(
        b, "8480-6")["valueQuantity"].pop("unit")),
    ("a mean pressure in kPa", BP, "Observation.component:MeanArterialPressure.value[x].code fixed", lambda b: set_(
        component(b, "8478-0")["valueQuantity"], "code", "kPa")),
    ("a panel with a value", BP, "Observation.value[x]:valueQuantity 0..0", lambda b: set_(
        obs(b), "valueQuantity", copy.deepcopy(component(b, "8480-6")["valueQuantity"]))),
    ("a weight in stones", WEIGHT, "Observation.value[x]:valueQuantity.code binding", lambda b: set_(
        obs(b)["valueQuantity"], "code", "[stone_av]")),
    ("a temperature in kelvin", TEMPERATURE, "Observation.value[x]:valueQuantity.code binding", lambda b: set_(
        obs(b)["valueQuantity"], "code", "K")),
    ("a saturation as a fraction", SPOT, "Observation.value[x]:valueQuantity.code fixed", lambda b: set_(
        obs(b)["valueQuantity"], "code", "1")),
    ("a unit of a system of its own", WEIGHT, "Observation.value[x]:valueQuantity.system fixed", lambda b: set_(
        obs(b)["valueQuantity"], "system", "http://snomed.info/sct")),
    ("neither value nor reason", WEIGHT, "vs-2", lambda b: obs(b).pop("valueQuantity")),
    ("value and reason", WEIGHT, "obs-6", lambda b: set_(obs(b), "dataAbsentReason", {"text": "x"})),
    ("an oscillometric method", BP, "Observation.method binding", lambda b: set_(
        obs(b), "method", {"coding": [{"system": SCT, "code": "703421000"}]})),
    ("the measuring site of a thermometer", LEGACY, "Observation.bodySite binding", lambda b: set_(
        obs(b), "bodySite", {"coding": [{"system": SCT, "code": "34402009"}]})),
    ("a profile of the FSH port", BP, "meta.profile", lambda b: set_(
        obs(b)["meta"], "profile", ["http://hl7.no/fhir/ig/StructureDefinition/vkp-Observation"])),
    ("a document", BP, "BU-01", lambda b: set_(b, "type", "transaction")),
    ("a collection that claims the batch's profile", BP, "Bundle.type pattern", lambda b: set_(
        b["meta"], "profile", ["http://hl7.no/fhir/vkpobservation/StructureDefinition/pmd-Bundle-Observation"])),
    ("a collection without identifier", BP, "BU-02", lambda b: b.pop("identifier")),
    ("a municipality by name", BP, "BU-03", lambda b: set_(b["meta"]["tag"][0], "code", "Oslo")),
    ("a batch that claims nothing", BATCH, "BU-04", lambda b: b.pop("meta")),
    ("a batch without full URL", BATCH, "Bundle.entry.fullUrl 1..1", lambda b: b["entry"][0].pop("fullUrl")),
    ("a batch without request", BATCH, "Bundle.entry.request 1..1", lambda b: b["entry"][0].pop("request")),
    ("a batch that deletes", BATCH, "Bundle.entry.request.method binding", lambda b: set_(
        b["entry"][0]["request"], "method", "DELETE")),
    ("a device along with it", BATCH, "Bundle.entry.resource type", lambda b: set_(
        b["entry"][0], "resource", {"resourceType": "Device"})),
    ("one full URL twice", BP, "BU-05", lambda b: set_(b["entry"][1], "fullUrl", b["entry"][0]["fullUrl"])),
    ("two patients", BP, "BU-06", lambda b: set_(obs(b, 1)["subject"]["identifier"], "value", "01819540175")),
    ("a put under another id", BATCH, "BU-07", lambda b: set_(b["entry"][0]["request"], "url", "Observation/1")),
    ("an identifier of another reading", BP, "BU-08", lambda b: set_(
        obs(b)["identifier"][0], "value", b["entry"][1]["fullUrl"])),
    ("a preliminary reading", BP, "OB-01", lambda b: set_(obs(b), "status", "preliminary")),
    ("a patient by reference", BP, "OB-02", lambda b: set_(obs(b), "subject", {"reference": "Patient/1"})),
    ("a day", WEIGHT, "OB-03", lambda b: set_(obs(b), "effectiveDateTime", "2023-02-23")),
    ("no MDC code", BP, "OB-04", lambda b: drop(obs(b)["code"]["coding"], lambda c: c["system"] != MDC)),
    ("an organisation without its number", ORG, "OB-05", lambda b: obs(b)["performer"][0].pop("identifier")),
    ("a person as performer", BP, "OB-05", lambda b: set_(obs(b), "performer", [{"type": "Practitioner", "identifier": FNR}])),
    ("a device by reference", BP, "OB-06", lambda b: set_(obs(b), "device", {"reference": "Device/1"})),
    ("a pressure with VKP's code alone", BP, "OB-07", lambda b: drop(
        component(b, "8480-6")["code"]["coding"], lambda c: c["code"] != "4471000202106")),
    ("glucose as a mass", GLUCOSE, "OB-08", lambda b: set_(obs(b)["valueQuantity"], "code", "mg/dL")),
    ("a guessed arm", BP, "OB-09", lambda b: set_(
        obs(b), "bodySite", {"coding": [{"system": SCT, "code": "368208006"}]})),
    ("a document without category", DOC, "Composition.category 1..*", lambda b: composition(b).pop("category")),
    ("a category of an older list", DOC, "Composition.category binding", lambda b: set_(
        composition(b)["category"][0]["coding"][0], "code", "3")),
    ("nobody's document", DOC, "Composition.subject 1..*", lambda b: composition(b).pop("subject")),
    ("the event that was left out of the list", DOC, "Composition.event.code binding", lambda b: set_(
        composition(b)["event"][0]["code"][0]["coding"][0], "code", "2")),
    ("an issue without code", DOC, "DetectedIssue.code 1..*", lambda b: issue(b).pop("code")),
    ("an alert that is not in the list", DOC, "DetectedIssue.code binding", lambda b: set_(
        issue(b)["code"]["coding"][0], "code", "5.2.9")),
    ("nobody's issue", DOC, "DetectedIssue.patient 1..*", lambda b: issue(b).pop("patient")),
    ("a document that claims nothing", DOC, "meta.profile", lambda b: composition(b).pop("meta")),
    ("a Composition without title", DOC, "structure", lambda b: composition(b).pop("title")),
    ("a device in the document", DOC, "entries", lambda b: b["entry"].append(
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000", "resource": {"resourceType": "Device"}})),
    ("a document without identifier", DOC, "DO-01", lambda b: b.pop("identifier")),
    ("the issue first", DOC, "DO-02", lambda b: b["entry"].insert(0, b["entry"].pop(1))),
    ("a section of something else", DOC, "DO-03", lambda b: set_(
        composition(b)["section"][0]["entry"][0], "reference", "urn:uuid:00000000-0000-4000-8000-000000000000")),
    ("a reading that nothing refers to", DOC, "DO-04", lambda b: issue(b)["evidence"][0]["detail"].pop()),
    ("a Composition with an identifier of its own", DOC, "DO-05", lambda b: set_(
        composition(b)["identifier"], "value", "urn:uuid:00000000-0000-4000-8000-000000000000")),
    ("another patient's issue", DOC, "DO-06", lambda b: set_(issue(b)["patient"]["identifier"], "value", "01819540175")),
    ("measured and yet not reported", DOC, "DO-07", lambda b: set_(issue(b)["code"]["coding"][0], "code", "5.3.2")),
    ("reported and nothing measured", ABSENT, "DO-07", lambda b: set_(issue(b)["code"]["coding"][0], "code", "5.2.1")),
    ("half of it in error", "retraction.vkp", "DO-08", lambda b: set_(issue(b), "status", "final")),
    ("the alert as the type", DOC, "CO-01", lambda b: set_(composition(b), "type", issue(b)["code"])),
    ("a safety alarm", DOC, "CO-02", lambda b: set_(composition(b)["category"][0]["coding"][0], "code", "1")),
    ("an author without name", DOC, "CO-03", lambda b: composition(b)["author"][0].pop("display")),
    ("a generated text", DOC, "CO-04", lambda b: set_(composition(b)["section"][0]["text"], "status", "generated")),
    ("a document that follows itself", LATE, "CO-05", lambda b: set_(
        composition(b)["relatesTo"][0]["targetIdentifier"], "value", b["identifier"]["value"])),
    ("not reported at a moment", ABSENT, "DI-01", lambda b: (
        issue(b).pop("identifiedPeriod"), set_(issue(b), "identifiedDateTime", b["timestamp"]))),
    ("an empty battery", ABSENT, "DI-02", lambda b: set_(issue(b)["code"]["coding"][0], "code", "1.18")),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    loaded, norway, missed = judge_norway.rules(), judge_norway.Norway(), 0
    for words, sample, expected, mistake in MISTAKES:
        bundle = judging.load(folder / sample)
        if judge_norway.judge(loaded, norway, bundle):
            print(f"the sample {sample} is not good to begin with")
            return 1
        mutated = copy.deepcopy(bundle)
        mistake(mutated)
        caught = sorted({rule for rule, _, _ in judge_norway.judge(loaded, norway, mutated)})
        if expected in caught:
            print(f"caught by {', '.join(caught)}: {words}")
        else:
            missed += 1
            print(f"MISSED, {expected} should have caught it (only {', '.join(caught) or 'nobody'} did): {words}")
    untested = sorted({rule.id for rule in loaded} - {expected for _, _, expected, _ in MISTAKES})
    if untested:
        print("rules without a mistake of their own:", ", ".join(untested))
    print(f"{len(MISTAKES)} seeded mistakes, {'ok' if not missed and not untested else f'{missed} missed, {len(untested)} untested'}")
    return 1 if missed or untested else 0


if __name__ == "__main__":
    sys.exit(main())
