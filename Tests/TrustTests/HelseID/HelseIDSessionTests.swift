import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("From no HelseID token to one, and on")
struct HelseIDSessionTests {
    /// An action of another kind than the test waits for.
    struct Unexpected: Error {}

    /// A hub, its session and a HelseID, with a clock that a test moves.
    struct Scene {
        static let start = Instant(milliseconds: 1_764_000_000_250)

        var session: HelseIDSession
        var server: StrictHelseID
        var clock = ClockReading(
            wall: start, offsetMinutes: 60, monotonic: MonotonicTime(milliseconds: 1_000), boot: BootID(rawValue: "b"),
            source: .ntp)
        var generator = SeededGenerator(seed: 3)
        var sent: [HTTPRequest] = []
        var persisted: [HelseIDKeys] = []

        init(
            _ algorithm: SignatureAlgorithm = .es256, tokenType: HelseIDClient.TokenType = .dpop,
            organisation: HelseIDOrganisation = .ofClient
        ) throws {
            let key = try KeySamples.key(algorithm)
            session = HelseIDSession(
                HelseIDClient(
                    issuer: StrictHelseID.issuer, clientID: "d8a2e6f0-hub", scopes: ["nhn:pmd/api", "nhn:pmd/write"],
                    organisation: organisation, tokenType: tokenType), keys: HelseIDKeys(current: key))
            server = StrictHelseID(now: Self.start, registered: [key.publicKey])
            server.tokenType = tokenType.rawValue
        }

        mutating func pass(_ duration: Duration) {
            clock.wall = clock.wall + duration
            clock.monotonic = clock.monotonic + duration
            server.now = server.now + duration
        }

        /// Goes on until something else than a request is to be done. Every answer takes 40 ms.
        mutating func run() -> HelseIDSession.Action {
            var action = session.next(clock, using: &generator)
            for _ in 0..<20 {
                guard case .send(let request) = action else { return action }
                sent.append(request)
                let response = server.answer(request)
                pass(.milliseconds(40))
                let actions = session.receive(.answered(response), clock, using: &generator)
                for case .persist(let keys) in actions { persisted.append(keys) }
                guard let last = actions.last else { return action }
                action = last
            }
            return action
        }

        mutating func token() throws -> HelseIDToken {
            guard case .use(let token) = run() else {
                Issue.record("no token: \(server.faults)")
                throw Unexpected()
            }
            return token
        }

        mutating func error() -> HelseIDError? {
            if case .waits(_, let error) = run() { error } else { nil }
        }
    }

    @Test("A strict HelseID takes the request, with every algorithm", arguments: SignatureAlgorithm.allCases)
    func token(algorithm: SignatureAlgorithm) throws {
        var scene = try Scene(algorithm)
        let token = try scene.token()
        #expect(scene.server.faults.isEmpty)
        #expect(scene.sent.map(\.url) == [scene.session.client.metadataURL, StrictHelseID.issuer + "/connect/token"])
        // 300 s from the request less 10 s; the request left 40 ms after the first.
        #expect(token.until == MonotonicTime(milliseconds: 1_000 + 40 + 290_000))
        #expect(token.key.publicKey.thumbprint == scene.session.keys.current.publicKey.thumbprint)
        // As long as it lasts it is used, then a new one is asked for, with the metadata of before.
        scene.pass(.seconds(289))
        #expect(try scene.token() == token)
        scene.pass(.seconds(1))
        #expect(try scene.token() != token)
        #expect(scene.sent.count == 3)
        #expect(scene.server.tokens == 2)
        scene.pass(.seconds(24 * 3_600))
        _ = try scene.token()
        #expect(scene.sent.count == 5)
    }

