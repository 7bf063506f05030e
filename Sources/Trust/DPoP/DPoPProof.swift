import Crypto
import ExactJSON
public import Vitals

/// Proofs that whoever sends a token also holds its key (RFC 9449).
///
/// ```text
/// header  {"alg":"ES256","typ":"dpop+jwt","jwk":{public key}}
/// claims  {"jti":"...","htm":"POST","htu":"https://host/path","iat":seconds,
///          "nonce":"...",      where the server gave one
///          "ath":"..."}        with an access token
/// ```
public enum DPoPProof {
    /// The `typ` of RFC 9449, section 4.2.
    public static let type = "dpop+jwt"

    /// Makes the proof of one request; it is good for that one alone.
    ///
    /// `issuedAt` is cut to whole seconds, as NHN's library sends it: NHN's sample API grants a proof 1 s and 5 s of clock
    /// difference.
    public static func make(
        method: String, target: RequestTarget, issuedAt: Instant, identifier: TokenIdentifier, accessToken: Secret? = nil,
        nonce: String? = nil, key: PrivateJWK
    ) throws(JWSError) -> String {
        var claims: [JSON.Member] = [
            .init("jti", .string(identifier.text)),
            .init("htm", .string(method)),
            .init("htu", .string(target.htu)),
            .init("iat", .integer(issuedAt.wholeSeconds)),
        ]
        if let nonce { claims.append(.init("nonce", .string(nonce))) }
        if let accessToken { claims.append(.init("ath", .string(accessTokenHash(accessToken)))) }
        return try JWS.sign(
            .object(claims), header: [.init("typ", .string(type)), .init("jwk", key.publicKey.headerJSON)], with: key)
    }

    /// `ath`: base64url of the SHA-256 of the token's ASCII bytes (RFC 9449, section 4.2).
    public static func accessTokenHash(_ token: Secret) -> String {
        Base64URL.encode(Array(SHA256.hash(data: Array(token.text.utf8))))
    }
}

/// A `jti`: 32 hexadecimal digits of 128 random bits, the form in which NHN's library writes a GUID ("N"). RFC 9449, section 4.2,
/// asks for 96 bits and more.
public struct TokenIdentifier: Hashable, Sendable {
    public let text: String

    public init(using generator: inout some RandomNumberGenerator) {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for word in [generator.next(), generator.next()] {
            for shift in stride(from: 60, through: 0, by: -4) { text.append(digits[Int(word >> UInt64(shift) & 0xF)]) }
        }
        self.text = String(decoding: text, as: UTF8.self)
    }
}

extension Instant {
    /// Whole seconds since 1970, cut: a NumericDate that is never ahead of the clock.
    var wholeSeconds: Int64 { milliseconds >= 0 ? milliseconds / 1_000 : (milliseconds - 999) / 1_000 }
}
