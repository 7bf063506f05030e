/// Why a text or object is no key that is used here; never with a byte of it.
public enum JWKError: Error, Hashable, Sendable {
    case json(offset: Int, expected: String)
    case notAnObject
    /// RFC 7517, section 4: names are unique. Where one stands twice, two readers could see two keys.
    case repeatedName
    case missing(String)
    case base64(member: String, Base64URLError)
    /// A coordinate or private number of another length than its curve's, or a number with zero bytes in front.
    case length(member: String, bytes: Int)
    case keyType
    case curve
    case algorithm
    /// `alg` names an algorithm of another kind of key.
    case algorithmDoesNotFit(SignatureAlgorithm)
    /// `use` or `key_ops` say that the key is not for signatures.
    case notForSignatures
    /// A private member where a public key is expected: somebody is about to send their private key.
    case privateMember(String)
    /// An RSA modulus of fewer bits than HelseID takes.
    case tooFewBits(Int)
    /// The point is not on the curve, the numbers do not belong together, or private and public half do not match.
    case notAKey
}

extension JWKError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .json(let offset, let expected): "the key is not JSON at byte \(offset): expected \(expected)"
        case .notAnObject: "the key is no JSON object"
        case .repeatedName: "the key names a member twice"
        case .missing(let member): "the key has no \(member)"
        case .base64(let member, let error): "the key's \(member): \(error)"
        case .length(let member, let bytes): "the key's \(member) has \(bytes) bytes, another number than its kind of key has"
        case .keyType: "the key is of a type that is not used here: kty must be EC or RSA"
        case .curve: "the key is on a curve that is not used here: crv must be P-256, P-384 or P-521"
        case .algorithm: "the key's alg is none of ES256, ES384, ES512, PS256, PS384 and PS512"
        case .algorithmDoesNotFit(let algorithm): "\(algorithm.rawValue) belongs to another kind of key"
        case .notForSignatures: "the key says that it is not for signatures"
        case .privateMember(let member): "the key has the private member \(member) where a public key is expected"
        case .tooFewBits(let bits): "an RSA key of \(bits) bits: at least \(PublicJWK.minimumBits) are needed"
        case .notAKey: "the numbers are no key"
        }
    }
}
