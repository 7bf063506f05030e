import Crypto
import CryptoExtras
import ExactJSON

/// A signed token in compact serialization (RFC 7515, section 7.1), taken apart and not yet believed.
struct HelseIDJWT {
    let header: JSON
    let claims: JSON
    private let input: [UInt8]
    private let signature: [UInt8]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = base64URLDecoded(parts[0]), let body = base64URLDecoded(parts[1]),
            let signature = base64URLDecoded(parts[2]), let header = try? JSON(parsing: head),
            let claims = try? JSON(parsing: body)
        else { return nil }
        self.header = header
        self.claims = claims
        self.signature = signature
        input = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// NHN's list for assertions and proofs; `none` and HMAC are not in it.
    static let algorithms = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]

    /// Whether the key signed it, with the algorithm that its own header names.
    func isSigned(by key: JSON) -> Bool {
        guard let name = header["alg"]?.string, key["alg"]?.string.map({ $0 == name }) ?? true else { return false }
        func number(_ member: String) -> [UInt8] { key[member]?.string.flatMap { base64URLDecoded($0) } ?? [] }
        let point = [4] + number("x") + number("y")
        do {
            switch (name, key["crv"]?.string ?? key["kty"]?.string) {
            case ("ES256", "P-256"):
                return try P256.Signing.PublicKey(x963Representation: point)
                    .isValidSignature(.init(rawRepresentation: signature), for: SHA256.hash(data: input))
            case ("ES384", "P-384"):
                return try P384.Signing.PublicKey(x963Representation: point)
                    .isValidSignature(.init(rawRepresentation: signature), for: SHA384.hash(data: input))
            case ("ES512", "P-521"):
                return try P521.Signing.PublicKey(x963Representation: point)
                    .isValidSignature(.init(rawRepresentation: signature), for: SHA512.hash(data: input))
            case (_, "RSA"):
                let modulus = number("n")
                guard modulus.count * 8 >= 2_048 else { return false }
                let key = try _RSA.Signing.PublicKey(n: modulus, e: number("e"))
                let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
                return switch name {
                case "PS256": key.isValidSignature(signature, for: SHA256.hash(data: input), padding: .PSS)
                case "PS384": key.isValidSignature(signature, for: SHA384.hash(data: input), padding: .PSS)
                case "PS512": key.isValidSignature(signature, for: SHA512.hash(data: input), padding: .PSS)
                default: false
                }
            default: return false
            }
        } catch {
            return false
        }
    }

    /// RFC 7638: the SHA-256 of a key's required members, by name and without white space.
    static func thumbprint(of key: JSON) -> String? {
        let names = key["kty"]?.string == "EC" ? ["crv", "kty", "x", "y"] : ["e", "kty", "n"]
        let members = names.compactMap { name in key[name]?.string.map { JSON.Member(name, .string($0)) } }
        guard members.count == names.count else { return nil }
        return base64URL(Array(SHA256.hash(data: JSON.object(members).bytes)))
    }

    /// `ath` of RFC 9449, section 4.2.
    static func hash(of token: String) -> String { base64URL(Array(SHA256.hash(data: Array(token.utf8)))) }
}

/// RFC 4648, section 5, without padding; `nil` where it is something else.
func base64URLDecoded(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var pending: UInt32 = 0
    var bits = 0
    for byte in text.utf8 {
        let value: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): value = 62
        case UInt8(ascii: "_"): value = 63
        default: return nil
        }
        pending = pending << 6 | UInt32(value)
        bits += 6
        if bits >= 8 {
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
        }
    }
    return bits < 6 ? bytes : nil
}
