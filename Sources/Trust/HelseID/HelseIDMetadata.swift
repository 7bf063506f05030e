import ExactJSON

/// HelseID's discovery document, as far as a client without a user needs it (OpenID Connect Discovery 1.0, section 3; RFC 8414,
/// section 2).
public struct HelseIDMetadata: Hashable, Sendable {
    /// NHN's security requirements, FK2: metadata may be kept for 24 hours.
    public static let lifetime = Duration.seconds(24 * 3_600)

    public let issuer: String
    public let tokenEndpoint: String

    /// Reads and checks it for a client. What the document does not say is taken as possible; what it excludes is refused here,
    /// before an assertion leaves the hub.
    public init(parsing body: [UInt8], for client: HelseIDClient, algorithm: SignatureAlgorithm) throws(HelseIDMetadataError) {
        let json: JSON
        do {
            json = try JSON(parsing: body)
        } catch {
            throw .json(offset: error.offset, expected: error.expected)
        }
        guard let issuer = json["issuer"]?.string else { throw .missing("issuer") }
        // Section 4.3: exactly the issuer that was asked. An assertion with another audience could be sent on to that one.
        guard issuer == client.issuer else { throw .otherIssuer(issuer) }
        guard let endpoint = json["token_endpoint"]?.string else { throw .missing("token_endpoint") }
        // HelseID's endpoints are all below its issuer. An endpoint elsewhere would be handed assertions that HelseID accepts.
        guard let target = try? EndpointURL(endpoint), let own = try? EndpointURL(issuer), target.origin == own.origin else {
            throw .tokenEndpoint
        }
        try Self.require("private_key_jwt", in: json, "token_endpoint_auth_methods_supported")
        try Self.require("client_credentials", in: json, "grant_types_supported")
        try Self.require(algorithm.rawValue, in: json, "token_endpoint_auth_signing_alg_values_supported")
        if client.tokenType == .dpop { try Self.require(algorithm.rawValue, in: json, "dpop_signing_alg_values_supported") }
        self.issuer = issuer
        tokenEndpoint = endpoint
    }

    private static func require(_ value: String, in json: JSON, _ name: String) throws(HelseIDMetadataError) {
        guard let list = json[name] else { return }
        guard let values = list.array, values.contains(.string(value)) else { throw .notSupported(value, list: name) }
    }
}

public enum HelseIDMetadataError: Error, Hashable, Sendable, CustomStringConvertible {
    case json(offset: Int, expected: String)
    case missing(String)
    case otherIssuer(String)
    /// No URL, not protected by TLS, or on another host than the issuer.
    case tokenEndpoint
    case notSupported(String, list: String)

    public var description: String {
        switch self {
        case .json(let offset, let expected): "not JSON at byte \(offset): expected \(expected)"
        case .missing(let name): "no \(name)"
        case .otherIssuer(let issuer): "it is the document of \(HelseIDError.shortened(issuer))"
        case .tokenEndpoint: "the token endpoint is not an https URL of the issuer's own host"
        case .notSupported(let value, let list): "\(list) does not have \(value)"
        }
    }
}
