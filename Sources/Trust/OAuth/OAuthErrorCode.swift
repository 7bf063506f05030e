/// The `error` of an authorization server (RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, OpenID Connect Core 3.1.2.6).
public enum OAuthErrorCode: Hashable, Sendable {
    case invalidRequest
    case invalidClient
    case invalidGrant
    case unauthorizedClient
    case unsupportedGrantType
    case invalidScope
    case accessDenied
    case unsupportedResponseType
    case serverError
    case temporarilyUnavailable
    case authorizationPending
    case slowDown
    case expiredToken
    case interactionRequired
    case loginRequired
    case consentRequired
    /// Another name, of at most 40 small letters and underscores.
    case other(String)
    /// Something that is no name of an error: not kept, since nobody can say what it holds.
    case unnamed

    private static let named: [String: OAuthErrorCode] = [
        "invalid_request": .invalidRequest, "invalid_client": .invalidClient, "invalid_grant": .invalidGrant,
        "unauthorized_client": .unauthorizedClient, "unsupported_grant_type": .unsupportedGrantType,
        "invalid_scope": .invalidScope, "access_denied": .accessDenied,
        "unsupported_response_type": .unsupportedResponseType, "server_error": .serverError,
        "temporarily_unavailable": .temporarilyUnavailable, "authorization_pending": .authorizationPending,
        "slow_down": .slowDown, "expired_token": .expiredToken, "interaction_required": .interactionRequired,
        "login_required": .loginRequired, "consent_required": .consentRequired,
    ]

    public init(_ name: String) {
        if let code = Self.named[name] {
            self = code
        } else if (1...40).contains(name.utf8.count),
            name.utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_") })
        {
            self = .other(name)
        } else {
            self = .unnamed
        }
    }
}

extension OAuthErrorCode: CustomStringConvertible {
    /// The name on the wire.
    public var description: String {
        switch self {
        case .other(let name): name
        case .unnamed: "an error without a name"
        default: Self.named.first { $0.value == self }?.key ?? "an error without a name"
        }
    }
}
