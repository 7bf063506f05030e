#!/usr/bin/env python3
"""The simulated HelseID, PMD and VKP judged by what others wrote: requests-oauth2client asks for tokens and sends proofs, joserfc signs
assertions and checks tokens, Authlib reads the metadata, fhirkit-rs and the published profiles judge the answers.

    nhn_simulator.py [--program PATH]     after Tests/Judges/run.sh has made its Python environment

PATH is a program that prints the simulator's origin as its first line; without it `vitalgate simulate nhn` is run. A simulator that only
our own client has spoken to would agree with our own mistakes.
"""

import base64
import copy
import glob
import hashlib
import json
import os
import subprocess
import sys
import time
import uuid

import report
import rig

PYTHON = os.path.join(rig.ROOT, ".build", "judges", "venv", "bin", "python")
NORWAY = os.path.join(rig.ROOT, "Tests", "Judges", "norway")
EXAMPLES = os.path.join(NORWAY, "published", "examples")
RESPONSE = "http://hl7.no/fhir/vkpobservation/StructureDefinition/pmd-Bundle-Response"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PERSON = {"system": "urn:oid:2.16.578.1.12.4.1.4.1", "value": "01819540094"}
PMD = "nhn:pmd/observation.write nhn:pmd/observation.read"
VKP = "nhn:vkp/api/user/bundle.write nhn:vkp/api/user/composition.read"


class Services:
    def __init__(self, origin):
        import requests
        self.http = requests.Session()
        self.origin, self.issuer, self.pmd = origin, f"{origin}/helseid", f"{origin}/pmd"
        self.vkp = f"{origin}/vkp/epj/r4/999999204"
        self.meta = self.http.get(f"{self.issuer}/.well-known/openid-configuration", timeout=10).json()

    def control(self, path, body):
        answer = self.http.post(f"{self.origin}/control/{path}", json=body, timeout=10)
        if answer.status_code != 200:
            raise rig.RigError(f"control {path}: {answer.status_code} {answer.text}")

    def state(self):
        return self.http.get(f"{self.origin}/control/state", timeout=10).json()


# --- HelseID


def client(services, name, alg, bearer=False):
    """requests-oauth2client's client of a registered key."""
    import jwskate
    import requests_oauth2client as oauth2

    key = jwskate.Jwk.generate(alg=alg).with_kid_thumbprint()
    services.control("clients", {"id": name, "keys": [dict(key.public_jwk())], "allowsBearer": bearer, "vkpID": "supplier-1"})
    auth = oauth2.PrivateKeyJwt(name, key, alg=alg, lifetime=10, aud=services.issuer)
    return oauth2.OAuth2Client(
        services.meta["token_endpoint"], auth=auth, dpop_bound_access_tokens=not bearer, dpop_alg=alg, issuer=services.issuer, testing=True), key


def judge_helseid(out, services):
    import requests_oauth2client as oauth2
    from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
    from joserfc import jwt
    from joserfc.jwk import KeySet

    # Its one complaint is about http, which on loopback has to be; HelseID's users sign in elsewhere.
    stated = AuthorizationServerMetadata(
        {k: (v.replace("http://", "https://") if isinstance(v, str) else v) for k, v in services.meta.items()})
    complaints = []
    for name in ("issuer", "token_endpoint", "jwks_uri", "grant_types_supported", "token_endpoint_auth_methods_supported",
                 "token_endpoint_auth_signing_alg_values_supported"):
        try:
            getattr(stated, f"validate_{name}")()
        except ValueError as error:
            complaints.append(error)
    out.check("Authlib accepts the metadata (RFC 8414)", not complaints, complaints)
    keys = KeySet.import_key_set(services.http.get(services.meta["jwks_uri"], timeout=10).json())

    for alg in ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512"):
        services.control("nonce", {})
        asks, _ = client(services, f"hub-{alg}", alg)
        token = asks.client_credentials(scope=PMD)
        out.check(f"{alg}: requests-oauth2client has a bound token through a nonce challenge",
                  isinstance(token, oauth2.DPoPToken) and token.dpop_key.as_nonce, token)
        read = jwt.decode(token.access_token, keys, algorithms=["ES256"])
        jwt.JWTClaimsRegistry(iss={"essential": True, "value": services.issuer}, exp={"essential": True}).validate(read.claims)
        out.check(f"{alg}: joserfc verifies it, and it is bound to the proof's key (RFC 9449, 6.1)",
                  read.header["typ"] == "at+jwt" and read.claims["cnf"]["jkt"] == token.dpop_key.dpop_jkt, read.claims)


