import ExactJSON
import Testing
import Trust

@Suite("Keys as JOSE writes them")
struct JWKTests {
    @Test("RFC 7638 section 3.1, RFC 9449 section 6.1: thumbprints")
    func thumbprints() throws {
        let rsa = try PublicJWK(json: JSON(parsing: PublishedVectors.publicRSA))
        #expect(rsa.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        let proof = try JWT(parsing: PublishedVectors.proofAtResource)
        let jwk = try PublicJWK(json: #require(proof.header["jwk"]))
        #expect(jwk.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
    }

    @Test(
        "RFC 7517 A.2, RFC 7515 A.3 and A.4, RFC 7520 section 3: private keys, read and written back",
        arguments: [
            PublishedVectors.privateRSA, PublishedVectors.privateEC, PublishedVectors.es256Key, PublishedVectors.es512Key,
            PublishedVectors.cookbookEC, PublishedVectors.cookbookRSA,
        ])
    func published(text: String) throws {
        let json = try JSON(parsing: text)
        let key = try PrivateJWK(json: json)
        let written = try JSON(parsing: key.exported.text)
        for member in try #require(json.object) { #expect(written[member.key] == member.value, "\(member.key)") }
        #expect(try PrivateJWK(key.exported) == key)
        #expect(key.keyIdentifier == json["kid"]?.string ?? key.publicKey.thumbprint)
    }

    @Test("A made key comes back from its text and signs the same", arguments: SignatureAlgorithm.allCases)
    func generated(algorithm: SignatureAlgorithm) throws {
        let key = try KeySamples.key(algorithm)
        let again = try PrivateJWK(key.exported)
        #expect(again == key)
        #expect(again.algorithm == algorithm)
        #expect(again.keyIdentifier == key.publicKey.thumbprint)
        let bytes = Array("signed".utf8)
        #expect(key.publicKey.verifies(try again.signature(of: bytes), of: bytes, algorithm: algorithm))
        #expect(try PublicJWK(json: key.publicKey.json) == key.publicKey)
        let names = try Set(#require(key.publicKey.json.object).map(\.key))
        let numbers: Set = algorithm.curve == nil ? ["n", "e"] : ["crv", "x", "y"]
        #expect(names == numbers.union(["kty", "use", "alg", "kid"]))
    }

    @Test("A private key shows itself to nobody", arguments: SignatureAlgorithm.allCases)
    func redacted(algorithm: SignatureAlgorithm) throws {
        let key = try KeySamples.key(algorithm)
        var keys = HelseIDKeys(current: key)
        try keys.beginRotation(.es256)
        var shown = "\(key) \(String(reflecting: key)) \(key.debugDescription)"
        dump(key, to: &shown)
        dump(keys, to: &shown)
        shown += "\(keys) \(String(reflecting: keys)) \(try key.exported) \(try keys.exported)"
        dump(try keys.exported, to: &shown)
        let json = try JSON(parsing: key.exported.text)
        for name in ["d", "p", "q", "dp", "dq", "qi"] {
            guard let number = json[name]?.string else { continue }
            #expect(!shown.contains(number.prefix(12)), "\(name)")
        }
        #expect(shown.contains(key.keyIdentifier))
    }

    @Test("What is no key is refused for its own reason")
    func refused() throws {
        let ec = try JSON(parsing: PublishedVectors.es256Key)
        let rsa = try JSON(parsing: PublishedVectors.publicRSA)
        func error(_ json: JSON) -> JWKError? {
            do {
                _ = try PublicJWK(json: json)
                return nil
            } catch {
                return error
            }
        }
        #expect(error(ec) == .privateMember("d"))
        #expect(error("EC") == .notAnObject)
        let members = try #require(ec.object).filter { $0.key != "d" }
        let point = JSON.object(members)
        #expect(error(point) == nil)
        #expect(error(.object(members + [.init("x", "AA")])) == .repeatedName)
        #expect(error(point.setting("kty", to: "OKP")) == .keyType)
        #expect(error(point.setting("crv", to: "secp256k1")) == .curve)
        #expect(error(point.setting("crv", to: "P-384")) == .length(member: "x", bytes: 32))
        guard case .base64(member: "x", let place) = error(point.setting("x", to: "AA==")) else {
            Issue.record("padding is no base64url")
            return
        }
        #expect(place.offset == 2)
        #expect(error(point.setting("y", to: try #require(point["x"]))) == .notAKey)
        #expect(error(point.setting("use", to: "enc")) == .notForSignatures)
        #expect(error(point.setting("key_ops", to: ["encrypt"])) == .notForSignatures)
        #expect(error(point.setting("alg", to: "none")) == .algorithm)
        #expect(error(point.setting("alg", to: "HS256")) == .algorithm)
        #expect(error(point.setting("alg", to: "PS256")) == .algorithmDoesNotFit(.ps256))
        #expect(error(point.setting("alg", to: "ES384")) == .algorithmDoesNotFit(.es384))
        let modulus = try Base64URL.decode(#require(rsa["n"]?.string))
        #expect(error(rsa.setting("n", to: .string(Base64URL.encode(modulus.prefix(128))))) == .tooFewBits(1_024))
        #expect(error(rsa.setting("n", to: .string(Base64URL.encode([0] + modulus)))) == .length(member: "n", bytes: 257))
        #expect(error(.object(try #require(rsa.object).filter { $0.key != "e" })) == .missing("e"))
    }

    @Test("A private key whose halves do not belong together is refused")
    func halves() throws {
        let one = try JSON(parsing: KeySamples.key(.es256).exported.text)
        let other = try JSON(parsing: PublishedVectors.es256Key)
        #expect(throws: JWKError.notAKey) {
            try PrivateJWK(json: one.setting("d", to: #require(other["d"])))
        }
        let rsa = try JSON(parsing: PublishedVectors.privateRSA)
        let cookbook = try JSON(parsing: PublishedVectors.cookbookRSA)
        for name in ["d", "p", "q"] {
            #expect(throws: JWKError.self, "\(name)") {
                try PrivateJWK(json: rsa.setting(name, to: #require(cookbook[name])))
            }
        }
        #expect(throws: JWKError.missing("d")) {
            try PrivateJWK(json: JSON(parsing: PublishedVectors.publicRSA))
        }
    }
}
