/// The signatures that HelseID takes for assertions and proofs (NHN, security requirements: ES256/384/512 and PS256/384/512).
///
/// RFC 7518, sections 3.4 (ECDSA: the two numbers R and S one after the other, not DER) and 3.5 (RSASSA-PSS with MGF1 of the same
/// hash and a salt as long as the hash).
public enum SignatureAlgorithm: String, Hashable, Sendable, CaseIterable {
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"

    /// The curve that this algorithm's key is on; `nil` for an RSA key.
    public var curve: EllipticCurve? {
        switch self {
        case .es256: .p256
        case .es384: .p384
        case .es512: .p521
        case .ps256, .ps384, .ps512: nil
        }
    }
}

/// A curve of RFC 7518, section 6.2.1.1.
public enum EllipticCurve: String, Hashable, Sendable, CaseIterable {
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"

    /// Bytes of one coordinate: the field's bits, rounded up.
    public var coordinateCount: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    public var algorithm: SignatureAlgorithm {
        switch self {
        case .p256: .es256
        case .p384: .es384
        case .p521: .es512
        }
    }
}
