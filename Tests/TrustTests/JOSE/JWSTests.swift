import ExactJSON
import Testing
import Trust

@Suite("Signed tokens")
struct JWSTests {
    @Test(
        "RFC 7515 A.3 and A.4, RFC 7520 sections 4.2 and 4.3: published signatures verify",
        arguments: [
            (PublishedVectors.es256Key, PublishedVectors.es256Token, SignatureAlgorithm.es256),
            (PublishedVectors.es512Key, PublishedVectors.es512Token, .es512),
            (PublishedVectors.cookbookRSA, PublishedVectors.cookbookPS384, .ps384),
            (PublishedVectors.cookbookEC, PublishedVectors.cookbookES512, .es512),
        ])
    func published(key: String, token: String, algorithm: SignatureAlgorithm) throws {
        var json = try JSON(parsing: key)
        json = json.setting("alg", to: .string(algorithm.rawValue))
        let key = try PrivateJWK(json: json).publicKey
        // Two of the payloads are words, not JSON: held against the bytes.
        let parts = token.split(separator: ".")
        let bytes = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        let signature = try Base64URL.decode(parts[2])
        #expect(key.verifies(signature, of: bytes, algorithm: algorithm))
        for other in SignatureAlgorithm.allCases where other != algorithm {
            #expect(!key.verifies(signature, of: bytes, algorithm: other))
        }
        if algorithm == .es256 { try JWT(parsing: token).verify(with: key, algorithms: [.es256]) }
    }

    @Test("Random claims come back from a signed token", arguments: SignatureAlgorithm.allCases)
    func roundTrip(algorithm: SignatureAlgorithm) throws {
        var generator = SeededGenerator("claims signed with \(algorithm.rawValue)")
        let key = try KeySamples.key(algorithm)
        for _ in 0..<(algorithm.curve == nil ? 25 : 200) {
            let claims = Self.claims(using: &generator)
            let header = [JSON.Member("kid", .string(key.keyIdentifier))]
            let token = try JWT(parsing: JWS.sign(claims, header: header, with: key))
            #expect(token.claims == claims)
            #expect(token.algorithm == algorithm.rawValue)
            #expect(token.keyIdentifier == key.keyIdentifier)
            try token.verify(with: key.publicKey, algorithms: [algorithm])
        }
    }

    @Test("A tampered byte never verifies: each of them, with every bit turned in turn", arguments: SignatureAlgorithm.allCases)
    func tampered(algorithm: SignatureAlgorithm) throws {
        let key = try KeySamples.key(algorithm)
        let token = Array(try JWS.sign(["sub": "hub", "iat": 1], header: [], with: key).utf8)
        for position in token.indices {
            var changed = token
            changed[position] ^= 1 << UInt8(position % 7)
            let text = String(decoding: changed, as: UTF8.self)
            #expect(throws: (any Error).self, "byte \(position)") {
                try JWT(parsing: text).verify(with: key.publicKey, algorithms: SignatureAlgorithm.allCases)
            }
        }
        for position in token.indices.dropLast() {
            var shorter = token
            shorter.remove(at: position)
            #expect(throws: (any Error).self, "without byte \(position)") {
                try JWT(parsing: String(decoding: shorter, as: UTF8.self))
                    .verify(with: key.publicKey, algorithms: SignatureAlgorithm.allCases)
            }
        }
    }

    @Test("Every bit of a signature counts")
    func signatureBits() throws {
        let key = try KeySamples.key(.es256)
        let bytes = Array("one signature".utf8)
        let signature = try key.signature(of: bytes)
        #expect(signature.count == 64)
        for bit in 0..<(signature.count * 8) {
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.publicKey.verifies(changed, of: bytes, algorithm: .es256), "bit \(bit)")
        }
        for count in 0..<64 { #expect(!key.publicKey.verifies(Array(signature.prefix(count)), of: bytes, algorithm: .es256)) }
    }

    @Test("A key that names its algorithm is for no other of the same kind")
    func ownAlgorithm() throws {
        let bytes = Array("signed".utf8)
        let json = try JSON(parsing: KeySamples.key(.ps256).exported.text)
        let other = try PrivateJWK(json: json.setting("alg", to: "PS384"))
        let signature = try other.signature(of: bytes)
        #expect(other.publicKey.verifies(signature, of: bytes, algorithm: .ps384))
        #expect(try !KeySamples.key(.ps256).publicKey.verifies(signature, of: bytes, algorithm: .ps384))
    }

    @Test("What the token says of itself decides nothing: algorithm, key and extensions")
    func selfDescription() throws {
        let key = try KeySamples.key(.es256)
        let signed = try JWS.sign(["sub": "hub"], header: [.init("kid", "other")], with: key)
        let none = Base64URL.encode(Array(#"{"alg":"none"}"#.utf8)) + "." + signed.split(separator: ".")[1] + "."
        #expect(throws: JWSError.algorithmNotAllowed) {
            try JWT(parsing: none).verify(with: key.publicKey, algorithms: SignatureAlgorithm.allCases)
        }
        #expect(throws: JWSError.algorithmNotAllowed) {
            try JWT(parsing: signed).verify(with: key.publicKey, algorithms: [.es384, .ps256])
        }
        #expect(throws: JWSError.otherKey) { try JWT(parsing: signed).verify(with: key.publicKey, algorithms: [.es256]) }
        let critical = try JWS.sign(["sub": "hub"], header: [.init("crit", ["exp"])], with: key)
        #expect(throws: JWSError.criticalExtension) {
            try JWT(parsing: critical).verify(with: key.publicKey, algorithms: [.es256])
        }
        let other = try PrivateJWK.generate(.es256)
        let plain = try JWS.sign(["sub": "hub"], header: [], with: key)
        #expect(throws: JWSError.signature) { try JWT(parsing: plain).verify(with: other.publicKey, algorithms: [.es256]) }
    }

    static func claims(using generator: inout SeededGenerator) -> JSON {
        let count = Int.random(in: 0...6, using: &generator)
        return .object((0..<count).map { JSON.Member("c\($0)", value(depth: 2, using: &generator)) })
    }

    private static func value(depth: Int, using generator: inout SeededGenerator) -> JSON {
        switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .integer(Int64.random(in: -1_000_000_000...4_000_000_000, using: &generator))
        case 3, 4:
            let scalars: [Unicode.Scalar] = ["a", "Z", "0", "\"", "\\", "\n", "\u{0}", "é", "ø", "\u{1F600}", "/", " "]
            let picked = (0..<Int.random(in: 0...12, using: &generator)).compactMap { _ in
                scalars.randomElement(using: &generator)
            }
            return .string(String(String.UnicodeScalarView(picked)))
        case 5:
            return .array((0..<Int.random(in: 0...3, using: &generator)).map { _ in value(depth: depth - 1, using: &generator) })
        default:
            return .object(
                (0..<Int.random(in: 0...3, using: &generator)).map { .init("m\($0)", value(depth: depth - 1, using: &generator)) }
            )
        }
    }
}
