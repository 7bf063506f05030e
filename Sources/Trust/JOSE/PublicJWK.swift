import Crypto
import CryptoExtras
public import ExactJSON

/// The public half of a key, as JOSE writes it (RFC 7517; members of EC and RSA keys in RFC 7518, section 6).
///
/// Every number is base64url of its big-endian bytes: `x` and `y` as long as the curve's field, `n` and `e` without zero bytes in
/// front. Other members are read past, private ones are refused.
public struct PublicJWK: Hashable, Sendable {
    public enum Material: Hashable, Sendable {
        case ellipticCurve(EllipticCurve, x: [UInt8], y: [UInt8])
        case rsa(modulus: [UInt8], exponent: [UInt8])
    }

    /// HelseID: RSA of 2048 bits and more. (Its 160 bits for EC are below the smallest curve here.)
    public static let minimumBits = 2_048

    public let material: Material
    /// `kid`.
    public let keyIdentifier: String?
    /// `alg`: the only algorithm that the key is for, where it names one.
    public let algorithm: SignatureAlgorithm?

    init(material: Material, keyIdentifier: String?, algorithm: SignatureAlgorithm?) throws(JWKError) {
        if let algorithm, algorithm.curve != material.curve { throw .algorithmDoesNotFit(algorithm) }
        self.material = material
        self.keyIdentifier = keyIdentifier
        self.algorithm = algorithm
        // Once here, so that a point off the curve is refused where it is read and not where it is used.
        do {
            switch material {
            case .ellipticCurve(.p256, let x, let y): _ = try P256.Signing.PublicKey(x963Representation: [4] + x + y)
            case .ellipticCurve(.p384, let x, let y): _ = try P384.Signing.PublicKey(x963Representation: [4] + x + y)
            case .ellipticCurve(.p521, let x, let y): _ = try P521.Signing.PublicKey(x963Representation: [4] + x + y)
            case .rsa(let modulus, let exponent): _ = try _RSA.Signing.PublicKey(n: modulus, e: exponent)
            }
        } catch {
            throw .notAKey
        }
    }

    public init(json: JSON) throws(JWKError) {
        let members = try JWKMembers(json)
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] where json[name] != nil { throw .privateMember(name) }
        try self.init(members: members)
    }

    init(members: JWKMembers) throws(JWKError) {
        try self.init(
            material: members.publicMaterial(), keyIdentifier: members.text("kid"), algorithm: members.algorithm())
    }

    /// What to hand out: `use` is always `sig`.
    public var json: JSON {
        var members = material.requiredMembers
        members.append(.init("use", "sig"))
        if let algorithm { members.append(.init("alg", .string(algorithm.rawValue))) }
        if let keyIdentifier { members.append(.init("kid", .string(keyIdentifier))) }
        return .object(members)
    }

    /// The key as a DPoP proof carries it in its header: the numbers alone, and for RSA its `alg`, as NHN's library writes it.
    public var headerJSON: JSON {
        var members = material.requiredMembers
        if material.curve == nil, let algorithm { members.append(.init("alg", .string(algorithm.rawValue))) }
        return .object(members)
    }

    /// The key's fingerprint: SHA-256 of its required members alone, in the order of their names and without white space
    /// (RFC 7638, section 3). Also what `cnf.jkt` of an access token names (RFC 9449, section 6.1).
    public var thumbprint: String {
        let members = material.requiredMembers.sorted { $0.key < $1.key }
        return Base64URL.encode(Array(SHA256.hash(data: JSON.object(members).bytes)))
    }

    /// Whether the key's owner signed the bytes. `false` for everything else: a signature of the wrong length, another algorithm
    /// than the key is for.
    public func verifies(_ signature: [UInt8], of bytes: [UInt8], algorithm: SignatureAlgorithm) -> Bool {
        if let own = self.algorithm, own != algorithm { return false }
        guard algorithm.curve == material.curve else { return false }
        do {
            switch material {
            case .ellipticCurve(.p256, let x, let y):
                let key = try P256.Signing.PublicKey(x963Representation: [4] + x + y)
                return key.isValidSignature(try .init(rawRepresentation: signature), for: bytes)
            case .ellipticCurve(.p384, let x, let y):
                let key = try P384.Signing.PublicKey(x963Representation: [4] + x + y)
                return key.isValidSignature(try .init(rawRepresentation: signature), for: bytes)
            case .ellipticCurve(.p521, let x, let y):
                let key = try P521.Signing.PublicKey(x963Representation: [4] + x + y)
                return key.isValidSignature(try .init(rawRepresentation: signature), for: bytes)
            case .rsa(let modulus, let exponent):
                let key = try _RSA.Signing.PublicKey(n: modulus, e: exponent)
                let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
                return switch algorithm {
                case .ps256: key.isValidSignature(signature, for: SHA256.hash(data: bytes), padding: .PSS)
                case .ps384: key.isValidSignature(signature, for: SHA384.hash(data: bytes), padding: .PSS)
                case .ps512: key.isValidSignature(signature, for: SHA512.hash(data: bytes), padding: .PSS)
                case .es256, .es384, .es512: false
                }
            }
        } catch {
            return false
        }
    }
}

