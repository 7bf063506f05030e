import Crypto
import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("Sign-in by code and PKCE")
struct AuthorizationCodeFlowTests {
    static let redirect = "http://127.0.0.1:8765/signed-in"

    /// A sign-in that has begun, and the server it goes to.
    struct Course {
        var model = ModelServer()
        var flow: AuthorizationCodeFlow
        var returned = ""

        init(_ changes: [String: JSON] = [:], seed: UInt64 = 1) throws {
            var generator = SeededGenerator(seed: seed)
            flow = AuthorizationCodeFlow(
                server: try server(issuer, changes), client: client, redirect: try EndpointURL(redirect), at: start,
                using: &generator)
            returned = model.authorize(flow.url.text)
        }

        /// The returned address with a parameter changed, or taken out.
        func altered(_ name: String, _ value: String?) -> String {
            let pairs = returned.drop { $0 != "?" }.dropFirst().split(separator: "&").filter { !$0.hasPrefix(name + "=") }
            return redirect + "?" + (pairs + (value.map { ["\(name)=\($0)"] } ?? [])).joined(separator: "&")
        }
    }

    @Test("RFC 7636 appendix B")
    func vector() {
        let pkce = PKCE(verifier: Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        #expect(pkce.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test("The authorization request says all that it must, and nothing twice is the same")
    func request() throws {
        let course = try Course()
        let query = parameters(course.flow.url.text.drop { $0 != "?" }.dropFirst())
        #expect(course.flow.url.text.hasPrefix(issuer + "/protocol/openid-connect/auth?"))
        #expect(query["response_type"] == "code")
        #expect(query["client_id"] == clientIdentifier)
        #expect(query["redirect_uri"] == Self.redirect)
        #expect(query["scope"] == "openid profile offline_access")
        #expect(query["code_challenge_method"] == "S256")
        #expect(query["code_challenge"]?.utf8.count == 43)
        #expect(query["state"]?.utf8.count == 43)
        #expect(query["nonce"]?.utf8.count == 43)
        let other = parameters(try Course(seed: 2).flow.url.text.drop { $0 != "?" }.dropFirst())
        for name in ["state", "nonce", "code_challenge"] { #expect(query[name] != other[name]) }
        let withQuery = try Course(["authorization_endpoint": .string(issuer + "/auth?kc=1")])
        #expect(withQuery.flow.url.text.hasPrefix(issuer + "/auth?kc=1&response_type=code&"))
    }

    @Test("The person's copy of the address signs in, with what a paste adds around it")
    func copied() throws {
        for (before, after) in [("", ""), ("  ", "\n"), ("\u{FEFF}", "#"), ("\t", "#_=_")] {
            var course = try Course()
            let request = try course.flow.receive(returned: before + course.returned + after, at: start + .seconds(90))
            #expect(request.url == issuer + "/protocol/openid-connect/token")
            let form = form(request)
            #expect(form["grant_type"] == "authorization_code")
            #expect(form["redirect_uri"] == Self.redirect)
            #expect(form["client_id"] == clientIdentifier)
            #expect(form["code_verifier"]?.utf8.count == 43)
            let outcome = course.model.token(request, at: start + .seconds(91))
            let signIn = try course.flow.receive(outcome, at: start + .seconds(91))
            #expect(signIn.tokens.refreshToken != nil)
            #expect(signIn.subject == "\(planted)-subject")
            #expect(signIn.askedAt == start + .seconds(90))
        }
    }

    @Test("The listener on 127.0.0.1 takes the exact path under its exact host, and passes over the rest")
    func loopback() throws {
        var course = try Course()
        let target = String(course.returned.dropFirst("http://127.0.0.1:8765".count))
        for (other, host) in [
            ("/favicon.ico", "127.0.0.1:8765"), ("/signed-in/?x", "127.0.0.1:8765"), ("/", "127.0.0.1:8765"),
            (target, "evil.test:8765"), (target, "127.0.0.1"), (target, "localhost:8765"), (course.returned, "127.0.0.1:8765"),
        ] {
            #expect(throws: SignInError.notTheRedirect) {
                try course.flow.receive(loopbackTarget: other, host: host, at: start)
            }
        }
        let request = try course.flow.receive(loopbackTarget: target, host: "127.0.0.1:8765", at: start)
        let outcome = course.model.token(request, at: start)
        #expect(try course.flow.receive(outcome, at: start).issuer == issuer)
    }

    @Test("An answer that does not carry our state cannot end the sign-in")
    func strangersAnswer() throws {
        var course = try Course()
        let foreign = try Course(seed: 2)
        let cases: [(String, SignInError)] = [
            (course.altered("state", nil), .wrongState),
            (course.altered("state", "guess"), .wrongState),
            (course.altered("state", ""), .wrongState),
            (foreign.returned, .wrongState),
            (course.returned + "&state=other", .unreadableAddress),
            (course.returned + "&code=other", .unreadableAddress),
            (course.returned + "%", .unreadableAddress),
            (Self.redirect + "?error=access_denied", .wrongState),
            ("", .unreadableAddress),
            ("not an address", .unreadableAddress),
            ("https://127.0.0.1:8765/signed-in", .notTheRedirect),
            ("http://127.0.0.1:8766/signed-in", .notTheRedirect),
            (String(repeating: "a", count: 10_000), .unreadableAddress),
        ]
        for (address, expected) in cases {
            #expect(throws: expected) { try course.flow.receive(returned: address, at: start) }
        }
        let request = try course.flow.receive(returned: course.returned, at: start)
        let outcome = course.model.token(request, at: start)
        #expect(try course.flow.receive(outcome, at: start).subject != nil)
    }

    @Test("An answer with our state is the sign-in's one answer: wrong ones end it and no code is sent")
    func oneAnswer() throws {
        let cases: [(String, String?, SignInError)] = [
            ("iss", "https://evil.test/realms/nemlogin", .otherIssuer),
            ("iss", nil, .otherIssuer),
            ("iss", "", .otherIssuer),
            ("error", "access_denied", .contradiction),
            ("code", nil, .codeMissing),
            ("code", "", .codeMissing),
        ]
        for (name, value, expected) in cases {
            var course = try Course()
            let address = course.altered(name, value)
            #expect(throws: expected) { try course.flow.receive(returned: address, at: start) }
            #expect(throws: SignInError.alreadyAnswered) { try course.flow.receive(returned: course.returned, at: start) }
            #expect(throws: SignInError.outOfTurn) { try course.flow.tokenRequest(at: start) }
        }
        var refused = try Course()
        let address = refused.altered("code", nil) + "&error=access_denied&error_description=\(planted)"
        #expect(throws: SignInError.refused(.accessDenied)) { try refused.flow.receive(returned: address, at: start) }
    }

    @Test("Mix-up: with two servers, the one's code is never sent to the other")
    func attack_mixUp() throws {
        // The attacker's server sends the browser on to the honest one with the state it was given, to have the code redeemed
        // at its own token endpoint.
        let evil = "https://evil.test/realms/x"
        var generator = SeededGenerator(seed: 3)
        var flow = AuthorizationCodeFlow(
            server: try server(evil), client: client, redirect: try EndpointURL(Self.redirect), at: start, using: &generator)
        var honest = ModelServer()
        let returned = honest.authorize(flow.url.text)
        #expect(throws: SignInError.otherIssuer) { try flow.receive(returned: returned, at: start) }
        // A server that does not announce `iss` is compared all the same where it comes.
        var unannounced = try Course(["authorization_response_iss_parameter_supported": false])
        let altered = unannounced.altered("iss", "https://evil.test")
        #expect(throws: SignInError.otherIssuer) { try unannounced.flow.receive(returned: altered, at: start) }
        var silent = try Course(["authorization_response_iss_parameter_supported": false])
        let without = silent.altered("iss", nil)
        #expect(throws: Never.self) { try silent.flow.receive(returned: without, at: start) }
    }

    @Test("Replay: a code that was sent once is not sent again, by this sign-in or another")
    func attack_replayedCode() throws {
        var course = try Course()
        let request = try course.flow.receive(returned: course.returned, at: start)
        #expect(throws: SignInError.alreadyAnswered) { try course.flow.receive(returned: course.returned, at: start) }
        let first = course.model.token(request, at: start)
        _ = try course.flow.receive(first, at: start)
        #expect(throws: SignInError.alreadyAnswered) { try course.flow.receive(returned: course.returned, at: start) }
        #expect(throws: SignInError.outOfTurn) { try course.flow.receive(first, at: start) }
        // Whoever replays the request itself meets the server.
        #expect(course.model.token(request, at: start) == refusal("invalid_grant"))
    }

    @Test("Injection: somebody else's code under our state fails at the verifier; without a verifier no code is redeemed")
    func attack_injectedCode() throws {
        var course = try Course()
        var attacker = try Course(seed: 2)
        let theirs = course.model.authorize(attacker.flow.url.text)
        let code = parameters(theirs.drop { $0 != "?" }.dropFirst())["code"]
        let request = try course.flow.receive(returned: course.altered("code", code), at: start)
        let outcome = course.model.token(request, at: start)
        #expect(throws: SignInError.refused(.invalidGrant)) { try course.flow.receive(outcome, at: start) }

        attacker.model = course.model
        var bare = try attacker.flow.receive(returned: theirs, at: start)
        bare.body = Array(
            String(decoding: bare.body, as: UTF8.self).split(separator: "&").filter { !$0.hasPrefix("code_verifier") }
                .joined(separator: "&").utf8)
        #expect(attacker.model.token(bare, at: start) == refusal("invalid_grant"))
    }

    @Test("Every check of the id token, one wrong claim at a time")
    func attack_idToken() throws {
        let seconds = start.milliseconds / 1_000
        let good = JSON.members([
            "iss": .string(issuer), "aud": .string(clientIdentifier), "sub": "s", "iat": .integer(seconds),
            "exp": .integer(seconds + 300),
        ])
        let other = "other"
        let hash = Base64URL.encode(Array(SHA256.hash(data: Array("a".utf8))).prefix(16))
        let cases: [(String, JSON, IDTokenError?)] = [
            ("sub", "s", nil),
            ("at_hash", .string(hash), nil),
            ("aud", [.string(clientIdentifier)], nil),
            ("azp", .string(clientIdentifier), nil),
            ("nonce", .string(other), .nonce),
            ("nonce", nil, .unreadable(.claim("nonce", expected: "a text"))),
            ("iss", "https://evil.test", .issuer),
            ("iss", .string(issuer + "/"), .issuer),
            ("aud", .string(other), .audience),
            ("aud", [.string(clientIdentifier), .string(other)], .authorizedParty),
            ("azp", .string(other), .authorizedParty),
            ("sub", "", .subject),
            ("exp", .integer(seconds - 60), .expired),
            ("exp", "soon", .unreadable(.claim("exp", expected: "seconds since 1970, before the year 10000"))),
            ("iat", .integer(seconds + 61), .issuedInTheFuture),
            ("at_hash", .string(other), .accessTokenHash),
        ]
        func outcome(_ idToken: String?) -> HTTPOutcome {
            answer(
                200, .members(["access_token": "a", "token_type": "Bearer", "id_token": idToken.map { .string($0) }]))
        }
        func check(_ expected: IDTokenError?, _ idToken: (_ nonce: JSON) -> String?) throws {
            var course = try Course()
            let query = parameters(course.flow.url.text.drop { $0 != "?" }.dropFirst())
            _ = try course.flow.receive(returned: course.returned, at: start)
            let outcome = outcome(idToken(.string(query["nonce"] ?? "")))
            if let expected {
                #expect(throws: SignInError.idToken(expected)) { try course.flow.receive(outcome, at: start) }
            } else {
                #expect(throws: Never.self) { try course.flow.receive(outcome, at: start) }
            }
        }
        for (name, value, expected) in cases {
            try check(expected) { nonce in token(good.setting("nonce", to: nonce).setting(name, to: value)) }
        }
        try check(.nonce) { _ in token(good) }
        try check(.missing) { _ in nil }
        try check(.unsigned) { token(good.setting("nonce", to: $0), header: ["alg": "none"], signature: "") }
        try check(.unsigned) { token(good.setting("nonce", to: $0), header: ["alg": "NONE"]) }
        try check(.unsigned) { token(good.setting("nonce", to: $0), signature: "") }
        try check(.critical) { token(good.setting("nonce", to: $0), header: ["alg": "RS256", "crit": ["x"]]) }
        try check(.unreadable(.parts(1))) { _ in "abc" }
    }

    @Test("Too late, before the redirect and before the code is sent again")
    func expiry() throws {
        var late = try Course()
        let end = start + AuthorizationCodeFlow.patience
        #expect(throws: SignInError.expired) { try late.flow.receive(returned: late.returned, at: end) }
        #expect(throws: SignInError.alreadyAnswered) { try late.flow.receive(returned: late.returned, at: start) }
        var unsent = try Course()
        _ = try unsent.flow.receive(returned: unsent.returned, at: start)
        #expect(throws: SignInError.notSent(.connect)) {
            try unsent.flow.receive(.notSent(HTTPFailure(.connect, "x")), at: start)
        }
        #expect(throws: SignInError.expired) { try unsent.flow.tokenRequest(at: end) }
    }

    @Test("A code that never left may be sent; one whose fate is unknown may not")
    func failures() throws {
        var unsent = try Course()
        let request = try unsent.flow.receive(returned: unsent.returned, at: start)
        #expect(throws: SignInError.outOfTurn) { try unsent.flow.tokenRequest(at: start) }
        #expect(throws: SignInError.notSent(.connect)) {
            try unsent.flow.receive(.notSent(HTTPFailure(.connect, "x")), at: start)
        }
        #expect(try unsent.flow.tokenRequest(at: start) == request)
        let outcome = unsent.model.token(request, at: start)
        #expect(throws: Never.self) { try unsent.flow.receive(outcome, at: start) }

        let cases: [(HTTPOutcome, SignInError)] = [
            (.unknown(broken), .outcomeUnknown),
            (answer(503, [:]), .unavailable(status: 503)),
            (refusal("invalid_grant"), .refused(.invalidGrant)),
            (answer(200, [:]), .unreadable(.missing("access_token"))),
        ]
        for (outcome, expected) in cases {
            var course = try Course()
            #expect(throws: SignInError.outOfTurn) { try course.flow.receive(outcome, at: start) }
            _ = try course.flow.receive(returned: course.returned, at: start)
            #expect(throws: expected) { try course.flow.receive(outcome, at: start) }
            #expect(throws: SignInError.outOfTurn) { try course.flow.tokenRequest(at: start) }
        }
    }
}