    @Test("The form and the assertion are NHN's library's, claim by claim")
    func assertion() throws {
        let parent = try NorwegianOrganisationNumber("123456785")
        var scene = try Scene(.ps256, organisation: .multiTenant(parent: parent, child: nil))
        _ = try scene.token()
        let form = StrictHelseID.form(try #require(scene.sent.last).body)
        #expect(Set(form.keys) == ["client_id", "scope", "client_assertion", "client_assertion_type", "grant_type"])
        #expect(form["scope"] == "nhn:pmd/api nhn:pmd/write")
        let assertion = try JWT(parsing: form["client_assertion"] ?? "")
        #expect(
            assertion.header == [
                "alg": "PS256", "kid": .string(scene.session.keys.current.keyIdentifier), "typ": "client-authentication+jwt",
            ])
        let seconds = (Scene.start.milliseconds + 40) / 1_000
        #expect(
            try #require(assertion.claims.object).map(\.key) == [
                "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "assertion_details",
            ])
        #expect(assertion.claims["aud"]?.string == StrictHelseID.issuer)
        #expect(assertion.claims["exp"] == .integer(seconds + 10))
        #expect(assertion.claims["nbf"] == .integer(seconds))
        #expect(
            assertion.claims["assertion_details"] == [
                "type": "helseid_authorization",
                "practitioner_role": [
                    "organization": [
                        "identifier": ["system": "urn:oid:1.0.6523", "type": "ENH", "value": "NO:ORGNR:123456785:"]
                    ]
                ],
            ])
    }

    @Test("Organisations: both, the child alone, and nothing to say")
    func organisations() throws {
        let parent = try NorwegianOrganisationNumber("123456785")
        let child = try NorwegianOrganisationNumber("987654325")
        func identifier(_ organisation: HelseIDOrganisation) -> JSON? {
            organisation.assertionDetails?["practitioner_role"]?["organization"]?["identifier"]
        }
        #expect(identifier(.multiTenant(parent: parent, child: child))?["value"]?.string == "NO:ORGNR:123456785:987654325")
        #expect(
            identifier(.singleTenant(child: child)) == [
                "system": "urn:oid:2.16.578.1.12.4.1.4.101", "type": "ENH", "value": "987654325",
            ])
        #expect(HelseIDOrganisation.ofClient.assertionDetails == nil)
    }

    @Test("A Bearer client sends no proof")
    func bearer() throws {
        var scene = try Scene(tokenType: .bearer)
        let token = try scene.token()
        #expect(try #require(scene.sent.last).header("dpop") == nil)
        guard
            case .ready(let request) = try scene.session.authorise(
                HTTPRequest(.post, "https://api.test.vkpnorge.no/epj/r4/1/bundle"), with: token, scene.clock,
                using: &scene.generator)
        else { throw Unexpected() }
        #expect(request.header("authorization") == "Bearer t1")
        #expect(request.header("dpop") == nil)
    }

    @Test("Without a synchronised clock nothing is signed, from any state")
    func clock() throws {
        var scene = try Scene()
        scene.clock.source = .unsynchronised
        #expect(scene.run() == .waitsForClock)
        #expect(scene.sent.isEmpty)
        scene.clock.source = .ntp
        let token = try scene.token()
        scene.clock.source = .unsynchronised
        // The token is there, but its proof has a time.
        #expect(scene.run() == .use(token))
        let request = HTTPRequest(.post, "https://pmd.test.nhn.no/")
        #expect(try scene.session.authorise(request, with: token, scene.clock, using: &scene.generator) == .waitsForClock)
        scene.pass(.seconds(300))
        #expect(scene.run() == .waitsForClock)
        scene.clock.source = .ntp
        _ = try scene.token()

        // Synchronisation is lost while a nonce challenge is on its way.
        var other = try Scene()
        other.server.nonce = "n1"
        guard case .send(let first) = other.session.next(other.clock, using: &other.generator) else {
            throw Unexpected()
        }
        let actions = other.session.receive(.answered(other.server.answer(first)), other.clock, using: &other.generator)
        guard case .send(let second)? = actions.last else { throw Unexpected() }
        other.clock.source = .unsynchronised
        let challenge = other.server.answer(second)
        #expect(other.session.receive(.answered(challenge), other.clock, using: &other.generator) == [.waitsForClock])
        other.clock.source = .https
        _ = try other.token()
    }

    @Test(
        "A short token gives a quarter of itself as margin", arguments: [(20, 15_000), (39, 29_250), (40, 30_000), (60, 50_000)])
    func margin(lifetime: Int, milliseconds: Int64) throws {
        var scene = try Scene()
        scene.server.tokenLifetime = lifetime
        #expect(try scene.token().until == MonotonicTime(milliseconds: 1_040 + milliseconds))
    }

    @Test("One request at a time")
    func busy() throws {
        var scene = try Scene()
        guard case .send = scene.session.next(scene.clock, using: &scene.generator) else { throw Unexpected() }
        #expect(scene.session.next(scene.clock, using: &scene.generator) == .awaitsAnswer)
    }

    @Test("A nonce challenge is answered once, with a new assertion and a new proof; the nonce is kept for the next token")
    func nonce() throws {
        var scene = try Scene()
        scene.server.nonce = "n1"
        _ = try scene.token()
        #expect(scene.server.faults == ["nonce"])
        #expect(scene.sent.count == 3)
        let assertions = scene.sent.suffix(2).map { StrictHelseID.form($0.body)["client_assertion"] }
        #expect(assertions[0] != assertions[1])
        scene.pass(.seconds(300))
        _ = try scene.token()
        #expect(scene.sent.count == 4)
        scene.pass(.seconds(300))
        scene.server.nonce = "n2"
        _ = try scene.token()
        #expect(scene.server.faults == ["nonce", "nonce"])
    }

    @Test("A server that is never content with its nonce is not asked for ever")
    func nonceLoop() throws {
        var scene = try Scene()
        var count = 0
        guard case .send = scene.session.next(scene.clock, using: &scene.generator) else { throw Unexpected() }
        var actions = scene.session.receive(.answered(StrictHelseID.metadata), scene.clock, using: &scene.generator)
        while case .send? = actions.last, count < 10 {
            count += 1
            let response = HTTPResponse(
                status: 400, headers: [HTTPHeader("dpop-nonce", "n\(count)")],
                body: StrictHelseID.bytes(["error": "use_dpop_nonce"]))
            actions = scene.session.receive(.answered(response), scene.clock, using: &scene.generator)
        }
        #expect(count == 2)
        #expect(actions == [.waits(until: scene.clock.monotonic + .seconds(60), because: .nonceLoop)])

        var without = try Scene()
        _ = without.session.next(without.clock, using: &without.generator)
        _ = without.session.receive(.answered(StrictHelseID.metadata), without.clock, using: &without.generator)
        let response = HTTPResponse(status: 400, body: StrictHelseID.bytes(["error": "use_dpop_nonce"]))
        #expect(
            without.session.receive(.answered(response), without.clock, using: &without.generator)
                == [.waits(until: without.clock.monotonic + .seconds(60), because: .nonceMissing)])
    }

    @Test("A clock 10 s off is named as the cause, with its sign; one that is well is not", arguments: [-10, 10, 0])
    func skew(seconds: Int) throws {
        var scene = try Scene()
        if seconds == 0 { scene.server.registered = [] }
        scene.server.now = scene.server.now - .seconds(seconds)
        let error = scene.error()
        switch error {
        case .clockSkew(let skew, _):
            #expect(seconds != 0)
            #expect(abs(skew.components.seconds - Int64(seconds)) <= 1)
            #expect("\(HelseIDError.clockSkew(skew, code: "x"))".contains(seconds < 0 ? "behind" : "ahead"))
        case .clientRefused: #expect(seconds == 0)
        default: Issue.record("\(String(describing: error))")
        }
    }

    @Test("A key that is not registered: named, with growing pauses; a person's act ends the pause")
    func unregistered() throws {
        var scene = try Scene()
        let registered = scene.server.registered
        scene.server.registered = []
        var pauses: [Int64] = []
        for _ in 0..<8 {
            guard case .waits(let until, let error) = scene.run() else { throw Unexpected() }
            #expect(error == .clientRefused(keyIdentifier: scene.session.keys.current.keyIdentifier, description: "kid"))
            pauses.append((until - scene.clock.monotonic).milliseconds / 1_000)
            let count = scene.sent.count
            #expect(scene.run() == .waits(until: until, because: error))
            #expect(scene.sent.count == count)
            scene.pass(until - scene.clock.monotonic)
        }
        #expect(pauses == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
        _ = scene.run()
        scene.server.registered = registered
        scene.session.retryNow()
        _ = try scene.token()
    }

    @Test("No connection and 5xx: short pauses, and nothing is burnt")
    func unreachable() throws {
        var scene = try Scene()
        var pauses: [Int64] = []
        let outcomes: [HTTPOutcome] = [
            .notSent(HTTPFailure(.resolve, "")), .unknown(HTTPFailure(.timeout, "")), .answered(HTTPResponse(status: 503)),
            .answered(HTTPResponse(status: 500)), .answered(HTTPResponse(status: 429)), .notSent(HTTPFailure(.connect, "")),
            .notSent(HTTPFailure(.connect, "")), .notSent(HTTPFailure(.connect, "")),
        ]
        for outcome in outcomes {
            guard case .send = scene.session.next(scene.clock, using: &scene.generator) else { throw Unexpected() }
            guard case .waits(let until, let error)? = scene.session.receive(outcome, scene.clock, using: &scene.generator).last
            else { throw Unexpected() }
            #expect(error.isTransient)
            pauses.append((until - scene.clock.monotonic).milliseconds / 1_000)
            scene.pass(until - scene.clock.monotonic)
        }
        #expect(pauses == [5, 10, 20, 40, 80, 160, 300, 300])
        _ = try scene.token()
    }

    @Test("Rotation: the old key signs until the new one is taken, and stands by for a day")
    func rotation() throws {
        var scene = try Scene()
        let old = scene.session.keys.current
        _ = try scene.token()
        guard
            case .persist(let begun) = try scene.session.update(keys: { keys throws(JWKError) in try keys.beginRotation(.ps256) })
        else { throw Unexpected() }
        let new = try #require(begun.candidate)
        #expect(begun.publicJWK == new.publicKey.json)

        // Made, not registered: not even tried.
        scene.pass(.seconds(300))
        #expect(try scene.token().key == old)
        #expect(scene.server.faults.isEmpty)

        // Said to be registered, but HelseID does not know it yet: one refusal, then the old key, and a pause before the next try.
        _ = try scene.session.update { keys throws(JWKError) in keys.candidateRegistered() }
        scene.pass(.seconds(300))
        #expect(try scene.token().key == old)
        #expect(scene.server.faults == ["kid"])
        scene.pass(.seconds(300))
        #expect(try scene.token().key == old)
        #expect(scene.server.faults == ["kid"])

        // Registered: taken, and persisted before it is used. The token of before still goes with its own key.
        let before = try scene.token()
        scene.server.registered.append(new.publicKey)
        scene.pass(.seconds(300))
        #expect(try scene.token().key == new)
        let request = HTTPRequest(.post, "https://pmd.test.nhn.no/")
        guard case .ready(let ready) = try scene.session.authorise(request, with: before, scene.clock, using: &scene.generator)
        else { throw Unexpected() }
        try JWT(parsing: #require(ready.header("dpop"))).verify(with: old.publicKey, algorithms: [.es256])
        #expect(scene.persisted.last?.current == new)
        #expect(scene.persisted.last?.previous == old)
        #expect(scene.session.keys.candidate == nil)

        // Taken again within the day: the old one still stands by.
        scene.pass(.seconds(300))
        #expect(try scene.token().key == new)
        #expect(scene.session.keys.previous == old)

        // A machine of theirs that knows the old one alone.
        scene.server.registered = [old.publicKey]
        scene.pass(.seconds(300))
        #expect(try scene.token().key == old)
        scene.server.registered = [old.publicKey, new.publicKey]
        scene.pass(.seconds(24 * 3_600))
        #expect(try scene.token().key == new)
        #expect(scene.persisted.last?.previous == nil)
        #expect(try HelseIDKeys(scene.session.keys.exported) == scene.session.keys)
    }

    @Test("Keys survive a restart at every step of a rotation")
    func persistence() throws {
        var keys = HelseIDKeys(current: try KeySamples.key(.ps512))
        #expect(try HelseIDKeys(keys.exported) == keys)
        let isThere = keys.candidateRegistered()
        #expect(!isThere)
        try keys.beginRotation(.es384)
        #expect(try HelseIDKeys(keys.exported) == keys)
        keys.candidateRegistered()
        #expect(try HelseIDKeys(keys.exported) == keys)
        #expect(try HelseIDKeys(keys.exported).isCandidateRegistered)
        keys.dropCandidate()
        #expect(try HelseIDKeys(keys.exported) == keys)
        #expect(throws: JWKError.missing("current")) { try HelseIDKeys(Secret("{}")) }
        #expect(throws: JWKError.self) { try HelseIDKeys(Secret("{")) }
    }

    @Test("Answers that are none")
    func malformed() throws {
        func error(_ status: Int, _ body: String, headers: [HTTPHeader] = []) throws -> HelseIDError? {
            var scene = try Scene()
            _ = scene.session.next(scene.clock, using: &scene.generator)
            _ = scene.session.receive(.answered(StrictHelseID.metadata), scene.clock, using: &scene.generator)
            let response = HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
            guard
                case .waits(_, let error)? = scene.session.receive(.answered(response), scene.clock, using: &scene.generator).last
            else { return nil }
            return error
        }
        #expect(try error(200, "<html>") == .malformedAnswer(status: 200, expected: "access_token"))
        #expect(
            try error(200, #"{"access_token":"a b","expires_in":60}"#) == .malformedAnswer(status: 200, expected: "access_token"))
        #expect(try error(200, #"{"access_token":"a"}"#) == .malformedAnswer(status: 200, expected: "expires_in above 0"))
        #expect(
            try error(200, #"{"access_token":"a","expires_in":0}"#)
                == .malformedAnswer(status: 200, expected: "expires_in above 0"))
        #expect(try error(200, #"{"access_token":"a","expires_in":60,"token_type":"Bearer"}"#) == .tokenType("Bearer"))
        #expect(
            try error(200, #"{"access_token":"a","expires_in":60,"scope":"nhn:pmd/api"}"#) == .scopesRejected(["nhn:pmd/write"]))
        #expect(
            try error(
                200, #"{"access_token":"a","expires_in":60,"scope":"nhn:pmd/api nhn:pmd/write","rejected_scope":"nhn:pmd/api"}"#)
                == .scopesRejected(["nhn:pmd/api"]))
        #expect(try error(302, "") == .malformedAnswer(status: 302, expected: "a token or an error code"))
        #expect(try error(400, "{}") == .malformedAnswer(status: 400, expected: "a token or an error code"))
        #expect(try error(502, "") == .server(status: 502))
        #expect(
            try error(400, #"{"error":"invalid_scope","error_description":"no"}"#)
                == .refused(code: "invalid_scope", description: "no"))
        // A nonce beside a refusal that it cannot mend does not hide the refusal.
        #expect(
            try error(400, #"{"error":"invalid_scope"}"#, headers: [HTTPHeader("dpop-nonce", "n")])
                == .refused(code: "invalid_scope", description: ""))
        let text = "\(HelseIDError.refused(code: "x", description: "a\nb\u{1B}[31m" + String(repeating: "y", count: 500)))"
        #expect(text.count < 300 && !text.contains("\n") && !text.contains("\u{1B}"))
    }

    @Test("A token bound to another key, and one that is over before it came")
    func uselessTokens() throws {
        var scene = try Scene()
        scene.server.boundTo = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        #expect(scene.error() == .tokenOfOtherKey)
        var slow = try Scene()
        slow.server.tokenLifetime = 1
        _ = slow.session.next(slow.clock, using: &slow.generator)
        guard
            case .send(let request)? = slow.session.receive(.answered(StrictHelseID.metadata), slow.clock, using: &slow.generator)
                .last
        else { throw Unexpected() }
        let response = slow.server.answer(request)
        slow.pass(.seconds(2))
        guard
            case .waits(_, .malformedAnswer)? = slow.session.receive(.answered(response), slow.clock, using: &slow.generator).last
        else { throw Unexpected() }
    }

    @Test("A discovery document that is not this issuer's, or sends assertions elsewhere, is refused before anything is signed")
    func metadata() throws {
        let good = try JSON(parsing: StrictHelseID.metadata.body)
        let client = try Scene().session.client
        func error(_ json: JSON, _ algorithm: SignatureAlgorithm = .es256) -> HelseIDMetadataError? {
            do {
                _ = try HelseIDMetadata(parsing: json.bytes, for: client, algorithm: algorithm)
                return nil
            } catch {
                return error
            }
        }
        #expect(error(good) == nil)
        #expect(error(["issuer": .string(client.issuer), "token_endpoint": .string(client.issuer + "/t")]) == nil)
        #expect(error([]) == .missing("issuer"))
        #expect(error(good.setting("issuer", to: "https://helseid-sts.nhn.no")) == .otherIssuer("https://helseid-sts.nhn.no"))
        for endpoint in [
            "https://evil.example/connect/token", "http://helseid-sts.test.nhn.no/connect/token", "/connect/token",
            "https://helseid-sts.test.nhn.no.evil.example/", "https://helseid-sts.test.nhn.no@evil.example/",
        ] {
            #expect(error(good.setting("token_endpoint", to: .string(endpoint))) == .tokenEndpoint, "\(endpoint)")
        }
        #expect(
            error(good.setting("dpop_signing_alg_values_supported", to: ["PS256"]))
                == .notSupported("ES256", list: "dpop_signing_alg_values_supported"))
        #expect(
            error(good.setting("token_endpoint_auth_methods_supported", to: ["client_secret_basic"]))
                == .notSupported("private_key_jwt", list: "token_endpoint_auth_methods_supported"))
        #expect(throws: HelseIDMetadataError.self) { try HelseIDMetadata(parsing: [0x7B], for: client, algorithm: .es256) }
    }

    @Test("At an API: a proof with ath, a nonce challenge once, a token that is not taken is dropped")
    func api() throws {
        var scene = try Scene()
        let token = try scene.token()
        let url = "https://pmd.test.nhn.no/Observation/_search?x=y"
        let request = HTTPRequest(.post, url, headers: [HTTPHeader("authorization", "old"), HTTPHeader("accept", "a")])
        func proof(_ scene: inout Scene) throws -> JWT {
            guard case .ready(let ready) = try scene.session.authorise(request, with: token, scene.clock, using: &scene.generator)
            else { throw Unexpected() }
            #expect(ready.headers.count { $0.name == "authorization" } == 1)
            #expect(ready.header("authorization") == "DPoP \(token.accessToken.text)")
            let proof = try JWT(parsing: #require(ready.header("dpop")))
            try proof.verify(with: token.key.publicKey, algorithms: [.es256])
            return proof
        }
        let first = try proof(&scene)
        #expect(first.claims["htu"]?.string == "https://pmd.test.nhn.no/Observation/_search")
        #expect(first.claims["ath"]?.string == DPoPProof.accessTokenHash(token.accessToken))
        #expect(first.claims["nonce"] == nil)
        let challenge = HTTPResponse(
            status: 401,
            headers: [HTTPHeader("www-authenticate", #"DPoP error="use_dpop_nonce""#), HTTPHeader("dpop-nonce", "api-1")])
        let now = scene.clock.wall
        #expect(scene.session.receive(challenge, from: url, sentAt: now, scene.clock, isRepeated: false) == .sendAgain)
        let second = try proof(&scene)
        #expect(second.claims["nonce"]?.string == "api-1")
        #expect(second.claims["jti"] != first.claims["jti"])
        #expect(scene.session.receive(challenge, from: url, sentAt: now, scene.clock, isRepeated: true) == .refused(.nonceLoop))
        #expect(
            scene.session.receive(HTTPResponse(status: 200), from: url, sentAt: now, scene.clock, isRepeated: false) == .settled)
        #expect(
            scene.session.receive(HTTPResponse(status: 403), from: url, sentAt: now, scene.clock, isRepeated: false) == .settled)
        let skewed = HTTPResponse(
            status: 401,
            headers: [
                HTTPHeader("www-authenticate", #"DPoP error="invalid_dpop_proof""#),
                HTTPHeader("date", StrictHelseID.date(now - .seconds(12))),
            ])
        guard
            case .refused(.clockSkew(let skew, code: "invalid_dpop_proof")) = scene.session.receive(
                skewed, from: url, sentAt: now, scene.clock, isRepeated: false)
        else { throw Unexpected() }
        #expect((10...12).contains(skew.components.seconds))
        let gone = HTTPResponse(status: 401, headers: [HTTPHeader("www-authenticate", #"DPoP error="invalid_token""#)])
        #expect(scene.session.receive(gone, from: url, sentAt: now, scene.clock, isRepeated: false) == .needsNewToken)
        #expect(try scene.token() != token)
    }

    @Test("Nothing that is printed or dumped shows a token or a private key")
    func redacted() throws {
        var scene = try Scene()
        let token = try scene.token()
        var shown = "\(token) \(scene.session)"
        dump(token, to: &shown)
        dump(scene.session, to: &shown)
        let number = try #require(JSON(parsing: token.key.exported.text)["d"]?.string)
        #expect(!shown.contains(number))
        #expect(!shown.contains(token.accessToken.text))
    }
}
