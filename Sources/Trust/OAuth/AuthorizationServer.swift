public import ExactJSON
public import HTTPMessage

/// An authorization server by its own document (OpenID Connect Discovery 1.0 section 3; RFC 8414 section 2).
public struct AuthorizationServer: Hashable, Sendable {
    /// Compared character by character with what answers and tokens name.
    public let issuer: String
    public let authorizationEndpoint: EndpointURL
    public let tokenEndpoint: EndpointURL
    /// RFC 8628 section 4; `nil` where the realm does not offer the device grant.
    public let deviceAuthorizationEndpoint: EndpointURL?
    public let keysEndpoint: EndpointURL?
    /// Whether its answers at the redirect name it (RFC 9207 section 3).
    public let namesItselfInAnswers: Bool

    /// Keycloak's document is about 6 KiB.
    static let maximumLength = 256 * 1_024

    /// The request for the document of this issuer.
    public static func discovery(issuer: String) throws(AuthorizationServerError) -> HTTPRequest {
        let url: EndpointURL
        do {
            url = try EndpointURL(issuer)
        } catch {
            throw .endpoint("issuer", error)
        }
        guard url.query == nil else { throw .endpoint("issuer", .query) }
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        return HTTPRequest(.get, base + "/.well-known/openid-configuration", headers: [HTTPHeader("accept", "application/json")])
    }

    /// Reads the document that was fetched for `issuer`.
    public init(parsing body: [UInt8], issuer: String) throws(AuthorizationServerError) {
        guard body.count <= Self.maximumLength else { throw .tooLong(bytes: body.count) }
        let document: JSON
        do {
            document = try JSON(parsing: body)
        } catch {
            throw .json(error)
        }
        // A document that names another issuer is the beginning of a mix-up (OpenID Connect Discovery 4.3).
        guard document["issuer"]?.string == issuer else { throw .otherIssuer }
        self.issuer = issuer
        guard let authorizationEndpoint = try Self.endpoint("authorization_endpoint", in: document) else {
            throw .missing("authorization_endpoint")
        }
        guard let tokenEndpoint = try Self.endpoint("token_endpoint", in: document) else { throw .missing("token_endpoint") }
        self.authorizationEndpoint = authorizationEndpoint
        self.tokenEndpoint = tokenEndpoint
        deviceAuthorizationEndpoint = try Self.endpoint("device_authorization_endpoint", in: document)
        keysEndpoint = try Self.endpoint("jwks_uri", in: document)
        // Without it a code that leaks is anybody's (RFC 9700 section 2.1.1); a server that leaves the list out offers none.
        guard document["code_challenge_methods_supported"]?.array?.contains("S256") == true else { throw .withoutPKCE }
        namesItselfInAnswers = document["authorization_response_iss_parameter_supported"]?.bool ?? false
    }

    private static func endpoint(_ name: String, in document: JSON) throws(AuthorizationServerError) -> EndpointURL? {
        guard let value = document[name] else { return nil }
        guard let text = value.string else { throw .missing(name) }
        do {
            return try EndpointURL(text)
        } catch {
            throw .endpoint(name, error)
        }
    }
}

/// Why a server's document cannot be trusted.
public enum AuthorizationServerError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(bytes: Int)
    case json(JSONError)
    case otherIssuer
    case missing(String)
    case endpoint(String, EndpointURLError)
    case withoutPKCE

    public var description: String {
        switch self {
        case .tooLong(let bytes):
            "a configuration document of \(bytes) bytes: at most \(AuthorizationServer.maximumLength) are read"
        case .json(let error): "the configuration document is \(error)"
        case .otherIssuer: "the configuration document is another issuer's"
        case .missing(let name): "the configuration document has no \(name)"
        case .endpoint(let name, let error): "the configuration document's \(name): \(error)"
        case .withoutPKCE: "the configuration document does not offer PKCE with S256"
        }
    }
}
