import Crypto

/// Proof Key for Code Exchange with S256 (RFC 7636): who redeems the code proves that the code was asked for by them.
public struct PKCE: Hashable, Sendable {
    public let verifier: Secret

    /// 32 random bytes, which is 43 characters (RFC 7636 section 4.1).
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(verifier: Secret(randomText(using: &generator)))
    }

    public init(verifier: Secret) { self.verifier = verifier }

    /// BASE64URL(SHA256(ASCII(verifier))) (RFC 7636 section 4.2).
    public var challenge: String { Base64URL.encode(Array(SHA256.hash(data: Array(verifier.text.utf8)))) }
}

/// 256 bits in base64url: RFC 6749 section 10.10 asks that a guess succeed with at most one in 2^128.
func randomText(using generator: inout some RandomNumberGenerator) -> String {
    Base64URL.encode((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
}
