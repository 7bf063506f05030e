import Crypto
import ExactJSON

/// Signs the realm's tokens: JWS compact serialization, ES256 (RFC 7515, RFC 7518 section 3.4), with a key of this run.
struct FUTSigner {
    private let key = P256.Signing.PrivateKey()
    private let id = randomName(16)

    func sign(_ claims: JSON) -> String {
        let header: JSON = ["alg": "ES256", "typ": "JWT", "kid": .string(id)]
        let input = "\(base64URL(header.bytes)).\(base64URL(claims.bytes))"
        // Signing with a key in memory has no way to fail; a token without signature would be refused by whoever checks.
        let signature = (try? key.signature(for: Array(input.utf8))).map { Array($0.rawRepresentation) } ?? []
        return "\(input).\(base64URL(signature))"
    }

    /// RFC 7517; the public key's raw form is x and y, 32 bytes each.
    var keySet: JSON {
        let point = Array(key.publicKey.rawRepresentation)
        return [
            "keys": [
                [
                    "kid": .string(id), "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
                    "x": .string(base64URL(point.prefix(32))), "y": .string(base64URL(point.suffix(32))),
                ]
            ]
        ]
    }
}

/// RFC 7636, section 4.2: what a client sends first for a secret that it shows later.
func challenge(ofVerifier verifier: String) -> String { base64URL(Array(SHA256.hash(data: Array(verifier.utf8)))) }

/// RFC 4648, section 5, without padding.
func base64URL(_ bytes: some Collection<UInt8>) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var result = ""
    var pending: UInt32 = 0
    var bits = 0
    for byte in bytes {
        pending = pending << 8 | UInt32(byte)
        bits += 8
        while bits >= 6 {
            bits -= 6
            result.append(alphabet[Int(pending >> UInt32(bits) & 0x3F)])
        }
    }
    if bits > 0 { result.append(alphabet[Int(pending << UInt32(6 - bits) & 0x3F)]) }
    return result
}

/// So many random bytes in base64url: nobody guesses a code or a token.
func randomName(_ count: Int) -> String { base64URL((0..<count).map { _ in UInt8.random(in: .min ... .max) }) }
