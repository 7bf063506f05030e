#!/usr/bin/env python3
"""The simulated FUT judged by what others wrote: Authlib signs in to its realm, fhirkit-rs and fhirpathpy read its answers, and their
form is held against the guide's published examples, path by path.

    fut_simulator.py [--examples DIR]     after Tests/Judges/run.sh has made its Python environment

A simulator that only our own client has spoken to would agree with our own mistakes.
"""

import html
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import report
import rig

PYTHON = os.path.join(rig.ROOT, ".build", "judges", "venv", "bin", "python")
EXAMPLES = os.path.join(rig.ROOT, "Tests", "Judges", "fut", "published", "examples")
REDIRECT = "http://127.0.0.1:4711/callback"
SCOPE = "openid profile offline_access"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
EPISODE = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
TIMING = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-resolved-timing"

# Where our answer's form differs from the published example's, and why. A difference that does not stand here fails, and so does a line
# that nothing needs any more. "-": the example has it and we do not; "+": the other way round.
KNOWN = {
    "$get-patient-procedures": {
        "-CarePlan.period.end": "our plans are open",
        "-CarePlan.extension[ehealth-careplan-statusHistory].extension[period].valuePeriod.end": "our plans are open",
        "-ServiceRequest.extension[ehealth-servicerequest-statusHistory].extension[period].valuePeriod.end": "our plans are open",
        "-CarePlan.category": "a placeholder code (TBD) in the example",
        "-CarePlan.addresses": "no conditions are simulated",
        "-ServiceRequest.occurrenceDateTime": "a request for one moment; ours have periods",
        "+ServiceRequest.occurrencePeriod": "slots that a test gives one by one have no regime to state",
        "-ServiceRequest.occurrenceTiming.repeat.boundsPeriod.end": "our plans are open",
        "+Parameters.part[SubmittedTimely]": "in the OperationDefinition, not in the example's rows",
    },
    "Device": {
        "+Device.identifier": "the guide wants a serial number; the example has none",
        "+Device.serialNumber": "the same",
        "+Device.type": "bound to device-types by the profile; the example has none",
        "+Device.owner": "in GET_Device's example, not in the search's",
    },
    "DeviceUseStatement": {"-DeviceUseStatement.timingPeriod.end": "ours are in use"},
    "Observation": {
        "+Observation.valueQuantity": "the example has no value",
        "+Observation.extension[ehealth-resolved-timing].extension[start]": "the example is Adhoc",
        "+Observation.extension[ehealth-resolved-timing].extension[end]": "the example is Adhoc",
    },
}


