#!/usr/bin/env python3
"""Judges the hub's requests for HelseID and its APIs, then proves on the same requests that it can say no.

usage: judge_tokens.py FOLDER

FOLDER holds the vectors that the Swift tests write (VITALGATE_VECTORS), one JSON file each: the request as it would be sent, the
keys, and the time on the server's clock.

Who judges what: signatures and claims of assertions joserfc; proofs the validator of requests-oauth2client (RFC 9449, section
4.3); what neither library looks at (replay, the assertion's typ, lifetime and details, the form, which key a proof must have) the
rules in this file, from RFC 7523, RFC 9449 and NHN's HelseID.Library 1.1.3.
"""

import base64
import copy
import datetime
import functools
import hashlib
import json
import pathlib
import sys
import urllib.parse

import joserfc.errors
import joserfc.jwk
import joserfc.jws
import joserfc.jwt
import requests_oauth2client.dpop as dpop

ALGORITHMS = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]
# NHN's sample API: a proof is good for 1 s, and clocks may differ by 5 s.
PROOF_LEEWAY = 6
# NHN's older text: at most 60 s.
ASSERTION_LIFETIME = 60


class Refused(Exception):
    """The request is not taken; the text says for which rule."""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@functools.cache
def imported(text):
    return joserfc.jwk.import_key(json.loads(text))


def key_of(jwk):
    """Checking an RSA key's numbers costs half a second: once for each key."""
    return imported(json.dumps(jwk, sort_keys=True))


def rule(holds, text):
    if not holds:
        raise Refused(text)


class Server:
    """One receiver of requests: its clock, the keys it knows, and every jti that it has seen."""

    def __init__(self, vector):
        self.now = vector["now"]
        self.key = key_of(vector["publicKey"])
        self.seen = set()

    def use_once(self, kind, claims):
        rule(isinstance(claims.get("jti"), str) and len(claims["jti"]) >= 16, f"{kind}: jti")
        rule(claims["jti"] not in self.seen, f"{kind}: jti was used before")
        self.seen.add(claims["jti"])

    def assertion(self, text, vector):
        try:
            token = joserfc.jwt.decode(text, self.key, algorithms=ALGORITHMS)
            joserfc.jwt.JWTClaimsRegistry(
                now=self.now,
                leeway=0,
                iss={"essential": True, "value": vector["client"]},
                sub={"essential": True, "value": vector["client"]},
                aud={"essential": True, "value": vector["issuer"]},
                exp={"essential": True},
                iat={"essential": True},
                nbf={"essential": True},
                jti={"essential": True},
            ).validate(token.claims)
        except (joserfc.errors.JoseError, ValueError) as error:
            raise Refused(f"assertion: {type(error).__name__} {error}") from error
        rule(token.header.get("typ") == "client-authentication+jwt", "assertion: typ")
        rule(token.header.get("kid") == vector["publicKey"]["kid"], "assertion: kid")
        rule(token.claims["aud"] == vector["issuer"], "assertion: aud is one text, the issuer")
        rule(0 < token.claims["exp"] - token.claims["iat"] <= ASSERTION_LIFETIME, "assertion: lifetime")
        rule(token.claims.get("assertion_details") == vector.get("details"), "assertion: assertion_details")
        self.use_once("assertion", token.claims)

    def proof(self, text, request, *, token=None, nonce=None, thumbprint):
        """requests-oauth2client reads the machine's clock: it is given the vector's."""
        now = datetime.datetime.fromtimestamp(self.now, tz=datetime.timezone.utc)
        clock = type("clock", (datetime.datetime,), {"now": classmethod(lambda cls, tz=None: now)})
        url = urllib.parse.urlsplit(request["url"])
        target = urllib.parse.urlunsplit((url.scheme, url.netloc, url.path or "/", "", ""))
        ath = b64(hashlib.sha256(token.encode("ascii")).digest()) if token else None
        # The validator tries the key with every algorithm of a list; one that the server allows is named instead.
        try:
            algorithm = json.loads(unb64(text.split(".")[0])).get("alg")
        except ValueError as error:
            raise Refused(f"proof: {error}") from error
        rule(algorithm in ALGORITHMS, "proof: alg")
        original, dpop.datetime = dpop.datetime, clock
        try:
            proof = dpop.validate_dpop_proof(
                text, htm=request["method"], htu=target, ath=ath, nonce=nonce, leeway=PROOF_LEEWAY, algs=[algorithm]
            )
        except Exception as error:
            raise Refused(f"proof: {type(error).__name__} {error}") from error
        finally:
            dpop.datetime = original
        key = key_of(proof.headers["jwk"])
        rule(key.thumbprint() == thumbprint, "proof: another key")
        rule(token or "ath" not in proof.claims, "proof: ath without a token")
        rule(set(proof.claims) <= {"jti", "htm", "htu", "iat", "ath", "nonce"}, "proof: other claims")
        self.use_once("proof", proof.claims)

    def token_request(self, vector):
        request = vector["request"]
        headers = request["headers"]
        rule(request["method"] == "POST", "request: method")
        rule(headers.get("content-type") == "application/x-www-form-urlencoded", "request: content-type")
        form = dict(urllib.parse.parse_qsl(request["body"], strict_parsing=True))
        names = {"client_id", "scope", "client_assertion", "client_assertion_type", "grant_type"}
        rule(set(form) == names, "request: form")
        rule(form["grant_type"] == "client_credentials", "request: grant_type")
        rule(
            form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "request: client_assertion_type",
        )
        rule(form["client_id"] == vector["client"], "request: client_id")
        rule(form["scope"].split(" ") == vector["scopes"], "request: scope")
        self.assertion(form["client_assertion"], vector)
        # NHN's library signs both with one key.
        self.proof(headers.get("dpop", ""), request, nonce=vector.get("nonce"), thumbprint=self.key.thumbprint())

    def api_request(self, vector):
        headers = vector["request"]["headers"]
        rule(headers.get("authorization") == "DPoP " + vector["token"], "request: authorization")
        bound = json.loads(unb64(vector["token"].split(".")[1]))["cnf"]["jkt"]
        self.proof(headers.get("dpop", ""), vector["request"], token=vector["token"], thumbprint=bound)

    def judge(self, vector):
        (self.token_request if vector["kind"] == "token" else self.api_request)(vector)