def judge_assertions(out, services):
    """Assertions by joserfc, each with one thing wrong."""
    import requests_oauth2client as oauth2
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    services.control("settings", {"nonces": "never"})
    key, other = RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "PS256"}), RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "PS256"})
    services.control("clients", {"id": "by-joserfc", "keys": [key.as_dict(private=False)]})
    proofs = oauth2.DPoPKey.generate("PS256")

    def ask(header=None, claims=None, signer=key, proof=None, **form):
        now = int(time.time())
        content = {"iss": "by-joserfc", "sub": "by-joserfc", "aud": services.issuer, "iat": now, "nbf": now, "exp": now + 10,
                   "jti": uuid.uuid4().hex} | (claims or {})
        # joserfc knows RS256 as well, and VKP's published sample signs with it.
        head = {"alg": "PS256", "kid": "rsa-1", "typ": "client-authentication+jwt"} | (header or {})
        if head["alg"] != "PS256":
            signer = RSAKey.import_key({k: v for k, v in signer.as_dict(private=True).items() if k != "alg"})
        assertion = jwt.encode(head, content, signer, algorithms=["PS256", "RS256"])
        body = {"grant_type": "client_credentials", "client_id": "by-joserfc", "scope": PMD, "client_assertion_type": ASSERTION,
                "client_assertion": assertion} | form
        endpoint = services.meta["token_endpoint"]
        headers = {"DPoP": proof or str(proofs.proof("POST", endpoint))}
        answer = services.http.post(endpoint, data=body, headers=headers, timeout=10)
        return "token" if answer.status_code == 200 else answer.json()["error"]

    endpoint, now = services.meta["token_endpoint"], int(time.time())
    out.check("joserfc's assertion is taken, as NHN's library writes it", ask() == "token")
    jti = uuid.uuid4().hex
    out.check("and once", ask(claims={"jti": jti}) == "token" and ask(claims={"jti": jti}) == "invalid_client")
    proof = str(proofs.proof("POST", endpoint))
    out.check("a proof once too", ask(proof=proof) == "token" and ask(proof=proof) == "invalid_dpop_proof")
    stale = oauth2.DPoPKey.generate("ES256", iat_generator=lambda: now - 30)
    ahead = oauth2.DPoPKey.generate("ES256", iat_generator=lambda: now + 30)
    jwt_type = oauth2.DPoPKey.generate("ES256", jwt_typ="jwt")
    wrong = {
        "another key's assertion": (ask(signer=other), "invalid_client"),
        "RS256": (ask(header={"alg": "RS256"}), "invalid_client"),
        "another audience": (ask(claims={"aud": endpoint}), "invalid_client"),
        "an hour": (ask(claims={"exp": now + 3600}), "invalid_client"),
        "over": (ask(claims={"iat": now - 100, "nbf": now - 100, "exp": now - 90}), "invalid_client"),
        "to come": (ask(claims={"iat": now + 100, "nbf": now + 100, "exp": now + 110}), "invalid_client"),
        "another subject": (ask(claims={"sub": "else"}), "invalid_client"),
        "another type": (ask(header={"typ": "at+jwt"}), "invalid_client"),
        "an unknown key id": (ask(header={"kid": "rsa-2"}), "invalid_client"),
        "a scope of others": (ask(scope="nhn:else"), "invalid_scope"),
        "another grant": (ask(grant_type="authorization_code"), "unsupported_grant_type"),
        "a stale proof": (ask(proof=str(stale.proof("POST", endpoint))), "invalid_dpop_proof"),
        "a proof ahead": (ask(proof=str(ahead.proof("POST", endpoint))), "invalid_dpop_proof"),
        "a GET's proof": (ask(proof=str(proofs.proof("GET", endpoint))), "invalid_dpop_proof"),
        "another URL's proof": (ask(proof=str(proofs.proof("POST", services.pmd))), "invalid_dpop_proof"),
        "a proof of another type": (ask(proof=str(jwt_type.proof("POST", endpoint))), "invalid_dpop_proof"),
        "a proof for a token": (ask(proof=str(proofs.proof("POST", endpoint, ath="x"))), "invalid_dpop_proof"),
    }
    for what, (said, expected) in wrong.items():
        out.check(f"refused: {what}", said == expected, said)
    services.control("settings", {"nonces": "everywhere"})


