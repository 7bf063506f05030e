#!/usr/bin/env python3
"""Proves that the judge can say no: good requests with one mistake each, every one of which must be caught by the rule named.

usage: seeded_mistakes_fut.py FOLDER

FOLDER holds the requests that the Swift tests write (VITALGATE_SAMPLES).
"""

import copy
import pathlib
import sys

import judge_fut
import judging
import published

EPISODE = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"


def bundle(request):
    return request["parameter"][0]["resource"]


def obs(request, number=0):
    return bundle(request)["entry"][number]["resource"]


def ext(request, url, number=0):
    return next(e for e in obs(request, number)["extension"] if e["url"].endswith(url))


def part(request, url, name):
    return next(p for p in ext(request, url)["extension"] if p["url"] == name)


def coding(request, url, name):
    return part(request, url, name)["valueCodeableConcept"]["coding"][0]


def set_(target, key, value):
    target[key] = value


def drop(items, keep):
    items[:] = [item for item in items if keep(item)]


BP, SPOT, ADHOC, WEIGHT, MOMENT = "blood-pressure", "oximeter-spot", "timing-adhoc", "weight", "date-time"
RT, Q = "ehealth-resolved-timing", "ehealth-quality"

# What was done, to which sample, the rule that must catch it, and how.
MISTAKES = [
    ("no status", BP, "structure", lambda r: obs(r).pop("status")),
    ("a time without zone", BP, "structure", lambda r: set_(obs(r)["effectivePeriod"], "start", "2023-02-23T10:24:08")),
    ("a null", BP, "structure", lambda r: set_(obs(r), "effectiveDateTime", None)),
    ("no profile", BP, "meta.profile", lambda r: obs(r).pop("meta")),
    ("no episode of care", BP, "Observation.extension:episodeOfCare 1..1", lambda r: drop(
        obs(r)["extension"], lambda e: e["url"] != EPISODE)),
    ("two episodes of care", BP, "Observation.extension:episodeOfCare 1..1", lambda r: obs(r)["extension"].append(
        copy.deepcopy(ext(r, "workflow-episodeOfCare")))),
    ("no resolved timing", BP, "Observation.extension:resolvedTiming 1..1", lambda r: drop(
        obs(r)["extension"], lambda e: not e["url"].endswith(RT))),
    ("no extension at all", BP, "Observation.extension 2..*", lambda r: obs(r).pop("extension")),
    ("a relative episode of care", BP, "Observation.extension:episodeOfCare.value[x] reference", lambda r: set_(
        ext(r, "workflow-episodeOfCare")["valueReference"], "reference", "EpisodeOfCare/2001")),
    ("an episode as text", BP, "Observation.extension:episodeOfCare.value[x]", lambda r: (
        ext(r, "workflow-episodeOfCare").pop("valueReference"), set_(ext(r, "workflow-episodeOfCare"), "valueString", "2001"))),
    ("no request", BP, "Observation.basedOn 1..1", lambda r: obs(r).pop("basedOn")),
    ("two requests", BP, "Observation.basedOn 1..1", lambda r: obs(r)["basedOn"].append(obs(r)["basedOn"][0])),
    ("based on a care plan", BP, "Observation.basedOn target", lambda r: set_(
        obs(r)["basedOn"][0], "reference", obs(r)["basedOn"][0]["reference"].replace("ServiceRequest", "CarePlan"))),
    ("a request of a version", BP, "Observation.basedOn reference", lambda r: set_(
        obs(r)["basedOn"][0], "reference", obs(r)["basedOn"][0]["reference"] + "/_history/2")),
    ("nobody's reading", BP, "Observation.subject 1..*", lambda r: obs(r).pop("subject")),
    ("a relative patient", BP, "Observation.subject reference", lambda r: set_(obs(r)["subject"], "reference", "Patient/1001")),
    ("a national id as patient", BP, "Observation.subject reference", lambda r: set_(
        obs(r), "subject", {"identifier": {"system": "urn:oid:1.2.208.176.1.2", "value": "0000000000"}})),
    ("no time", BP, "Observation.effective[x] 1..*", lambda r: obs(r).pop("effectivePeriod")),
    ("no performer", BP, "Observation.performer 1..1", lambda r: obs(r).pop("performer")),
    ("two performers", BP, "Observation.performer 1..1", lambda r: obs(r)["performer"].append(obs(r)["performer"][0])),
    ("performed by a device", BP, "Observation.performer target", lambda r: set_(
        obs(r)["performer"][0], "reference", obs(r)["device"]["reference"])),
    ("a contained device", BP, "Observation.device aggregation", lambda r: set_(obs(r)["device"], "reference", "#cuff")),
    ("a metric as device", BP, "Observation.device target", lambda r: set_(
        obs(r)["device"], "reference", obs(r)["device"]["reference"].replace("/Device/", "/DeviceMetric/"))),
    ("LOINC's blood pressure", BP, "Observation.code binding", lambda r: set_(
        obs(r)["code"]["coding"], 0, {"system": "http://loinc.org", "code": "85354-9"})),
    ("a mean pressure", BP, "Observation.component.code binding", lambda r: obs(r)["component"].append(
        {"code": {"coding": [{"system": "urn:iso:std:iso:11073:10101", "code": "150023"}]},
         "valueQuantity": obs(r)["component"][0]["valueQuantity"]})),
    ("the codes of before 4.0.0", BP, "Observation.component.code binding", lambda r: set_(
        obs(r)["component"][0]["code"]["coding"], 0, {"system": "urn:oid:1.2.208.184.100.8", "code": "MCS88019"})),
    ("a value as text", WEIGHT, "Observation.value[x] type", lambda r: (
        obs(r).pop("valueQuantity"), set_(obs(r), "valueString", "74"))),
    ("a component that is true", BP, "Observation.component.value[x] type", lambda r: (
        obs(r)["component"][0].pop("valueQuantity"), set_(obs(r)["component"][0], "valueBoolean", True))),
    ("a reason outside FUT's set", WEIGHT, "Observation.dataAbsentReason binding", lambda r: set_(
        obs(r), "dataAbsentReason",
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "not-a-number"}]})),
    ("a range of another type", WEIGHT, "Observation.referenceRange.type binding", lambda r: set_(
        obs(r), "referenceRange", [{"text": "x", "type": {"coding": [{"system": "x", "code": "y"}]}}])),
    ("no version of the request", BP, f"{RT}.serviceRequestVersionId 1..1", lambda r: drop(
        ext(r, RT)["extension"], lambda p: p["url"] != "serviceRequestVersionId")),
    ("the version as a text", BP, f"{RT}.serviceRequestVersionId type", lambda r: (
        part(r, RT, "serviceRequestVersionId").pop("valueId"), set_(part(r, RT, "serviceRequestVersionId"), "valueString", "2"))),
    ("a timing without type", BP, f"{RT}.type 1..1", lambda r: drop(ext(r, RT)["extension"], lambda p: p["url"] != "type")),
    ("a timing of no known type", BP, f"{RT}.type binding", lambda r: set_(coding(r, RT, "type"), "code", "Late")),
    ("a timing with something else in it", BP, f"{RT} parts", lambda r: ext(r, RT)["extension"].append(
        {"url": "note", "valueString": "x"})),
    ("a quality without code", BP, f"{Q}.qualityCode 1..1", lambda r: drop(
        ext(r, Q)["extension"], lambda p: p["url"] != "qualityCode")),
    ("a quality of no known type", BP, f"{Q}.qualityType binding", lambda r: set_(coding(r, Q, "qualityType"), "code", "XQ")),
    ("a quality that does not exist", BP, f"{Q}.qualityCode binding", lambda r: set_(coding(r, Q, "qualityCode"), "code", "good")),
    ("PHD's unit of a pulse", BP, "obs-code-to-ucum", lambda r: set_(obs(r, 1)["valueQuantity"], "code", "/min")),
    ("a pressure in kPa", BP, "obs-code-to-ucum", lambda r: set_(obs(r)["component"][0]["valueQuantity"], "code", "kPa")),
    ("a pulse with a decimal", BP, "obs-code-to-value-type", lambda r: set_(obs(r, 1)["valueQuantity"], "value", 93.5)),
    ("a number without unit", SPOT, "Quantity", lambda r: obs(r)["valueQuantity"].pop("unit")),
    ("a code without system", SPOT, "Coding", lambda r: coding(r, Q, "qualityType").pop("system")),
    ("another parameter", BP, "SM-01", lambda r: set_(r["parameter"][0], "name", "resource")),
    ("a batch", BP, "SM-02", lambda r: set_(bundle(r), "type", "batch")),
    ("a device along with it", BP, "SM-03", lambda r: bundle(r)["entry"].append(
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000", "resource": {"resourceType": "Device"},
         "request": {"method": "POST", "url": "Device"}})),
    ("a conditional create", BP, "SM-04", lambda r: set_(bundle(r)["entry"][0]["request"], "ifNoneExist", "identifier=x")),
    ("one full URL twice", BP, "SM-05", lambda r: set_(bundle(r)["entry"][1], "fullUrl", bundle(r)["entry"][0]["fullUrl"])),
    ("two patients", BP, "SM-06", lambda r: set_(
        obs(r, 1)["subject"], "reference", obs(r, 1)["subject"]["reference"].replace("1001", "1002"))),
    ("two episodes of care in one request", BP, "SM-07", lambda r: set_(
        ext(r, "workflow-episodeOfCare", 1)["valueReference"], "reference", "https://careplan.x.dk/fhir/EpisodeOfCare/7")),
    ("two slots in one request", BP, "SM-08", lambda r: set_(
        next(p for p in ext(r, RT, 1)["extension"] if p["url"] == "start"), "valueDateTime", "2023-02-23T07:00:00+00:00")),
    ("a preliminary reading", BP, "OB-01", lambda r: set_(obs(r), "status", "preliminary")),
    ("a system tag", BP, "OB-02", lambda r: set_(
        obs(r)["meta"], "tag", [{"system": "http://ehealth.sundhed.dk/cs/ehealth-system", "code": "xa"}])),
    ("another's performance", BP, "OB-03", lambda r: set_(
        obs(r)["performer"][0], "reference", obs(r)["performer"][0]["reference"].replace("1001", "1002"))),
    ("a panel with a value", BP, "OB-04", lambda r: set_(obs(r), "valueQuantity", obs(r)["component"][0]["valueQuantity"])),
    ("no diastolic pressure", BP, "OB-05", lambda r: obs(r)["component"].pop()),
    ("an empty component", BP, "OB-06", lambda r: obs(r)["component"][0].pop("valueQuantity")),
    ("a reference range of ours", WEIGHT, "OB-07", lambda r: set_(obs(r), "referenceRange", [{"text": "x"}])),
    ("the device's quality", BP, "OB-08", lambda r: set_(coding(r, Q, "qualityType"), "code", "DMQ")),
    ("a measurement of an hour", BP, "OB-09", lambda r: set_(obs(r)["effectivePeriod"], "end", "2023-02-23T11:24:08+01:00")),
    ("half a slot", BP, "RT-01", lambda r: drop(ext(r, RT)["extension"], lambda p: p["url"] != "end")),
    ("a slot of what has none", ADHOC, "RT-02", lambda r: ext(r, RT)["extension"].append(
        {"url": "start", "valueDateTime": "2023-02-23T08:00:00+00:00"})),
    ("a slot of another day", MOMENT, "RT-03", lambda r: (
        set_(part(r, RT, "start"), "valueDateTime", "2023-02-24T08:00:00+00:00"),
        set_(part(r, RT, "end"), "valueDateTime", "2023-02-24T12:00:00+00:00"))),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    loaded, profile, missed = judge_fut.rules(), published.Profile(), 0
    for words, sample, expected, mistake in MISTAKES:
        request = judging.load(folder / f"{sample}.fut")
        if judge_fut.judge(loaded, profile, request):
            print(f"the sample {sample} is not good to begin with")
            return 1
        mutated = copy.deepcopy(request)
        mistake(mutated)
        caught = sorted({rule for rule, _, _ in judge_fut.judge(loaded, profile, mutated)})
        if expected in caught:
            print(f"caught by {', '.join(caught)}: {words}")
        else:
            missed += 1
            print(f"MISSED, {expected} should have caught it (only {', '.join(caught) or 'nobody'} did): {words}")
    untested = sorted({rule.id for rule in loaded} - {expected for _, _, expected, _ in MISTAKES})
    if untested:
        print("rules without a mistake of their own:", ", ".join(untested))
    print(f"{len(MISTAKES)} seeded mistakes, {'all caught' if not missed and not untested else f'{missed} missed, {len(untested)} untested'}")
    return 1 if missed or untested else 0


if __name__ == "__main__":
    sys.exit(main())