def keys_belong_together(vector):
    """The exported private key is one that another library reads, and its public half and thumbprint are the hub's."""
    private = key_of(vector["privateKey"])
    rule(private.is_private, "key: no private key")
    rule(private.thumbprint() == vector["thumbprint"], "key: thumbprint")
    rule(key_of(vector["publicKey"]).thumbprint() == vector["thumbprint"], "key: public half")
    rule(not {"d", "p", "q", "dp", "dq", "qi"} & set(vector["publicKey"]), "key: the public half has private members")
    rule(vector["publicKey"]["kid"] == vector["thumbprint"], "key: kid")


# Seeded mistakes: the hub's own token with one thing wrong, signed again with the hub's own key.


class Token:
    def __init__(self, text):
        header, claims, self.signature = text.split(".")
        self.header, self.claims = json.loads(unb64(header)), json.loads(unb64(claims))

    def sign(self, key):
        algorithm = self.header["alg"]
        registry = joserfc.jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return joserfc.jws.serialize_compact(self.header, json.dumps(self.claims).encode(), key, registry=registry)

    def unsigned(self):
        return b64(json.dumps(self.header).encode()) + "." + b64(json.dumps(self.claims).encode()) + "."


def get_token(vector, which):
    if which == "proof":
        return vector["request"]["headers"]["dpop"]
    return dict(urllib.parse.parse_qsl(vector["request"]["body"]))["client_assertion"]


def set_token(vector, which, text):
    if which == "proof":
        vector["request"]["headers"]["dpop"] = text
        return
    form = dict(urllib.parse.parse_qsl(vector["request"]["body"]))
    form["client_assertion"] = text
    vector["request"]["body"] = urllib.parse.urlencode(form)


