public import HTTPMessage

/// Why a sign-in did not succeed; never with a byte of a code, token or answer.
public enum SignInError: Error, Hashable, Sendable {
    /// Not the redirect of this client: another path, host or port.
    case notTheRedirect
    /// The address cannot be read: not a URL, or a parameter stands in it twice.
    case unreadableAddress
    /// The answer belongs to another sign-in, or to nobody's.
    case wrongState
    /// The answer names another server than the one that was asked, or none where the server always does (RFC 9207 section 2.4).
    case otherIssuer
    /// Both a code and an error.
    case contradiction
    /// Neither a code nor an error.
    case codeMissing
    /// This sign-in had its answer already.
    case alreadyAnswered
    /// Nothing is expected at this step.
    case outOfTurn
    /// The person took longer than there was time.
    case expired
    /// The server's own no.
    case refused(OAuthErrorCode)
    /// The request did not leave: the same may be sent again.
    case notSent(HTTPFailure.Kind)
    /// Whether the server acted is not known. A code serves once: begin again.
    case outcomeUnknown
    case unavailable(status: Int)
    case unreadable(TokenResponseError)
    case idToken(IDTokenError)
    /// The realm offers no device grant.
    case deviceGrantNotOffered
    /// The verification address of a device grant.
    case verificationAddress(EndpointURLError)
}

/// What is wrong with an id token (OpenID Connect Core 3.1.3.7).
public enum IDTokenError: Error, Hashable, Sendable {
    case missing
    case unreadable(JWTError)
    case unsigned
    /// The header demands an extension that is not understood.
    case critical
    case issuer
    case audience
    case authorizedParty
    case subject
    case expired
    case issuedInTheFuture
    case nonce
    case accessTokenHash
}

extension SignInError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notTheRedirect: "this is not the address that the sign-in returns to"
        case .unreadableAddress: "the returned address cannot be read: copy all of it from the browser's address line"
        case .wrongState: "the returned address belongs to another sign-in: use the one of the sign-in begun last"
        case .otherIssuer: "the answer does not come from the server that was asked: begin again"
        case .contradiction: "the answer holds both a code and an error: begin again"
        case .codeMissing: "the answer holds neither a code nor an error: begin again"
        case .alreadyAnswered: "this sign-in was answered already: begin again"
        case .outOfTurn: "nothing is expected at this step of the sign-in"
        case .expired: "the sign-in took too long: begin again"
        case .refused(let code): "the server refused the sign-in (\(code))"
        case .notSent(let kind): "the server could not be reached (\(kind.rawValue)): try again"
        case .outcomeUnknown: "the connection broke before the server's answer: begin again"
        case .unavailable(let status): "the server could not serve the sign-in (status \(status)): begin again later"
        case .unreadable(let error): "the server's answer cannot be used: \(error)"
        case .idToken(let error): "the server's id token cannot be used: \(error)"
        case .deviceGrantNotOffered: "the server offers no sign-in by device code: choose another way in the configuration"
        case .verificationAddress(let error): "the server's verification address is \(error)"
        }
    }
}

extension IDTokenError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing: "there is none"
        case .unreadable(let error): error.description
        case .unsigned: "it is not signed"
        case .critical: "its header demands an extension that is not understood"
        case .issuer: "it is another issuer's"
        case .audience: "it is for another client"
        case .authorizedParty: "it was issued to another client"
        case .subject: "it names nobody"
        case .expired: "it has expired, or the hub's clock is ahead"
        case .issuedInTheFuture: "it is from the future, or the hub's clock is behind"
        case .nonce: "its nonce is not this sign-in's"
        case .accessTokenHash: "its hash is another access token's"
        }
    }
}