# --- PMD and VKP


def observations():
    """HL7 Norway's examples that claim a profile, about a synthetic person."""
    for path in sorted(glob.glob(os.path.join(EXAMPLES, "Observation-vkp-*.json"))):
        with open(path, encoding="utf-8") as file:
            example = json.load(file)
        yield example | {"subject": {"identifier": PERSON}}


def judge_pmd(out, services):
    import fhirkit
    import profiles

    published = profiles.load()
    asks, _ = client(services, "hub-pmd", "ES256")
    token = asks.client_credentials(scope=PMD)
    faulty, judged = [], 0

    def send(path, *, status=200, **body):
        nonlocal judged
        headers = {"correlation-id": uuid.uuid4().hex}
        if "json" in body:
            headers["content-type"] = "application/fhir+json"
            body = {"data": json.dumps(body["json"])}
        answer = services.http.post(services.pmd + path, headers=headers, auth=token, timeout=10, **body)
        if answer.status_code != status:
            out.check(f"POST {path or '/'} {status}", False, f"{answer.status_code} {answer.text}")
        resource = answer.json()
        judged += 1
        faulty.extend(str(issue) for issue in fhirkit.validate(resource))
        return resource

    ours = list(observations())
    for form in ("collection", "batch"):
        entries = [{"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": one} for one in ours]
        bundle = {"resourceType": "Bundle", "type": form, "entry": entries}
        if form == "batch":
            for entry in entries:
                entry["request"] = {"method": "POST", "url": "Observation"}
        else:
            bundle |= {"identifier": {"system": "https://www.nhn.no/komlink/bundle-identifier", "value": str(uuid.uuid4())},
                       "timestamp": "2026-01-01T10:00:00+01:00"}
        for echo in ("extension", "full-url"):
            services.control("settings", {"echo": echo})
            answer = send("", json=bundle)
            out.check(f"{form}: HL7 Norway's {len(ours)} examples are stored",
                      [e["response"]["status"] for e in answer["entry"]] == ["201"] * len(ours), answer)
            found = published[RESPONSE].judge(answer)
            if echo == "extension":
                out.check(f"{form}: the answer satisfies pmd-Bundle-Response 0.5.1", not found, found)
            else:
                # 0.5.2 has the full URL instead of the extension, and nothing else.
                rules = {rule for rule, _ in found}
                out.check(f"{form}: or 0.5.2's, by the full URL",
                          rules <= {"Bundle.entry.response.extension 1..*", "Bundle.entry.response.extension:entryId 1..1"}
                          and [e["fullUrl"] for e in answer["entry"]] == [e["fullUrl"] for e in entries], found)
    wrong = copy.deepcopy(ours[0])
    del wrong["effectiveDateTime"]
    broken = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": one, "request": {"method": "POST", "url": "Observation"}}
        for one in (ours[1], wrong)]}
    answer = send("", json=broken)
    out.check("a failing entry fails alone", [e["response"]["status"] for e in answer["entry"]] == ["201", "422"], answer)
    faulty += [str(issue) for issue in fhirkit.validate(answer["entry"][1]["response"]["outcome"])]

    found = send("/Observation/_search", data={"patient.identifier": f"{PERSON['system']}|{PERSON['value']}", "code": "http://loinc.org|85354-9"})
    out.check("a search by code finds what has it", found["total"] == 4, found["total"])
    day = ours[0]["effectiveDateTime"][:10]
    of_day = sum(4 for one in ours if one["effectiveDateTime"][:10] == day)
    found = send("/Observation/_search", data={"patient.identifier": PERSON["value"], "date": [f"ge{day}", f"le{day}"]})
    out.check("a search by date finds those of the day", found["total"] == of_day, found["total"])
    send("/Observation/_search", status=400, data={"code": "85354-9"})
    send("/Observation/_search?code=85354-9", status=400, data={"patient.identifier": PERSON["value"]})
    out.check(f"fhirkit-rs finds nothing wrong with {judged} answers", judged > 7 and not faulty, faulty)
    out.check("requests-oauth2client answered the API's own nonce challenge", token.dpop_key.rs_nonce is not None)

    # A token that somebody took, without its key.
    def status(headers):
        return services.http.post(services.pmd, headers=headers, data="{}", timeout=10).status_code

    out.check("a stolen token is refused as a bearer", status({"Authorization": f"Bearer {token.access_token}"}) == 401)
    import requests_oauth2client as oauth2
    thief = oauth2.DPoPKey.generate("ES256", rs_nonce=token.dpop_key.rs_nonce)
    ath = base64.urlsafe_b64encode(hashlib.sha256(token.access_token.encode()).digest()).rstrip(b"=").decode()
    proof = str(thief.proof("POST", services.pmd, ath=ath))
    out.check("and with another key's proof", status({"Authorization": f"DPoP {token.access_token}", "DPoP": proof}) == 401)