def claims(**changes):
    def change(token, vector):
        for name, value in changes.items():
            value = value(token.claims, vector) if callable(value) else value
            if value is None:
                token.claims.pop(name, None)
            else:
                token.claims[name] = value

    return change


def header(**changes):
    def change(token, vector):
        for name, value in changes.items():
            if value is None:
                token.header.pop(name, None)
            else:
                token.header[name] = value

    return change


def private_header(token, vector):
    token.header["jwk"] = {k: v for k, v in vector["privateKey"].items() if k not in ("use", "kid")}


def later(seconds):
    def change(token, vector):
        for name in ("iat", "nbf", "exp"):
            token.claims[name] += seconds

    return change


@functools.cache
def strangers_key(curve):
    """Somebody else's key of the same kind; made once, since an RSA key costs a second."""
    if curve:
        return joserfc.jwk.ECKey.generate_key(curve, private=True)
    return joserfc.jwk.RSAKey.generate_key(2048, private=True)


# Name, kinds of vector, token, what is wrong with it, how it is signed (hub, other, none, hmac, tampered), and what the refusal
# must name: caught for another reason is not caught.
MISTAKES = [
    ("wrong htu", "token api", "proof", claims(htu="https://helseid-sts.test.nhn.no/connect/introspect"), "hub", "htu"),
    ("query in htu", "token api", "proof", claims(htu=lambda c, v: c["htu"] + "?code=1"), "hub", "htu"),
    ("wrong htm", "token api", "proof", claims(htm="GET"), "hub", "htm"),
    ("missing htm", "token api", "proof", claims(htm=None), "hub", "htm"),
    ("stale iat", "token api", "proof", claims(iat=lambda c, v: c["iat"] - 10), "hub", "iat"),
    ("iat of tomorrow", "token api", "proof", claims(iat=lambda c, v: c["iat"] + 86400), "hub", "iat"),
    ("missing iat", "token api", "proof", claims(iat=None), "hub", "iat"),
    ("wrong ath", "api", "proof", claims(ath=b64(hashlib.sha256(b"another").digest())), "hub", "ath"),
    ("missing ath", "api", "proof", claims(ath=None), "hub", "ath"),
    ("ath without a token", "token", "proof", claims(ath=b64(b"0" * 32)), "hub", "ath"),
    ("wrong nonce", "nonce", "proof", claims(nonce="stale"), "hub", "nonce"),
    ("missing nonce", "nonce", "proof", claims(nonce=None), "hub", "nonce"),
    ("missing jti", "token api", "proof", claims(jti=None), "hub", "jti"),
    ("replayed proof", "token api", "proof", None, "replay", "jti was used before"),
    ("proof of another key", "token api", "proof", None, "other", "another key"),
    ("signature of another key", "token api", "proof", None, "stranger", "signature"),
    ("tampered proof", "token api", "proof", None, "tampered", "signature"),
    ("proof with alg none", "token api", "proof", header(alg="none"), "none", "proof: alg"),
    ("proof without typ", "token api", "proof", header(typ=None), "hub", "typ"),
    ("proof of typ JWT", "token api", "proof", header(typ="JWT"), "hub", "typ"),
    ("private key in the proof", "token api", "proof", private_header, "hub", "private"),
    ("proof without a key", "token api", "proof", header(jwk=None), "hub", "jwk"),
    ("wrong aud", "token", "assertion", claims(aud="https://helseid-sts.nhn.no"), "hub", "aud"),
    ("two audiences", "token", "assertion", claims(aud=lambda c, v: [c["aud"], "https://evil.example"]), "hub", "aud"),
    ("too long lifetime", "token", "assertion", claims(exp=lambda c, v: c["iat"] + 61), "hub", "lifetime"),
    ("missing exp", "token", "assertion", claims(exp=None), "hub", "exp"),
    ("expired assertion", "token", "assertion", later(-11), "hub", "Expired"),
    ("assertion of the future", "token", "assertion", later(10), "hub", "Invalid"),
    ("issuer of another client", "token", "assertion", claims(iss="another"), "hub", "iss"),
    ("subject of another client", "token", "assertion", claims(sub="another"), "hub", "sub"),
    ("assertion without jti", "token", "assertion", claims(jti=None), "hub", "jti"),
    ("replayed assertion", "token", "assertion", None, "replay", "jti was used before"),
    ("assertion of another key", "token", "assertion", None, "stranger", "BadSignature"),
    ("tampered assertion", "token", "assertion", None, "tampered", "BadSignature"),
    ("assertion with alg none", "token", "assertion", header(alg="none"), "none", "UnsupportedAlgorithm"),
    ("assertion of typ JWT", "token", "assertion", header(typ="JWT"), "hub", "typ"),
    ("assertion with another kid", "token", "assertion", header(kid="1"), "hub", "kid"),
    ("another organisation", "token", "assertion", claims(assertion_details={"type": "helseid_authorization"}), "hub", "details"),
]


