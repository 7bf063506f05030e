public import ExactJSON

/// Signed tokens in the compact form (RFC 7515, section 7.1).
public enum JWS {
    /// Signs the claims. `alg` stands first in the header, then what the caller adds.
    public static func sign(
        _ claims: JSON, header: [JSON.Member], with key: PrivateJWK
    ) throws(JWSError) -> String {
        let header = JSON.object([.init("alg", .string(key.algorithm.rawValue))] + header)
        let signed = Base64URL.encode(header.bytes) + "." + Base64URL.encode(claims.bytes)
        return signed + "." + Base64URL.encode(try key.signature(of: Array(signed.utf8)))
    }
}

extension JWT {
    /// Holds the signature against the key. Only an algorithm that the caller names is taken, whatever the token says of itself
    /// (RFC 8725, section 3.1), and a header that demands understanding of an extension is refused (RFC 7515, section 4.1.11).
    public func verify(with key: PublicJWK, algorithms: [SignatureAlgorithm]) throws(JWSError) {
        guard let algorithm = SignatureAlgorithm(rawValue: self.algorithm), algorithms.contains(algorithm) else {
            throw .algorithmNotAllowed
        }
        guard header["crit"] == nil else { throw .criticalExtension }
        if let named = keyIdentifier, let own = key.keyIdentifier, named != own { throw .otherKey }
        guard key.verifies(signature, of: signedBytes, algorithm: algorithm) else { throw .signature }
    }
}

/// Why a token was not signed, or is not taken for signed.
public enum JWSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The crypto library refused to sign.
    case signing
    case algorithmNotAllowed
    case criticalExtension
    /// The token names another key than the one it is held against.
    case otherKey
    case signature

    public var description: String {
        switch self {
        case .signing: "the key does not sign"
        case .algorithmNotAllowed: "the token is signed with an algorithm that is not allowed"
        case .criticalExtension: "the token demands an extension that is not understood"
        case .otherKey: "the token names another key"
        case .signature: "the token's signature does not belong to it"
        }
    }
}