def judge_vkp(out, services):
    import fhirkit

    for bearer in (True, False):
        services.control("settings", {"vkpNeedsDPoP": not bearer})
        asks, _ = client(services, f"hub-vkp-{bearer}", "PS256", bearer=bearer)
        token = asks.client_credentials(scope=VKP)
        answer = services.http.post(f"{services.vkp}/bundle", data="{}", headers={"content-type": "application/fhir+json"}, auth=token, timeout=10)
        outcome = answer.json()
        code = outcome["issue"][0]["details"]["coding"][0]["code"]
        out.check(f"VKP believes a {'bearer' if bearer else 'bound'} token, and refuses what is no document with code 2.4",
                  answer.status_code == 400 and code == "2.4" and not list(fhirkit.validate(outcome)), answer.text)
        answer = services.http.post(f"{services.vkp}/composition/_search", data={"patient.identifier": PERSON["value"]},
                                    headers={"ServiceCodes": "dho"}, auth=token, timeout=10)
        out.check("and is searched by POST", answer.status_code == 200 and answer.json()["total"] == 0, answer.text)


def main(arguments):
    out = report.Report()
    try:
        import authlib, fhirkit, fhirpathpy, joserfc, requests_oauth2client  # noqa: F401, E401
    except ImportError as error:
        if sys.executable != PYTHON and os.path.exists(PYTHON):
            os.execv(PYTHON, [PYTHON, *sys.argv])
        out.skip("the simulated NHN by others' implementations", f"{error}; Tests/Judges/run.sh makes the Python environment")
        return out.close()
    sys.path.insert(0, NORWAY)
    command = [arguments[1]] if arguments[:1] == ["--program"] else [rig.BINARY, "simulate", "nhn", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        services = Services(process.stdout.readline().strip())
        judge_helseid(out, services)
        judge_assertions(out, services)
        judge_pmd(out, services)
        judge_vkp(out, services)
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