def seed(vector, mistake):
    """The vector with the mistake in it, and the server that is to find it."""
    _, _, which, change, signed_by, _ = mistake
    changed = copy.deepcopy(vector)
    server = Server(vector)
    if signed_by == "replay":
        # The other token is new, so that this one's replay is what is found.
        server.seen.add(Token(get_token(vector, which)).claims["jti"])
        return changed, server
    token = Token(get_token(vector, which))
    if change:
        change(token, changed)
    key = key_of(vector["privateKey"])
    if signed_by == "hub":
        text = token.sign(key)
    elif signed_by == "none":
        text = token.unsigned()
    elif signed_by == "tampered":
        start, signature = token.sign(key).rsplit(".", 1)
        raw = bytearray(unb64(signature))
        raw[len(raw) // 2] ^= 1
        text = start + "." + b64(bytes(raw))
    else:
        stranger = strangers_key(vector["privateKey"].get("crv"))
        if signed_by == "other":
            token.header["jwk"] = stranger.as_dict(private=False)
        text = token.sign(stranger)
    set_token(changed, which, text)
    return changed, server


def applies(mistake, vector):
    kinds = mistake[1].split()
    return vector["kind"] in kinds or ("nonce" in kinds and vector.get("nonce") is not None)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    vectors = [(file.stem, json.loads(file.read_text())) for file in files]
    wrong = 0
    for kind in ("token", "api"):
        if not any(vector["kind"] == kind for _, vector in vectors):
            wrong += 1
            print(f"WRONG  no vector of the kind {kind} in {sys.argv[1]}")
    for name, vector in vectors:
        try:
            keys_belong_together(vector)
            Server(vector).judge(vector)
            # The seeded mistakes are signed again: that alone must change nothing.
            for which in ("proof", "assertion") if vector["kind"] == "token" else ("proof",):
                control, server = seed(vector, ("control", "", which, lambda token, vector: None, "hub", ""))
                server.judge(control)
        except Refused as error:
            wrong += 1
            print(f"WRONG  {name}: {error}")
        else:
            print(f"good   {name}")
    cases = 0
    for mistake in MISTAKES:
        caught = []
        for name, vector in vectors:
            if not applies(mistake, vector):
                continue
            cases += 1
            changed, server = seed(vector, mistake)
            try:
                server.judge(changed)
            except Refused as error:
                caught.append(str(error))
                if mistake[5] not in str(error):
                    wrong += 1
                    print(f"WRONG  {mistake[0]} in {name}: refused for another reason, {error}")
            else:
                wrong += 1
                print(f"WRONG  {mistake[0]} in {name}: not caught")
        if not caught:
            wrong += 1
            print(f"WRONG  {mistake[0]}: caught nowhere")
        else:
            print(f"caught {mistake[0]}: {caught[0]}")
    print(f"{len(vectors)} vectors, {len(MISTAKES)} seeded mistakes in {cases} places, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
