import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("Proofs of possession")
struct DPoPTests {
    static let publishedToken = Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")

    @Test("RFC 9449 sections 4.1 and 7.1: the published proofs verify with the key in their header, and say what the RFC says")
    func published() throws {
        for (text, method, url) in [
            (PublishedVectors.proofAtTokenEndpoint, "POST", "https://server.example.com/token"),
            (PublishedVectors.proofAtResource, "GET", "https://resource.example.org/protectedresource"),
        ] {
            let proof = try JWT(parsing: text)
            try proof.verify(with: PublicJWK(json: #require(proof.header["jwk"])), algorithms: [.es256])
            #expect(proof.header["typ"]?.string == DPoPProof.type)
            #expect(proof.claims["htm"]?.string == method)
            #expect(try proof.claims["htu"]?.string == RequestTarget(url: url).htu)
        }
        let resource = try JWT(parsing: PublishedVectors.proofAtResource)
        #expect(resource.claims["ath"]?.string == DPoPProof.accessTokenHash(Self.publishedToken))
        #expect(DPoPProof.accessTokenHash(Self.publishedToken) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")
    }

    @Test("Header and claims of a proof of ours, whole", arguments: SignatureAlgorithm.allCases)
    func made(algorithm: SignatureAlgorithm) throws {
        var generator = SeededGenerator(seed: 7)
        let key = try KeySamples.key(algorithm)
        let target = try RequestTarget(url: "https://api.example.no/Observation/_search?patient=x#top")
        let identifier = TokenIdentifier(using: &generator)
        let text = try DPoPProof.make(
            method: "POST", target: target, issuedAt: Instant(milliseconds: 1_700_000_000_999), identifier: identifier,
            accessToken: Self.publishedToken, nonce: "eyJ7S_zG.eyJH0-Z.HX4w-7v", key: key)
        let proof = try JWT(parsing: text)
        try proof.verify(with: key.publicKey, algorithms: [algorithm])
        #expect(
            proof.claims == [
                "jti": .string(identifier.text), "htm": "POST", "htu": "https://api.example.no/Observation/_search",
                "iat": 1_700_000_000, "nonce": "eyJ7S_zG.eyJH0-Z.HX4w-7v", "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
            ])
        #expect(try #require(proof.header.object).map(\.key) == ["alg", "typ", "jwk"])
        let members = try #require(proof.header["jwk"]?.object).map(\.key)
        #expect(members == (algorithm.curve == nil ? ["kty", "n", "e", "alg"] : ["kty", "crv", "x", "y"]))
        #expect(identifier.text.count == 32)
        #expect(TokenIdentifier(using: &generator) != identifier)
    }

    @Test("Without a token and a nonce there is neither claim")
    func bare() throws {
        var generator = SystemRandomNumberGenerator()
        let text = try DPoPProof.make(
            method: "GET", target: RequestTarget(url: "https://api.example.no"), issuedAt: Instant(seconds: 0),
            identifier: TokenIdentifier(using: &generator), key: KeySamples.key(.es256))
        let claims = try JWT(parsing: text).claims
        #expect(try #require(claims.object).map(\.key) == ["jti", "htm", "htu", "iat"])
        #expect(claims["htu"]?.string == "https://api.example.no/")
    }

    @Test(
        "htu is the target without query and fragment, otherwise as it goes over the wire",
        arguments: [
            ("https://a.example/b?c=d", "https://a.example/b", "https://a.example"),
            ("https://A.example:8443/B%20c/#f", "https://A.example:8443/B%20c/", "https://a.example:8443"),
            ("https://a.example", "https://a.example/", "https://a.example"),
            ("https://a.example?x=/y", "https://a.example/", "https://a.example"),
            ("http://127.0.0.1:8080/x#y?z", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
            ("https://a.example:443/?", "https://a.example:443/", "https://a.example"),
        ])
    func targets(url: String, htu: String, origin: String) throws {
        let target = try RequestTarget(url: url)
        #expect(target.htu == htu)
        #expect(target.origin == origin)
    }

    @Test(
        "No target",
        arguments: [
            "", "a.example/b", "ftp://a.example/", "https://", "https:///b", "https://u@a.example/", "https://a.example/ø",
            "https://a.example/a b", "https://:443/", "/b?https://a.example", "http://a.example/", "http://127.0.0.1.example/",
            "http://10.0.0.1/?https://x",
        ])
    func noTarget(url: String) {
        #expect(throws: EndpointURLError.self) { try RequestTarget(url: url) }
    }

    @Test("A nonce goes back to the server that gave it, and the newest counts")
    func nonces() throws {
        var nonces = DPoPNonces()
        let one = try RequestTarget(url: "https://a.example/token")
        let other = try RequestTarget(url: "https://b.example/token")
        func answer(_ nonce: String, status: Int = 200) -> HTTPResponse {
            HTTPResponse(status: status, headers: [HTTPHeader("dpop-nonce", nonce)])
        }
        #expect(nonces.nonce(for: one) == nil)
        #expect(nonces.learn(from: answer("n1", status: 401), of: one) == "n1")
        #expect(nonces.nonce(for: one) == "n1")
        #expect(try nonces.nonce(for: RequestTarget(url: "https://A.example/other?x")) == "n1")
        #expect(nonces.nonce(for: other) == nil)
        #expect(nonces.learn(from: HTTPResponse(status: 200), of: one) == nil)
        #expect(nonces.learn(from: answer("n2"), of: one) == "n2")
        #expect(nonces.nonce(for: one) == "n2")
        for bad in ["", "a b", "a\"b", "a\\b", "ø", String(repeating: "n", count: 1_025)] {
            #expect(nonces.learn(from: answer(bad), of: one) == nil, "\(bad)")
        }
        #expect(nonces.nonce(for: one) == "n2")
    }

    @Test(
        "RFC 9449 section 9: which answer of an API asks for a nonce",
        arguments: [
            (401, [#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof""#], true),
            (401, [#"DPoP realm="x, y", algs="ES256 PS256", error="use_dpop_nonce""#], true),
            (401, [#"Bearer realm="x", DPoP algs="ES256", error="use_dpop_nonce""#], true),
            (401, ["Basic", #"dpop error=use_dpop_nonce"#], true),
            (401, [#"DPoP error="invalid_token""#], false),
            (401, [#"Bearer error="use_dpop_nonce""#], false),
            (401, [#"DPoP algs="ES256", Bearer error="use_dpop_nonce""#], false),
            (401, ["DPoP"], false),
            (401, [], false),
            (400, [#"DPoP error="use_dpop_nonce""#], false),
        ] as [(Int, [String], Bool)])
    func challenges(status: Int, headers: [String], isChallenge: Bool) {
        let response = HTTPResponse(status: status, headers: headers.map { HTTPHeader("www-authenticate", $0) })
        #expect(DPoPNonces.isChallenge(response) == isChallenge)
    }
}
