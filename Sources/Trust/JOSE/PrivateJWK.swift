import Crypto
import CryptoExtras
public import ExactJSON

/// A key that signs. Whoever holds it is the hub as far as HelseID can tell, so that it shows itself to nobody who prints, dumps
/// or compares it; who must store it says ``exported``.
public struct PrivateJWK: Sendable {
    fileprivate enum Key: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
    }

    /// Bits of a new RSA key. NIST SP 800-57 part 1, table 2: 3072 are 128 bits of strength, good beyond 2030; HelseID takes 2048
    /// and more.
    public static let generatedBits = 3_072

    private let key: Key
    public let algorithm: SignatureAlgorithm
    /// The public half, with `kid` and `alg`.
    public let publicKey: PublicJWK

    public var keyIdentifier: String { publicKey.keyIdentifier ?? publicKey.thumbprint }

    /// A new key of the system's randomness. Its `kid` is its thumbprint: unique without asking anybody, and the same on every
    /// machine that sees the key.
    public static func generate(_ algorithm: SignatureAlgorithm) throws(JWKError) -> PrivateJWK {
        let key: Key
        switch algorithm {
        case .es256: key = .p256(P256.Signing.PrivateKey())
        case .es384: key = .p384(P384.Signing.PrivateKey())
        case .es512: key = .p521(P521.Signing.PrivateKey())
        case .ps256, .ps384, .ps512:
            do {
                key = .rsa(try _RSA.Signing.PrivateKey(keySize: .init(bitCount: generatedBits)))
            } catch {
                throw .notAKey
            }
        }
        return try PrivateJWK(key, algorithm, keyIdentifier: nil)
    }

    private init(_ key: Key, _ algorithm: SignatureAlgorithm, keyIdentifier: String?) throws(JWKError) {
        guard algorithm.curve == key.curve else { throw .algorithmDoesNotFit(algorithm) }
        let material = try key.publicMaterial()
        let named = try PublicJWK(material: material, keyIdentifier: nil, algorithm: nil).thumbprint
        self.key = key
        self.algorithm = algorithm
        publicKey = try PublicJWK(material: material, keyIdentifier: keyIdentifier ?? named, algorithm: algorithm)
    }

    /// Reads a key that ``exported`` or another program wrote. An RSA key needs its two primes beside `d` (RFC 7518, section
    /// 6.3.2, asks for them) and an `alg`, or it is taken for PS256.
    public init(json: JSON) throws(JWKError) {
        let members = try JWKMembers(json)
        let material = try members.publicMaterial()
        let algorithm = try members.algorithm() ?? material.curve?.algorithm ?? .ps256
        let key: Key
        do {
            switch material {
            case .ellipticCurve(let curve, _, _):
                let number = try members.number("d", count: curve.coordinateCount)
                switch curve {
                case .p256: key = .p256(try P256.Signing.PrivateKey(rawRepresentation: number))
                case .p384: key = .p384(try P384.Signing.PrivateKey(rawRepresentation: number))
                case .p521: key = .p521(try P521.Signing.PrivateKey(rawRepresentation: number))
                }
            case .rsa(let modulus, let exponent):
                key = .rsa(
                    try _RSA.Signing.PrivateKey(
                        n: modulus, e: exponent, d: try members.number("d"), p: try members.number("p"),
                        q: try members.number("q")))
            }
        } catch let error as JWKError {
            throw error
        } catch {
            throw .notAKey
        }
        guard try key.publicMaterial() == material else { throw .notAKey }
        try self.init(key, algorithm, keyIdentifier: members.text("kid"))
    }

    public init(_ exported: Secret) throws(JWKError) {
        let json: JSON
        do {
            json = try JSON(parsing: exported.text)
        } catch {
            throw .json(offset: error.offset, expected: error.expected)
        }
        try self.init(json: json)
    }

    /// The whole key as JSON, for the sealed store and nowhere else.
    public var exported: Secret {
        get throws(JWKError) { Secret(JSON.object((publicKey.json.object ?? []) + (try key.privateMembers())).text) }
    }

    /// The signature as JWS writes it. ECDSA and PSS are randomised: two signatures of the same bytes differ.
    public func signature(of bytes: [UInt8]) throws(JWSError) -> [UInt8] {
        do {
            switch key {
            case .p256(let key): return Array(try key.signature(for: bytes).rawRepresentation)
            case .p384(let key): return Array(try key.signature(for: bytes).rawRepresentation)
            case .p521(let key): return Array(try key.signature(for: bytes).rawRepresentation)
            case .rsa(let key):
                switch algorithm {
                case .ps384: return Array(try key.signature(for: SHA384.hash(data: bytes), padding: .PSS).rawRepresentation)
                case .ps512: return Array(try key.signature(for: SHA512.hash(data: bytes), padding: .PSS).rawRepresentation)
                default: return Array(try key.signature(for: SHA256.hash(data: bytes), padding: .PSS).rawRepresentation)
                }
            }
        } catch {
            throw .signing
        }
    }
}