def load(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


# --- Form: every path of a resource, lists collapsed, extensions and parts by their names


def paths(value, at, found):
    found.add(at)
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("resourceType", "div"):
                continue
            if key == "resource":
                paths(inner, inner["resourceType"], found)
            elif key in ("extension", "part") or (key == "parameter" and at == "Parameters"):
                for one in inner:
                    name = one["url"].rsplit("/", 1)[-1] if key == "extension" else one["name"]
                    if re.fullmatch(r"item_\d+", name):
                        paths({"part": one["part"]}, at, found)
                        continue
                    rest = {k: v for k, v in one.items() if k not in ("url", "name")}
                    paths(rest, f"{at}.{key}[{name}]", found)
            else:
                paths(inner, f"{at}.{key}", found)
    elif isinstance(value, list):
        for one in value:
            paths(one, at, found)
    return found


def compare(out, what, ours, example):
    """Differences that no line of KNOWN covers; a line covers what lies below it."""
    if example is None:
        out.skip(f"{what}: the form of the published example", "the example is not here")
        return
    mine, theirs = paths(ours, ours["resourceType"], set()), paths(example, example["resourceType"], set())
    known, used, unknown = KNOWN.get(what, {}), set(), []
    for sign, only in (("-", theirs - mine), ("+", mine - theirs)):
        for path in sorted(only):
            cover = [line for line in known if line[0] == sign and (path == line[1:] or path.startswith((line[1:] + ".", line[1:] + "[")))]
            used.update(cover)
            if not cover:
                unknown.append(sign + path)
    out.check(f"{what}: the form of the published example ({len(theirs & mine)} paths alike, {len(used)} known differences)", not unknown, unknown)
    out.check(f"{what}: each known difference is one still", not set(known) - used, sorted(set(known) - used))


# --- The realm, by Authlib


class Realm:
    def __init__(self, origin):
        import requests
        self.http = requests.Session()
        self.origin, self.issuer = origin, f"{origin}/auth/realms/nemlogin"
        self.meta = self.http.get(f"{self.issuer}/.well-known/openid-configuration", timeout=10).json()

    def session(self, **more):
        from authlib.integrations.requests_client import OAuth2Session
        return OAuth2Session("vitalgate", scope=SCOPE, redirect_uri=REDIRECT, token_endpoint_auth_method="none", code_challenge_method="S256", **more)

    def control(self, path, body):
        answer = self.http.post(f"{self.origin}/control/{path}", json=body, timeout=10)
        if answer.status_code != 200:
            raise rig.RigError(f"control {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def button(self, address, citizen):
        """Opens the page that a person would see and presses his button; the address to which the browser is sent."""
        page = self.http.get(address, allow_redirects=False, timeout=10)
        action = html.unescape(re.search(r'action="([^"]+)"', page.text).group(1))
        return self.http.post(action, data={"citizen": citizen}, allow_redirects=False, timeout=10).headers["location"]

    def sign_in(self, citizen):
        from authlib.common.security import generate_token
        session, verifier = self.session(), generate_token(64)
        address, state = session.create_authorization_url(self.meta["authorization_endpoint"], code_verifier=verifier, nonce="n-1")
        back = self.button(address, citizen)
        token = session.fetch_token(self.meta["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
        return session, token, back, verifier


TAKEN = "it was taken"


def refused(call, error):
    """True where the realm says this error, else what it said."""
    from authlib.integrations.base_client import OAuthError
    try:
        call()
    except OAuthError as reason:
        return reason.error == error or f"{reason.error}: {reason.description}"
    return TAKEN


def judge_realm(out, realm):
    from authlib.common.security import generate_token
    from authlib.oauth2.rfc6749.errors import MismatchingStateException
    from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
    from joserfc import jwt
    from joserfc.jwk import KeySet

    meta = realm.meta
    # Its one complaint is about http, which on loopback has to be.
    stated = AuthorizationServerMetadata({k: (v.replace("http://", "https://") if isinstance(v, str) else v) for k, v in meta.items()})
    try:
        stated.validate()
        complaint = None
    except ValueError as error:
        complaint = error
    out.check("Authlib accepts the realm's metadata (RFC 8414)", complaint is None, complaint)

    session, token, back, verifier = realm.sign_in("anna")
    out.check("Authlib signs in with code and PKCE", token["token_type"] == "Bearer" and token["expires_in"] == 300, sorted(token))
    keys = KeySet.import_key_set(realm.http.get(meta["jwks_uri"], timeout=10).json())
    identity = jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
    access = jwt.decode(token["access_token"], keys, algorithms=["ES256"]).claims
    jwt.JWTClaimsRegistry(iss={"essential": True, "value": realm.issuer}, aud={"essential": True, "value": "vitalgate"},
                          nonce={"essential": True, "value": "n-1"}, exp={"essential": True}).validate(identity)
    out.check("joserfc verifies both tokens with the published key", access["user_type"] == "PATIENT" and identity["sub"] == access["sub"])

    again = realm.session()
    answer = refused(lambda: again.fetch_token(meta["token_endpoint"], authorization_response=back, code_verifier=verifier), "invalid_grant")
    out.check("a replayed code is refused", answer is True, answer)
    answer = refused(lambda: session.refresh_token(meta["token_endpoint"]), "invalid_grant")
    out.check("and ends what its first use began", answer is True, answer)

    other = realm.session()
    address, state = other.create_authorization_url(meta["authorization_endpoint"], code_verifier=generate_token(64))
    back = realm.button(address, "anna")
    answer = refused(lambda: other.fetch_token(meta["token_endpoint"], authorization_response=back, state=state, code_verifier=generate_token(64)), "invalid_grant")
    out.check("another verifier is refused", answer is True, answer)
    realm.control("faults", {"rules": [{"fault": "forged", "what": "state", "path": "/authenticate", "times": 1}]})
    third, verifier = realm.session(), generate_token(64)
    address, state = third.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier)
    forged = realm.button(address, "anna")
    try:
        third.fetch_token(meta["token_endpoint"], authorization_response=forged, state=state, code_verifier=verifier)
        caught = False
    except MismatchingStateException:
        caught = True
    out.check("a forged state is one that Authlib notices", caught)

    # Rotation.
    session, token, _, _ = realm.sign_in("anna")
    first = token["refresh_token"]
    second = session.refresh_token(meta["token_endpoint"])["refresh_token"]
    out.check("Authlib refreshes, and the refresh token rotates", second != first)
    answer = refused(lambda: session.refresh_token(meta["token_endpoint"], refresh_token=first), "invalid_grant")
    out.check("the old one is refused", answer is True, answer)
    realm.control("settings", {"allowsReuseOfLast": True})
    session, token, _, _ = realm.sign_in("anna")
    first = token["refresh_token"]
    session.refresh_token(meta["token_endpoint"], refresh_token=first)
    answer = refused(lambda: session.refresh_token(meta["token_endpoint"], refresh_token=first), "invalid_grant")
    out.check("where the realm allows it, the last may come once more", answer == TAKEN, answer)
    answer = refused(lambda: session.refresh_token(meta["token_endpoint"], refresh_token=first), "invalid_grant")
    out.check("but not twice", answer is True, answer)
    realm.control("settings", {"allowsReuseOfLast": False})

    # Device grant.
    realm.control("settings", {"deviceInterval": 1})
    device = realm.session()
    begun = device.post(meta["device_authorization_endpoint"], data={"client_id": "vitalgate", "scope": SCOPE}, withhold_token=True).json()
    def poll():
        return device.fetch_token(meta["token_endpoint"], grant_type=DEVICE_GRANT, device_code=begun["device_code"])
    answer = refused(poll, "authorization_pending")
    out.check("device grant: pending", answer is True, answer)
    answer = refused(poll, "slow_down")
    out.check("device grant: slow down", answer is True, answer)
    page = realm.http.get(begun["verification_uri_complete"], timeout=10).text
    out.check("device grant: the page knows the code", begun["user_code"] in page)
    realm.http.post(begun["verification_uri"], data={"user_code": begun["user_code"], "citizen": "bent"}, timeout=10)
    realm.control("clock", {"advance": 30})
    out.check("device grant: approved", poll()["token_type"] == "Bearer")

    # A lapse is one citizen's.
    anna, bent = realm.sign_in("anna")[0], realm.sign_in("bent")[0]
    realm.control("sessions", {"end": "anna"})
    answer = refused(lambda: anna.refresh_token(meta["token_endpoint"]), "invalid_grant")
    out.check("a lapsed sign-in is refused", answer is True, answer)
    out.check("and the other citizen's lives", bool(bent.refresh_token(meta["token_endpoint"])))


# --- The services


class Services:
    def __init__(self, out, realm):
        import fhirkit
        import fhirpathpy
        from fhirpathpy.models import models
        self.out, self.realm, self.fhirkit = out, realm, fhirkit
        self.ask = lambda resource, expression: fhirpathpy.evaluate(resource, expression, {}, models["r4"])
        session, _, _, _ = realm.sign_in("anna")
        self.patient = f"{realm.origin}/patient/fhir/Patient/1001"
        self.episode = f"{realm.origin}/careplan/fhir/EpisodeOfCare/2001"
        token = session.refresh_token(realm.meta["token_endpoint"], patient_id=self.patient, episode_of_care_id=self.episode)
        self.headers = {"authorization": f"Bearer {token['access_token']}", "content-type": "application/fhir+json"}
        self.judged = self.faulty = 0

    def send(self, method, path, body=None, status=200, **headers):
        answer = self.realm.http.request(method, path if path.startswith("http") else f"{self.realm.origin}{path}", headers=self.headers | headers,
                                         data=None if body is None else json.dumps(body), timeout=10)
        if answer.status_code != status:
            raise rig.RigError(f"{method} {path}: {answer.status_code}, not {status}: {answer.text[:300]}")
        found = answer.json()
        issues = self.structure(found)
        self.judged += 1
        if issues:
            self.faulty += 1
            self.out.check(f"fhirkit-rs finds nothing wrong with {method} {path.split('?')[0]}", False, issues[:4])
        return found

    def structure(self, resource):
        try:
            return [str(issue) for issue in self.fhirkit.validate(resource)]
        except self.fhirkit.ParseError as error:
            return [str(error)]

    def parameters(self, extra=True):
        now = self.realm.http.get(f"{self.realm.origin}/control/state", timeout=10).json()["now"]
        day = now[:10]
        return {"resourceType": "Parameters", "parameter": [
            {"name": "patient", "valueReference": {"reference": self.patient}}, {"name": "start", "valueDateTime": f"{day}T00:00:00+00:00"},
            {"name": "end", "valueDateTime": f"{day}T23:59:59+00:00"}, {"name": "extra", "valueBoolean": extra}]}

    def submission(self, *resources):
        return {"resourceType": "Parameters", "parameter": [{"name": "measurement", "resource": {
            "resourceType": "Bundle", "type": "transaction", "entry": [
                {"fullUrl": f"urn:uuid:0b0e5f8c-0000-4000-8000-{index:012}", "resource": resource,
                 "request": {"method": "POST", "url": resource["resourceType"]}} for index, resource in enumerate(resources)]}}]}

    def own(self, example, request="3005", version="1"):
        """The published Observation with our citizen's references in the place of the example's."""
        resource = json.loads(json.dumps(example))
        resource.pop("id", None)
        resource["device"] = {"reference": f"{self.realm.origin}/device/fhir/Device/4002"}
        resource["meta"] = {"profile": resource["meta"]["profile"]}
        resource["status"] = "final"
        for extension in resource["extension"]:
            if extension["url"] == EPISODE:
                extension["valueReference"]["reference"] = self.episode
            if extension["url"] == TIMING:
                for part in extension["extension"]:
                    if part["url"] == "serviceRequestVersionId":
                        part["valueId"] = version
        resource["basedOn"] = [{"reference": f"{self.realm.origin}/careplan/fhir/ServiceRequest/{request}"}]
        resource["subject"] = {"reference": self.patient}
        resource["performer"] = [{"reference": self.patient}]
        return resource


def judge_services(out, realm, examples):
    services = Services(out, realm)
    ask, send = services.ask, services.send
    # The published examples' Observation is a saturation, ad hoc.
    realm.control("citizen", {"citizen": "anna", "episodes": [{"id": "2001", "requests": [
        {"id": "3005", "code": "NPU03011", "activity": "Iltmætning", "timing": "adhoc"},
        {"id": "3006", "code": "NPU03804", "activity": "Vægt", "timing": {"daily": {"minute": 0, "minutes": 1440, "occurrences": 1}}}]}]})
    plan = send("POST", "/careplan/fhir/$get-patient-procedures", services.parameters())
    types = ask(plan, "Bundle.entry.resource.ofType(Parameters).parameter.part.where(name='TimingType').value.coding.code")
    out.check("fhirpathpy reads the timing types of a plan", sorted(set(types)) == ["Adhoc", "Extra", "Resolved"], types)
    references = ask(plan, "Bundle.entry.resource.ofType(Parameters).parameter.part.where(name='ServiceRequest').value.reference")
    carried = {f"{realm.origin}/careplan/fhir/ServiceRequest/{i}" for i in ask(plan, "Bundle.entry.resource.ofType(ServiceRequest).id")}
    out.check("each row's ServiceRequest is in the answer", references and set(references) <= carried, set(references) - carried)

    less = {key: value for key, value in plan.items() if key != "type"}
    out.check("the comparison of forms notices a missing member", paths(plan, "Bundle", set()) - paths(less, "Bundle", set()) == {"Bundle.type"})
    published = load(examples, "GET_Observation.response.json")
    if published is None:
        out.skip("the published Observation", f"the published examples are not in {examples}")
        return
    resource = services.own(published)
    checked = send("POST", "/measurement/fhir/Observation/$validate",
                   {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]})
    out.check("the published Observation validates", ask(checked, "OperationOutcome.issue.severity") == ["information"], checked.get("issue"))
    answer = send("POST", "/measurement/fhir/$submit-measurement", services.submission(resource))
    compare(out, "$submit-measurement", answer, load(examples, "POST_submit-measurement.response.json"))
    location = ask(answer, "Bundle.entry.response.location")[0]
    stored = send("GET", location.split("/_history")[0])
    kept = {key: value for key, value in stored.items() if key not in ("id", "meta")}
    out.check("the published Observation comes back unchanged", kept == {k: v for k, v in resource.items() if k != "meta"})
    compare(out, "GET Observation", stored, published)

    # A planned one, for the counts and the warning.
    rows = [row["part"] for row in next(e["resource"] for e in plan["entry"] if e["resource"]["resourceType"] == "Parameters")["parameter"]]
    planned = next({part["name"]: part for part in row} for row in rows
                   if any(part.get("valueReference", {}).get("reference", "").endswith("/3002") for part in row))
    now = realm.http.get(f"{realm.origin}/control/state", timeout=10).json()["now"]
    reading = services.own(published, request="3002") | {
        "valueQuantity": {"value": 96, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
        "effectivePeriod": {"start": now, "end": now}}
    timing = next(extension for extension in reading["extension"] if extension["url"] == TIMING)
    timing["extension"] = [{"url": "serviceRequestVersionId", "valueId": "1"},
                           {"url": "start", "valueDateTime": planned["ResolvedTimingStart"]["valueDateTime"]},
                           {"url": "end", "valueDateTime": planned["ResolvedTimingEnd"]["valueDateTime"]},
                           {"url": "type", "valueCodeableConcept": {"coding": [{"system": "http://ehealth.sundhed.dk/cs/resolved-timing-type", "code": "Resolved"}]}}]
    send("POST", "/measurement/fhir/$submit-measurement", services.submission(reading))
    unplanned = json.loads(json.dumps(reading))
    next(extension for extension in unplanned["extension"] if extension["url"] == TIMING)["extension"][2]["valueDateTime"] = now[:17] + "59+00:00"
    send("POST", "/measurement/fhir/$submit-measurement", services.submission(unplanned))
    plan = send("POST", "/careplan/fhir/$get-patient-procedures", services.parameters())
    compare(out, "$get-patient-procedures", plan, load(examples, "POST_get-patient-procedures.response.json"))
    timely = ask(plan, "Bundle.entry.resource.ofType(Parameters).parameter.part.where(name='SubmittedTimely').value")
    out.check("what was submitted in time is counted so", timely == [1] or sum(timely) >= 1, timely)

    found = send("GET", f"/measurement/fhir/Observation?patient={services.patient}&code=urn:oid:1.2.208.176.2.1|NPU03011&based-on=ServiceRequest/3002")
    out.check("a search finds what was stored", found["total"] == 2, found.get("total"))
    compare(out, "Observation", found["entry"][0]["resource"], published)
    limit = send("POST", "/measurement/fhir/$search-measurements-bundle-limit", {"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueReference": {"reference": services.patient}}, {"name": "count", "valueInteger": 1},
        {"name": "end", "valueDateTime": "2100-01-01T00:00:00+00:00"}]})
    out.check("$search-measurements-bundle-limit keeps its limit", len(limit["entry"]) == 1 and limit["entry"][0]["resource"]["type"] == "collection")
    patched = send("PATCH", location.split("/_history")[0], load(examples, "PATCH_Observation.request.json"),
                   **{"content-type": "application/json-patch+json"})
    compare(out, "PATCH Observation", patched, load(examples, "PATCH_Observation.response.json"))
    out.check("the published patch retracts", patched["status"] == "entered-in-error" and patched["meta"]["versionId"] == "2")

    compare(out, "DeviceUseStatement", send("GET", f"/device/fhir/DeviceUseStatement?patient={services.patient}"),
            load(examples, "GET_DeviceUseStatement_search.response.json"))
    compare(out, "Device", send("GET", "/device/fhir/Device"), load(examples, "GET_Device_search.response.json"))
    for kind in ("EpisodeOfCare", "CarePlan", "ServiceRequest"):
        send("GET", f"/careplan/fhir/{kind}?patient={services.patient}")

    # Errors, as OperationOutcomes that others can read.
    wrong = services.own(published) | {"status": "preliminary"}
    outcome = send("POST", "/measurement/fhir/$submit-measurement", services.submission(wrong), status=422)
    out.check("an error's code is found by FHIRPath", ask(outcome, "OperationOutcome.issue.details.coding.code") == ["MEASUREMENT_SUBMITMEASUREMENT_INVALID_STATUS"])
    send("GET", "/measurement/fhir/Observation", status=403)
    send("GET", "/measurement/fhir/Observation/999", status=404)
    out.check(f"fhirkit-rs finds nothing wrong with {services.judged} answers", services.judged > 15 and not services.faulty, services.faulty)


def main(arguments):
    out = report.Report()
    try:
        import authlib, fhirkit, fhirpathpy, joserfc, requests  # noqa: F401, E401
    except ImportError as error:
        if sys.executable != PYTHON and os.path.exists(PYTHON):
            os.execv(PYTHON, [PYTHON, *sys.argv])
        out.skip("the simulated FUT by others' implementations", f"{error}; Tests/Judges/run.sh makes the Python environment")
        return out.close()
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback only
    examples = arguments[1] if arguments[:1] == ["--examples"] else EXAMPLES
    with tempfile.TemporaryDirectory(prefix="fut-") as directory:
        ledger = os.path.join(directory, "ledger.jsonl")
        process = subprocess.Popen([rig.BINARY, "simulate", "fut", "--port", "0", "--ledger", ledger], stdout=subprocess.PIPE, text=True)
        try:
            realm = Realm(process.stdout.readline().strip())
            judge_realm(out, realm)
            judge_services(out, realm, examples)
            with open(ledger, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            counted = realm.http.get(f"{realm.origin}/control/state", timeout=10).json()["requests"]
            out.check("the ledger has each request", sum(line["kind"] == "request" for line in lines) == counted, counted)
        except (rig.RigError, OSError, ValueError, KeyError, IndexError) as error:
            out.check("the run came to its end", False, f"{type(error).__name__} {error}")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return out.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