extension PublicJWK.Material {
    /// `nil` for an RSA key.
    public var curve: EllipticCurve? {
        switch self {
        case .ellipticCurve(let curve, _, _): curve
        case .rsa: nil
        }
    }

    var requiredMembers: [JSON.Member] {
        switch self {
        case .ellipticCurve(let curve, let x, let y):
            [
                .init("kty", "EC"), .init("crv", .string(curve.rawValue)),
                .init("x", .string(Base64URL.encode(x))), .init("y", .string(Base64URL.encode(y))),
            ]
        case .rsa(let modulus, let exponent):
            [
                .init("kty", "RSA"), .init("n", .string(Base64URL.encode(modulus))),
                .init("e", .string(Base64URL.encode(exponent))),
            ]
        }
    }
}

/// The members of a key's object, read by name.
struct JWKMembers {
    let json: JSON

    init(_ json: JSON) throws(JWKError) {
        guard let members = json.object else { throw .notAnObject }
        guard Set(members.map(\.key)).count == members.count else { throw .repeatedName }
        if let use = json["use"], use.string != "sig" { throw .notForSignatures }
        if let operations = json["key_ops"] {
            let names = operations.array?.compactMap(\.string) ?? []
            guard names.contains("sign") || names.contains("verify") else { throw .notForSignatures }
        }
        self.json = json
    }

    func text(_ name: String) -> String? { json[name]?.string }

    func algorithm() throws(JWKError) -> SignatureAlgorithm? {
        guard let member = json["alg"] else { return nil }
        guard let algorithm = member.string.flatMap(SignatureAlgorithm.init) else { throw .algorithm }
        return algorithm
    }

    /// A number, `count` bytes long, or as short as it can be where no length is given.
    func number(_ name: String, count: Int? = nil) throws(JWKError) -> [UInt8] {
        guard let text = text(name) else { throw .missing(name) }
        let bytes: [UInt8]
        do {
            bytes = try Base64URL.decode(text)
        } catch {
            throw .base64(member: name, error)
        }
        if let count {
            guard bytes.count == count else { throw .length(member: name, bytes: bytes.count) }
        } else {
            guard let first = bytes.first, first != 0 else { throw .length(member: name, bytes: bytes.count) }
        }
        return bytes
    }

    func publicMaterial() throws(JWKError) -> PublicJWK.Material {
        switch text("kty") {
        case "EC":
            guard let curve = text("crv").flatMap(EllipticCurve.init) else { throw .curve }
            return .ellipticCurve(
                curve, x: try number("x", count: curve.coordinateCount), y: try number("y", count: curve.coordinateCount))
        case "RSA":
            let modulus = try number("n")
            let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
            guard bits >= PublicJWK.minimumBits else { throw .tooFewBits(bits) }
            return .rsa(modulus: modulus, exponent: try number("e"))
        default: throw .keyType
        }
    }
}