extension PrivateJWK: Hashable {
    /// Two private keys are the same where their public halves are: nothing of the private numbers is looked at.
    public static func == (left: PrivateJWK, right: PrivateJWK) -> Bool { left.publicKey == right.publicKey }
    public func hash(into hasher: inout Hasher) { hasher.combine(publicKey) }
}

extension PrivateJWK: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[private key \(keyIdentifier), \(algorithm.rawValue)]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension PrivateJWK.Key {
    var curve: EllipticCurve? {
        switch self {
        case .p256: .p256
        case .p384: .p384
        case .p521: .p521
        case .rsa: nil
        }
    }

    func publicMaterial() throws(JWKError) -> PublicJWK.Material {
        switch self {
        case .p256(let key): return Self.point(.p256, Array(key.publicKey.x963Representation))
        case .p384(let key): return Self.point(.p384, Array(key.publicKey.x963Representation))
        case .p521(let key): return Self.point(.p521, Array(key.publicKey.x963Representation))
        case .rsa(let key):
            let numbers = try RSAPrivateNumbers(der: Array(key.derRepresentation))
            return .rsa(modulus: numbers.modulus, exponent: numbers.exponent)
        }
    }

    func privateMembers() throws(JWKError) -> [JSON.Member] {
        switch self {
        case .p256(let key): return [.init("d", .string(Base64URL.encode(key.rawRepresentation)))]
        case .p384(let key): return [.init("d", .string(Base64URL.encode(key.rawRepresentation)))]
        case .p521(let key): return [.init("d", .string(Base64URL.encode(key.rawRepresentation)))]
        case .rsa(let key):
            let numbers = try RSAPrivateNumbers(der: Array(key.derRepresentation))
            return zip(["d", "p", "q", "dp", "dq", "qi"], numbers.privateNumbers).map {
                .init($0.0, .string(Base64URL.encode($0.1)))
            }
        }
    }

    /// X9.63, uncompressed: 04, then the two coordinates.
    private static func point(_ curve: EllipticCurve, _ bytes: [UInt8]) -> PublicJWK.Material {
        .ellipticCurve(
            curve, x: Array(bytes.dropFirst().prefix(curve.coordinateCount)), y: Array(bytes.suffix(curve.coordinateCount)))
    }
}

/// The numbers of an RSA key in the one form in which the crypto library hands them out.
///
/// RSAPrivateKey (RFC 8017, appendix A.1.2): a SEQUENCE of the INTEGERs version 0, n, e, d, p, q, d mod (p-1), d mod (q-1) and
/// the inverse of q mod p; DER, so that every length is as short as it can be.
struct RSAPrivateNumbers {
    let modulus: [UInt8]
    let exponent: [UInt8]
    /// d, p, q, dp, dq, qi: the order of RFC 7518, section 6.3.2.
    let privateNumbers: [[UInt8]]

    init(der: [UInt8]) throws(JWKError) {
        var rest = der[...]
        guard var body = Self.value(tag: 0x30, &rest), rest.isEmpty else { throw .notAKey }
        var numbers: [[UInt8]] = []
        while !body.isEmpty {
            guard let number = Self.value(tag: 0x02, &body) else { throw .notAKey }
            // A sign byte or the number 0; JOSE writes neither.
            numbers.append(Array(number.drop { $0 == 0 }))
        }
        guard numbers.count == 9, numbers[0].isEmpty else { throw .notAKey }
        modulus = numbers[1]
        exponent = numbers[2]
        privateNumbers = Array(numbers[3...])
    }

    private static func value(tag: UInt8, _ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard bytes.popFirst() == tag, let first = bytes.popFirst() else { return nil }
        var count = Int(first)
        if first >= 0x80 {
            // 80 + the number of length bytes; two reach 64 KiB, a key of 16384 bits has 9 KiB.
            guard first == 0x81 || first == 0x82 else { return nil }
            count = 0
            for _ in 0..<(first - 0x80) {
                guard let byte = bytes.popFirst() else { return nil }
                count = count << 8 | Int(byte)
            }
        }
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }
}
