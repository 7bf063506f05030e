import Crypto
import ExactJSON
import HTTPMessage
import Simulator
import Testing
import Trust
import Vitals

/// The simulated HelseID says no: each part of a request wrong by itself. One after the other: tests beside it measure time.
@Suite(.serialized) struct HelseIDServerTests {
    /// Asks for a token with what the closure makes of a good request.
    private func ask(
        _ run: NHNRun, _ forger: NHNForger, assertionHeader: [String: JSON] = [:], assertion: [String: JSON] = [:],
        proofHeader: [String: JSON] = [:], proof: [String: JSON] = [:], form: [String: String?] = [:], signer: NHNForger? = nil,
        proofs: Int = 1
    ) async throws -> HTTPOutcome {
        let endpoint = run.endpoints.issuer + "/connect/token"
        var fields: [String: String?] = [
            "grant_type": "client_credentials", "client_id": "hub", "scope": NHNSettings.Scope.pmdWrite,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": try (signer ?? forger).assertion(
                issuer: run.endpoints.issuer, header: assertionHeader, claims: assertion),
        ]
        for (name, value) in form { fields.updateValue(value, forKey: name) }
        let text = fields.compactMap { name, value in value.map { "\(name)=\(FUTRun.encoded($0))" } }.joined(separator: "&")
        var headers = [HTTPHeader("content-type", "application/x-www-form-urlencoded")]
        for _ in 0..<proofs {
            headers.append(HTTPHeader("dpop", try forger.proof(url: endpoint, header: proofHeader, claims: proof)))
        }
        return await run.client.send(HTTPRequest(.post, endpoint, headers: headers, body: Array(text.utf8)))
    }

    private static let plain = NHNSettings(nonces: .never)

    @Test("A good request has a token that is bound to the proof's key")
    func good() async throws {
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let answer = try await ask(run, forger)
            #expect(answer.status == 200)
            #expect(answer.json?["token_type"] == "DPoP")
            let token = try JWT(parsing: answer.json?["access_token"]?.string ?? "")
            let thumbprint = try PublicJWK(json: forger.jwk).thumbprint
            #expect(token.claims["cnf"]?["jkt"]?.string == thumbprint)
            #expect(token.claims["iss"]?.string == run.endpoints.issuer)
            #expect(await run.state.grants().count == 1)
        }
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var name: String
        var says: String
        var assertionHeader: [String: JSON] = [:]
        var assertion: [String: JSON] = [:]
        var proofHeader: [String: JSON] = [:]
        var proof: [String: JSON] = [:]
        var form: [String: String?] = [:]
        var proofs = 1
        var testDescription: String { name }
    }

    static let mistakes: [Mistake] = [
        Mistake(name: "another grant", says: "grant_type", form: ["grant_type": "password"]),
        Mistake(name: "nobody", says: "client_id", form: ["client_id": "else"]),
        Mistake(name: "no assertion type", says: "client_assertion_type", form: ["client_assertion_type": nil]),
        Mistake(name: "no assertion", says: "client_assertion", form: ["client_assertion": "x.y"]),
        Mistake(name: "a scope that it does not have", says: "scope", form: ["scope": "nhn:other"]),
        Mistake(name: "no scope", says: "scope", form: ["scope": ""]),
        Mistake(name: "an assertion that says it is a token", says: "typ", assertionHeader: ["typ": "at+jwt"]),
        Mistake(name: "an unsigned assertion", says: "alg", assertionHeader: ["alg": "none"]),
        Mistake(name: "RS256, as VKP's sample signs", says: "alg", assertionHeader: ["alg": "RS256"]),
        Mistake(name: "a key that is not registered", says: "kid", assertionHeader: ["kid": "k2"]),
        Mistake(name: "another's name", says: "iss, sub", assertion: ["sub": "else"]),
        Mistake(name: "an assertion for another server", says: "aud", assertion: ["aud": "https://helseid-sts.nhn.no"]),
        Mistake(name: "an assertion for several", says: "aud", assertion: ["aud": ["x", "y"]]),
        Mistake(name: "an assertion for an hour", says: "iat, exp", assertion: ["exp": NHNForger.seconds(3_600)]),
        Mistake(name: "no end", says: "iat, exp", assertion: ["exp": .null]),
        Mistake(
            name: "an assertion of a clock ten seconds ahead", says: "iat is ahead",
            assertion: ["iat": NHNForger.seconds(610), "exp": NHNForger.seconds(620)]),
        Mistake(name: "an assertion that is not good yet", says: "nbf is ahead", assertion: ["nbf": NHNForger.seconds(600)]),
        Mistake(
            name: "an assertion that is over", says: "exp is over",
            assertion: ["iat": NHNForger.seconds(-600), "nbf": NHNForger.seconds(-600), "exp": NHNForger.seconds(-590)]),
        Mistake(name: "no jti", says: "jti", assertion: ["jti": .null]),
        Mistake(name: "no proof", says: "0 DPoP headers", proofs: 0),
        Mistake(name: "two proofs", says: "2 DPoP headers", proofs: 2),
        Mistake(name: "a proof that says it is a JWT", says: "typ", proofHeader: ["typ": "JWT"]),
        Mistake(name: "an unsigned proof", says: "alg", proofHeader: ["alg": "none"]),
        Mistake(name: "a proof without key", says: "jwk", proofHeader: ["jwk": .null]),
        Mistake(
            name: "a proof with another's key", says: "signature", proofHeader: ["jwk": NHNForger().jwk]),
        Mistake(name: "a GET's proof", says: "htm", proof: ["htm": "GET"]),
        Mistake(name: "a proof for another URL", says: "htu", proof: ["htu": "https://helseid-sts.nhn.no/connect/token"]),
        Mistake(name: "a proof without time", says: "iat", proof: ["iat": .null]),
        Mistake(name: "a proof of a clock ahead", says: "iat is ahead", proof: ["iat": NHNForger.seconds(600)]),
        Mistake(name: "a stale proof", says: "iat is stale", proof: ["iat": NHNForger.seconds(-20)]),
        Mistake(name: "a proof for a token", says: "ath", proof: ["ath": "x"]),
        Mistake(name: "a proof without jti", says: "jti", proof: ["jti": .null]),
    ]

    @Test("Each mistake is found by itself, and gives no token", arguments: mistakes)
    func refused(mistake: Mistake) async throws {
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let answer = try await ask(
                run, forger, assertionHeader: mistake.assertionHeader, assertion: mistake.assertion,
                proofHeader: mistake.proofHeader, proof: mistake.proof, form: mistake.form, proofs: mistake.proofs)
            #expect(answer.status == 400)
            #expect(answer.nhnError == mistake.says)
            #expect(await run.state.grants().isEmpty)
        }
    }

    @Test("An assertion that another key signed, a private key in a proof, a URL with its query")
    func keys() async throws {
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let other = try await ask(run, forger, signer: NHNForger())
            #expect(other.nhnError == "signature")
            let secret = forger.jwk.setting("d", to: .string(Base64URL.encode(Array(forger.key.rawRepresentation))))
            #expect(try await ask(run, forger, proofHeader: ["jwk": secret]).nhnError == "a private key")
            let url = JSON.string(run.endpoints.issuer + "/connect/token?x=1")
            #expect(try await ask(run, forger, proof: ["htu": url]).nhnError == "htu")
        }
    }

    @Test("A jti counts once, in assertions and in proofs")
    func replay() async throws {
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let (one, two) = (NHNForger.identifier(), NHNForger.identifier())
            #expect(try await ask(run, forger, assertion: ["jti": one], proof: ["jti": two]).status == 200)
            let replayed = try await ask(run, forger, assertion: ["jti": one])
            #expect(replayed.nhnError == "jti")
            #expect(replayed.json?["error"] == "invalid_client")
            let proof = try await ask(run, forger, proof: ["jti": two])
            #expect(proof.json?["error"] == "invalid_dpop_proof")
            #expect(proof.nhnError == "jti")
        }
    }

    @Test("A nonce is asked for with the nonce to use, and another one is asked for when it is too old")
    func nonce() async throws {
        try await NHNRun.with { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let challenged = try await ask(run, forger)
            #expect(challenged.json?["error"] == "use_dpop_nonce")
            let nonce = try #require(challenged.header("dpop-nonce"))
            #expect(try await ask(run, forger, proof: ["nonce": "other"]).json?["error"] == "use_dpop_nonce")
            #expect(try await ask(run, forger, proof: ["nonce": .string(nonce)]).status == 200)
            await run.state.dropNonce()
            let again = try await ask(run, forger, proof: ["nonce": .string(nonce)])
            #expect(again.json?["error"] == "use_dpop_nonce")
            #expect(again.header("dpop-nonce") != nonce)
        }
    }

    @Test("Organisations: single-tenant by child, multi-tenant by a parent that delegated")
    func organisations() async throws {
        @Sendable func details(_ system: String, _ value: String) -> [String: JSON] {
            [
                "assertion_details": [
                    "type": "helseid_authorization",
                    "practitioner_role": [
                        "organization": [
                            "identifier": ["system": .string(system), "type": "ENH", "value": .string(value)]
                        ]
                    ],
                ]
            ]
        }
        let child = details("urn:oid:2.16.578.1.12.4.1.4.101", "999999212")
        let parent = details("urn:oid:1.0.6523", "NO:ORGNR:999999204:999999212")
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let single = try await ask(run, forger, assertion: child)
            #expect(single.status == 200)
            #expect(await run.state.grants().last?.child == "999999212")
            #expect(try await ask(run, forger, assertion: parent).nhnError == "assertion_details: system")
            await run.registered(forger.registered, tenants: ["999999204"])
            #expect(try await ask(run, forger, assertion: parent).status == 200)
            #expect(await run.state.grants().last?.parent == "999999204")
            #expect(try await ask(run, forger).nhnError == "assertion_details are missing")
            let other = details("urn:oid:1.0.6523", "NO:ORGNR:999999220:")
            #expect(try await ask(run, forger, assertion: other).nhnError == "no delegation of that organisation")
        }
    }

    // MARK: At an API

    @Test("An API takes the token with a proof of its key for this request, and nothing less")
    func api() async throws {
        try await NHNRun.with(Self.plain) { run in
            let forger = NHNForger()
            await run.registered(forger.registered)
            let token = try #require(try await ask(run, forger).json?["access_token"]?.string)
            let ath = JSON.string(DPoPProof.accessTokenHash(Secret(token)))
            func call(
                _ token: String, _ proof: String?, as scheme: String = "DPoP", url: String? = nil
            ) async -> (Int?, String?) {
                var headers = [
                    HTTPHeader("content-type", "application/fhir+json"), HTTPHeader("authorization", "\(scheme) \(token)"),
                    HTTPHeader("correlation-id", "c"),
                ]
                if let proof { headers.append(HTTPHeader("dpop", proof)) }
                let outcome = await run.client.send(HTTPRequest(.post, url ?? run.endpoints.pmd, headers: headers, body: []))
                return (outcome.status, outcome.challenge)
            }
            let good = try forger.proof(url: run.endpoints.pmd, claims: ["ath": ath])
            // Believed: what is refused is the empty body.
            #expect(await call(token, good).0 == 400)
            let proofs: [(String, String?)] = [
                ("jti", good), ("0 DPoP headers", nil), ("ath", try forger.proof(url: run.endpoints.pmd)),
                ("ath", try forger.proof(url: run.endpoints.pmd, claims: ["ath": "x"])),
                ("htu", try forger.proof(url: run.endpoints.issuer, claims: ["ath": ath])),
                ("htm", try forger.proof(url: run.endpoints.pmd, claims: ["ath": ath, "htm": "GET"])),
                (
                    "iat is stale",
                    try forger.proof(url: run.endpoints.pmd, claims: ["ath": ath, "iat": NHNForger.seconds(-10)])
                ),
                (
                    "iat is ahead",
                    try forger.proof(url: run.endpoints.pmd, claims: ["ath": ath, "iat": NHNForger.seconds(10)])
                ),
                ("another key", try NHNForger().proof(url: run.endpoints.pmd, claims: ["ath": ath])),
            ]
            for (says, proof) in proofs {
                let (status, challenge) = await call(token, proof)
                #expect(status == 401)
                #expect(challenge?.contains("error=\"invalid_dpop_proof\", error_description=\"\(says)\"") ?? false)
            }
            let fresh = try forger.proof(url: run.endpoints.pmd, claims: ["ath": ath])
            #expect(await call(token, fresh, as: "Bearer").1?.contains("invalid_token") ?? false)
            #expect(await call("else", fresh).1?.contains("invalid_token") ?? false)
            // The search has a scope of its own.
            let search = run.endpoints.pmd + "/Observation/_search"
            let other = await call(token, try forger.proof(url: search, claims: ["ath": ath]), url: search)
            #expect(other.0 == 403)
            #expect(other.1?.contains("insufficient_scope") ?? false)
            // A token ends.
            await run.state.advance(by: .seconds(301))
            #expect(await call(token, fresh).1?.contains("invalid_token") ?? false)
        }
    }
}
